//! Reading uploads: what a user sends becomes the value of a secret, or a reason why not (S-51..S-54, X-24).

use std::collections::BTreeMap;

use carrara_types::manifest::{ParsedManifest, SecretDefinition, SecretKind};
use carrara_types::secret::SecretBytes;
use der::{Decode, Encode};
use x509_cert::Certificate;

use crate::error::Cause;
use crate::generate::SecretValue;
use crate::outcome::{SecretUpload, UploadedCertificate};

/// The values that the uploads give their secrets.
///
/// # Errors
/// S-51..S-54, of the first upload in the order of names.
pub(crate) fn values(
    manifest: &ParsedManifest,
    uploads: &BTreeMap<String, SecretUpload>,
) -> Result<BTreeMap<String, SecretValue>, Cause> {
    let values = uploads.iter().map(|(name, upload)| {
        let definition = manifest.secrets.get(name).ok_or_else(|| {
            Cause(
                "secret manifest specifies a secret which the original manifest does not contain".to_owned(),
            )
        })?;
        if !definition.user_defined {
            return Err(Cause(format!("secret {name} is not writeable")));
        }
        Ok((name.clone(), value(name, definition, upload)?))
    });
    values.collect()
}

fn value(name: &str, definition: &SecretDefinition, upload: &SecretUpload) -> Result<SecretValue, Cause> {
    let kind = definition.kind.name();
    let mixed_up = |values: &str| {
        Err(Cause(format!("secret {name} is set to be of type {kind} but specified values for a {values}")))
    };
    let of_certificate = upload.cert.is_some() || upload.private.is_some();
    match &definition.kind {
        SecretKind::SymmetricKey | SecretKind::Plain if of_certificate => mixed_up("certificate"),
        SecretKind::SymmetricKey => symmetric(name, definition, upload),
        SecretKind::Plain => Ok(bare(definition, upload)),
        SecretKind::CertRsa | SecretKind::CertEcdsa | SecretKind::CertEd25519 if upload.key.is_some() => {
            mixed_up("symmetric-key")
        }
        SecretKind::CertRsa | SecretKind::CertEcdsa | SecretKind::CertEd25519 => {
            certificate(name, definition, upload)
        }
        SecretKind::Unknown(_) => {
            Err(Cause(format!("secret {name} is invalid: unsupported secret of type {kind}")))
        }
    }
}

/// S-52.
fn symmetric(name: &str, definition: &SecretDefinition, upload: &SecretUpload) -> Result<SecretValue, Cause> {
    if definition.size == 0 || !definition.size.is_multiple_of(8) {
        return Err(Cause(format!("invalid secret size: {name}")));
    }
    let bytes = upload.key.as_ref().map_or(0, SecretBytes::len);
    if u64::try_from(bytes).ok() != Some(definition.size / 8) {
        return Err(Cause(format!("declared size and actual size don't match: {name}")));
    }
    Ok(bare(definition, upload))
}

/// A key or a plain secret: both parts are its bytes (S-3); none where none are sent (S-54a).
fn bare(definition: &SecretDefinition, upload: &SecretUpload) -> SecretValue {
    let key = || upload.key.as_ref().map(SecretBytes::duplicate);
    SecretValue { certificate: None, private: key(), public: key(), valid_for: definition.valid_for }
}

/// S-53. The private key is not looked at, and may be missing.
fn certificate(
    name: &str,
    definition: &SecretDefinition,
    upload: &SecretUpload,
) -> Result<SecretValue, Cause> {
    let faulty = |what: &str| Cause(format!("secret {name}: Cert {what}"));
    let der = match &upload.cert {
        Some(UploadedCertificate::Der(der)) => der,
        Some(UploadedCertificate::Unreadable) => {
            return Err(faulty(
                "is no base64; send the certificate's DER in base64, a PEM text without its header lines",
            ));
        }
        None => return Err(faulty("is missing; a certificate secret needs its certificate")),
    };
    let malformed = |_| faulty("is no X.509 certificate");
    let parsed = Certificate::from_der(der).map_err(malformed)?;
    let public = parsed.tbs_certificate.subject_public_key_info.to_der().map_err(malformed)?;
    Ok(SecretValue {
        certificate: Some(der.clone()),
        private: upload.private.as_ref().map(SecretBytes::duplicate),
        public: Some(SecretBytes::new("public key", public)),
        valid_for: definition.valid_for,
    })
}
