//! Reading and setting the manifest.

use std::collections::BTreeMap;
use std::fmt;

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Version, base64, wrapped};
use crate::answer::data;
use crate::error::ClientError;
use crate::transport::Client;

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

impl Client {
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
        self.set_manifest_with(manifest, &[]).await
    }

    /// The same with the components of policies that the manifest names and the coordinator does not have yet.
    ///
    /// # Errors
    /// As for [`Client::set_manifest`]; [`ClientError::NotOffered`] by a coordinator that takes no policies, if there are some.
    pub async fn set_manifest_with(
        &self,
        manifest: &[u8],
        policies: &[Vec<u8>],
    ) -> Result<ManifestSet, ClientError> {
        const WHAT: &str = "setting a manifest";
        let mut answer = self.send(Method::POST, "/api/v2/manifest", wrapped(manifest, policies)).await?;
        if answer.code == StatusCode::METHOD_NOT_ALLOWED {
            super::without_policies(policies)?;
            answer = super::offered(self.send(Method::POST, "/manifest", manifest.to_vec()).await?, WHAT)?;
        }
        let set = data::<Option<SetData>>(&answer, WHAT)?.unwrap_or_default();
        Ok(ManifestSet { recovery_secrets: set.recovery_secrets.unwrap_or_default(), warnings: set.warnings })
    }
}
