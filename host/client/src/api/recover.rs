//! Recovery of a coordinator in state 1 (R-40..R-46).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use carrara_types::secret::SecretBytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{base64, offered};
use crate::answer::data;
use crate::error::ClientError;
use crate::transport::Client;

const WHAT: &str = "recovery";

/// Where recovery stands after a secret was taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RecoveryStep {
    /// How many secrets are missing; 0 once the state is open.
    pub remaining: u64,
    /// The coordinator's words.
    #[serde(default)]
    pub message: String,
}

///
#[derive(Deserialize)]
struct StepV1 {
    #[serde(rename = "StatusMessage")]
    message: String,
}

///
#[derive(Deserialize)]
struct PublicKeyData {
    #[serde(default)]
    algorithm: String,
    #[serde(rename = "ephemeralPublicKey", default, deserialize_with = "base64")]
    key: Option<Vec<u8>>,
}

impl Client {
    /// Sends one recovery secret, in the clear or encrypted with [`Client::recovery_public_key`], with the signature over the
    /// clear one by the recovery key that it was encrypted for.
    ///
    /// # Errors
    /// [`ClientError::Api`] with the reason if it is refused; what was taken before it is kept unless the reason says that
    /// all must be sent again.
    pub async fn recover(&self, secret: &SecretBytes, signature: &[u8]) -> Result<RecoveryStep, ClientError> {
        let body = version_two(secret, signature);
        let answer = self.send(Method::POST, "/api/v2/recover", body).await?;
        if answer.code != StatusCode::METHOD_NOT_ALLOWED {
            return data(&answer, WHAT);
        }
        // Old coordinators ask for no signature.
        let answer = self.send(Method::POST, "/recover", secret.expose().to_vec()).await?;
        data(&offered(answer, WHAT)?, WHAT).map(told_by_version_one)
    }

    /// The public key that recovery secrets may be encrypted with, SubjectPublicKeyInfo DER. Another one after each start.
    ///
    /// # Errors
    /// [`ClientError::Api`] where the coordinator is not in recovery.
    pub async fn recovery_public_key(&self) -> Result<Vec<u8>, ClientError> {
        let key: PublicKeyData = data(&self.get_new(WHAT, "/api/v2/recover/public-key").await?, WHAT)?;
        match key.key {
            Some(der) if key.algorithm == "RSA" => Ok(der),
            _ => Err(ClientError::Malformed { what: WHAT, source: serde::de::Error::custom("no RSA key") }),
        }
    }
}

/// By hand, so that no copy of the secret stays behind.
fn version_two(secret: &SecretBytes, signature: &[u8]) -> Vec<u8> {
    let secret = Zeroizing::new(BASE64_STANDARD.encode(secret.expose()));
    let signature = BASE64_STANDARD.encode(signature);
    let parts = ["{\"recoverySecret\":\"", &secret, "\",\"recoverySecretSignature\":\"", &signature, "\"}"];
    let mut body = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| body.extend_from_slice(part.as_bytes()));
    body
}

fn told_by_version_one(step: StepV1) -> RecoveryStep {
    let missing = step.message.rsplit_once("Remaining secrets: ").map(|(_, number)| number.trim().parse());
    // A number that cannot be read is no success.
    RecoveryStep { remaining: missing.map_or(0, |number| number.unwrap_or(1)), message: step.message }
}

#[cfg(test)]
mod tests {
    use super::*;

    //
    #[test]
    fn the_body_is_json_with_both_in_base64() {
        let body = version_two(&SecretBytes::new("recovery secret", vec![1, 2]), &[3, 4]);
        let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(read, serde_json::json!({"recoverySecret": "AQI=", "recoverySecretSignature": "AwQ="}));
        assert_eq!(body.len(), body.capacity(), "grown buffers leave copies");
    }

    //
    #[test]
    fn the_words_of_version_one_hold_the_number() {
        let told = |message: &str| told_by_version_one(StepV1 { message: message.to_owned() }).remaining;
        assert_eq!(told("Recovery successful."), 0);
        let next = "Secret was processed successfully. Upload the next secret. Remaining secrets: 12";
        assert_eq!(told(next), 12);
        assert_eq!(told("Remaining secrets: some"), 1);
    }
}
