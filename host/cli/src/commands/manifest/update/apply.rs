//! `manifest update apply FILE HOST`: shows what changes, asks where nobody could update again, and sends.

use anyhow::{Error, Result};
use carrara_client::{ClientError, UpdateGuards, UpdateProgress};
use serde_json::json;

use super::{Apply, preview, waiting};
use crate::args::Globals;
use crate::commands::manifest::components;
use crate::commands::recovery_data::Destination;
use crate::commands::refusal::explain_change;
use crate::manifest_diff::Change;
use crate::manifest_file;
use crate::output::{Output, warn};
use crate::patience;
use crate::session::Session;

pub(super) async fn run(globals: &Globals, command: &Apply, output: &mut Output) -> Result<()> {
    let proposed = manifest_file::load(&command.file)?;
    let policies = components::sent_along(&proposed, &command.policies)?;
    let client = Session::new(globals, &command.host).user_client(&command.user)?;
    let preview = preview::changes(&client, &proposed).await?;
    let changes = &preview.changes;
    preview::show(changes, output)?;
    if command.dry_run {
        output.line("Nothing was sent (--dry-run)")?;
        return output.result(&json!({ "applied": false, "dryRun": true, "changes": changes }));
    }
    // Components that come along may be what the manifest in force lacks, and a pending update is for the coordinator to tell.
    let nothing_pending = async || matches!(client.pending_update().await, Err(ClientError::NoUpdate));
    if preview.is_in_force(&proposed) && policies.is_empty() && nothing_pending().await {
        output.line("Nothing was sent")?;
        let signature = manifest_file::signature(&proposed);
        return output.result(
            &json!({ "applied": false, "inForce": true, "ManifestSignature": signature, "changes": changes }),
        );
    }
    let destination = Destination::open(command.recoverydata.as_deref(), command.force)?;
    let mut guards = preview.guards(command.yes)?;
    let send = async |guards: &UpdateGuards| {
        let sent = client.update_manifest_guarded(&proposed, &policies, guards);
        patience::wait("applying the update", sent).await
    };
    let mut sent = send(&guards).await;
    if let Some(error) = sent.as_ref().err().filter(|error| preview::is_lockout(error)) {
        preview::confirm_lockout(error, &mut guards)?;
        sent = send(&guards).await;
    }
    let progress = sent.map_err(|error| match components::remedy(&error) {
        Some(remedy) => Error::new(error).context(format!("updating the manifest; {remedy}")),
        None => explain_change(error, "updating the manifest", &client),
    })?;
    report(destination, &manifest_file::signature(&proposed), changes, &progress, output)
}

fn report(
    destination: Destination<'_>,
    signature: &str,
    changes: &[Change],
    progress: &UpdateProgress,
    output: &mut Output,
) -> Result<()> {
    // Given once only.
    let recovery = destination.keep(&progress.recovery_secrets);
    if progress.missing_acknowledgments == 0 {
        output.line("Update manifest set successfully")?;
    } else {
        output.line(&format!("Update manifest is pending: {}", waiting(progress)))?;
        output.line(&format!("Manifest signature: {signature}"))?;
    }
    recovery.tell(output)?;
    progress.warnings.iter().for_each(warn);
    output.result(&json!({
        "applied": progress.missing_acknowledgments == 0,
        "ManifestSignature": signature,
        "missingAcknowledgments": progress.missing_acknowledgments,
        "missingUsers": progress.missing_users,
        "RecoverySecrets": progress.recovery_secrets,
        "warnings": progress.warnings,
        "changes": changes,
    }))?;
    recovery.finish()
}
