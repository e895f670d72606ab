//! How each row is measured.

mod activation;
mod policies;
mod serving;
mod setup;
mod writing;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::figures::Figures;
use super::load::Bounds;
use super::rows::Work;
use super::server::Launch;
use super::usage::Clock;
use crate::torture::{self, totals::Totals};

/// What measuring needs.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The server.
    pub(crate) launch: Launch,
    /// The folder of the built-in policies' components.
    pub(crate) guests: PathBuf,
    /// That of the policies that the tests of the SDKs build.
    pub(crate) sdk: PathBuf,
    /// For processor time.
    pub(crate) clock: Clock,
    /// How much.
    pub(crate) scale: Scale,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// For runs of requests and of policy calls.
    pub(crate) bounds: Bounds,
    /// For what needs a new server each time.
    pub(crate) repetitions: usize,
    /// Clients of a run, at most.
    pub(crate) clients: usize,
    /// Secrets, at most.
    pub(crate) secrets: usize,
    /// Kills, at most.
    pub(crate) kills: u64,
}

impl Scale {
    /// For figures: so long for each run of requests.
    pub(crate) fn full(duration: Duration) -> Self {
        let bounds = Bounds { warm_up: duration / 10, duration, operations: 1_000_000 };
        Self { bounds, repetitions: 11, clients: usize::MAX, secrets: usize::MAX, kills: u64::MAX }
    }

    /// For a test: that everything works, on a busy machine and in a development build.
    pub(crate) fn smoke() -> Self {
        let bounds = Bounds { warm_up: Duration::ZERO, duration: Duration::from_millis(200), operations: 20 };
        Self { bounds, repetitions: 1, clients: 3, secrets: 50, kills: 5 }
    }

    fn secrets(&self, wanted: usize) -> usize {
        wanted.min(self.secrets)
    }

    fn clients(&self, wanted: usize) -> usize {
        wanted.min(self.clients)
    }
}

/// Measures one row.
pub(crate) async fn measure(stage: &Stage, work: Work) -> anyhow::Result<Figures> {
    let figures = match work {
        Work::Start { stored } => setup::start(stage, stored).await?,
        Work::Memory { stored } => setup::memory(stage, stored).await?,
        Work::MemoryAfterRestart { stored } => setup::memory_after_restart(stage, stored).await?,
        Work::SetManifest { secrets } => setup::set_manifest(stage, secrets).await?,
        Work::StatusKept { clients } => serving::status_kept(stage, clients).await?,
        Work::StatusNew { clients } => serving::status_new(stage, clients).await?,
        Work::ReadSecret { stored, clients } => serving::read_secret(stage, stored, clients).await?,
        Work::ActivateNew { stored, unused_rsa, clients } => {
            activation::over_new_connections(stage, stored, unused_rsa, clients).await?
        }
        Work::ActivateKept { clients } => activation::over_kept_connections(stage, clients).await?,
        Work::WriteSecret { clients } => writing::secret(stage, clients).await?,
        Work::Counter { stored, clients } => writing::counter(stage, stored, clients).await?,
        Work::Log { lines } => writing::log(stage, lines).await?,
        Work::Authorize => policies::authorize(stage)?,
        Work::AuthorizeIn { language } => policies::authorize_in(stage, language)?,
        Work::Render { files } => policies::render(stage, files)?,
        Work::Validate { bytes } => policies::validate(stage, bytes)?,
        Work::Kill { kills } => killing(stage, kills).await?,
    };
    Ok(figures)
}

/// A broken promise is an error; the long form is `cargo xtask torture`.
async fn killing(stage: &Stage, kills: u64) -> anyhow::Result<Figures> {
    let (seed, began) = (1, Instant::now());
    let mut totals = Totals::quiet();
    torture::all(&stage.launch, seed, kills.min(stage.scale.kills), &mut totals).await?;
    Ok(Figures::of_events(totals.kills, began.elapsed()))
}
