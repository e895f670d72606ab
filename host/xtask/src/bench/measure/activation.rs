//! Marbles that start.

use crate::bench::figures::Figures;
use crate::bench::load;
use crate::bench::manifests::{self, MARBLE_TYPE, Reader};
use crate::bench::mesh::{KeptMarble, Marble};
use crate::bench::server::Server;

use super::Stage;

/// As Marbles do: a new connection with the Marble's certificate for each activation.
pub(super) async fn over_new_connections(
    stage: &Stage,
    stored: usize,
    unused_rsa: usize,
    clients: usize,
) -> anyhow::Result<Figures> {
    let server = ready(stage, stored, unused_rsa).await?;
    let marbles: Vec<Marble> = marbles(stage, &server, clients)?;
    load::run(&server, stage.clock, marbles, &stage.scale.bounds).await
}

/// The activation alone, without a handshake.
pub(super) async fn over_kept_connections(stage: &Stage, clients: usize) -> anyhow::Result<Figures> {
    let server = ready(stage, 1, 0).await?;
    let mut connected = Vec::new();
    for marble in marbles(stage, &server, clients)? {
        connected.push(KeptMarble::open(marble).await?);
    }
    load::run(&server, stage.clock, connected, &stage.scale.bounds).await
}

/// A server that accepts Marbles.
async fn ready(stage: &Stage, stored: usize, unused_rsa: usize) -> anyhow::Result<Server> {
    let server = stage.launch.start().await?;
    let manifest = manifests::with_unused_rsa(stage.scale.secrets(stored), unused_rsa, &Reader::new()?);
    server.set_manifest(&manifest).await?;
    Ok(server)
}

fn marbles(stage: &Stage, server: &Server, clients: usize) -> anyhow::Result<Vec<Marble>> {
    (0..stage.scale.clients(clients)).map(|_| Marble::new(server, MARBLE_TYPE)).collect()
}
