//! Secrets as users read them (S-1).

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use carrara_types::secret::SecretBytes;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A secret of the manifest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Secret {
    /// Such as `symmetric-key`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// In bits.
    #[serde(default)]
    pub size: u64,
    /// Whether all Marbles get the same.
    #[serde(default)]
    pub shared: bool,
    /// Whether users upload it.
    #[serde(default)]
    pub user_defined: bool,
    /// DER.
    #[serde(default, deserialize_with = "bytes")]
    pub cert: Option<Vec<u8>>,
    /// In days.
    #[serde(default)]
    pub valid_for: u64,
    /// PKCS#8 DER, or the bytes of a key or plain secret.
    #[serde(default, deserialize_with = "secret")]
    pub private: Option<SecretBytes>,
    /// SubjectPublicKeyInfo DER, or the same bytes as `private`.
    #[serde(default, deserialize_with = "secret")]
    pub public: Option<SecretBytes>,
}

/// Decodes without a copy of the text; none of its errors shows the text.
struct Base64;

impl Visitor<'_> for Base64 {
    type Value = Option<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a base64 string or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        BASE64_STANDARD.decode(text).map(Some).map_err(|_| E::custom("a value is not base64"))
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    deserializer.deserialize_any(Base64)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretBytes>, D::Error> {
    Ok(bytes(deserializer)?.map(|bytes| SecretBytes::new("secret", bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // S-1, S-4
    #[test]
    fn set_and_unset_secrets_are_read() {
        let text = r#"{"Type":"plain","Size":0,"Shared":false,"UserDefined":true,"Cert":null,"ValidFor":0,
            "Private":null,"Public":null}"#;
        let unset: Secret = serde_json::from_str(text).unwrap();
        assert!(unset.private.is_none() && unset.cert.is_none() && unset.user_defined);
        let text = r#"{"Type":"cert-rsa","Size":2048,"Shared":true,"UserDefined":false,"Cert":"AQ==","ValidFor":7,
            "Private":"AgM=","Public":""}"#;
        let set: Secret = serde_json::from_str(text).unwrap();
        assert_eq!((set.kind.as_str(), set.size, set.shared, set.valid_for), ("cert-rsa", 2048, true, 7));
        assert_eq!(set.cert.as_deref(), Some(&[1][..]));
        assert_eq!(set.private.as_ref().unwrap().expose(), [2, 3]);
        assert!(set.public.as_ref().unwrap().is_empty());
        assert!(!format!("{set:?}").contains("[2, 3]"));
    }

    #[test]
    fn a_malformed_value_is_refused_and_not_shown() {
        let error = serde_json::from_str::<Secret>(r#"{"Type":"plain","Private":"hunter2!"}"#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
