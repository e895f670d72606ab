//! `manifest update apply FILE HOST`: shows what changes, asks where nobody could update again, and sends.

use anyhow::{Error, Result};
use carrara_client::UpdateProgress;
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
    let changes = preview::changes(&client, &proposed).await?;
    preview::show(&changes, output)?;
    if command.dry_run {
        output.line("Nothing was sent (--dry-run)")?;
        return output.result(&json!({ "applied": false, "dryRun": true, "changes": changes }));
    }
    let destination = Destination::open(command.recoverydata.as_deref(), command.force)?;
    preview::confirm(&changes, command.yes)?;
    let sent = patience::wait("applying the update", client.update_manifest_with(&proposed, &policies)).await;
    let progress = sent.map_err(|error| match components::remedy(&error) {
        Some(remedy) => Error::new(error).context(format!("updating the manifest; {remedy}")),
        None => explain_change(error, "updating the manifest", &client),
    })?;
    report(destination, &manifest_file::signature(&proposed), &changes, &progress, output)
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
