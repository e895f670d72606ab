//! Certificates and keys that a manifest holds as PEM, read into DER.
//!
//! Only the first PEM block counts; text before and after it is ignored. Expiry, issuer and subject of certificates
//! are never looked at (M-53).

/// RSA moduli beyond this size only cost time: nobody makes such keys, and anybody may set the first manifest.
pub const MAX_RSA_BITS: usize = 16384;

/// OAEP with SHA-256 of 33 bytes needs a modulus of 33 + 2 * 32 + 2 bytes (RFC 8017, section 7.1.1).
pub const MIN_RSA_BYTES: usize = 99;

/// Why a recovery key cannot be used (M-79).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    /// No PEM, another label than `PUBLIC KEY`, or no PKIX in it.
    #[error("given PEM data is not a public key")]
    NotAPublicKey,
    /// A key of another algorithm than RSA.
    #[error("unsupported type of public key")]
    NotRsa,
    /// Too short, too long, or with numbers that no RSA key has.
    #[error("unsupported RSA key of {bits} bits: use 2048 to 16384 bits and an odd exponent from 3")]
    Unusable {
        /// Length of the modulus.
        bits: usize,
    },
}

/// The bytes of the first PEM block, whatever its label (M-53). They need not be a certificate.
#[must_use]
pub fn certificate_der(pem: &str) -> Option<Vec<u8>> {
    ::pem::parse(pem).ok().map(::pem::Pem::into_contents)
}

/// A recovery key as SubjectPublicKeyInfo DER, judged by M-79.
///
/// # Errors
/// Which of M-79's conditions the key does not meet.
#[cfg(feature = "host")]
pub fn recovery_key_spki(pem: &str) -> Result<Vec<u8>, RecoveryKeyError> {
    use x509_parser::prelude::FromDer;
    use x509_parser::public_key::PublicKey;
    use x509_parser::x509::SubjectPublicKeyInfo;

    let block = ::pem::parse(pem).map_err(|_| RecoveryKeyError::NotAPublicKey)?;
    if block.tag() != "PUBLIC KEY" {
        return Err(RecoveryKeyError::NotAPublicKey);
    }
    let der = block.into_contents();
    let (rest, spki) = SubjectPublicKeyInfo::from_der(&der).map_err(|_| RecoveryKeyError::NotAPublicKey)?;
    if !rest.is_empty() {
        return Err(RecoveryKeyError::NotAPublicKey);
    }
    match spki.parsed() {
        Ok(PublicKey::RSA(key)) => {
            // The reader is lenient; what encrypts to the key later, and Go, take one way to write it only.
            if der != rsa_spki(key.modulus, key.exponent) {
                return Err(RecoveryKeyError::NotAPublicKey);
            }
            usable(key.modulus, key.exponent)?;
        }
        Ok(_) => return Err(RecoveryKeyError::NotRsa),
        Err(_) => return Err(RecoveryKeyError::NotAPublicKey),
    }
    Ok(der)
}

/// Whether the bytes are one X.509 certificate (M-53).
#[cfg(feature = "host")]
#[must_use]
pub fn is_certificate(der: &[u8]) -> bool {
    use x509_parser::prelude::{FromDer, X509Certificate};
    matches!(X509Certificate::from_der(der), Ok((rest, _)) if rest.is_empty())
}

/// An RSA key as DER; both numbers as in their DER integers.
#[cfg(feature = "host")]
fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let key = tlv(0x30, &[tlv(2, modulus), tlv(2, exponent)].concat());
    tlv(0x30, &[&RSA_ENCRYPTION[..], &tlv(3, &[&[0], key.as_slice()].concat())].concat())
}

/// A DER value with its tag and length.
#[cfg(feature = "host")]
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![tag];
    match digits.as_slice() {
        [] => der.push(0),
        [short] if *short < 0x80 => der.push(*short),
        // Eight digits at most.
        long => {
            der.push(0x80 | long.len() as u8);
            der.extend_from_slice(long);
        }
    }
    der.extend_from_slice(content);
    der
}

/// An even modulus or exponent, or the exponent 1, would make encryption fail or do nothing.
#[cfg(feature = "host")]
fn usable(modulus: &[u8], exponent: &[u8]) -> Result<(), RecoveryKeyError> {
    let (modulus, exponent) = (positive(modulus), positive(exponent));
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    // Go reads exponents up to 2^31 - 1; clients make their keys with Go or OpenSSL.
    let exponent_fits = odd(exponent)
        && exponent != [1]
        && (exponent.len() < 4
            || (exponent.len() == 4 && exponent.first().is_some_and(|first| *first < 0x80)));
    if modulus.len() < MIN_RSA_BYTES || bits > MAX_RSA_BITS || !odd(modulus) || !exponent_fits {
        return Err(RecoveryKeyError::Unusable { bits });
    }
    Ok(())
}

/// A DER integer's bytes without leading zeros; nothing for a negative one.
#[cfg(feature = "host")]
fn positive(integer: &[u8]) -> &[u8] {
    if integer.first().is_some_and(|first| first & 0x80 != 0) {
        return &[];
    }
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    integer.get(zeros..).unwrap_or_default()
}
