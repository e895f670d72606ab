//! Builds X.509 certificates and signs them with a key of the authority.
//!
//! Every certificate of the project is made here: the authority's own, the Marbles', the secrets'. Serial numbers are
//! 128 random bits (L-10, S-32, G-47). What goes into a certificate is decided elsewhere.

pub(crate) mod extension;
pub(crate) mod name;
pub(crate) mod request;
pub(crate) mod reserved;
pub(crate) mod template;

use aws_lc_rs::digest;
use der::asn1::{BitString, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{DateTime, Decode, Encode};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use time::{Duration, OffsetDateTime, UtcOffset};
use x509_cert::certificate::{Certificate, TbsCertificate, Version};
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

use crate::ca_key::CaKey;
use crate::digest_signature::DigestSigner;
use crate::error::Cause;
use crate::pem_text::pem;
use crate::ports::Entropy;

/// The first year that is written as GeneralizedTime (RFC 5280 section 4.1.2.5, X-61).
const FIRST_GENERALIZED_YEAR: i32 = 2050;

/// Bytes of a key identifier (RFC 7093 section 2, method 1).
const KEY_ID_LEN: usize = 20;

/// Bytes of a serial number.
const SERIAL_LEN: usize = 16;

/// How a certificate is signed by a P-384 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    /// With SHA-256.
    EcdsaSha256,
    /// With SHA-384: the default.
    EcdsaSha384,
    /// With SHA-512.
    EcdsaSha512,
}

impl SignatureAlgorithm {
    /// RFC 5758 section 3.2.
    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::EcdsaSha256 => ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
            Self::EcdsaSha384 => ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"),
            Self::EcdsaSha512 => ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"),
        }
    }

    fn sign(self, key: &CaKey, message: &[u8]) -> Result<Vec<u8>, Cause> {
        match self {
            Self::EcdsaSha384 => key.sign_sha384(message),
            Self::EcdsaSha256 => DigestSigner::from_pkcs8(key.pkcs8().expose())?.sign_sha256(message),
            Self::EcdsaSha512 => DigestSigner::from_pkcs8(key.pkcs8().expose())?.sign_sha512(message),
        }
    }
}

/// A certificate before it is signed.
pub(crate) struct Unsigned<'a> {
    /// Whom it is about.
    pub(crate) subject: Name,
    /// Who signs.
    pub(crate) issuer: Name,
    /// From when.
    pub(crate) not_before: OffsetDateTime,
    /// Until when, inclusive.
    pub(crate) not_after: OffsetDateTime,
    /// SubjectPublicKeyInfo DER.
    pub(crate) spki: &'a [u8],
    /// In their final order.
    pub(crate) extensions: Vec<Extension>,
}

impl Unsigned<'_> {
    /// The signed certificate, DER.
    pub(crate) fn sign(
        self,
        key: &CaKey,
        algorithm: SignatureAlgorithm,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, Cause> {
        let signature_algorithm = AlgorithmIdentifierOwned { oid: algorithm.oid(), parameters: None };
        let tbs_certificate = TbsCertificate {
            version: Version::V3,
            serial_number: random_serial(entropy)?,
            signature: signature_algorithm.clone(),
            issuer: self.issuer,
            validity: Validity { not_before: time(self.not_before)?, not_after: time(self.not_after)? },
            subject: self.subject,
            subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(self.spki).map_err(unencodable)?,
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(self.extensions),
        };
        let signature = algorithm.sign(key, &tbs_certificate.to_der().map_err(unencodable)?)?;
        let signature = BitString::from_bytes(&signature).map_err(unencodable)?;
        Certificate { tbs_certificate, signature_algorithm, signature }.to_der().map_err(unencodable)
    }
}

/// The identifier of a public key: the leftmost 160 bits of SHA-256 of the key's bits (RFC 7093).
pub(crate) fn key_id(public_key_bits: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, public_key_bits).as_ref().iter().copied().take(KEY_ID_LEN).collect()
}

/// [`key_id`] of the key in a SubjectPublicKeyInfo DER.
pub(crate) fn key_id_of_spki(spki: &[u8]) -> Result<Vec<u8>, Cause> {
    let spki = SubjectPublicKeyInfoOwned::from_der(spki).map_err(unencodable)?;
    Ok(key_id(spki.subject_public_key.raw_bytes()))
}

/// The longest life that Go's `time.Duration` can say, 2^63-1 ns or 292 years (L-10, G-46).
pub(crate) fn longest_validity(now: OffsetDateTime) -> Result<OffsetDateTime, Cause> {
    now.checked_add(Duration::nanoseconds(i64::MAX))
        .ok_or_else(|| Cause("the clock is set too far ahead".to_owned()))
}

/// The end of a certificate's life.
pub(crate) fn not_after(certificate: &[u8]) -> Result<OffsetDateTime, Cause> {
    let certificate =
        Certificate::from_der(certificate).map_err(|_| Cause("malformed certificate".to_owned()))?;
    let since_epoch = certificate.tbs_certificate.validity.not_after.to_unix_duration();
    i64::try_from(since_epoch.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or_else(|| Cause("malformed certificate".to_owned()))
}

/// A certificate's text form: label `CERTIFICATE`, 64 columns, trailing newline.
#[must_use]
pub fn certificate_pem(der: &[u8]) -> String {
    pem("CERTIFICATE", der).to_string()
}

/// What cannot be written as DER; the library's text names the ASN.1 type and holds no value.
pub(crate) fn unencodable(error: der::Error) -> Cause {
    Cause(format!("encoding a certificate: {error}"))
}

fn random_serial(entropy: &dyn Entropy) -> Result<SerialNumber, Cause> {
    let mut bytes = [0; SERIAL_LEN];
    entropy.fill(&mut bytes);
    SerialNumber::new(&bytes).map_err(unencodable)
}

fn time(moment: OffsetDateTime) -> Result<Time, Cause> {
    let out_of_range = || Cause(format!("no certificate can hold the year {}", moment.year()));
    let utc = moment.checked_to_offset(UtcOffset::UTC).ok_or_else(out_of_range)?;
    let year = u16::try_from(utc.year()).map_err(|_| out_of_range())?;
    let date_time =
        DateTime::new(year, u8::from(utc.month()), utc.day(), utc.hour(), utc.minute(), utc.second())
            .map_err(|_| out_of_range())?;
    if utc.year() >= FIRST_GENERALIZED_YEAR {
        return Ok(Time::GeneralTime(GeneralizedTime::from_date_time(date_time)));
    }
    UtcTime::from_date_time(date_time).map(Time::UtcTime).map_err(|_| out_of_range())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    //
    #[test]
    fn the_year_2050_is_the_first_generalized_time() {
        assert!(matches!(time(datetime!(2049-12-31 23:59:59 UTC)).unwrap(), Time::UtcTime(_)));
        assert!(matches!(time(datetime!(2050-01-01 0:00 UTC)).unwrap(), Time::GeneralTime(_)));
    }

    #[test]
    fn other_offsets_are_written_in_utc() {
        let moment = datetime!(2050-01-01 00:30 +1);
        assert_eq!(time(moment).unwrap().to_date_time().year(), 2049);
    }

    #[test]
    fn a_year_that_x509_cannot_write_is_refused() {
        let error = time(datetime!(1969-01-01 0:00 UTC)).unwrap_err();
        assert_eq!(error.to_string(), "no certificate can hold the year 1969");
    }

    #[test]
    fn pem_has_64_columns_and_a_trailing_newline() {
        let text = certificate_pem(&[7; 49]);
        let lines: Vec<_> = text.split('\n').collect();
        assert_eq!(lines[0], "-----BEGIN CERTIFICATE-----");
        assert_eq!(lines[1].len(), 64);
        assert_eq!(lines[3..], ["-----END CERTIFICATE-----", ""]);
    }
}
