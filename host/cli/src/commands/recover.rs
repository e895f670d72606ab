//! `recover KEYFILE HOST`: decrypts the holder's recovery secret, signs it and sends it (L-44).
//!
//! The coordinator has a temporary root certificate here, so it is attested every time and nothing is saved for later commands.

use std::path::PathBuf;

use anyhow::{Context, Error, Result};
use carrara_client::{Address, ClientError, RecoveryStep};
use carrara_types::secret::SecretBytes;
use clap::Args;
use serde_json::json;

use super::recovery_secret;
use super::refusal::may_have_been_done;
use crate::args::{Globals, HolderKey};
use crate::output::Output;
use crate::session::Session;
use crate::token;

/// rest-api.md section 4.
const WRONG_STATE: &str = "server is not in expected state";

/// Attest a coordinator in recovery and send one holder's recovery secret
///
/// Decrypts the secret with the holder's recovery key, signs it with the same key and sends both. Each holder does this for
/// her own; the answer says how many are missing. What was sent is forgotten when the coordinator restarts.
#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// The recovery data of the newest manifest, the holder's part of it, or her decrypted secret (16, 32 or 33 bytes)
    keyfile: PathBuf,
    /// HOST:PORT
    host: Address,
    #[command(flatten)]
    key: HolderKey,
}

pub(crate) async fn run(globals: &Globals, command: &Recover, output: &mut Output) -> Result<()> {
    let held = recovery_secret::read(&command.keyfile)?;
    let key = token::recovery_key(&command.key)?.context(
        "give the recovery key with --key or --pkcs11-config: the coordinator takes signed secrets only; where the key is \
         elsewhere, sign there with `carrara recover-with-signature sign-secret` and send with `carrara \
         recover-with-signature`",
    )?;
    let secret = recovery_secret::decrypt(&command.keyfile, held, Some(&key))?;
    let signature = key.sign(&secret).context("signing the recovery secret")?;
    send(globals, &command.host, &secret, &signature, output).await
}

/// Attests the coordinator, sends the secret and says what is missing.
pub(super) async fn send(
    globals: &Globals,
    host: &Address,
    secret: &SecretBytes,
    signature: &[u8],
    output: &mut Output,
) -> Result<()> {
    let session = Session::new(globals, host);
    let attested = session.attest().await?;
    let step = session.attested_client(&attested).recover(secret, signature).await.map_err(explain)?;
    output.line(&step.message)?;
    output.line(next(&step))?;
    output.result(&json!({ "remaining": step.remaining, "message": step.message }))
}

/// An old state recovers, too, and so does one that somebody else made: only a look at it tells.
fn next(step: &RecoveryStep) -> &'static str {
    match step.remaining {
        0 => {
            "The coordinator shows its old root certificate again. Before it is used, check that this is the expected state: \
             `carrara manifest verify` and `carrara manifest log --verify`"
        }
        _ => {
            "Progress is kept until the coordinator restarts; after a restart all secrets must be sent again"
        }
    }
}

/// What helps, after the coordinator's own words.
pub(super) fn explain(error: ClientError) -> Error {
    let remedy = remedy(&error);
    let separator = if remedy.is_empty() { "" } else { "; " };
    Error::new(error).context(format!("sending the recovery secret{separator}{remedy}"))
}

/// The same for asking for the public key.
pub(super) fn explain_key(error: ClientError) -> Error {
    let not_in_recovery = matches!(&error, ClientError::Api(refusal) if refusal.message == WRONG_STATE);
    let remedy = if not_in_recovery { remedy(&error) } else { "" };
    let separator = if remedy.is_empty() { "" } else { "; " };
    Error::new(error).context(format!("getting the coordinator's recovery public key{separator}{remedy}"))
}

fn remedy(error: &ClientError) -> &'static str {
    let message = match error {
        _ if may_have_been_done(error) => {
            return "it may have been taken all the same: see `carrara status`, or send it again";
        }
        ClientError::Api(refusal) => refusal.message.as_str(),
        _ => return "",
    };
    if message == WRONG_STATE {
        "the coordinator is not in recovery: `carrara status` says what it is ready for"
    } else if message.starts_with("uploaded an invalid or already used secret: this one was already used") {
        "the secrets that were accepted before are kept, and this holder's is among them: there is nothing to do for her"
    } else if message.starts_with("uploaded an invalid or already used secret") {
        "the secrets that were accepted before are kept: if this holder's is among them there is nothing to do, else send what \
         she decrypts of the newest recovery data (an update with other recovery keys gave out new ones)"
    } else if message.starts_with("failed to decrypt recovery secret") {
        "the secrets that were accepted before are kept: a coordinator that was restarted has another public key, so encrypt \
         with what `carrara recover-with-signature public-key` gives now"
    } else if message.starts_with("the recovery secret does not open the state") {
        "send what the holder decrypts of the newest recovery data"
    } else if message.starts_with("verifying the signatures") {
        "each holder sends her own secret again, signed with her own recovery key"
    } else if message.starts_with("the recovery secrets do not open the state") {
        "each holder sends her own secret of the newest recovery data again"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use carrara_client::ApiError;

    use super::*;

    #[test]
    fn a_refusal_says_what_is_kept_and_what_to_do() {
        let refused = |message: &str| {
            let code = http::StatusCode::INTERNAL_SERVER_ERROR;
            let (status, message) = ("error".to_owned(), message.to_owned());
            format!("{:#}", explain(ClientError::Api(ApiError { code, status, message, data: None })))
        };
        for (message, expected) in [
            ("server is not in expected state", "not in recovery"),
            ("uploaded an invalid or already used secret", "newest recovery data"),
            (
                "uploaded an invalid or already used secret: this one was already used",
                "nothing to do for her",
            ),
            ("failed to decrypt recovery secret: x", "public-key"),
            ("verifying the signatures of the recovery secrets, which", "each holder"),
            ("the recovery secrets do not open the state: upload", "each holder"),
            ("the recovery secret does not open the state: send", "newest recovery data"),
        ] {
            let text = refused(message);
            assert!(text.contains(expected) && text.contains(message), "{text}");
        }
        assert!(refused("other").starts_with("sending the recovery secret: the coordinator refused"));
    }
}
