//! `manifest update acknowledge FILE HOST`.

use std::path::Path;

use anyhow::Result;
use carrara_client::Address;
use serde_json::json;

use super::waiting;
use crate::args::{Globals, User};
use crate::commands::recovery_data::Destination;
use crate::commands::refusal::explain_change;
use crate::manifest_file;
use crate::output::{Output, complain};
use crate::patience;
use crate::session::Session;

pub(super) async fn run(
    globals: &Globals,
    file: &Path,
    host: &Address,
    user: &User,
    recovery_data: Option<&Path>,
    output: &mut Output,
) -> Result<()> {
    let manifest = manifest_file::load(file)?;
    let client = Session::new(globals, host).user_client(user)?;
    let destination = Destination::open(recovery_data)?;
    let sent = patience::wait("acknowledging the update", client.acknowledge_update(&manifest)).await;
    let progress = sent.map_err(|error| {
        let doing = format!("acknowledging the update with the manifest {}", file.display());
        explain_change(error, &doing, &client)
    })?;
    // Given once only.
    let recovery = destination.keep(&progress.recovery_secrets);
    let status = match progress.message.as_str() {
        "" if progress.missing_acknowledgments == 0 => "the update took effect".to_owned(),
        "" => waiting(&progress),
        message => message.to_owned(),
    };
    output.line(&format!("Acknowledgement successful: {status}"))?;
    recovery.tell(output)?;
    for warning in &progress.warnings {
        complain(&format!("Warning: {warning}"));
    }
    output.result(&json!({
        "applied": progress.missing_acknowledgments == 0,
        "ManifestSignature": manifest_file::signature(&manifest),
        "message": status,
        "missingAcknowledgments": progress.missing_acknowledgments,
        "missingUsers": progress.missing_users,
        "RecoverySecrets": progress.recovery_secrets,
    }))?;
    recovery.finish()
}
