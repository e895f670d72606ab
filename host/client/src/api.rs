//! The endpoints, each in version 2 with its fall-back to version 1 on 405 and only then (C-10).

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use http::{Method, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::answer::{data, take_field};
use crate::error::ClientError;
use crate::secret::Secret;
use crate::transport::{Client, RawAnswer};

/// The coordinator's state (rest-api.md section 4).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// 1 recovery, 2 accepting a manifest, 3 accepting Marbles.
    #[serde(alias = "StatusCode")]
    pub code: u32,
    /// For people.
    #[serde(alias = "StatusMessage")]
    pub message: String,
}

/// The manifest in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The bytes that were uploaded.
    pub manifest: Vec<u8>,
    /// Lower-case hex SHA-256 of them, verified.
    pub fingerprint: String,
    /// DER ECDSA by the coordinator's root key over SHA-256 of them, as answered.
    pub signature: Vec<u8>,
}

/// What setting a manifest gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManifestSet {
    /// By recovery key: what its owner decrypts, base64. Given this once only. Empty without recovery keys.
    pub recovery_secrets: BTreeMap<String, String>,
    /// What was accepted and looks wrong all the same. Always empty over version 1, which has no place for it.
    pub warnings: Vec<Warning>,
}

/// A finding that did not refuse the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Warning {
    /// The rule, such as `M-36`, or a policy's own code.
    #[serde(default)]
    pub code: String,
    /// Where in the manifest: an RFC 6901 pointer.
    #[serde(default)]
    pub path: String,
    /// For people.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        if self.path.is_empty() { Ok(()) } else { write!(f, ", at {}", self.path) }
    }
}

/// The coordinator's certificates and quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// PEM intermediate followed by PEM root.
    pub certificates: String,
    /// `None` in simulation.
    pub quote: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct ManifestData {
    #[serde(alias = "ManifestSignatureRootECDSA", default, deserialize_with = "base64")]
    #[serde(rename = "manifestSignatureRootECDSA")]
    signature: Option<Vec<u8>>,
    #[serde(rename = "manifestFingerprint", alias = "ManifestSignature")]
    fingerprint: String,
    #[serde(alias = "Manifest", default, deserialize_with = "base64")]
    manifest: Option<Vec<u8>>,
}

#[derive(Deserialize, Default)]
struct SetData {
    #[serde(rename = "RecoverySecrets", alias = "recoverySecrets", default)]
    recovery_secrets: Option<BTreeMap<String, String>>,
    #[serde(default)]
    warnings: Vec<Warning>,
}

#[derive(Deserialize)]
struct SecretsData {
    secrets: BTreeMap<String, Secret>,
}

#[derive(Deserialize)]
struct LogData {
    #[serde(rename = "updateLog")]
    lines: Option<Vec<String>>,
}

impl Client {
    /// The coordinator's state.
    ///
    /// # Errors
    /// See [`ClientError`]; so for all methods.
    pub async fn status(&self) -> Result<Status, ClientError> {
        let (answer, _) = self.get("the status", "/api/v2/status", "/status").await?;
        data(&answer, "the status")
    }

    /// The manifest in force. Its fingerprint is verified against its bytes.
    ///
    /// # Errors
    /// [`ClientError::NoManifest`] before one is set.
    pub async fn manifest(&self) -> Result<Manifest, ClientError> {
        const WHAT: &str = "the manifest";
        let (answer, version) = self.get(WHAT, "/api/v2/manifest", "/manifest").await?;
        let parsed: ManifestData = match data(&answer, WHAT) {
            // the text of a coordinator without a manifest.
            Err(ClientError::Api(error))
                if version == Version::Two && error.message == "requested value not set" =>
            {
                return Err(ClientError::NoManifest);
            }
            other => other?,
        };
        let manifest = parsed.manifest.ok_or(ClientError::NoManifest)?;
        let fingerprint = parsed.fingerprint.to_ascii_lowercase();
        if hex::encode(Sha256::digest(&manifest)) != fingerprint {
            return Err(ClientError::Fingerprint { fingerprint });
        }
        Ok(Manifest { manifest, fingerprint, signature: parsed.signature.unwrap_or_default() })
    }

    /// Sets the first manifest, or a new one in recovery. The bytes are sent as they are.
    ///
    /// # Errors
    /// [`ClientError::Api`] with the reason if the manifest is refused.
    pub async fn set_manifest(&self, manifest: &[u8]) -> Result<ManifestSet, ClientError> {
        const WHAT: &str = "setting a manifest";
        let wrapped =
            serde_json::json!({ "manifest": BASE64_STANDARD.encode(manifest) }).to_string().into_bytes();
        let mut answer = self.send(Method::POST, "/api/v2/manifest", wrapped).await?;
        if answer.code == StatusCode::METHOD_NOT_ALLOWED {
            answer = offered(self.send(Method::POST, "/manifest", manifest.to_vec()).await?, WHAT)?;
        }
        let set = data::<Option<SetData>>(&answer, WHAT)?.unwrap_or_default();
        Ok(ManifestSet { recovery_secrets: set.recovery_secrets.unwrap_or_default(), warnings: set.warnings })
    }

    /// Certificates and quote. With a nonce the quote is fresh and bound to it; version 1 has no nonces, so
    /// there is no fall-back then.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn quote(&self, nonce: Option<&[u8]>) -> Result<Quote, ClientError> {
        const WHAT: &str = "the quote";
        let answer = match nonce.filter(|nonce| !nonce.is_empty()) {
            Some(nonce) => {
                let nonce = BASE64_URL_SAFE.encode(nonce).replace('=', "%3D");
                let path = format!("/api/v2/quote?nonce={nonce}");
                offered(self.send(Method::GET, &path, Vec::new()).await?, "quotes with a nonce")?
            }
            None => self.get(WHAT, "/api/v2/quote", "/quote").await?.0,
        };
        let mut fields: Map<String, Value> = data(&answer, WHAT)?;
        let malformed = |source| ClientError::Malformed { what: WHAT, source };
        let certificates = take_field(&mut fields, "cert").unwrap_or_default();
        let quote = take_field(&mut fields, "quote").unwrap_or_default();
        Ok(Quote {
            certificates: serde_json::from_value(certificates).map_err(malformed)?,
            quote: base64(quote).map_err(malformed)?.filter(|quote| !quote.is_empty()),
        })
    }

    /// Secrets by name: all that are asked for, or an error.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] without the certificate of a user; [`ClientError::Api`] without the right.
    pub async fn secrets(&self, names: &[String]) -> Result<BTreeMap<String, Secret>, ClientError> {
        const WHAT: &str = "secrets";
        let query: Vec<String> = names.iter().map(|name| format!("s={}", percent_encode(name))).collect();
        let query = query.join("&");
        let (answer, version) =
            self.get(WHAT, &format!("/api/v2/secrets?{query}"), &format!("/secrets?{query}")).await?;
        match version {
            Version::One => data(&answer, WHAT),
            Version::Two => data::<SecretsData>(&answer, WHAT).map(|data| data.secrets),
        }
    }

    /// All lines of the update log.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn update_log(&self) -> Result<Vec<String>, ClientError> {
        const WHAT: &str = "the update log";
        let (answer, version) = self.get(WHAT, "/api/v2/update", "/update").await?;
        match version {
            Version::One => Ok(data::<String>(&answer, WHAT)?.lines().map(str::to_owned).collect()),
            Version::Two => Ok(data::<LogData>(&answer, WHAT)?.lines.unwrap_or_default()),
        }
    }

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
}

/// Which version of the API answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

fn offered(answer: RawAnswer, what: &'static str) -> Result<RawAnswer, ClientError> {
    if answer.code == StatusCode::METHOD_NOT_ALLOWED {
        return Err(ClientError::NotOffered(what));
    }
    Ok(answer)
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)).transpose()
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
