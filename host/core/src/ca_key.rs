//! A key of the certificate authority: ECDSA over P-384 (L-10).
//!
//! Made with the library's own random source. The secret bytes leave it only as SEC1 (for the sealed state) and as
//! PKCS#8 (for TLS).

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use carrara_types::secret::SecretBytes;

use crate::certificate::key_id;
use crate::error::Cause;

/// A P-384 key with what certificates need of it.
pub(crate) struct CaKey {
    label: &'static str,
    pair: EcdsaKeyPair,
    pkcs8: SecretBytes,
    spki: Vec<u8>,
    key_id: Vec<u8>,
}

impl CaKey {
    /// A new key.
    pub(crate) fn generate(label: &'static str) -> Result<Self, Cause> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)
            .map_err(|_| Cause("making a P-384 key".to_owned()))?;
        Self::from_pair(label, pair)
    }

    /// Reads a SEC1 (RFC 5915) key of the state.
    pub(crate) fn from_sec1(label: &'static str, sec1: &[u8]) -> Result<Self, Cause> {
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_ASN1_SIGNING, sec1)
            .map_err(|_| Cause(format!("reading the {label}: it is no P-384 key in SEC1 form")))?;
        Self::from_pair(label, pair)
    }

    fn from_pair(label: &'static str, pair: EcdsaKeyPair) -> Result<Self, Cause> {
        let unencodable = |_| Cause(format!("encoding the {label}"));
        let pkcs8 = SecretBytes::new(label, pair.to_pkcs8v1().map_err(unencodable)?.as_ref().to_vec());
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(unencodable)?;
        let spki = spki.as_ref().to_vec();
        let key_id = key_id(pair.public_key().as_ref());
        Ok(Self { label, pair, pkcs8, spki, key_id })
    }

    /// SEC1 (RFC 5915) DER with the curve's name (L-34).
    pub(crate) fn to_sec1(&self) -> Result<SecretBytes, Cause> {
        let der: EcPrivateKeyRfc5915Der<'_> =
            self.pair.private_key().as_der().map_err(|_| Cause(format!("encoding the {}", self.label)))?;
        Ok(SecretBytes::new(self.label, der.as_ref().to_vec()))
    }

    /// PKCS#8 DER.
    pub(crate) fn pkcs8(&self) -> &SecretBytes {
        &self.pkcs8
    }

    /// SubjectPublicKeyInfo DER.
    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The public key as an uncompressed point.
    pub(crate) fn public_point(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The key identifier that certificates carry.
    pub(crate) fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// ASN.1 DER ECDSA over SHA-384 of the message.
    pub(crate) fn sign_sha384(&self, message: &[u8]) -> Result<Vec<u8>, Cause> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| Cause(format!("signing with the {}", self.label)))?;
        Ok(signature.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // L-34
    #[test]
    fn a_key_survives_its_sec1_form() {
        let key = CaKey::generate("test key").unwrap();
        let again = CaKey::from_sec1("test key", key.to_sec1().unwrap().expose()).unwrap();
        assert_eq!(again.spki(), key.spki());
        assert!(again.pkcs8().equals(key.pkcs8().expose()));
    }

    #[test]
    fn other_bytes_are_no_key_and_the_error_holds_none_of_them() {
        let error = CaKey::from_sec1("root key", b"hunter2").err().unwrap();
        assert_eq!(error.to_string(), "reading the root key: it is no P-384 key in SEC1 form");
    }
}
