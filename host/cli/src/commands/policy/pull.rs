//! `policy pull DIGEST HOST -o FILE`: the file is there whole and has the digest, or it is not there.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Result, bail};
use carrara_client::Address;
use carrara_types::policy::Digest;
use clap::Args;
use serde_json::json;

use crate::args::{Globals, Identity};
use crate::commands::refusal::explain;
use crate::files::Place;
use crate::output::Output;
use crate::patience;
use crate::session::Session;

/// Save a policy's component, built-in ones too
///
/// Its bytes are compared with the digest: whoever verified the manifest holds the very code that rules the coordinator. Anybody
/// may. `carrara policy list` shows the digests, `carrara policy inspect` what a component is.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// sha256: and 64 hex digits, as the manifest names it
    digest: Digest,
    /// HOST:PORT
    host: Address,
    #[command(flatten)]
    user: Identity,
    /// Where it is saved
    #[arg(short = 'o', long = "out-file", value_name = "FILE")]
    file: PathBuf,
    /// Overwrite an existing file
    #[arg(short, long)]
    force: bool,
}

pub(crate) async fn run(globals: &Globals, command: &Pull, output: &mut Output) -> Result<()> {
    let (path, digest) = (command.file.as_path(), &command.digest);
    if !command.force && std::fs::symlink_metadata(path).is_ok() {
        bail!("{} exists already; name another file, or overwrite it with --force", path.display());
    }
    let session = Session::new(globals, &command.host);
    let client = session.identified(session.trusted_client().await?, &command.user)?;
    let mut place = Place::reserve(path)?;
    let mut received: u64 = 0;
    let sink = |piece: &[u8], _: Option<u64>| {
        received += piece.len() as u64;
        place.file().write_all(piece)
    };
    let doing = format!("saving the policy {digest} to {}", path.display());
    let saved = patience::wait(&doing, client.policy_component(digest, sink)).await;
    saved.map_err(|error| explain(error, &doing, &client))?;
    place.keep(command.force)?;
    output.line(&format!("Saved {received} bytes to {}: {digest}", path.display()))?;
    output.result(&json!({ "file": path, "bytes": received, "digest": digest.to_string() }))
}
