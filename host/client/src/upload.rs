//! Values for user-defined secrets (S-50), as JSON that is wiped on drop.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::error::Category;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Why a text is no map of secrets. It never shows the text, which holds secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// No JSON.
    #[error("it is not valid JSON: line {line} column {column}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Other JSON.
    #[error("it is not a JSON object of secrets by name, such as {{\"my_secret\":{{\"Key\":\"<base64>\"}}}}")]
    Shape,
    /// S-51.
    #[error("it holds no secret")]
    Empty,
    /// A value of another kind.
    #[error(
        "the value of {name:?} is no object with the fields Key, or Cert and Private, such as \
         {{\"Key\":\"<base64>\"}}"
    )]
    Value {
        /// The secret.
        name: String,
    },
}

/// Secrets to set, by name.
pub struct SecretUploads(Zeroizing<Vec<u8>>);

impl fmt::Debug for SecretUploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUploads")
    }
}

impl SecretUploads {
    /// Takes a JSON object as the API has it: `{"name":{"Key":"<base64>"}}`, or `Cert` and `Private` for a certificate.
    /// What the values must be depends on the manifest, so the coordinator judges them.
    ///
    /// # Errors
    /// See [`UploadError`].
    pub fn from_json(text: &[u8]) -> Result<Self, UploadError> {
        let secrets: BTreeMap<String, &RawValue> = serde_json::from_slice(text).map_err(|error| {
            match error.classify() {
                // Its own text could quote the value.
                Category::Data => UploadError::Shape,
                _ => UploadError::Syntax { line: error.line(), column: error.column() },
            }
        })?;
        if secrets.is_empty() {
            return Err(UploadError::Empty);
        }
        // S-54a: null is a value, too.
        let is_value = |value: &RawValue| value.get().starts_with('{') || value.get() == "null";
        match secrets.into_iter().find(|(_, value)| !is_value(value)) {
            Some((name, _)) => Err(UploadError::Value { name }),
            None => Ok(Self(Zeroizing::new(text.to_vec()))),
        }
    }

    /// One certificate with its key. `certificate` is DER, `private` PKCS#8 DER by convention; without it, no Marble
    /// that asks for the key can be activated (S-53).
    #[must_use]
    pub fn certificate(name: &str, certificate: &[u8], private: Option<&[u8]>) -> Self {
        let mut fields = vec![("Cert", certificate)];
        fields.extend(private.map(|private| ("Private", private)));
        Self::fields(name, &fields)
    }

    /// One symmetric key or plain secret.
    #[must_use]
    pub fn key(name: &str, key: &[u8]) -> Self {
        Self::fields(name, &[("Key", key)])
    }

    /// The secrets' names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let secrets: Option<BTreeMap<String, &RawValue>> = serde_json::from_slice(&self.0).ok();
        secrets.map(|secrets| secrets.into_keys().collect()).unwrap_or_default()
    }

    fn fields(name: &str, fields: &[(&str, &[u8])]) -> Self {
        let length: usize =
            fields.iter().map(|(field, value)| field.len() + value.len().div_ceil(3) * 4 + 8).sum();
        let name = serde_json::Value::from(name).to_string();
        // Reserved at once, so that no unwiped copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(name.len() + length + 8));
        text.push_str(&format!("{{{name}:{{"));
        for (index, (field, value)) in fields.iter().enumerate() {
            text.push_str(if index == 0 { "\"" } else { ",\"" });
            text.push_str(field);
            text.push_str("\":\"");
            BASE64_STANDARD.encode_string(value, &mut text);
            text.push('"');
        }
        text.push_str("}}");
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }

    /// The JSON object. It holds secrets.
    #[must_use]
    pub fn as_json(&self) -> &[u8] {
        &self.0
    }

    /// The body of version 1: the map itself. The transport wipes it.
    pub(crate) fn version_one(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// The body of version 2: the map in an object.
    pub(crate) fn version_two(&self) -> Vec<u8> {
        [&br#"{"secrets":"#[..], &self.0, b"}"].concat()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    // S-50, R-53, M-9
    #[test]
    fn a_map_is_sent_as_it_is_and_wrapped_for_version_two() {
        let text = br#"{"a":{"Key":"AQ=="},"b":{"Cert":"AQ==","Private":[1,2]},"c":null}"#;
        let uploads = SecretUploads::from_json(text).unwrap();
        assert_eq!(uploads.version_one(), text);
        assert_eq!(parsed(&uploads.version_two()), json!({ "secrets": parsed(text) }));
        assert_eq!(format!("{uploads:?}"), "SecretUploads");
        assert_eq!(uploads.names(), ["a", "b", "c"]);
    }

    #[test]
    fn values_are_encoded_under_escaped_names() {
        let made = SecretUploads::certificate("a\"b", &[1], Some(&[2, 3]));
        assert_eq!(parsed(&made.version_one()), json!({ "a\"b": { "Cert": "AQ==", "Private": "AgM=" } }));
        let made = SecretUploads::certificate("a", &[1], None);
        assert_eq!(parsed(&made.version_one()), json!({ "a": { "Cert": "AQ==" } }));
        assert_eq!(parsed(&SecretUploads::key("k", b"").version_one()), json!({ "k": { "Key": "" } }));
    }

    #[test]
    fn what_is_no_map_of_secrets_is_refused_without_being_shown() {
        let refused = |text: &str| SecretUploads::from_json(text.as_bytes()).unwrap_err();
        assert_eq!(refused("{\"a\":\n  {\"Key\" \"hunter2\"}}"), UploadError::Syntax { line: 2, column: 10 });
        assert!(matches!(refused(""), UploadError::Syntax { .. }));
        for text in ["\"hunter2\"", "[1]", "null", "7"] {
            assert_eq!(refused(text), UploadError::Shape);
        }
        assert_eq!(refused("{}"), UploadError::Empty);
        for text in [r#"{"a":"hunter2"}"#, r#"{"a":[1]}"#, r#"{"a":1}"#] {
            let error = refused(text);
            assert_eq!(error, UploadError::Value { name: "a".to_owned() });
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
