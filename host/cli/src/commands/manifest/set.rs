//! `manifest set FILE HOST`.

use std::path::Path;

use anyhow::{Context, Error, Result};
use carrara_client::Address;
use serde_json::json;

use super::is_wrong_state;
use crate::args::Globals;
use crate::files;
use crate::manifest_file;
use crate::output::{Output, complain};
use crate::session::Session;

pub(crate) async fn run(
    globals: &Globals,
    file: &Path,
    host: &Address,
    recovery_data: Option<&Path>,
    output: &mut Output,
) -> Result<()> {
    let manifest = manifest_file::load(file)?;
    let signature = manifest_file::signature(&manifest);
    let session = Session::new(globals, host);
    let attested = session.attest().await?;
    output.line("Successfully verified Coordinator, now uploading manifest")?;
    let set = session.attested_client(&attested).set_manifest(&manifest).await;
    let set = set.map_err(|error| {
        let remedy = match is_wrong_state(&error) {
            true => "; one is set already and cannot be replaced: read it with `carrara manifest get`",
            false => "",
        };
        Error::new(error).context(format!("setting the manifest{remedy}"))
    })?;

    // From here on the manifest is set: the recovery data is given once only, so it comes before all else.
    let recovery = json!({ "RecoverySecrets": set.recovery_secrets });
    let saved = match recovery_data.filter(|_| !set.recovery_secrets.is_empty()) {
        Some(path) => save(path, &recovery, output),
        None => Ok(()),
    };
    output.line(&format!("Manifest signature: {signature}"))?;
    output.line("Manifest successfully set")?;
    match recovery_data {
        Some(path) if saved.is_ok() && !set.recovery_secrets.is_empty() => {
            output.line(&format!("Recovery data saved to: {}", path.display()))?;
        }
        None if !set.recovery_secrets.is_empty() => output.line(&recovery.to_string())?,
        _ => {}
    }
    for warning in &set.warnings {
        complain(&format!("Warning: {warning}"));
    }
    output.result(&json!({
        "ManifestSignature": signature, "RecoverySecrets": set.recovery_secrets, "warnings": set.warnings,
    }))?;
    saved?;
    session.cache(&attested.chain)
}

/// Where the file cannot be written, the data must not be lost.
fn save(path: &Path, recovery: &serde_json::Value, output: &mut Output) -> Result<()> {
    let saved = files::write(path, recovery.to_string().as_bytes()).context("saving the recovery data");
    if saved.is_err() {
        complain("The manifest is set, but its recovery data could not be saved; keep what follows:");
        output.line(&recovery.to_string())?;
    }
    saved
}
