//! GET secrets (R-50..R-54). One of the few files that expose secret bytes: it writes them into the answer, from a
//! buffer that is wiped afterwards.

use std::collections::BTreeMap;

use bytes::Bytes;
use carrara_core::outcome::ReadableSecret;
use carrara_types::secret::SecretBytes;
use serde::{Serialize, Serializer};

use super::{Call, Response, Version, json_response, query};
use crate::json;
use crate::problem::{Envelope, Failure};

/// S-1, in this order; all fields are always there.
#[derive(Serialize)]
struct Secret<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "Shared")]
    shared: bool,
    #[serde(rename = "UserDefined")]
    user_defined: bool,
    #[serde(rename = "Cert", serialize_with = "json::base64")]
    cert: Option<&'a [u8]>,
    #[serde(rename = "ValidFor")]
    valid_for: u64,
    #[serde(rename = "Private", serialize_with = "exposed")]
    private: Option<&'a SecretBytes>,
    #[serde(rename = "Public", serialize_with = "exposed")]
    public: Option<&'a SecretBytes>,
}

type Secrets<'a> = BTreeMap<&'a str, Secret<'a>>;

#[derive(Serialize)]
struct SecretsV2<'a> {
    secrets: Secrets<'a>,
}

pub(super) async fn get(call: &mut Call) -> Result<Response, Failure> {
    call.authenticate()?;
    let names = names(&call.query)?;
    let secrets =
        call.api.coordinator.read_secrets(call.peer.der(), &names).await.map_err(Failure::Secrets)?;
    Ok(json_response(Bytes::from_owner(body(call.version, &secrets)?)))
}

///
fn names(text: &str) -> Result<Vec<String>, Failure> {
    let names = query::values(text, "s");
    if names.is_empty() {
        let message = "invalid query: endpoint requires at least one query parameter";
        return Err(Failure::Query(message.to_owned()));
    }
    if names.iter().any(String::is_empty) {
        return Err(Failure::Query("malformed query string: empty query parameter".to_owned()));
    }
    Ok(names)
}

/// The answer as a buffer that is wiped when it has been sent. It is made large enough at once, since a buffer that
/// grows leaves its old bytes behind.
fn body(version: Version, secrets: &[ReadableSecret]) -> Result<Wiped, Failure> {
    let capacity = secrets.iter().map(encoded_length).sum::<usize>() + 64;
    let secrets: Secrets<'_> = secrets.iter().map(|secret| (secret.name.as_str(), shown(secret))).collect();
    let text = match version {
        Version::V1 => json::to_vec(&Envelope { status: "success", data: secrets, message: "" }, capacity),
        Version::V2 => {
            json::to_vec(&Envelope { status: "success", data: SecretsV2 { secrets }, message: "" }, capacity)
        }
    };
    let text = text.map_err(|_| Failure::Encoding)?;
    Ok(Wiped(SecretBytes::new("answer", text)))
}

/// At most: names are escaped to six times their length, bytes grow by a third, the rest is field names and numbers.
fn encoded_length(secret: &ReadableSecret) -> usize {
    let bytes = [&secret.private, &secret.public].into_iter().flatten().map(SecretBytes::len).sum::<usize>();
    let certificate = secret.cert.as_ref().map_or(0, Vec::len);
    256 + 6 * (secret.name.len() + secret.kind.len()) + (bytes + certificate).div_ceil(3) * 4 + 12
}

fn shown(secret: &ReadableSecret) -> Secret<'_> {
    Secret {
        kind: &secret.kind,
        size: secret.size,
        shared: secret.shared,
        user_defined: secret.user_defined,
        cert: secret.cert.as_deref(),
        valid_for: secret.valid_for,
        private: secret.private.as_ref(),
        public: secret.public.as_ref(),
    }
}

fn exposed<S: Serializer>(bytes: &Option<&SecretBytes>, serializer: S) -> Result<S::Ok, S::Error> {
    json::base64(&bytes.map(SecretBytes::expose), serializer)
}

#[derive(Debug)]
struct Wiped(SecretBytes);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, key: Option<&[u8]>) -> ReadableSecret {
        let key = || key.map(|key| SecretBytes::new("key", key.to_vec()));
        ReadableSecret {
            name: name.to_owned(),
            kind: "plain".to_owned(),
            size: 0,
            shared: false,
            user_defined: true,
            valid_for: 0,
            cert: None,
            private: key(),
            public: key(),
        }
    }

    fn text(version: Version, secrets: &[ReadableSecret]) -> String {
        String::from_utf8(body(version, secrets).unwrap().as_ref().to_vec()).unwrap()
    }

    // R-51, S-1, S-4
    #[test]
    fn an_unset_secret_has_all_fields_and_nulls() {
        let expected = "{\"status\":\"success\",\"data\":{\"a\":{\"Type\":\"plain\",\"Size\":0,\"Shared\":false,\
            \"UserDefined\":true,\"Cert\":null,\"ValidFor\":0,\"Private\":null,\"Public\":null}}}\n";
        assert_eq!(text(Version::V1, &[secret("a", None)]), expected);
    }

    // R-51, S-4
    #[test]
    fn v2_wraps_the_map_and_an_empty_key_is_an_empty_string() {
        let text = text(Version::V2, &[secret("b", Some(b"")), secret("a", Some(b"\x01"))]);
        assert!(text.starts_with("{\"status\":\"success\",\"data\":{\"secrets\":{\"a\":{"), "{text}");
        assert!(text.contains("\"Private\":\"AQ==\",\"Public\":\"AQ==\"}"), "{text}");
        assert!(text.ends_with("\"Private\":\"\",\"Public\":\"\"}}}}\n"), "{text}");
    }

    #[test]
    fn the_answer_never_outgrows_its_first_buffer() {
        let name = "\u{1}<>&".repeat(100);
        let mut secrets = vec![secret(&name, Some(&[7; 1000])), secret("", Some(&[1])), secret("x", None)];
        secrets[0].cert = Some(vec![1; 100]);
        secrets[1].size = u64::MAX;
        secrets[1].valid_for = u64::MAX;
        let capacity = secrets.iter().map(encoded_length).sum::<usize>() + 64;
        assert!(text(Version::V2, &secrets).len() <= capacity);
    }

    //
    #[test]
    fn a_query_without_names_or_with_an_empty_one_is_refused_in_these_words() {
        let refusal = |query: &str| match names(query) {
            Err(Failure::Query(text)) => text,
            other => panic!("{query}: {other:?}"),
        };
        let none = "invalid query: endpoint requires at least one query parameter";
        assert_eq!(refusal(""), none);
        assert_eq!(refusal("S=a&x=1"), none);
        assert_eq!(refusal("s="), "malformed query string: empty query parameter");
        assert_eq!(refusal("s=a&s"), "malformed query string: empty query parameter");
        assert_eq!(names("s=a&s=b&s=a").unwrap(), ["a", "b", "a"]);
    }

    #[test]
    fn debug_of_an_answer_shows_no_bytes() {
        let shown = format!("{:?}", body(Version::V1, &[secret("a", Some(b"hunter2"))]).unwrap());
        assert_eq!(shown, "Wiped(SecretBytes(answer))");
    }
}
