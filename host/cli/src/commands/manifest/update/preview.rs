//! What a proposed manifest changes, shown before anything is sent, and the question where nobody could update again.

use anyhow::{Context, Result, bail};
use carrara_client::Client;
use serde_json::Value;

use crate::commands::manifest::diff;
use crate::commands::manifest::get::consolidate;
use crate::commands::refusal::explain;
use crate::confirm::{Answer, ask};
use crate::manifest_diff::{self, Change, locks_everybody_out};
use crate::output::{Output, complain};

/// Between the manifest in force, with the security versions of its package updates, and the proposed one.
pub(super) async fn changes(client: &Client, proposed: &[u8]) -> Result<Vec<Change>> {
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
    Ok(manifest_diff::diff(&current, &proposed))
}

/// Prints them below a line that says what they are.
pub(super) fn show(changes: &[Change], output: &mut Output) -> Result<()> {
    if changes.is_empty() {
        return output.line("The manifest in force says the same already");
    }
    output.line("Changes to the manifest in force:")?;
    changes.iter().try_for_each(|change| diff::show_one(change, "  ", output))
}

/// Asks where it would be the last update; `yes` answers.
pub(super) fn confirm(changes: &[Change], yes: bool) -> Result<()> {
    let question = "After this update nobody can update the manifest again. Go on?";
    if locks_everybody_out(changes) && ask(question, yes)? == Answer::No {
        bail!("nothing was sent");
    }
    Ok(())
}
