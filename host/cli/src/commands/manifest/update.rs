//! `manifest update apply|acknowledge|cancel|get`.

mod acknowledge;
mod apply;
mod pending;
mod preview;

use std::path::PathBuf;

use anyhow::Result;
use carrara_client::{Address, UpdateProgress};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::args::{Globals, User};
use crate::commands::refusal::explain_change;
use crate::output::{Output, escaped};
use crate::session::Session;

/// Change the manifest in force, alone or together with other users
#[derive(Debug, Subcommand)]
pub(crate) enum Update {
    /// Raise packages' security versions, or propose a whole new manifest
    ///
    /// FILE is JSON or YAML. With nothing but Packages it raises their SecurityVersion; anything else is the whole new
    /// manifest. What changes is shown first, and what of it may harm, marked (!); it is sent all the same, at a terminal or in
    /// a script, and only an update after which nobody could update again is asked about (--yes). A whole manifest takes effect when as many
    /// users as Config.UpdateThreshold says have acknowledged it (0: all who may update); the proposer counts.
    Apply(Apply),
    /// Acknowledge the pending update
    ///
    /// FILE must be what was proposed, to the byte: `carrara manifest update get -o FILE HOST` fetches it. What it
    /// changes is shown first, and what of it may harm; `carrara manifest diff` shows the same and sends nothing. The
    /// last acknowledgement that is needed lets it take effect.
    Acknowledge(Acknowledge),
    /// Cancel the pending update
    Cancel {
        /// HOST:PORT
        host: Address,
        #[command(flatten)]
        user: User,
    },
    /// Show the pending update, or who has not acknowledged it
    Get {
        /// HOST:PORT
        host: Address,
        /// Save the proposed manifest (with --missing: the names) instead of printing it
        #[arg(short, long, value_name = "FILE")]
        out_file: Option<PathBuf>,
        /// List the users who have not acknowledged yet, one per line
        #[arg(long)]
        missing: bool,
    },
}

/// Raise packages' security versions, or propose a whole new manifest
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The new manifest, or the packages to update
    file: PathBuf,
    /// HOST:PORT
    host: Address,
    #[command(flatten)]
    user: User,
    /// Send the component of a policy along that the manifest names; as often as needed
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// Save new recovery data instead of printing it
    #[arg(short, long, alias = "recovery-data", value_name = "FILE")]
    recoverydata: Option<PathBuf>,
    /// Overwrite an existing file of recovery data
    #[arg(short, long)]
    force: bool,
    /// Show what would change, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer the question with yes
    ///
    /// The only question is about an update after which nobody could update the manifest again. Where nobody can be asked, since
    /// stdin or stderr is no terminal, such an update is refused without --yes. Whatever else is marked (!) is shown and not
    /// asked about.
    #[arg(short, long)]
    yes: bool,
}

/// Acknowledge the pending update
#[derive(Debug, Args)]
pub(crate) struct Acknowledge {
    /// The proposed manifest
    file: PathBuf,
    /// HOST:PORT
    host: Address,
    #[command(flatten)]
    user: User,
    /// Save new recovery data instead of printing it
    #[arg(short, long, alias = "recovery-data", value_name = "FILE")]
    recoverydata: Option<PathBuf>,
    /// Overwrite an existing file of recovery data
    #[arg(short, long)]
    force: bool,
    /// Answer the question with yes
    ///
    /// The only question is about an update after which nobody could update the manifest again. Where nobody can be asked, since
    /// stdin or stderr is no terminal, such an update is refused without --yes. Whatever else is marked (!) is shown and not
    /// asked about.
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(globals: &Globals, command: &Update, output: &mut Output) -> Result<()> {
    match command {
        Update::Apply(apply) => apply::run(globals, apply, output).await,
        Update::Acknowledge(acknowledge) => acknowledge::run(globals, acknowledge, output).await,
        Update::Cancel { host, user } => cancel(globals, host, user, output).await,
        Update::Get { host, out_file, missing } => {
            pending::run(globals, host, out_file.as_deref(), *missing, output).await
        }
    }
}

async fn cancel(globals: &Globals, host: &Address, user: &User, output: &mut Output) -> Result<()> {
    let client = Session::new(globals, host).user_client(user)?;
    let message = client.cancel_update().await;
    let message = message.map_err(|error| explain_change(error, "cancelling the pending update", &client))?;
    output.line("Cancellation successful")?;
    output.result(&json!({ "cancelled": true, "message": message }))
}

/// How many users are missing, and who they may be.
fn waiting(progress: &UpdateProgress) -> String {
    let count = progress.missing_acknowledgments;
    let users = if count == 1 { "1 more user" } else { &format!("{count} more users") };
    let names = match progress.missing_users.as_slice() {
        [] => "`carrara manifest update get --missing` lists them".to_owned(),
        names => listed(names),
    };
    format!("{users} must acknowledge it before it takes effect\nUsers who may acknowledge: {names}")
}

/// Names in one line, whatever they are.
fn listed(names: &[String]) -> String {
    escaped(&names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_missing_is_told_in_singular_and_plural() {
        let progress = |missing_acknowledgments, users: &[&str]| UpdateProgress {
            missing_acknowledgments,
            missing_users: users.iter().map(|user| (*user).to_owned()).collect(),
            ..UpdateProgress::default()
        };
        assert_eq!(
            waiting(&progress(1, &["a", "b"])),
            "1 more user must acknowledge it before it takes effect\nUsers who may acknowledge: a, b"
        );
        let text = waiting(&progress(1, &["a\nManifest signature: 00", "\u{202e}b"]));
        assert!(text.ends_with("acknowledge: a\\nManifest signature: 00, \\u{202e}b"), "{text}");
        let text = waiting(&progress(2, &[]));
        assert!(text.starts_with("2 more users must") && text.ends_with("--missing` lists them"), "{text}");
    }
}
