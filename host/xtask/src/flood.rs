//! `cargo xtask flood`: hostile clients of every kind at once against a coordinator, over loopback, while polite ones ask as
//! always. Tells how the polite ones fared, how much memory it took, and whether all is as before afterwards.
//!
//! The flood comes from one process. Real attackers compute on machines of their own; these take the processors of the coordinator
//! and of the polite clients. So that this does not show as the coordinator's slowness, their threads have a lower priority: they
//! get what is left, which is nearly everything. What the machine itself adds to an answer is told by an echo beside it.

mod attacks;
mod echo;
mod frames;
mod judge;
mod polite;
mod process;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::bench::manifests::{self, Reader};
use crate::bench::server::Server;
use crate::programs::{self, Programs};
use crate::torture::until_interrupted;
use attacks::{Attackers, Counts, Ports};
use echo::Echo;
use judge::{Bounds, Outcome};
use process::Usage;

/// The coordinator of the long form: as it is by default.
const OPTIONS: &[&str] = &["--prometheus-addr", "127.0.0.1:0"];

/// The coordinator of the short form: so few connections that newcomers need the places of others.
const FEW_CONNECTIONS: &[&str] = &["--prometheus-addr", "127.0.0.1:0", "--max-connections", "300"];

/// For everything to be as before: longer than any time limit that an attack leaves behind.
const RECOVERY: Duration = Duration::from_secs(60);

/// Of the threads on which the attackers compute; 0 is what everybody else has.
const ATTACKERS_PRIORITY: i32 = 10;

/// Options of `cargo xtask flood`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Idle connections, half of them on each port
    #[arg(long, value_name = "N", default_value_t = 2000)]
    idle: usize,
    /// Those who send heads and bodies byte by byte, or read no answer
    #[arg(long, value_name = "N", default_value_t = 200)]
    slow: usize,
    /// Those who do one handshake after the other
    #[arg(long, value_name = "N", default_value_t = 8)]
    handshakes: usize,
    /// For a test: a coordinator with few connections, attackers that pause, and no demand on times
    #[arg(long)]
    smoke: bool,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    programs: Programs,
}

/// Runs it; an error is a bound that did not hold, or that it could not be run.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let binary = arguments.programs.coordinator()?;
    open_files_for(arguments.idle + 2 * arguments.slow + 256)?;
    let options = if arguments.smoke { FEW_CONNECTIONS } else { OPTIONS };
    let (_folder, launch) = programs::stage("flood-", &binary, options)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(|| {
            let _ = setpriority_process(None, ATTACKERS_PRIORITY);
        })
        .enable_all()
        .build();
    let runtime = runtime.context("starting the runtime")?;
    let outcome = runtime.block_on(until_interrupted(async {
        let server = launch.start().await?;
        flood(&server, arguments).await.with_context(|| last_lines(&server.log()))
    }));
    let outcome = outcome.context("interrupted")??;
    println!("{outcome}");
    if let Some(file) = &arguments.json {
        std::fs::write(file, outcome.json().to_string())
            .with_context(|| format!("writing {}", file.display()))?;
    }
    outcome.judge(&Bounds { timed: !arguments.smoke })
}

async fn flood(server: &Server, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let reader = Reader::new()?;
    let mut manifest = manifests::with_secrets(10, &reader);
    let marbles = manifest.pointer_mut("/Marbles").and_then(Value::as_object_mut).context("no Marbles")?;
    let package = marbles.get(manifests::MARBLE_TYPE).and_then(|marble| marble.get("Package"));
    // Long enough that its answer does not fit into the sockets' buffers.
    let parameters = json!({ "Argv": ["x".repeat(512 << 10)] });
    let padding = json!({ "Package": package, "Parameters": parameters });
    marbles.insert("padding".to_owned(), padding);
    server.set_manifest(&manifest).await?;
    let ports = Ports::of(server, &reader)?;
    let polite = polite::Clients::start(server)?;
    polite.wait_for_answers(20).await;
    let before = Usage::of(server).await?;
    let echo = Echo::start()?;
    polite.forget();
    let (stop, stopped) = watch::channel(());
    let counts = Arc::new(Counts::default());
    let plan = Attackers {
        idle: arguments.idle,
        slow: arguments.slow,
        handshakes: arguments.handshakes,
        pause: if arguments.smoke { Duration::from_millis(20) } else { Duration::ZERO },
    };
    let attackers = plan.start(&ports, &counts, &stopped);
    let mut peak = before.clone();
    for second in 1..=arguments.seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = Usage::of(server).await?;
        peak = peak.max(&now);
        if second % 10 == 0 {
            println!("{second} s: {now}; polite: {}", polite.so_far());
        }
    }
    let (during, machine) = (polite.end(), echo.end());
    drop(stop);
    attackers.end().await;
    let after = process::settled(server, &before, RECOVERY).await?;
    let totals = counts.totals();
    Ok(Outcome { before, peak, after, during, machine, totals, seconds: arguments.seconds })
}

/// The end of a log, for an error.
fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(5).collect();
    format!("the coordinator's log ends with\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
}

/// Every connection is a file of this process, too.
fn open_files_for(connections: usize) -> anyhow::Result<()> {
    let needed = connections as u64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let most = limit.maximum.unwrap_or(u64::MAX);
    ensure!(
        most >= needed,
        "this process may open {most} files, and the flood needs {needed}: raise the limit (ulimit -Hn) or give a smaller --idle"
    );
    let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("raising the limit of open files")
}
