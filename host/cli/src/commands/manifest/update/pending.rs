//! `manifest update get HOST`: the proposed manifest to the byte, or who has not acknowledged it.

use std::path::Path;

use anyhow::{Context, Result};
use carrara_client::Address;
use serde_json::{Value, json};

use crate::args::Globals;
use crate::commands::refusal::explain;
use crate::files;
use crate::manifest_file;
use crate::output::{Output, escaped};
use crate::session::Session;

pub(super) async fn run(
    globals: &Globals,
    host: &Address,
    out_file: Option<&Path>,
    missing: bool,
    output: &mut Output,
) -> Result<()> {
    let client = Session::new(globals, host).cached_client()?;
    let pending = client.pending_update().await;
    let pending = pending.map_err(|error| explain(error, "reading the pending update", &client))?;
    let names: String = pending.missing_users.iter().map(|name| format!("{}\n", escaped(name))).collect();
    match (out_file, missing) {
        (Some(path), true) => {
            files::write(path, names.as_bytes())?;
            output.line(&format!("Missing users written to: {}", path.display()))?;
        }
        (Some(path), false) => {
            files::write(path, &pending.manifest)?;
            output.line(&format!("Pending manifest written to: {}", path.display()))?;
        }
        (None, true) => pending.missing_users.iter().try_for_each(|name| output.line(&escaped(name)))?,
        (None, false) => output.bytes(&pending.manifest)?,
    }
    let manifest: Value =
        serde_json::from_slice(&pending.manifest).context("reading the pending manifest as JSON")?;
    output.result(&json!({
        "ManifestSignature": manifest_file::signature(&pending.manifest),
        "Manifest": manifest,
        "message": pending.message,
        "missingUsers": pending.missing_users,
        "file": out_file,
    }))
}
