//! What a caller hears when a write failed and nobody knows whether it is stored nonetheless.
//!
//! The text says how to find out. Recovery secrets, which exist nowhere else, go along with it: they are ciphertexts for
//! the holders of the recovery keys, as in the answer that they belong to.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::ports::StoreError;

/// What the caller hears of a change that could not be stored.
pub(super) fn not_stored(what: &str, error: &StoreError) -> String {
    match error {
        StoreError::Unknown(_) => format!(
            "it is not known whether the coordinator stored {what}, since its disk failed meanwhile: when it works \
             again, read back what is in force before you repeat the request; see the coordinator's log"
        ),
        _ => not_done(&format!("{what} could not be stored"), error),
    }
}

/// What the caller hears where nothing was changed: what was not done, and the disk's fault if that is the cause.
pub(super) fn not_done(what: &str, error: &StoreError) -> String {
    match error {
        StoreError::Write(failure) => match failure.fault() {
            Some(fault) => format!("{what}: {fault}"),
            None => format!("{what}; see the coordinator's log"),
        },
        _ => format!("{what}; see the coordinator's log"),
    }
}

/// A manifest of which it is not known whether it was stored. Nobody but the caller has its recovery secrets.
#[derive(Debug)]
pub struct Unknown {
    /// SHA-256 of the manifest.
    pub fingerprint: String,
    /// As they would have been returned: encrypted for the holders of the recovery keys.
    pub recovery_secrets: BTreeMap<String, Vec<u8>>,
    /// For the log.
    pub cause: StoreError,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&not_stored("the manifest", &self.cause))?;
        let encoded = |(name, secret): (&String, &Vec<u8>)| (name.clone(), STANDARD.encode(secret).into());
        let secrets: Map<String, Value> = self.recovery_secrets.iter().map(encoded).collect();
        let secrets = json!({ "RecoverySecrets": secrets });
        write!(
            f,
            ". Keep its recovery secrets, which are shown only here; they hold if the manifest in force then has the \
             fingerprint {}: {secrets}",
            self.fingerprint
        )
    }
}

impl Error for Unknown {}

/// The error of a manifest that could not be stored, which `otherwise` makes where nothing gets lost with the answer.
pub(crate) fn told<E: From<Unknown>>(
    cause: StoreError,
    fingerprint: String,
    recovery_secrets: Option<BTreeMap<String, Vec<u8>>>,
    otherwise: impl FnOnce(StoreError) -> E,
) -> E {
    match (cause, recovery_secrets) {
        (cause @ StoreError::Unknown(_), Some(secrets)) if !secrets.is_empty() => {
            Unknown { fingerprint, recovery_secrets: secrets, cause }.into()
        }
        (cause, _) => otherwise(cause),
    }
}
