//! What a proposed manifest changes, shown before anything is sent, and the question where nobody could update again: by its
//! roles, which are seen here, or by its policies, which the coordinator asks.

use anyhow::{Context, Result, bail};
use carrara_client::{Client, ClientError, UpdateGuards};
use serde_json::Value;

use crate::commands::manifest::diff;
use crate::commands::manifest::get::consolidate;
use crate::commands::refusal::explain;
use crate::confirm::{Answer, ask};
use crate::manifest_diff::{self, Change, locks_everybody_out};
use crate::manifest_file;
use crate::output::{Output, complain, escaped};

/// HTTP's Unprocessable Content: how a coordinator refuses what nobody could update again.
const LOCKOUT: u16 = 422;

/// What an update is made against, and what it changes.
pub(super) struct Preview {
    pub(super) changes: Vec<Change>,
    /// SHA-256 of the manifest in force.
    base: String,
}

impl Preview {
    /// Whether it is the manifest in force already, to the byte, and changes nothing.
    pub(super) fn is_in_force(&self, proposed: &[u8]) -> bool {
        self.changes.is_empty() && self.base == manifest_file::signature(proposed)
    }

    /// Asks where the roles say that it would be the last update; `yes` answers. What the coordinator is to make sure of: that
    /// the manifest in force is still this one, and that the policies, too, let somebody update again, where nobody said yes.
    pub(super) fn guards(&self, yes: bool) -> Result<UpdateGuards> {
        let asked = confirm(&self.changes, yes)?;
        Ok(UpdateGuards { refuse_lockout: !yes && !asked, base: Some(self.base.clone()) })
    }
}

/// Asks where the coordinator refused since nobody, or too few, could update again, and lets that pass.
pub(super) fn confirm_lockout(error: &ClientError, guards: &mut UpdateGuards) -> Result<()> {
    if let ClientError::Api(refusal) = error {
        complain(&format!("The coordinator refused: {}", escaped(&refusal.message)));
    }
    let question = "After this update nobody, or too few users, could update the manifest again. Go on?";
    if ask(question, false)? == Answer::No {
        bail!("nothing was changed");
    }
    guards.refuse_lockout = false;
    Ok(())
}

/// Whether the coordinator refused for that.
pub(super) fn is_lockout(error: &ClientError) -> bool {
    matches!(error, ClientError::Api(refusal) if refusal.code.as_u16() == LOCKOUT)
}

/// Between the manifest in force, with the security versions of its package updates, and the proposed one.
pub(super) async fn changes(client: &Client, proposed: &[u8]) -> Result<Preview> {
    let reading = |error| explain(error, "reading the manifest in force", client);
    let current = client.manifest().await.map_err(reading)?.manifest;
    let log = client.update_log().await.map_err(reading)?;
    let base = manifest_file::signature(&current);
    let current: Value = serde_json::from_slice(&consolidate(&current, &log)?)
        .context("reading the coordinator's manifest as JSON")?;
    // Deeper than can be compared: the coordinator judges.
    let Ok(proposed) = serde_json::from_slice::<Value>(proposed) else {
        complain("Warning: the proposed manifest is nested too deeply to show what it changes");
        return Ok(Preview { changes: Vec::new(), base });
    };
    Ok(Preview { changes: manifest_diff::diff(&current, &proposed), base })
}

/// Prints them below a line that says what they are.
pub(super) fn show(changes: &[Change], output: &mut Output) -> Result<()> {
    if changes.is_empty() {
        return output.line("The manifest in force says the same already");
    }
    output.line("Changes to the manifest in force:")?;
    changes.iter().try_for_each(|change| diff::show_one(change, "  ", output))
}

/// Whether it was asked and answered with yes.
fn confirm(changes: &[Change], yes: bool) -> Result<bool> {
    let question = "After this update nobody can update the manifest again. Go on?";
    if !locks_everybody_out(changes) {
        return Ok(false);
    }
    match ask(question, yes)? {
        Answer::Yes => Ok(true),
        Answer::No => bail!("nothing was sent"),
    }
}
