//! GET and POST manifest (R-30..R-35).

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use carrara_core::error::{Refused, SetManifestError};
use carrara_core::outcome::{ManifestAnswer, ManifestSet};
use serde::Serialize;
use zeroize::Zeroizing;

use super::body::Body;
use super::findings::{RecoverySecrets, Warning, log_refusal, log_warnings, recovery_secrets, warnings};
use super::{Call, Response, Version, enveloped, json_response, success};
use crate::json::{self, body::Fields};
use crate::limits::POLICIES_ALONG;
use crate::problem::Failure;

#[derive(Serialize)]
struct ManifestV1<'a> {
    #[serde(rename = "ManifestSignatureRootECDSA", serialize_with = "json::base64")]
    signature: Option<&'a [u8]>,
    /// The hash, in spite of its name.
    #[serde(rename = "ManifestSignature")]
    fingerprint: &'a str,
    #[serde(rename = "Manifest", serialize_with = "json::base64")]
    manifest: Option<&'a [u8]>,
}

#[derive(Serialize)]
struct ManifestV2<'a> {
    #[serde(rename = "manifestSignatureRootECDSA", serialize_with = "json::base64")]
    signature: Option<&'a [u8]>,
    #[serde(rename = "manifestFingerprint")]
    fingerprint: &'a str,
    #[serde(serialize_with = "json::base64")]
    manifest: Option<&'a [u8]>,
}

/// The capital R is right in v2 too.
#[derive(Serialize)]
struct Set {
    #[serde(rename = "RecoverySecrets")]
    recovery_secrets: RecoverySecrets,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

pub(super) async fn get(call: &mut Call) -> Result<Response, Failure> {
    let answer = call.api.coordinator.manifest().map_err(Failure::Manifest)?;
    match (answer, call.version) {
        (Some(answer), version) => call.api.manifest.of(answer, version),
        (None, Version::V1) => success(in_v1(None)),
        (None, Version::V2) => Err(Failure::NoManifest),
    }
}

/// The answers of the manifest in force, once somebody has asked for them: to write a large one takes long, anybody may ask, and
/// all who read it share one copy.
#[derive(Default)]
pub(super) struct Written {
    v1: Mutex<Option<(Arc<ManifestAnswer>, Bytes)>>,
    v2: Mutex<Option<(Arc<ManifestAnswer>, Bytes)>>,
}

impl Written {
    fn of(&self, answer: Arc<ManifestAnswer>, version: Version) -> Result<Response, Failure> {
        let kept = if version == Version::V1 { &self.v1 } else { &self.v2 };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, text)) = kept.as_ref()
            && Arc::ptr_eq(of, &answer)
        {
            return Ok(json_response(text.clone()));
        }
        let text = match version {
            Version::V1 => enveloped(in_v1(Some(&answer)))?,
            Version::V2 => enveloped(in_v2(&answer))?,
        };
        *kept = Some((answer, text.clone()));
        Ok(json_response(text))
    }
}

pub(super) async fn set(call: &mut Call) -> Result<Response, Failure> {
    // 401 comes before the body, as everywhere.
    call.api.coordinator.authenticate_owner(call.peer.der()).map_err(Failure::Unauthorized)?;
    match call.version {
        Version::V1 => {
            let body = call.body(call.api.limits.manifest_bytes).await?;
            let set = call.api.coordinator.set_manifest(call.peer.der(), &body, Vec::new()).await;
            let set = set.map_err(refused)?;
            log_warnings(&set.warnings);
            success((!set.recovery_secrets.is_empty()).then(|| Set { warnings: Vec::new(), ..answer(set) }))
        }
        Version::V2 => {
            let Proposed { manifest, policies, _body } = proposed(call).await?;
            let set = call.api.coordinator.set_manifest(call.peer.der(), &manifest, policies).await;
            let set = set.map_err(refused)?;
            log_warnings(&set.warnings);
            success(answer(set))
        }
    }
}

/// A manifest with the components of policies that came along.
pub(super) struct Proposed {
    pub(super) manifest: Zeroizing<Vec<u8>>,
    pub(super) policies: Vec<Vec<u8>>,
    /// Its text is gone; what was made of it counts in its place.
    pub(super) _body: Body,
}

/// Reads a v2 body with a manifest and policies.
pub(super) async fn proposed(call: &mut Call) -> Result<Proposed, Failure> {
    let mut body = call.body(call.api.limits.manifest_with_policies_bytes()).await?;
    let text = Zeroizing::new(body.take());
    let limits = &call.api.limits;
    let manifest = manifest_field(&text)?;
    if manifest.len() > limits.manifest_bytes {
        return Err(Failure::ManifestTooLarge(limits.manifest_bytes));
    }
    let policies = Fields::read(&text).and_then(|fields| fields.list_of_bytes("policies", POLICIES_ALONG));
    let policies = policies.map_err(Failure::Body)?;
    let policies = policies.into_iter().map(|mut policy| std::mem::take(&mut *policy)).collect();
    Ok(Proposed { manifest, policies, _body: body })
}

/// The manifest in a v2 body; empty if it is missing.
pub(super) fn manifest_field(body: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let manifest = Fields::read(body).and_then(|fields| fields.bytes("manifest"));
    Ok(manifest.map_err(Failure::Body)?.unwrap_or_default())
}

fn refused(error: SetManifestError) -> Failure {
    if let SetManifestError::Refused(Refused(refusal)) = &error {
        log_refusal(refusal);
    }
    Failure::SetManifest(error)
}

/// Before a manifest is set, v1 answers with nothing in every field.
fn in_v1(answer: Option<&ManifestAnswer>) -> ManifestV1<'_> {
    ManifestV1 {
        signature: answer.map(|answer| answer.signature.as_slice()),
        fingerprint: answer.map_or("", |answer| &answer.fingerprint),
        manifest: answer.map(|answer| answer.manifest.as_slice()),
    }
}

fn in_v2(answer: &ManifestAnswer) -> ManifestV2<'_> {
    ManifestV2 {
        signature: Some(&answer.signature),
        fingerprint: &answer.fingerprint,
        manifest: Some(&answer.manifest),
    }
}

fn answer(set: ManifestSet) -> Set {
    Set { recovery_secrets: recovery_secrets(set.recovery_secrets), warnings: warnings(set.warnings) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use carrara_types::decision::{Finding, Severity};

    use super::*;

    fn text(value: &impl Serialize) -> String {
        String::from_utf8(json::to_vec(value, 0).unwrap()).unwrap()
    }

    fn manifest() -> ManifestAnswer {
        ManifestAnswer { manifest: b"{}".to_vec(), fingerprint: "44".to_owned(), signature: vec![1, 2] }
    }

    //
    #[test]
    fn v1_names_the_hash_a_signature() {
        let expected =
            "{\"ManifestSignatureRootECDSA\":\"AQI=\",\"ManifestSignature\":\"44\",\"Manifest\":\"e30=\"}\n";
        assert_eq!(text(&in_v1(Some(&manifest()))), expected);
    }

    //
    #[test]
    fn v1_without_a_manifest_is_empty_fields() {
        let expected = "{\"ManifestSignatureRootECDSA\":null,\"ManifestSignature\":\"\",\"Manifest\":null}\n";
        assert_eq!(text(&in_v1(None)), expected);
    }

    //
    #[test]
    fn v2_names_the_hash_a_fingerprint() {
        let expected = "{\"manifestSignatureRootECDSA\":\"AQI=\",\"manifestFingerprint\":\"44\",\"manifest\":\"e30=\"}\n";
        assert_eq!(text(&in_v2(&manifest())), expected);
    }

    //
    #[test]
    fn recovery_secrets_are_spelt_with_a_capital_and_warnings_come_only_if_there_are_some() {
        assert_eq!(text(&answer(ManifestSet::default())), "{\"RecoverySecrets\":{}}\n");
        let finding = Finding {
            severity: Severity::Warning,
            code: "X-9".to_owned(),
            path: "/Foo".to_owned(),
            message: "unknown field".to_owned(),
            hint: None,
        };
        let recovery_secrets = BTreeMap::from([("b".to_owned(), vec![0]), ("a".to_owned(), vec![255])]);
        let expected = "{\"RecoverySecrets\":{\"a\":\"/w==\",\"b\":\"AA==\"},\
            \"warnings\":[{\"code\":\"X-9\",\"path\":\"/Foo\",\"message\":\"unknown field\"}]}\n";
        assert_eq!(text(&answer(ManifestSet { recovery_secrets, warnings: vec![finding] })), expected);
    }
}
