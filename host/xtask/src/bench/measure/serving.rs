//! What users ask often: the state and secrets.

use crate::bench::figures::Figures;
use crate::bench::load;
use crate::bench::manifests::{self, Reader};
use crate::bench::rest::{self, KeptConnection, NewConnections};

use super::Stage;

/// Over kept connections, without client certificates.
pub(super) async fn status_kept(stage: &Stage, clients: usize) -> anyhow::Result<Figures> {
    let server = stage.launch.start().await?;
    let connector = server.rest(None)?;
    let clients = KeptConnection::open(&connector, rest::STATUS, stage.scale.clients(clients)).await?;
    load::run(&server, stage.clock, clients, &stage.scale.bounds).await
}

/// Over a new connection each time, without client certificates.
pub(super) async fn status_new(stage: &Stage, clients: usize) -> anyhow::Result<Figures> {
    let server = stage.launch.start().await?;
    let client = NewConnections { connector: server.rest(None)?, path: rest::STATUS };
    let clients = vec![client; stage.scale.clients(clients)];
    load::run(&server, stage.clock, clients, &stage.scale.bounds).await
}

/// By a user over kept connections: authorization, opening a record, the answer.
pub(super) async fn read_secret(stage: &Stage, stored: usize, clients: usize) -> anyhow::Result<Figures> {
    let reader = Reader::new()?;
    let server = stage.launch.start().await?;
    server.set_manifest(&manifests::with_secrets(stage.scale.secrets(stored), &reader)).await?;
    let connector = server.rest(Some(&reader.identity))?;
    let path = manifests::secret_path();
    let clients = KeptConnection::open(&connector, &path, stage.scale.clients(clients)).await?;
    load::run(&server, stage.clock, clients, &stage.scale.bounds).await
}
