//! The coordinator's process: reads the configuration, puts the parts together, serves until it is told to end.
//!
//! Whatever is wrong with the configuration, the state or the addresses ends the process before it serves anything,
//! with exit code 1 and the remedy on standard error.

mod addresses;
mod audit;
mod check;
mod collateral;
mod components;
mod config;
mod fips;
mod in_force;
mod input;
mod memory;
mod outputs;
mod profile;
mod recovery_file;
mod returning;
mod signals;
mod startup;
mod tee;
mod telemetry;
mod unsupported;
mod wiping;
mod wiring;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use carrara_server::{Drained, Options, Server};
use config::{Config, Task};
use tracing::{info, warn};

#[global_allocator]
static ALLOCATOR: wiping::Wiping = wiping::Wiping;

/// rest-api.md section 4.
const RECOVERY: u8 = 1;
const ACCEPTING_MARBLES: u8 = 3;

fn main() -> ExitCode {
    returning::large_allocations();
    let (task, config) = Config::of_process();
    let done = match (task, config) {
        (Task::Check, Ok(config)) => return check::run(&config),
        (_, config) => config.and_then(|config| profile::runtime()?.block_on(run(&config))),
    };
    match (task, done) {
        (_, Ok(())) => ExitCode::SUCCESS,
        (Task::Serve, Err(error)) => complain(&error, ExitCode::FAILURE),
        (Task::Check, Err(error)) => complain(&error, ExitCode::from(check::UNKNOWN)),
    }
}

/// Also for errors before logging has started, hence not a log line.
#[allow(clippy::print_stderr)]
fn complain(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    eprintln!("Error: {error:#}");
    code
}

async fn run(config: &Config) -> Result<()> {
    #[cfg(feature = "failpoints")]
    let _points = fail::FailScenario::setup();
    telemetry::start(&config.logging)?;
    profile::tell();
    memory::hide()?;
    fips::check()?;
    // First of all, so that a signal during the start is not lost.
    let shutdown = signals::shutdown();
    signals::survive_file_limits();
    outputs::check(config)?;
    let options = Options {
        rest: config.rest.clone(),
        mesh: config.mesh.clone(),
        metrics: config.metrics.clone(),
        limits: config::limits::within_open_files(&config.limits),
        connection_errors: config.connection_errors,
    };
    let wiring::Started { coordinator, metrics, collateral } = wiring::start(config).await?;
    let coordinator = Arc::new(coordinator);
    // Before the startup manifest: a start that fails for a taken port must not have changed the state.
    let server = Server::bind(&options).await.context("binding the addresses")?;
    if config.simulation {
        warn!("simulation: nothing is attested and the state is not protected; for development only");
    }
    if let Some(startup) = &config.startup {
        startup::apply(&coordinator, startup, config.limits.manifest_bytes).await?;
    }
    let addresses = server.addresses();
    if let Some(path) = &config.addresses_file {
        addresses::write(path, addresses)?;
    }
    let status = coordinator.status();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        rest = %addresses.rest,
        mesh = %addresses.mesh,
        metrics = addresses.metrics.map(tracing::field::display),
        state = status.code,
        "serving"
    );
    if status.code == RECOVERY {
        warn!(
            directory = %config.seal_dir.display(),
            "the state cannot be opened: its sealed_key is missing, damaged, not the one of this state, or was sealed \
             elsewhere, or by another version of the coordinator (seal mode UniqueKey); send the recovery secrets, or restore sealed_key and state.redb from one copy and start again, \
             or set a new manifest (the old state is kept in the folder archive)"
        );
    }
    tell_of_owner(config, status.code);
    let audit = audit::Writing::start(Arc::clone(&coordinator));
    let drained = server.serve(coordinator, Arc::new(metrics), shutdown).await;
    audit.end().await;
    if let Some(refreshing) = collateral {
        refreshing.end().await;
    }
    match drained? {
        Drained::Completely => info!("ended; every request was answered"),
        Drained::Cut(connections) => warn!(connections, "ended; connections were cut at the time limit"),
    }
    Ok(())
}

/// Who may make a state; what was configured shows in the log, set or not.
fn tell_of_owner(config: &Config, state: u8) {
    match &config.owner {
        Some(owner) => info!(
            owner = owner.fingerprint(),
            "only the holder of the owner's certificate sets the first manifest, or a new one in recovery"
        ),
        None if state == ACCEPTING_MARBLES => {
            info!("no owner certificate is configured: in recovery anybody may set a new manifest");
        }
        None => info!(
            "no owner certificate is configured: whoever reaches the client port first sets the manifest; verify its \
             fingerprint"
        ),
    }
}
