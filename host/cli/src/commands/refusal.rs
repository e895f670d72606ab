//! What a user can do about a coordinator's refusal.

use anyhow::Error;
use carrara_client::{Client, ClientError};
use sha2::{Digest, Sha256};

/// Turns a failed request into an error that names what was tried, as whom, and what helps.
pub(crate) fn explain(error: ClientError, doing: &str, client: &Client) -> Error {
    let remedy = remedy(&error, client);
    let separator = if remedy.is_empty() { "" } else { "; " };
    Error::new(error).context(format!("{doing}{separator}{remedy}"))
}

fn remedy(error: &ClientError, client: &Client) -> String {
    let message = match error {
        ClientError::Unauthorized(_) => {
            return format!(
                "the certificate that was presented ({}) must be that of a user of the manifest in force: compare it \
                 with what `carrara manifest get` prints",
                presented(client)
            );
        }
        ClientError::NoManifest => return String::new(),
        ClientError::NoUpdate => return "start one with `carrara manifest update apply`".to_owned(),
        ClientError::Api(refusal) => refusal.message.as_str(),
        _ => return String::new(),
    };
    let known = if message == "server is not in expected state" {
        "the coordinator has no manifest or is in recovery: `carrara status` says which"
    } else if message.starts_with("update already in progress") {
        "`carrara manifest update get` shows the pending one, `... acknowledge` and `... cancel` decide on it"
    } else if message.contains(" is not allowed to ") {
        "a role of the manifest must give this user the right: see `carrara manifest get`"
    } else if message.contains("manifest specifies a secret which the original manifest does not contain") {
        "`carrara manifest get` shows the names of the secrets"
    } else {
        ""
    };
    known.to_owned()
}

/// By what it can be found in a manifest.
fn presented(client: &Client) -> String {
    match client.identity() {
        Some(identity) => {
            format!("SHA-256 fingerprint {}", hex::encode(Sha256::digest(identity.certificate())))
        }
        None => "none".to_owned(),
    }
}
