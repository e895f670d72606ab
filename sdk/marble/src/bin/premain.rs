//! `carrara-premain`: activates, then becomes the service (marble-api.md section 9) as a plain Linux process.
//!
//! Takes no arguments: the environment says who we are, the manifest says what to run. On any failure the service
//! does not start and the exit code is 1. Until the service starts, no other process of the same user reads this one's
//! memory, and it leaves no core file; what the service does is its own affair.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context as _;
use carrara_marble::launch::Launch;
use carrara_marble::{Activation, Config, NoTee, activate, config};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

fn main() -> ExitCode {
    log_to_stderr();
    let error = match start() {
        Ok(launch) => {
            tracing::info!(program = launch.argv().first(), "starting the service");
            launch.exec().into()
        }
        Err(error) => error,
    };
    tracing::error!("the service was not started: {error:#}");
    ExitCode::FAILURE
}

fn start() -> anyhow::Result<Launch> {
    // Ends with `exec`: the service inherits nothing of it.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("forbidding others to read our memory")?;
    let config = Config::from_env()?;
    let activation = activated(&config)?;
    tracing::info!(files = activation.files.len(), variables = activation.env.len(), "activated");
    Ok(Launch::prepare(activation)?)
}

/// The runtime ends before the service starts, so that no thread of it is around.
fn activated(config: &Config) -> anyhow::Result<Activation> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(activate(config, &NoTee))?)
}

fn log_to_stderr() {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    let json = std::env::var(config::LOG_FORMAT).is_ok_and(|format| format.eq_ignore_ascii_case("json"));
    if json {
        log.json().flatten_event(true).init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).init();
    }
}
