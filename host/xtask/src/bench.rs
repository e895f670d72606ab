//! `cargo xtask bench`: measures what the performance goals name and prints it beside them.
//!
//! The server is a coordinator in a process of its own (release build, simulation, sealed store with fsync); the clients
//! are this process. Missed goals fail nothing; a row that cannot be measured does. All traffic stays on the loopback
//! interface. Every process that this starts ends with it, also when it is interrupted.

pub(crate) mod figures;
pub(crate) mod load;
pub(crate) mod manifests;
mod measure;
pub(crate) mod mesh;
pub(crate) mod report;
pub(crate) mod rest;
mod rows;
pub(crate) mod server;
pub(crate) mod tls;
pub(crate) mod usage;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};

use crate::{cargo, guests};
use measure::{Scale, Stage, measure};
use report::{Outcome, Report};
use rows::{ROWS, Row};
use server::Launch;
use usage::Clock;

/// A row takes seconds; building a large state in a development build takes the longest. Only a hang reaches this.
const ROW_LIMIT: Duration = Duration::from_secs(300);

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only rows whose name contains this; may be repeated
    #[arg(long, value_name = "ROW")]
    only: Vec<String>,
    /// Seconds of measuring for each row of requests
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Run every row for an instant and with little data, with the binaries that are there (target/debug or
    /// CARRARA_BIN_DIR): shows that the rows work, not how fast
    #[arg(long)]
    smoke: bool,
    /// Measure with the binaries that are there (target/release or CARRARA_BIN_DIR)
    #[arg(long, conflicts_with = "smoke")]
    no_build: bool,
}

/// Runs the benchmarks; an error if a row could not be measured.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = guests::workspace();
    let mut rows = chosen(&arguments.only)?;
    rows.retain(|row| !arguments.smoke || row.work.is_short());
    if !arguments.smoke && !arguments.no_build {
        build(&root)?;
        // The clients shall be a release build, too.
        let mut again = Command::new(root.join("target/release/xtask"));
        again.args(std::env::args_os().skip(1)).arg("--no-build").env_remove("CARRARA_BIN_DIR");
        return Err(again.exec()).context("starting target/release/xtask");
    }
    let stage = stage(&root, arguments)?;
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    let report = runtime.block_on(all(&stage, rows, arguments.smoke))?;
    if let Some(path) = &arguments.json {
        report.write_json(path)?;
    }
    let failed = report.failed();
    ensure!(failed.is_empty(), "could not be measured: {}; see above", failed.join(", "));
    Ok(())
}

fn chosen(only: &[String]) -> anyhow::Result<Vec<&'static Row>> {
    let wanted = |row: &&Row| only.is_empty() || only.iter().any(|part| row.id.contains(part.as_str()));
    let rows: Vec<&Row> = ROWS.iter().filter(wanted).collect();
    if rows.is_empty() {
        let ids: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
        bail!("no row is named so; there are {}", ids.join(", "));
    }
    Ok(rows)
}

/// What is measured cannot be made to fail.
const SIMULATION: &str = "carrara-coordinator/simulation";

/// Builds what is measured, and this program, for a release.
pub(crate) fn build(root: &Path) -> anyhow::Result<()> {
    guests::run(&guests::Arguments::default())?;
    println!("building the release binaries (the first time takes some minutes) ...");
    cargo::build(root, &["--release", "--workspace", "--bins", "--features", SIMULATION])
}

fn stage(root: &Path, arguments: &Arguments) -> anyhow::Result<Stage> {
    let target = root.join("target");
    let profile = if arguments.smoke { "debug" } else { "release" };
    let binaries = std::env::var_os("CARRARA_BIN_DIR").map_or_else(|| target.join(profile), PathBuf::from);
    let scale =
        if arguments.smoke { Scale::smoke() } else { Scale::full(Duration::from_secs(arguments.seconds)) };
    let binary = binaries.join("carrara-coordinator");
    // It is started in another folder.
    let binary = binary.canonicalize().with_context(|| {
        format!("there is no {}; `cargo xtask test` builds it, without --smoke also bench", binary.display())
    })?;
    let (guests, sdk) = (target.join("guests"), target.join("sdk"));
    Ok(Stage {
        launch: Launch { binary, scratch: target, options: &[] },
        guests,
        sdk,
        clock: Clock::of_system()?,
        scale,
    })
}

/// Measures the rows one after the other. When interrupted, what is under way is dropped, and with it its processes.
async fn all(stage: &Stage, rows: Vec<&'static Row>, smoke: bool) -> anyhow::Result<Report> {
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("waiting for SIGINT")?;
    let mut report = Report::start(smoke);
    for row in rows {
        let outcome = tokio::select! {
            outcome = one(stage, row) => outcome,
            _ = terminate.recv() => bail!("interrupted"),
            _ = interrupt.recv() => bail!("interrupted"),
        };
        report.add(row, outcome);
    }
    Ok(report)
}

async fn one(stage: &Stage, row: &Row) -> Outcome {
    match tokio::time::timeout(ROW_LIMIT, measure(stage, row.work)).await {
        Ok(Ok(figures)) => Outcome::Measured(figures),
        Ok(Err(error)) => Outcome::Failed(format!("{error:#}")),
        Err(_) => Outcome::Failed(format!("it took longer than {} s", ROW_LIMIT.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_parts_of_their_names() {
        let ids = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|part| (*part).to_owned()).collect();
            chosen(&only).map(|rows| rows.iter().map(|row| row.id).collect::<Vec<_>>())
        };
        assert_eq!(ids(&[]).unwrap().len(), ROWS.len());
        assert_eq!(ids(&["memory-idle", "read-10k"]).unwrap(), ["memory-idle", "read-10k"]);
        let error = ids(&["nothing"]).unwrap_err().to_string();
        assert!(error.contains("activate-new"), "{error}");
    }
}
