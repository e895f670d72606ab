//! Makes the values of secrets (S-10..S-17, S-25, S-30..S-35).
//!
//! Does not know where they are stored. User-defined secrets are not made. A certificate is always issued from the
//! manifest's template, also when it is issued again. Symmetric shared keys and serial numbers come from the
//! entropy port, key pairs from their libraries' own random source.

use carrara_types::manifest::secret::{CertificateTemplate, SecretDefinition, SecretKind};
use carrara_types::secret::SecretBytes;
use time::{Duration, OffsetDateTime};

use crate::authority::Authority;
use crate::certificate::{key_id_of_spki, not_after, template};
use crate::derive::derive_symmetric;
use crate::error::Cause;
use crate::key_pair::{KeyKind, KeyPair, MAX_RSA_BITS, MIN_RSA_BITS};
use crate::ports::Entropy;

/// Days, where a definition gives neither `ValidFor` nor `NotAfter` (S-33).
const DEFAULT_VALID_FOR: u64 = 365;

/// The longest shared symmetric key in bytes: a manifest cannot make the coordinator allocate more for one secret.
const MAX_SHARED_BYTES: usize = 1 << 20;

/// A secret's value.
#[derive(Debug)]
pub struct SecretValue {
    /// DER; certificate secrets only.
    pub certificate: Option<Vec<u8>>,
    /// PKCS#8 DER, or the key's bytes (S-3).
    pub private: Option<SecretBytes>,
    /// SubjectPublicKeyInfo DER, or the key's bytes (S-3).
    pub public: Option<SecretBytes>,
    /// Days, as stored and returned (S-33).
    pub valid_for: u64,
}

/// For whom a secret is made.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// For all Marbles, anew.
    Shared,
    /// For all Marbles; a certificate keeps the end of its life (S-34, package update).
    Reissued {
        /// The certificate so far, DER.
        previous_certificate: &'a [u8],
    },
    /// For one Marble, at every activation (S-16).
    Private {
        /// The current or the previous one.
        root_secret: &'a SecretBytes,
        /// Canonical text (S-21).
        uuid: &'a str,
        /// `None` where binding is disabled (S-22).
        marble_type: Option<&'a str>,
    },
}

/// Makes the value of the secret `name`.
///
/// # Errors
/// The definition cannot be satisfied (S-10..S-14, S-23, M-78); the text names the secret.
pub fn generate(
    name: &str,
    definition: &SecretDefinition,
    source: Source<'_>,
    authority: &Authority,
    now: OffsetDateTime,
    entropy: &dyn Entropy,
) -> Result<SecretValue, Cause> {
    if definition.user_defined {
        return Err(Cause(format!("secret {name} is user-defined: users upload it")));
    }
    let kind = match &definition.kind {
        SecretKind::SymmetricKey => return symmetric(name, definition.size, source, entropy),
        SecretKind::Plain | SecretKind::Unknown(_) => {
            let kind = definition.kind.name();
            return Err(Cause(format!("secret {name} is invalid: unsupported secret of type {kind}")));
        }
        SecretKind::CertRsa => rsa_kind(name, definition.size)?,
        SecretKind::CertEcdsa => ecdsa_kind(name, definition.size)?,
        SecretKind::CertEd25519 => ed25519_kind(name, definition.size)?,
    };
    certificate(definition, kind, source, authority, now, entropy)
        .map_err(|cause| Cause(format!("creating certificate for secret {name}: {cause}")))
}

fn symmetric(name: &str, bits: u64, source: Source<'_>, entropy: &dyn Entropy) -> Result<SecretValue, Cause> {
    let invalid = || Cause(format!("invalid secret size: {name}"));
    if bits == 0 || !bits.is_multiple_of(8) {
        return Err(invalid());
    }
    let bytes = usize::try_from(bits / 8).map_err(|_| invalid())?;
    let key = match source {
        Source::Private { root_secret, uuid, marble_type } => {
            derive_symmetric(root_secret, uuid, name, marble_type, bytes)?
        }
        Source::Reissued { .. } => {
            return Err(Cause(format!("secret {name} is no certificate and is not issued again")));
        }
        Source::Shared if bytes > MAX_SHARED_BYTES => {
            return Err(Cause(format!(
                "invalid secret size: {name}: at most {MAX_SHARED_BYTES} bytes are made"
            )));
        }
        Source::Shared => {
            let mut key = vec![0; bytes];
            entropy.fill(&mut key);
            SecretBytes::new("symmetric key", key)
        }
    };
    Ok(SecretValue { certificate: None, public: Some(key.duplicate()), private: Some(key), valid_for: 0 })
}

fn rsa_kind(name: &str, size: u64) -> Result<KeyKind, Cause> {
    usize::try_from(size).ok().filter(|bits| (MIN_RSA_BITS..=MAX_RSA_BITS).contains(bits)).map(KeyKind::Rsa).ok_or_else(
        || {
            Cause(format!(
                "invalid secret size for cert-rsa secret {name}: {MIN_RSA_BITS} to {MAX_RSA_BITS} bits are possible, got: {size}"
            ))
        },
    )
}

fn ecdsa_kind(name: &str, size: u64) -> Result<KeyKind, Cause> {
    match size {
        224 => Ok(KeyKind::EcdsaP224),
        256 => Ok(KeyKind::EcdsaP256),
        384 => Ok(KeyKind::EcdsaP384),
        521 => Ok(KeyKind::EcdsaP521),
        other => Err(Cause(format!(
            "invalid secret size for cert-ecdsa secret {name}: unsupported size {other}: does not map to a supported curve"
        ))),
    }
}

fn ed25519_kind(name: &str, size: u64) -> Result<KeyKind, Cause> {
    if size == 0 {
        return Ok(KeyKind::Ed25519);
    }
    Err(Cause(format!("invalid secret size for cert-ed25519 secret {name}: none is expected, got: {size}")))
}

fn certificate(
    definition: &SecretDefinition,
    kind: KeyKind,
    source: Source<'_>,
    authority: &Authority,
    now: OffsetDateTime,
    entropy: &dyn Entropy,
) -> Result<SecretValue, Cause> {
    let default_template = CertificateTemplate::default();
    let template = definition.cert.as_deref().unwrap_or(&default_template);
    let (end, valid_for) = end_of_life(template, definition.valid_for, source, now)?;

    // What cannot be issued is refused before the key is made: that is the slow part.
    template::content(template, authority.key_ids(&[]), authority.coordinator_names())?;
    let key = KeyPair::generate(kind, "certificate key")?;
    let key_id = key_id_of_spki(&key.spki)?;
    let content = template::content(template, authority.key_ids(&key_id), authority.coordinator_names())?;
    let certificate = authority.issue_secret(content, &key.spki, (now, end), entropy)?;
    Ok(SecretValue {
        certificate: Some(certificate),
        private: Some(key.pkcs8),
        public: Some(SecretBytes::new("public key", key.spki)),
        valid_for,
    })
}

/// The end and the `ValidFor` to store (S-33, S-34).
fn end_of_life(
    template: &CertificateTemplate,
    valid_for: u64,
    source: Source<'_>,
    now: OffsetDateTime,
) -> Result<(OffsetDateTime, u64), Cause> {
    let (end, valid_for) = match template.not_after {
        Some(_) if valid_for != 0 => {
            return Err(Cause("both NotAfter and ValidFor are specified".to_owned()));
        }
        Some(end) => (end, 0),
        None => {
            let days = if valid_for == 0 { DEFAULT_VALID_FOR } else { valid_for };
            let end = i64::try_from(days)
                .ok()
                .filter(|days| *days <= Duration::MAX.whole_days())
                .and_then(|days| now.checked_add(Duration::days(days)))
                .ok_or_else(|| Cause(format!("ValidFor {days} days end after the year 9999")))?;
            (end, days)
        }
    };
    match source {
        Source::Reissued { previous_certificate } => Ok((not_after(previous_certificate)?, valid_for)),
        Source::Shared | Source::Private { .. } => Ok((end, valid_for)),
    }
}

#[cfg(test)]
mod tests;
