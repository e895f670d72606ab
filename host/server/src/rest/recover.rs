//! POST recover and GET recover/public-key (R-40..R-46). Nobody authenticates here: the secrets and their signatures do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_core::outcome::{RecoveryInput, RecoveryStep};
use carrara_types::secret::SecretBytes;
use http::HeaderValue;
use serde::Serialize;
use zeroize::Zeroizing;

use super::body::Body;
use super::{Call, Response, Version, success};
use crate::json::{self, body::BodyError, body::Fields, body::list_of_bytes};
use crate::limits::RECOVERY_BYTES;
use crate::problem::Failure;

/// R-41.
#[derive(Serialize)]
struct StepV1 {
    #[serde(rename = "StatusMessage")]
    message: String,
}

/// R-44.
#[derive(Serialize)]
struct StepV2 {
    remaining: usize,
    message: String,
}

/// R-46.
#[derive(Serialize)]
struct PublicKey {
    algorithm: &'static str,
    #[serde(rename = "ephemeralPublicKey", serialize_with = "json::base64")]
    key: Option<Vec<u8>>,
}

pub(super) async fn recover(call: &mut Call) -> Result<Response, Failure> {
    let body = recovery_body(call).await?;
    let input = match call.version {
        Version::V1 => input_v1(&body, call.recovery_signature.as_ref())?,
        Version::V2 => input_v2(&body).map_err(Failure::Body)?,
    };
    drop(body);
    let step = call.api.coordinator.recover(input).await.map_err(Failure::Recover)?;
    match call.version {
        Version::V1 => success(StepV1 { message: step.message() }),
        Version::V2 => success(in_v2(step)),
    }
}

pub(super) async fn public_key(call: &mut Call) -> Result<Response, Failure> {
    let key = call.api.coordinator.recovery_public_key().await.map_err(Failure::RecoveryPublicKey)?;
    success(PublicKey { algorithm: "RSA", key: Some(key) })
}

/// R-45: one that is too long is malformed.
async fn recovery_body(call: &mut Call) -> Result<Body, Failure> {
    let too_long = |failure| match failure {
        Failure::BodyTooLarge(limit) => Failure::Body(BodyError::TooLong(limit)),
        failure => failure,
    };
    call.body(RECOVERY_BYTES).await.map_err(too_long)
}

/// R-41: the secret's bytes, or a JSON array of them; the signature is in a header. That random bytes are by chance the text
/// of an array does not happen.
fn input_v1(body: &[u8], header: Option<&HeaderValue>) -> Result<RecoveryInput, Failure> {
    let signature = header.map(|value| STANDARD.decode(value.as_bytes()));
    let signature = signature.transpose().map_err(|_| Failure::RecoverySignature)?;
    let mut secret = list_of_bytes(body).unwrap_or_else(|| Zeroizing::new(body.to_vec()));
    Ok(RecoveryInput { secret: taken(&mut secret), signature })
}

/// R-42. A signature that is missing is an empty one, which is refused.
fn input_v2(body: &[u8]) -> Result<RecoveryInput, BodyError> {
    let fields = Fields::read(body)?;
    let mut secret = fields.bytes("recoverySecret")?.unwrap_or_default();
    let mut signature = fields.bytes("recoverySecretSignature")?.unwrap_or_default();
    Ok(RecoveryInput { secret: taken(&mut secret), signature: Some(std::mem::take(&mut *signature)) })
}

fn taken(bytes: &mut Vec<u8>) -> SecretBytes {
    SecretBytes::new("recovery secret", std::mem::take(bytes))
}

fn in_v2(step: RecoveryStep) -> StepV2 {
    StepV2 { remaining: step.remaining, message: step.message() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &impl Serialize) -> String {
        String::from_utf8(json::to_vec(value, 0).unwrap()).unwrap()
    }

    // R-41
    #[test]
    fn version_1_takes_raw_bytes_or_a_json_array_and_the_signature_from_a_header() {
        let header = HeaderValue::from_static("AQID");
        let raw = input_v1(&[91; 32], Some(&header)).unwrap();
        assert!(raw.secret.equals(&[91; 32]), "a bracket alone makes no array");
        assert_eq!(raw.signature, Some(vec![1, 2, 3]));
        let array = input_v1(b" [ 1,\n255, 0 ] ", None).unwrap();
        assert!(array.secret.equals(&[1, 255, 0]));
        assert_eq!(array.signature, None);
        for raw in [&b"[1,256]"[..], b"[1,-1]", b"[1,2", b"[[1]]", b"\"AQ==\"", b"[1] x", b""] {
            assert!(input_v1(raw, None).unwrap().secret.equals(raw), "{raw:?}");
        }
        for header in ["AQI", "*", "AQID\u{7f}"] {
            let Ok(header) = HeaderValue::from_str(header) else { continue };
            assert!(matches!(input_v1(&[1; 32], Some(&header)), Err(Failure::RecoverySignature)));
        }
    }

    // R-42
    #[test]
    fn version_2_takes_secret_and_signature_in_base64() {
        let body = br#"{"RecoverySecret":"AQI=","recoverySecretSignature":"AwQ="}"#;
        let input = input_v2(body).unwrap();
        assert!(input.secret.equals(&[1, 2]));
        assert_eq!(input.signature, Some(vec![3, 4]));
        let empty = input_v2(b"{}").unwrap();
        assert!(empty.secret.is_empty());
        assert_eq!(empty.signature, Some(Vec::new()), "never as version 1 without a signature");
        for body in [r#"{"recoverySecret":"*"}"#, r#"{"recoverySecretSignature":1}"#, "", "[]"] {
            assert!(input_v2(body.as_bytes()).is_err(), "{body}");
        }
    }

    // R-41, R-44, R-46
    #[test]
    fn answers_have_the_names_that_clients_know() {
        let next = "Secret was processed successfully. Upload the next secret. Remaining secrets: 2";
        let step = RecoveryStep { remaining: 2 };
        assert_eq!(text(&StepV1 { message: step.message() }), format!("{{\"StatusMessage\":\"{next}\"}}\n"));
        assert_eq!(text(&in_v2(step)), format!("{{\"remaining\":2,\"message\":\"{next}\"}}\n"));
        let last = in_v2(RecoveryStep { remaining: 0 });
        assert_eq!(text(&last), "{\"remaining\":0,\"message\":\"Recovery successful.\"}\n");
        let key = PublicKey { algorithm: "RSA", key: Some(vec![1]) };
        assert_eq!(text(&key), "{\"algorithm\":\"RSA\",\"ephemeralPublicKey\":\"AQ==\"}\n");
    }
}
