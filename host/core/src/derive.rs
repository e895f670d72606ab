//! Symmetric keys that a Marble gets again after every restart (S-20..S-24, S-26).

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use carrara_types::secret::SecretBytes;

use crate::error::Cause;

/// The longest output of HKDF-SHA-256: 255 hashes (RFC 5869 section 2.3, S-23).
const MAX_BYTES: usize = 255 * 32;

/// The wanted number of bytes, as the library asks for it.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA-256 with the root secret as input, `uuid` and `name` without separator as salt, and the Marble's type as
/// info; `marble_type` is `None` where the manifest disables binding (S-22). `uuid` is the canonical text (S-21).
///
/// # Errors
/// More than 8160 bytes, or none, are asked for.
pub fn derive_symmetric(
    root_secret: &SecretBytes,
    uuid: &str,
    name: &str,
    marble_type: Option<&str>,
    bytes: usize,
) -> Result<SecretBytes, Cause> {
    if !(1..=MAX_BYTES).contains(&bytes) {
        return Err(Cause(format!(
            "invalid secret size: {name}: per-Marble keys have 8 to {} bits",
            MAX_BYTES.saturating_mul(8)
        )));
    }
    let failed = |_| Cause(format!("deriving secret {name}"));
    let salt = Salt::new(HKDF_SHA256, format!("{uuid}{name}").as_bytes());
    let info = [marble_type.unwrap_or_default().as_bytes()];
    let mut output = zeroize::Zeroizing::new(vec![0; bytes]);
    salt.extract(root_secret.expose())
        .expand(&info, Length(bytes))
        .and_then(|derived| derived.fill(&mut output))
        .map_err(failed)?;
    Ok(SecretBytes::new("symmetric key", std::mem::take(&mut *output)))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;

    use proptest::test_runner::Config as ProptestConfig;

    use super::*;

    const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    const OTHER_UUID: &str = "6ba7b811-9dad-11d1-80b4-00c04fd430c8";

    fn root() -> SecretBytes {
        SecretBytes::new("root secret", (0..32).collect())
    }

    fn derived(uuid: &str, name: &str, marble_type: Option<&str>, bytes: usize) -> Vec<u8> {
        derive_symmetric(&root(), uuid, name, marble_type, bytes).unwrap().expose().to_vec()
    }

    fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
    }

    /// RFC 5869 section 2, written out.
    fn by_hand(ikm: &[u8], salt: &[u8], info: &[u8], bytes: usize) -> Vec<u8> {
        let pseudorandom_key = hmac_sha256(salt, ikm);
        let (mut output, mut block) = (Vec::new(), Vec::new());
        for counter in 1..=255_u8 {
            block = hmac_sha256(&pseudorandom_key, &[block.as_slice(), info, &[counter]].concat());
            output.extend_from_slice(&block);
        }
        output.truncate(bytes);
        output
    }

    // S-20, X-60
    #[test]
    fn keys_are_hkdf_of_uuid_and_name_and_type() {
        let salt = format!("{UUID}disk");
        for bytes in [1, 16, 32, 33, 8160] {
            let expected = by_hand(root().expose(), salt.as_bytes(), b"backend", bytes);
            assert_eq!(derived(UUID, "disk", Some("backend"), bytes), expected, "{bytes} bytes");
        }
    }

    // S-20: the same by OpenSSL
    #[test]
    fn openssl_derives_the_same_key() {
        let output = std::process::Command::new("openssl")
            .args(["kdf", "-keylen", "32", "-kdfopt", "digest:SHA256", "-kdfopt"])
            .arg(format!("hexkey:{}", hex::encode(root().expose())))
            .args(["-kdfopt", &format!("salt:{UUID}disk"), "-kdfopt", "info:backend", "-binary", "HKDF"])
            .output()
            .expect("these tests need the openssl command");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, derived(UUID, "disk", Some("backend"), 32));
    }

    // RFC 5869 appendix A.1, to check the hand-written oracle
    #[test]
    fn the_oracle_agrees_with_the_rfc() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(hex::encode(by_hand(&[0x0b; 22], &salt, &info, 42)), expected);
    }

    // S-22
    #[test]
    fn without_binding_the_type_does_not_matter() {
        assert_eq!(
            derived(UUID, "k", None, 32),
            by_hand(root().expose(), format!("{UUID}k").as_bytes(), b"", 32)
        );
        assert_eq!(derived(UUID, "k", None, 32), derived(UUID, "k", Some(""), 32));
        assert_ne!(derived(UUID, "k", None, 32), derived(UUID, "k", Some("a"), 32));
    }

    // S-26
    #[test]
    fn every_input_matters_and_nothing_else() {
        let key = derived(UUID, "k", Some("a"), 32);
        assert_eq!(key, derived(UUID, "k", Some("a"), 32));
        assert_ne!(key, derived("6ba7b811-9dad-11d1-80b4-00c04fd430c8", "k", Some("a"), 32));
        assert_ne!(key, derived(UUID, "l", Some("a"), 32));
        assert_ne!(key, derived(UUID, "k", Some("b"), 32));
        let other_root = SecretBytes::new("root secret", vec![9; 32]);
        assert!(!derive_symmetric(&other_root, UUID, "k", Some("a"), 32).unwrap().equals(&key));
    }

    // S-23
    #[test]
    fn more_than_255_blocks_are_refused() {
        assert!(derive_symmetric(&root(), UUID, "k", None, 8160).is_ok());
        let error = derive_symmetric(&root(), UUID, "k", None, 8161).unwrap_err();
        assert_eq!(error.0, "invalid secret size: k: per-Marble keys have 8 to 65280 bits");
        assert!(derive_symmetric(&root(), UUID, "k", None, 0).is_err());
    }

    proptest::proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        // S-20, S-26: no two keys of a Marble are the same, nor those of two Marbles or of two types
        #[test]
        fn different_names_marbles_and_types_have_different_keys(
            inputs in proptest::collection::hash_set(
                ("[ab]{0,3}", proptest::sample::select(vec![UUID, OTHER_UUID]), "[ab]{1,2}"), 2..12,
            ),
            bytes in 16_usize..64,
        ) {
            let keys: std::collections::HashSet<Vec<u8>> =
                inputs.iter().map(|(name, uuid, kind)| derived(uuid, name, Some(kind), bytes)).collect();
            proptest::prop_assert_eq!(keys.len(), inputs.len());
            proptest::prop_assert!(keys.iter().all(|key| key.len() == bytes));
        }
    }
}
