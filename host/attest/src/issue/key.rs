//! What a TEE gives becomes a sealing key of 32 bytes.
//!
//! HKDF-SHA256 (RFC 5869) without salt; the info is `carrara sealing key v1`, a NUL byte, the TEE's word, a NUL byte, and
//! `product` or `unique`. So no key that the TEE gives is used as it is, and whoever uses the same one for something else
//! (Gramine's encrypted mounts) shares nothing with us. It never changes: there are states.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use carrara_types::seal_mode::KeyPolicy;
use carrara_types::secret::SecretBytes;
use zeroize::Zeroizing;

use super::IssueError;

const LABEL: &[u8] = b"carrara sealing key v1\0";
const BYTES: usize = 32;

struct Bytes;

impl KeyType for Bytes {
    fn len(&self) -> usize {
        BYTES
    }
}

/// From what the TEE gave.
pub(super) fn derive(tee: &str, policy: KeyPolicy, given: &[u8]) -> Result<SecretBytes, IssueError> {
    let policy: &[u8] = match policy {
        KeyPolicy::Product => b"\0product",
        KeyPolicy::Unique => b"\0unique",
    };
    let root = Salt::new(HKDF_SHA256, &[]).extract(given);
    let info = [LABEL, tee.as_bytes(), policy];
    let mut key = Zeroizing::new([0; BYTES]);
    let expanded = root.expand(&info, Bytes).and_then(|okm| okm.fill(key.as_mut_slice()));
    expanded.map_err(|_| IssueError::Derivation)?;
    Ok(SecretBytes::new("sealing key", key.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_tee_policy_and_what_was_given_and_never_change() {
        let hex = |tee, policy, given: &[u8]| hex::encode(derive(tee, policy, given).unwrap().expose());
        let key = hex("gramine", KeyPolicy::Product, &[1; 16]);
        // Computed with another implementation of HKDF (Python's hmac).
        assert_eq!(key, "bc27f6d94cab79b490cf022481c58136f8f3f9189c511235d5525d3f11544a05");
        assert_ne!(key, hex("gramine", KeyPolicy::Unique, &[1; 16]));
        assert_ne!(key, hex("occlum", KeyPolicy::Product, &[1; 16]));
        assert_ne!(key, hex("gramine", KeyPolicy::Product, &[2; 16]));
    }
}
