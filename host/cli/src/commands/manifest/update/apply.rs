//! `manifest update apply FILE HOST`: shows what changes, asks where nobody could update again, and sends.

use anyhow::{Context, Result, bail};
use carrara_client::{Client, UpdateProgress};
use serde_json::{Value, json};

use super::{Apply, waiting};
use crate::args::Globals;
use crate::color;
use crate::commands::manifest::get::consolidate;
use crate::commands::recovery_data::Destination;
use crate::commands::refusal::{explain, explain_change};
use crate::confirm::{Answer, ask};
use crate::manifest_diff::{Change, Kind, diff, locks_everybody_out};
use crate::manifest_file;
use crate::output::{Output, complain};
use crate::patience;
use crate::session::Session;

pub(super) async fn run(globals: &Globals, command: &Apply, output: &mut Output) -> Result<()> {
    let proposed = manifest_file::load(&command.file)?;
    let client = Session::new(globals, &command.host).user_client(&command.user)?;
    let changes = changes(&client, &proposed).await?;
    show(&changes, output)?;
    if command.dry_run {
        output.line("Nothing was sent (--dry-run)")?;
        return output.result(&json!({ "applied": false, "dryRun": true, "changes": changes }));
    }
    let destination = Destination::open(command.recoverydata.as_deref())?;
    if locks_everybody_out(&changes) {
        let question = "After this update nobody can update the manifest again. Go on?";
        if ask(question, command.yes)? == Answer::No {
            bail!("nothing was sent");
        }
    }
    let sent = patience::wait("applying the update", client.update_manifest(&proposed)).await;
    let progress = sent.map_err(|error| explain_change(error, "updating the manifest", &client))?;
    report(destination, &manifest_file::signature(&proposed), &changes, &progress, output)
}

/// Between the manifest in force, with the security versions of its package updates, and the proposed one.
async fn changes(client: &Client, proposed: &[u8]) -> Result<Vec<Change>> {
    let reading = |error| explain(error, "reading the manifest in force", client);
    let current = client.manifest().await.map_err(reading)?.manifest;
    let log = client.update_log().await.map_err(reading)?;
    let current: Value = serde_json::from_slice(&consolidate(&current, &log)?)
        .context("reading the coordinator's manifest as JSON")?;
    // Deeper than can be compared: the coordinator judges.
    let Ok(proposed) = serde_json::from_slice::<Value>(proposed) else {
        complain("Warning: the proposed manifest is nested too deeply to show what it changes");
        return Ok(Vec::new());
    };
    Ok(diff(&current, &proposed))
}

fn show(changes: &[Change], output: &mut Output) -> Result<()> {
    if changes.is_empty() {
        return output.line("The manifest in force says the same already");
    }
    output.line("Changes to the manifest in force:")?;
    for change in changes {
        let style = match change.kind {
            _ if change.danger.is_some() => color::BAD,
            Kind::Added => color::NEW,
            Kind::Removed => color::BAD,
            Kind::Changed | Kind::Effect => color::DOUBTFUL,
        };
        output.styled(&[("  ", anstyle::Style::new()), (&change.to_string(), style)])?;
    }
    Ok(())
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
    for warning in &progress.warnings {
        complain(&format!("Warning: {warning}"));
    }
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
