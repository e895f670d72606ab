//! Decoders of this crate that nothing outside calls, for the fuzz targets; in no other build.

use std::collections::BTreeMap;

use carrara_types::secret::SecretBytes;

pub use crate::certificate::request::MarbleRequest;
use crate::pending::Pending;
use crate::ports::Entropy;
use crate::recovery_data::RecoveryData;
use crate::recovery_signatures::{self, SignedSecret};
use crate::{records, recovery_shares, shamir};

/// The clear recovery data of a state, as this version writes it.
#[must_use]
pub fn recovery_data(bytes: &[u8]) -> Option<Vec<u8>> {
    RecoveryData::decode(bytes)?.encode().ok()
}

/// Whether shares are joined by this recovery data; those that are not are refused.
#[must_use]
pub fn join(recovery_data: &[u8], shares: &[&SecretBytes]) -> bool {
    RecoveryData::decode(recovery_data).is_some_and(|data| data.join(shares).is_some())
}

/// The record of an update that waits, as this version writes it.
#[must_use]
pub fn pending(bytes: &[u8]) -> Option<Vec<u8>> {
    Pending::decode(bytes).ok()?.encode().ok()
}

/// A secret's record, as this version writes it.
#[must_use]
pub fn secret_record(bytes: &[u8]) -> Option<Vec<u8>> {
    records::decode_secret(bytes).ok().map(|value| records::encode_secret(&value))
}

/// Shares of a secret; `None` for numbers that make no sense.
#[must_use]
pub fn split(
    secret: &SecretBytes,
    count: usize,
    threshold: usize,
    entropy: &dyn Entropy,
) -> Option<Vec<SecretBytes>> {
    shamir::split(secret, count, threshold, entropy).ok()
}

/// Whether a manifest's recovery key can be used.
#[must_use]
pub fn recovery_key(pem: &str) -> bool {
    recovery_shares::read_key(pem).is_ok()
}

/// Whether this one secret is signed by this one key.
#[must_use]
pub fn signed(pem: &str, secret: &[u8], signature: &[u8]) -> bool {
    let keys = BTreeMap::from([("key".to_owned(), pem.to_owned())]);
    let signed = SignedSecret {
        secret: SecretBytes::new("fuzzed", secret.to_vec()),
        signature: Some(signature.to_vec()),
    };
    recovery_signatures::verify(&keys, 0, &[&signed]).is_ok()
}
