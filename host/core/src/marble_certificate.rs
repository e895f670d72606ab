//! Recognising a Marble by the certificate that the marble root in force issued to it (rest-api.md, monotonic-counter).
//!
//! Only what the root signed itself counts, with what [`crate::authority::Authority::issue_marble`] writes: certificates
//! of secrets have the same issuer, and never the extension with a Marble's type (X-11a).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1, UnparsedPublicKey};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use sha2::{Digest, Sha256};
use spki::AlgorithmIdentifierRef;
use time::OffsetDateTime;
use uuid::Uuid;
use x509_cert::TbsCertificate;
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::time::Time;

use crate::authority::Authority;
use crate::certificate::extension::oid;
use crate::error::Cause;

/// ecdsa-with-SHA384 (RFC 5758 section 3.2).
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

/// commonName.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Certificates whose signature need not be verified again; 200 bytes each. When there are more, all are forgotten.
const REMEMBERED: usize = 4096;

/// Who a certificate says that its holder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MarbleName {
    pub(crate) marble_type: String,
    pub(crate) uuid: Uuid,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
}

/// The Marbles of one marble root that were recognised lately: a Marble asks more than once.
#[derive(Default)]
pub(crate) struct KnownMarbles(Mutex<HashMap<[u8; 32], Arc<MarbleName>>>);

impl KnownMarbles {
    /// The Marble that the authority issued the certificate (DER) to. Always the same authority.
    ///
    /// # Errors
    /// It did not, the certificate is no Marble's, or its time is not now.
    pub(crate) fn recognise(
        &self,
        certificate: &[u8],
        authority: &Authority,
        now: OffsetDateTime,
    ) -> Result<Arc<MarbleName>, Cause> {
        let digest: [u8; 32] = Sha256::digest(certificate).into();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).map(Arc::clone);
        let name = match known {
            Some(name) => name,
            None => {
                let name = Arc::new(read(certificate, authority.marble_root_point())?);
                let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() >= REMEMBERED {
                    known.clear();
                }
                known.insert(digest, Arc::clone(&name));
                name
            }
        };
        if now < name.not_before || now > name.not_after {
            return Err(Cause("the client certificate has expired or is not valid yet".to_owned()));
        }
        Ok(name)
    }
}

/// Verifies the signature by the key (a point of P-384) and reads the name.
fn read(certificate: &[u8], issuer_key: &[u8]) -> Result<MarbleName, Cause> {
    let malformed = |_| Cause("the client certificate is malformed".to_owned());
    let outer = AnyRef::from_der(certificate).map_err(malformed)?;
    let mut reader = SliceReader::new(outer.value()).map_err(malformed)?;
    // The signature covers the bytes as sent, not what this library would write.
    let signed = reader.tlv_bytes().map_err(malformed)?;
    let algorithm = AlgorithmIdentifierRef::decode(&mut reader).map_err(malformed)?;
    let signature = BitStringRef::decode(&mut reader).map_err(malformed)?;
    if !reader.is_finished() || outer.tag() != Tag::Sequence {
        return Err(malformed(Tag::Sequence.value_error()));
    }
    let foreign = || {
        Cause(
            "the client certificate was not issued by the marble root in force; a Marble of an earlier manifest must be \
             restarted"
                .to_owned(),
        )
    };
    if algorithm.oid != ECDSA_WITH_SHA384 {
        return Err(foreign());
    }
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, issuer_key)
        .verify(signed, signature.raw_bytes())
        .map_err(|_| foreign())?;
    name(&TbsCertificate::from_der(signed).map_err(malformed)?)
}

fn name(certificate: &TbsCertificate) -> Result<MarbleName, Cause> {
    let not_a_marbles = |what: &str| Cause(format!("the client certificate is no Marble's: {what}"));
    let extension = |id: ObjectIdentifier| {
        let mut all =
            certificate.extensions.iter().flatten().filter(move |extension| extension.extn_id == id);
        all.next().filter(|_| all.next().is_none()).map(|extension| extension.extn_value.as_bytes())
    };
    let usages = extension(oid::EXT_KEY_USAGE).and_then(|value| ExtendedKeyUsage::from_der(value).ok());
    if !usages.is_some_and(|usages| usages.0.contains(&oid::SERVER_AUTH)) {
        return Err(not_a_marbles("it is not meant for servers"));
    }
    let marble_type = extension(oid::MARBLE_TYPE)
        .and_then(|value| std::str::from_utf8(value).ok())
        .ok_or_else(|| not_a_marbles("it names no Marble type"))?;
    let uuid = common_name(certificate)
        .and_then(|text| Uuid::try_parse(text).ok().filter(|uuid| uuid.hyphenated().to_string() == text))
        .ok_or_else(|| not_a_marbles("its common name is no UUID"))?;
    let (not_before, not_after) = (certificate.validity.not_before, certificate.validity.not_after);
    Ok(MarbleName {
        marble_type: marble_type.to_owned(),
        uuid,
        not_before: moment(not_before)?,
        not_after: moment(not_after)?,
    })
}

/// The only one.
fn common_name(certificate: &TbsCertificate) -> Option<&str> {
    let parts = certificate.subject.0.iter().flat_map(|relative| relative.0.iter());
    let mut names = parts.filter(|part| part.oid == COMMON_NAME);
    let name = names.next().filter(|_| names.next().is_none())?;
    std::str::from_utf8(name.value.value()).ok()
}

fn moment(time: Time) -> Result<OffsetDateTime, Cause> {
    i64::try_from(time.to_unix_duration().as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or_else(|| Cause("the client certificate is malformed".to_owned()))
}
