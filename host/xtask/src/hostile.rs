//! `cargo xtask hostile`: makes hostile components by the thousand, offers each to the engine as a coordinator would, in processes that
//! may die, and gives a real coordinator those that ran and the texts of `tests/hostile/corpus`.
//!
//! Every one is refused or fails with a reason, no process dies, the next call is right, the same question has the same answer,
//! memory returns to its level, and the coordinator's status is answered meanwhile.

mod questions;
mod site;
mod status;
mod subjects;
mod supervisor;
mod totals;
mod worker;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::cargo::cargo;
use crate::guests;
use crate::programs::{self, Programs};
use crate::torture::until_interrupted;
use supervisor::Plan;
use totals::Verdict;

/// Processes side by side.
const JOBS: usize = 2;

/// Where the maker is built.
const MAKER_TARGET: &str = "target/hostile-maker";

/// Options of `cargo xtask hostile`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many components to make
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    count: u64,
    /// What they are drawn from: the same number of the same seed is the same component
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first: with --count 1, to see one again
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// How many of those that ran are given to a coordinator, besides the texts
    #[arg(long, value_name = "N", default_value_t = 200)]
    given: u64,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// For a test: no demand on times, and few texts
    #[arg(long)]
    smoke: bool,
    /// The process that components run in
    #[arg(long, hide = true)]
    worker: bool,
    #[command(flatten)]
    programs: Programs,
}

/// Runs it; an error is a demand that was not met, or that it could not be run.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.worker {
        return worker::run();
    }
    let root = guests::workspace();
    let binary = arguments.programs.coordinator()?;
    let maker = maker(&root)?;
    let (folder, launch) = programs::stage("hostile-", &binary, &[])?;
    let began = Instant::now();
    println!("seed {}, {} components from number {}", arguments.seed, arguments.count, arguments.first);
    let plan = Plan {
        maker: &maker,
        root: &root,
        folder: folder.path(),
        seed: arguments.seed,
        first: arguments.first,
        count: arguments.count,
        batch: (arguments.count / 20).clamp(10, 100),
        jobs: if arguments.smoke { 1 } else { JOBS },
        keep: arguments.given,
    };
    let totals = plan.run()?;
    println!("{totals}");
    let mut given = subjects::texts()?;
    if arguments.smoke {
        // One of each few, of all worlds.
        given = given.into_iter().step_by(4).collect();
    }
    given.extend(subjects::made(&plan.kept())?);
    let quiet = if arguments.smoke { Duration::from_secs(1) } else { Duration::from_secs(20) };
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    let outcome = runtime.block_on(until_interrupted(async {
        let server = launch.start().await?;
        site::run(&server, &given, quiet, !arguments.smoke).await
    }));
    let outcome = outcome.context("interrupted")??;
    println!("{outcome}");
    let seconds = began.elapsed().as_secs();
    if let Some(file) = &arguments.json {
        let figures = json!({
            "seed": arguments.seed, "first": arguments.first, "count": arguments.count, "seconds": seconds,
            "machine_made": totals.json(), "coordinator": outcome.json(),
        });
        std::fs::write(file, figures.to_string()).with_context(|| format!("writing {}", file.display()))?;
    }
    let verdicts: Vec<Verdict> = totals.verdicts().into_iter().chain(outcome.verdicts()).collect();
    for Verdict { good, text } in &verdicts {
        println!("{}  {text}", if *good { "good" } else { "BAD " });
    }
    println!("{seconds} s");
    let bad = verdicts.iter().filter(|verdict| !verdict.good).count();
    ensure!(bad == 0, "{bad} demands were not met; see above");
    Ok(())
}

/// The program that makes components; it is built where `CARRARA_HOSTILE_MAKER` names none.
fn maker(root: &Path) -> anyhow::Result<PathBuf> {
    if let Some(built) = std::env::var_os("CARRARA_HOSTILE_MAKER") {
        return Ok(built.into());
    }
    let built = of_maker(root, &["build", "--quiet", "--locked"]).status().context("starting cargo")?;
    ensure!(built.success(), "the maker does not build; see above");
    Ok(root.join(MAKER_TARGET).join("debug/carrara-hostile-maker"))
}

/// Cargo in the maker's workspace, with a target folder of its own.
pub(crate) fn of_maker(root: &Path, arguments: &[&str]) -> Command {
    let mut command = cargo(root);
    command.current_dir(root.join("tests/hostile/maker")).env("CARGO_TARGET_DIR", root.join(MAKER_TARGET));
    command.args(arguments);
    command
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
