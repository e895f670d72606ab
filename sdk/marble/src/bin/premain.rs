//! `carrara-premain`: activates, then becomes the service (marble-api.md section 9): as a plain Linux process, in a VM that is
//! a TEE, and as the entry point under Gramine and Occlum.
//!
//! Takes no arguments: the environment says who we are, the manifest says what to run. On any failure the service
//! does not start and the exit code is 1. Until the service starts, no other process of the same user reads this one's
//! memory, and it leaves no core file; what the service does is its own affair.

use std::io::IsTerminal;
use std::process::ExitCode;

use carrara_marble::config;
use carrara_marble::launch::Launch;
use carrara_marble::premain::prepare;
use carrara_marble::runtime::Surroundings;

fn main() -> ExitCode {
    log_to_stderr();
    let error = match start() {
        Ok(launch) => {
            tracing::info!(program = %launch.program().display(), "starting the service");
            launch.exec().into()
        }
        Err(error) => error,
    };
    tracing::error!("the service was not started: {error:#}");
    ExitCode::FAILURE
}

fn start() -> anyhow::Result<Launch> {
    let surroundings = Surroundings::of_this_process();
    tracing::debug!(runtime = ?surroundings.runtime, "preparing the service");
    Ok(prepare(&surroundings)?)
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
