//! The endpoints, each in version 2 with its fall-back to version 1 on 405 and only then (C-10). What version 1 does
//! not have has no fall-back.

mod audit;
mod backup;
mod counter;
mod log;
mod manifest;
mod policies;
mod quote;
mod recover;
mod secrets;
mod status;
mod update;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub use audit::{AuditEntry, AuditPage};
pub use log::LogHead;
pub use manifest::{Manifest, ManifestSet, Warning};
pub use policies::{DecisionPage, DecisionQuery, PolicyComponent, PushedPolicy};
pub use quote::{Quote, SignedQuote};
pub use recover::RecoveryStep;
pub use status::Status;
pub use update::{PendingUpdate, UpdateGuards, UpdateProgress};

use crate::answer::{data, refusal};
use crate::error::ClientError;
use crate::transport::{Client, RawAnswer};

impl Client {
    async fn get(
        &self,
        what: &'static str,
        two: &str,
        one: &str,
    ) -> Result<(RawAnswer, Version), ClientError> {
        let answer = self.send(Method::GET, two, Vec::new()).await?;
        if answer.code != StatusCode::METHOD_NOT_ALLOWED {
            return Ok((answer, Version::Two));
        }
        let answer = offered(self.send(Method::GET, one, Vec::new()).await?, what)?;
        Ok((answer, Version::One))
    }

    /// For what version 1 does not have.
    async fn get_new(&self, what: &'static str, path: &str) -> Result<RawAnswer, ClientError> {
        offered(self.send(Method::GET, path, Vec::new()).await?, what)
    }

    /// For what version 1 does not have.
    async fn post_new<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<T, ClientError> {
        data(&offered(self.send(Method::POST, path, body.to_string().into_bytes()).await?, what)?, what)
    }
}

/// Which version of the API answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Version 1 has no place for them.
fn without_policies(policies: &[Vec<u8>]) -> Result<(), ClientError> {
    if policies.is_empty() { Ok(()) } else { Err(ClientError::NotOffered("policies")) }
}

fn offered(answer: RawAnswer, what: &'static str) -> Result<RawAnswer, ClientError> {
    if answer.code == StatusCode::METHOD_NOT_ALLOWED {
        return Err(ClientError::NotOffered(what));
    }
    Ok(answer)
}

/// An answer without envelope.
fn plain<T: DeserializeOwned>(answer: &RawAnswer, what: &'static str) -> Result<T, ClientError> {
    match answer.code {
        StatusCode::OK => {
            serde_json::from_slice(&answer.body).map_err(|source| ClientError::Malformed { what, source })
        }
        code => Err(refusal(code, &answer.body)),
    }
}

/// How version 2 takes a manifest, with components of policies sent along. They are long: the text is made once, at its place.
fn wrapped(manifest: &[u8], policies: &[Vec<u8>]) -> Vec<u8> {
    let encoded = |bytes: &[u8]| bytes.len().div_ceil(3) * 4 + 8;
    let length: usize = policies.iter().map(|policy| encoded(policy)).sum();
    let mut text = String::with_capacity(length + encoded(manifest) + 32);
    text.push_str("{\"manifest\":\"");
    BASE64_STANDARD.encode_string(manifest, &mut text);
    text.push('"');
    for (index, policy) in policies.iter().enumerate() {
        text.push_str(if index == 0 { ",\"policies\":[\"" } else { ",\"" });
        BASE64_STANDARD.encode_string(policy, &mut text);
        text.push('"');
    }
    text.push_str(if policies.is_empty() { "}" } else { "]}" });
    text.into_bytes()
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)).transpose()
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    base64(deserializer).map(Option::unwrap_or_default)
}

/// For a query: everything but RFC 3986's unreserved characters is escaped.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "api_change_tests.rs"]
mod change_tests;
