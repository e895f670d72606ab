//! POST secrets (R-53, S-50, S-54b). Key bytes go from the body, which is wiped, into buffers that are wiped; no error
//! repeats one.

use std::collections::BTreeMap;

use carrara_core::outcome::{SecretUpload, UploadedCertificate};
use carrara_types::secret::SecretBytes;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::{Call, Response, Version, success};
use crate::json::body::{BodyError, Fields, Value};
use crate::limits::SECRETS_AT_ONCE;
use crate::problem::Failure;

pub(super) async fn write(call: &mut Call) -> Result<Response, Failure> {
    call.authenticate()?;
    let uploads = {
        let body = call.body(call.api.limits.secrets_bytes).await?;
        uploads(call.version, &body).map_err(Failure::Body)?
    };
    call.api.coordinator.write_secrets(call.peer.der(), uploads).await.map_err(Failure::WriteSecrets)?;
    success(())
}

/// The map of a body. Of a name that occurs twice the last value counts, as everywhere in bodies.
pub(crate) fn uploads(version: Version, body: &[u8]) -> Result<Vec<SecretUpload>, BodyError> {
    let mut secrets = Fields::read(body).map_err(|error| match (version, error) {
        // Version 1 reads the body whole, version 2 a stream's first value (manifest.md section 7).
        (Version::V1, BodyError::Empty) => BodyError::Truncated,
        (_, error) => error,
    })?;
    if version == Version::V2 {
        secrets = secrets.object("secrets")?;
    }
    let mut uploads = BTreeMap::new();
    for (index, member) in secrets.members().enumerate() {
        if index == SECRETS_AT_ONCE {
            return Err(BodyError::TooManySecrets { limit: SECRETS_AT_ONCE });
        }
        let (name, value) = member?;
        let upload = upload(name.as_ref(), value)?;
        uploads.insert(name, upload);
    }
    Ok(uploads.into_values().collect())
}

/// S-50; null is a secret without parts (S-54a).
fn upload(name: &str, value: Value<'_>) -> Result<SecretUpload, BodyError> {
    let mut upload = SecretUpload { name: name.to_owned(), cert: None, private: None, key: None };
    let Some(value) = value.present() else { return Ok(upload) };
    let fields = value.object().ok_or_else(|| BodyError::Secret { secret: name.to_owned() })?;
    let in_secret = |source| match source {
        named @ BodyError::Certificate { .. } => named,
        source => BodyError::InSecret { secret: name.to_owned(), source: Box::new(source) },
    };
    let secret =
        |mut bytes: Zeroizing<Vec<u8>>| SecretBytes::new("uploaded secret", std::mem::take(&mut *bytes));
    upload.cert = fields.field("Cert").and_then(|value| certificate(name, value)).map_err(in_secret)?;
    upload.private = fields.bytes("Private").map_err(in_secret)?.map(secret);
    upload.key = fields.bytes("Key").map_err(in_secret)?.map(secret);
    Ok(upload)
}

/// S-54b: what is base64 must be a certificate, whatever the secret's type; what is not is judged with the secret.
/// So is an object, the form that certificates have in manifests (S-2).
fn certificate(secret: &str, value: Option<Value<'_>>) -> Result<Option<UploadedCertificate>, BodyError> {
    let Some(value) = value else { return Ok(None) };
    if value.object().is_some() {
        return Ok(Some(UploadedCertificate::Unreadable));
    }
    if !value.is_string() {
        let expected = "a string: the base64 of an X.509 certificate's DER";
        return Err(BodyError::Field { field: "Cert", expected });
    }
    let Some(der) = value.bytes() else { return Ok(Some(UploadedCertificate::Unreadable)) };
    match X509Certificate::from_der(&der) {
        Ok(([], _)) => Ok(Some(UploadedCertificate::Der(der.to_vec()))),
        _ => Err(BodyError::Certificate { secret: secret.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
