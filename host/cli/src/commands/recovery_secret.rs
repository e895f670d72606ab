//! The holder's recovery secret as files have it: in the clear, encrypted for her recovery key, or still in the recovery data
//! that `manifest set --recoverydata` saved.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use carrara_client::{PLAIN_SECRET_LENGTHS, RecoveryKey, RecoveryKeyError};
use carrara_types::secret::SecretBytes;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::files;

/// What is in a file.
pub(super) enum Held {
    /// 16, 32 or 33 bytes (R-43, X-32).
    Plain(SecretBytes),
    /// One of these may be for the holder's key.
    Encrypted(Vec<Vec<u8>>),
}

/// As `manifest set` and the coordinator's answers have it.
#[derive(Deserialize)]
struct RecoveryData {
    #[serde(rename = "RecoverySecrets", alias = "recoverySecrets")]
    secrets: BTreeMap<String, String>,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Held> {
    Ok(held(files::read(path)?))
}

/// The secret in the clear. Only one that is in the clear already needs no key.
pub(super) fn decrypt(path: &Path, held: Held, key: Option<&RecoveryKey>) -> Result<SecretBytes> {
    let ciphertexts = match held {
        Held::Plain(secret) => return Ok(secret),
        Held::Encrypted(ciphertexts) => ciphertexts,
    };
    let Some(key) = key else {
        bail!(
            "{} is no secret in the clear, which has 16, 32 or 33 bytes: give the recovery key that decrypts it with --key \
             or --pkcs11-config",
            path.display()
        );
    };
    let decrypting = || {
        format!(
            "decrypting {}; give the newest recovery data, or what of it is for this key (base64 or bytes)",
            path.display()
        )
    };
    for ciphertext in ciphertexts {
        match key.decrypt(&ciphertext) {
            Ok(secret) => return Ok(secret),
            Err(RecoveryKeyError::Decrypt) => {}
            Err(error) => return Err(error).with_context(decrypting),
        }
    }
    Err(RecoveryKeyError::Decrypt).with_context(decrypting)
}

/// What a file with this content holds.
pub(super) fn held(content: Zeroizing<Vec<u8>>) -> Held {
    // The length decides first: random bytes may look like anything.
    if PLAIN_SECRET_LENGTHS.contains(&content.len()) {
        return plain(content);
    }
    if let Ok(data) = serde_json::from_slice::<RecoveryData>(&content) {
        let parts = data.secrets.values().filter_map(|text| BASE64_STANDARD.decode(text).ok());
        return Held::Encrypted(parts.collect());
    }
    match BASE64_STANDARD.decode(content.trim_ascii()).map(Zeroizing::new) {
        Ok(decoded) if PLAIN_SECRET_LENGTHS.contains(&decoded.len()) => plain(decoded),
        Ok(decoded) => Held::Encrypted(vec![decoded.to_vec()]),
        Err(_) => Held::Encrypted(vec![content.to_vec()]),
    }
}

fn plain(mut bytes: Zeroizing<Vec<u8>>) -> Held {
    Held::Plain(SecretBytes::new("recovery secret", std::mem::take(&mut *bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(content: &[u8]) -> Option<Vec<Vec<u8>>> {
        match held(Zeroizing::new(content.to_vec())) {
            Held::Plain(_) => None,
            Held::Encrypted(parts) => Some(parts),
        }
    }

    // X-32, R-43
    #[test]
    fn files_of_16_32_and_33_bytes_are_plain_secrets_also_in_base64() {
        for length in [16, 32, 33] {
            let bytes = vec![b'{'; length];
            assert!(parts(&bytes).is_none(), "{length}");
            assert!(parts((BASE64_STANDARD.encode(&bytes) + "\n").as_bytes()).is_none(), "{length}");
        }
        for length in [0, 15, 17, 31, 34, 256] {
            assert_eq!(parts(&vec![0xFF; length]), Some(vec![vec![0xFF; length]]));
        }
    }

    #[test]
    fn recovery_data_and_base64_are_taken_apart() {
        let data = br#"{"RecoverySecrets":{"a":"AQI=","b":"AwQ="}}"#;
        assert_eq!(parts(data), Some(vec![vec![1, 2], vec![3, 4]]));
        assert_eq!(parts(br#"{"recoverySecrets":{"a":"AQIDBA=="}}"#), Some(vec![vec![1, 2, 3, 4]]));
        assert_eq!(parts(b"AQID\n"), Some(vec![vec![1, 2, 3]]));
    }

    #[test]
    fn an_encrypted_secret_without_its_key_says_what_to_do() {
        let key = |key: Option<&RecoveryKey>| {
            let held = Held::Encrypted(vec![vec![1; 256]]);
            format!("{:#}", decrypt(Path::new("mine.json"), held, key).unwrap_err())
        };
        assert!(key(None).contains("mine.json") && key(None).contains("--key"));
        let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem();
        let wrong = key(Some(&RecoveryKey::from_pem(pem.as_bytes()).unwrap()));
        assert!(
            wrong.contains("mine.json") && wrong.contains("not encrypted for this recovery key"),
            "{wrong}"
        );
    }
}
