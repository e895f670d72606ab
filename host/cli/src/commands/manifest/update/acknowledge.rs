//! `manifest update acknowledge FILE HOST`: shows what changes, asks where nobody could update again, and sends.

use anyhow::{Error, Result};
use carrara_client::{Client, ClientError, UpdateGuards, UpdateProgress};
use serde_json::json;

use super::{Acknowledge, listed, preview, waiting};
use crate::args::Globals;
use crate::commands::recovery_data::Destination;
use crate::commands::refusal::explain_change;
use crate::manifest_file;
use crate::output::{Output, escaped, warn};
use crate::patience;
use crate::session::Session;

/// How the coordinator refuses other bytes than the pending ones.
const DIFFERENT: &str = "does not match the pending manifest";

pub(super) async fn run(globals: &Globals, command: &Acknowledge, output: &mut Output) -> Result<()> {
    let manifest = manifest_file::load(&command.file)?;
    let client = Session::new(globals, &command.host).user_client(&command.user)?;
    let preview = preview::changes(&client, &manifest).await?;
    let changes = &preview.changes;
    preview::show(changes, output)?;
    let destination = Destination::open(command.recoverydata.as_deref(), command.force)?;
    let mut guards = preview.guards(command.yes)?;
    let send = async |guards: &UpdateGuards| {
        patience::wait("acknowledging the update", client.acknowledge_update_guarded(&manifest, guards)).await
    };
    let mut sent = send(&guards).await;
    if let Some(error) = sent.as_ref().err().filter(|error| preview::is_lockout(error)) {
        preview::confirm_lockout(error, &mut guards)?;
        sent = send(&guards).await;
    }
    let progress = match sent {
        Ok(progress) => progress,
        Err(error) => return Err(refused(error, command, &client).await),
    };
    // Given once only.
    let recovery = destination.keep(&progress.recovery_secrets);
    let status = status(&progress);
    output.line(&format!("Acknowledgement successful: {}", shown(&status, &progress.missing_users)))?;
    recovery.tell(output)?;
    progress.warnings.iter().for_each(warn);
    output.result(&json!({
        "applied": progress.missing_acknowledgments == 0,
        "ManifestSignature": manifest_file::signature(&manifest),
        "message": status,
        "missingAcknowledgments": progress.missing_acknowledgments,
        "missingUsers": progress.missing_users,
        "RecoverySecrets": progress.recovery_secrets,
        "changes": changes,
    }))?;
    recovery.finish()
}

fn status(progress: &UpdateProgress) -> String {
    match progress.message.as_str() {
        "" if progress.missing_acknowledgments == 0 => "the update took effect".to_owned(),
        "" => waiting(progress),
        message => message.to_owned(),
    }
}

/// The coordinator's words have lines of their own; names in them have none.
fn shown(status: &str, names: &[String]) -> String {
    names.iter().fold(status.to_owned(), |text, name| text.replace(name.as_str(), &escaped(name)))
}

async fn refused(error: ClientError, command: &Acknowledge, client: &Client) -> Error {
    let doing = format!("acknowledging the update with the manifest {}", command.file.display());
    let is_another = matches!(&error, ClientError::Api(refusal) if refusal.message.contains(DIFFERENT));
    if !is_another {
        return explain_change(error, &doing, client);
    }
    let who = match client.pending_update().await {
        Ok(pending) if !pending.missing_users.is_empty() => {
            format!("; it still waits for {}", listed(&pending.missing_users))
        }
        _ => String::new(),
    };
    let fetch = format!("`carrara manifest update get -o FILE {}` fetches the pending one", command.host);
    Error::new(error).context(format!("{doing}; {fetch}{who}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_coordinators_words_has_no_line_of_its_own() {
        let status = "1 user\nNot yet: a\nAcknowledgement successful, b";
        let names = ["a\nAcknowledgement successful".to_owned(), "b".to_owned()];
        assert_eq!(shown(status, &names), "1 user\nNot yet: a\\nAcknowledgement successful, b");
    }
}
