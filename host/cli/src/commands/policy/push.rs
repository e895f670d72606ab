//! `policy push FILE... HOST`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use carrara_client::{Address, Client, PushedPolicy};
use clap::Args;
use serde_json::{Value, json};

use crate::args::{Globals, Identity};
use crate::commands::refusal::explain;
use crate::files;
use crate::output::Output;
use crate::patience;
use crate::session::Session;

/// Send components of policies to a coordinator
///
/// Prints the digest of each, which a manifest names it by. Before the first manifest anybody may, or the coordinator's owner
/// alone; later users who may update the manifest. What no manifest names is forgotten after a day. `manifest set` and `manifest
/// update apply` send components along with --policy, so that this is for large ones and for those that are to be there again.
///
///   carrara policy push build/two-rooms.wasm localhost:4433 -c alice.crt -k alice.key
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Push {
    /// The components
    #[arg(required = true, num_args = 1.., value_name = "FILE")]
    files: Vec<PathBuf>,
    /// HOST:PORT
    host: Address,
    #[command(flatten)]
    user: Identity,
}

pub(crate) async fn run(globals: &Globals, command: &Push, output: &mut Output) -> Result<()> {
    let session = Session::new(globals, &command.host);
    let client = session.identified(session.trusted_client().await?, &command.user)?;
    let mut sent = Vec::new();
    for file in &command.files {
        let pushed = push(&client, file).await?;
        let worlds = pushed.worlds.join(", ");
        output.line(&format!("{}  {worlds}  {} bytes  {}", pushed.digest, pushed.size, file.display()))?;
        sent.push(value(file, &pushed));
    }
    output.result(&sent)
}

async fn push(client: &Client, file: &Path) -> Result<PushedPolicy> {
    let component = std::mem::take(&mut *files::read(file)?);
    let doing = format!("sending {}", file.display());
    let pushed = patience::wait(&doing, client.push_policy(component)).await;
    pushed.map_err(|error| explain(error, &doing, client))
}

fn value(file: &Path, pushed: &PushedPolicy) -> Value {
    json!({ "file": file, "digest": pushed.digest.to_string(), "worlds": pushed.worlds, "size": pushed.size })
}
