//! `cargo xtask torture`: kills a loaded coordinator with SIGKILL, again and again, and checks after each restart that it
//! kept every promise: what was acknowledged is there, what was not is there as a whole or not at all, no start is empty or
//! needs recovery, nothing is handed out twice, the log and the audit trail go on where they were.
//!
//! A killed process loses what it had in memory, not what the kernel had taken from it: that fsync works is the disk's
//! promise and not tested here.

mod checks;
pub(crate) mod clients;
mod life;
pub(crate) mod model;
pub(crate) mod plan;
pub(crate) mod site;
pub(crate) mod totals;
pub(crate) mod world;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use crate::bench::server::Launch;
use crate::programs::{self, Programs};
use life::Life;
use site::Shared;
use totals::Totals;

/// What a start takes at least; the first one tells better.
const START: Duration = Duration::from_millis(80);

/// Options of `cargo xtask torture`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often to kill
    #[arg(long, value_name = "N", default_value_t = 1000)]
    kills: u64,
    /// What rounds are drawn from; without it from the clock. It is printed
    #[arg(long)]
    seed: Option<u64>,
    /// Keep the folder with the states even if nothing is wrong
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    programs: Programs,
}

/// Runs it; an error is a broken promise, or that it could not be run.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let binary = arguments.programs.coordinator()?;
    let seed = arguments.seed.unwrap_or_else(seed_of_now);
    let (folder, launch) = programs::stage("torture-", &binary, &[])?;
    println!("seed {seed}, {} kills, in {}", arguments.kills, folder.path().display());
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    let mut totals = Totals::new();
    let ended = runtime.block_on(until_interrupted(all(&launch, seed, arguments.kills, &mut totals)));
    match ended {
        Some(Ok(())) => println!("\n{totals}"),
        Some(Err(error)) => {
            let kept = folder.keep();
            bail!(
                "{error:#}\n\nviolation after {} kills in round {} with seed {seed}; the states are in {}",
                totals.kills,
                totals.round,
                kept.display()
            );
        }
        None => bail!("interrupted after {} kills without a violation", totals.kills),
    }
    if arguments.keep {
        println!("kept in {}", TempDir::keep(folder).display());
    }
    Ok(())
}

/// Kills so often, state after state. An error is a broken promise.
pub(crate) async fn all(launch: &Launch, seed: u64, kills: u64, totals: &mut Totals) -> anyhow::Result<()> {
    let shared = Arc::new(Shared::new()?);
    let mut start = START;
    while totals.kills < kills {
        start = Life::new(launch, &shared, seed, start)?.run(totals, kills).await?;
        totals.lives += 1;
    }
    Ok(())
}

/// `None` when interrupted: what is under way is dropped, and with it its processes.
pub(crate) async fn until_interrupted<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut terminate = signal(SignalKind::terminate()).ok()?;
    let mut interrupt = signal(SignalKind::interrupt()).ok()?;
    tokio::select! {
        ended = work => Some(ended),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    }
}

/// Any number will do that is another one the next time.
#[allow(clippy::disallowed_methods)]
fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_millis() as u64)
}
