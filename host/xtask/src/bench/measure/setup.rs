//! What happens once in a server's life, so that every repetition has a server of its own: starts, memory, manifests.

use std::time::{Duration, Instant};

use crate::bench::figures::Figures;
use crate::bench::manifests::{self, Reader};
use crate::bench::server::Server;
use crate::bench::usage;

use super::Stage;

/// From the process's start to the first answer, the client's connection included.
pub(super) async fn start(stage: &Stage, stored: usize) -> anyhow::Result<Figures> {
    let mut runs = Runs::default();
    // One more, which does not count: the binary is read from the disk.
    let mut folder = Some(filled(stage, stored).await?.end().await?);
    for _ in 0..stage.scale.repetitions {
        let started = Instant::now();
        let server = match folder.take() {
            Some(folder) if stored > 0 => stage.launch.start_in(folder).await?,
            _ => stage.launch.start().await?,
        };
        server.ask_status().await?;
        runs.note(stage, &server, started.elapsed(), Duration::ZERO)?;
        folder = Some(server.end().await?);
    }
    Ok(runs.figures())
}

/// After the manifest was set.
pub(super) async fn memory(stage: &Stage, stored: usize) -> anyhow::Result<Figures> {
    let server = filled(stage, stored).await?;
    server.ask_status().await?;
    Ok(Figures::of_memory(usage::resident_kib(server.id())?))
}

/// After a start with the manifest's state: what setting it took is not there any more.
pub(super) async fn memory_after_restart(stage: &Stage, stored: usize) -> anyhow::Result<Figures> {
    let folder = filled(stage, stored).await?.end().await?;
    let server = stage.launch.start_in(folder).await?;
    server.ask_status().await?;
    Ok(Figures::of_memory(usage::resident_kib(server.id())?))
}

/// From the upload to the answer.
pub(super) async fn set_manifest(stage: &Stage, secrets: usize) -> anyhow::Result<Figures> {
    let manifest = manifests::with_secrets(stage.scale.secrets(secrets), &Reader::new()?);
    let mut runs = Runs::default();
    for _ in 0..stage.scale.repetitions {
        let server = stage.launch.start().await?;
        server.ask_status().await?;
        let before = stage.clock.cpu_of(server.id())?;
        let started = Instant::now();
        server.set_manifest(&manifest).await?;
        runs.note(stage, &server, started.elapsed(), before)?;
    }
    Ok(runs.figures())
}

/// A server with so many secrets; without a manifest for 0.
async fn filled(stage: &Stage, secrets: usize) -> anyhow::Result<Server> {
    let server = stage.launch.start().await?;
    if secrets > 0 {
        let manifest = manifests::with_secrets(stage.scale.secrets(secrets), &Reader::new()?);
        server.set_manifest(&manifest).await?;
    }
    Ok(server)
}

/// One measurement of each server.
#[derive(Default)]
struct Runs {
    times: Vec<Duration>,
    cpu: Duration,
    rss_kib: u64,
}

impl Runs {
    fn note(
        &mut self,
        stage: &Stage,
        server: &Server,
        time: Duration,
        before: Duration,
    ) -> anyhow::Result<()> {
        self.times.push(time);
        self.cpu += stage.clock.cpu_of(server.id())?.saturating_sub(before);
        self.rss_kib = usage::resident_kib(server.id())?;
        Ok(())
    }

    fn figures(self) -> Figures {
        let wall = self.times.iter().sum();
        Figures::of_run(self.times, wall, self.cpu).with_memory(self.rss_kib).without_rate()
    }
}
