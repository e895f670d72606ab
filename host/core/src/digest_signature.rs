//! ECDSA over P-384 with a digest other than SHA-384, by crate p384: the only file that signs with it.
//!
//! aws-lc-rs signs with P-384 and SHA-384 only, but clients verify manifests with SHA-256, and a certificate
//! template may ask for SHA-256 or SHA-512. Nonces are those of RFC 6979, hedged with fresh randomness of the
//! operating system (section 3.6), so a signature is not repeatable, and a bad random source does not leak the key.

use aws_lc_rs::digest;
use p384::ecdsa::signature::hazmat::RandomizedPrehashSigner;
use p384::ecdsa::{DerSignature, SigningKey};
use p384::pkcs8::DecodePrivateKey;
use rand_core::OsRng;

use crate::error::Cause;

/// A P-384 key that signs digests. Wiped on drop by its crate.
pub(crate) struct DigestSigner {
    key: SigningKey,
}

impl DigestSigner {
    /// Reads a PKCS#8 key. Costs about a millisecond: the public key is computed again.
    pub(crate) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Cause> {
        let key = SigningKey::from_pkcs8_der(pkcs8).map_err(|_| Cause("reading a P-384 key".to_owned()))?;
        Ok(Self { key })
    }

    /// ASN.1 DER ECDSA over SHA-256 of the message.
    pub(crate) fn sign_sha256(&self, message: &[u8]) -> Result<Vec<u8>, Cause> {
        self.sign(&digest::SHA256, message)
    }

    /// ASN.1 DER ECDSA over SHA-512 of the message (its leftmost 384 bits, FIPS 186-5 section 6.4).
    pub(crate) fn sign_sha512(&self, message: &[u8]) -> Result<Vec<u8>, Cause> {
        self.sign(&digest::SHA512, message)
    }

    fn sign(&self, algorithm: &'static digest::Algorithm, message: &[u8]) -> Result<Vec<u8>, Cause> {
        let prehash = digest::digest(algorithm, message);
        let signature: DerSignature = self
            .key
            .sign_prehash_with_rng(&mut OsRng, prehash.as_ref())
            .map_err(|_| Cause("signing with a P-384 key".to_owned()))?;
        Ok(signature.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{self, UnparsedPublicKey};

    use super::*;
    use crate::ca_key::CaKey;

    fn signer_and_point() -> (DigestSigner, Vec<u8>) {
        let key = CaKey::generate("test key").unwrap();
        (DigestSigner::from_pkcs8(key.pkcs8().expose()).unwrap(), key.public_point().to_vec())
    }

    //
    #[test]
    fn another_library_verifies_the_sha256_signature_and_refuses_another_message() {
        let (signer, point) = signer_and_point();
        let signature = signer.sign_sha256(b"manifest").unwrap();
        let key = UnparsedPublicKey::new(&signature::ECDSA_P384_SHA256_ASN1, &point);
        key.verify(b"manifest", &signature).unwrap();
        assert!(key.verify(b"Manifest", &signature).is_err());
        let wrong_digest = UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_ASN1, &point);
        assert!(wrong_digest.verify(b"manifest", &signature).is_err());
    }

    #[test]
    fn another_library_verifies_the_sha512_signature() {
        let (signer, point) = signer_and_point();
        let signature = signer.sign_sha512(b"certificate").unwrap();
        let key = UnparsedPublicKey::new(&signature::ECDSA_P384_SHA512_ASN1, &point);
        key.verify(b"certificate", &signature).unwrap();
        assert!(key.verify(b"other", &signature).is_err());
    }

    //
    #[test]
    fn signatures_are_randomised() {
        let (signer, _) = signer_and_point();
        assert_ne!(signer.sign_sha256(b"m").unwrap(), signer.sign_sha256(b"m").unwrap());
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        assert!(DigestSigner::from_pkcs8(b"no key").is_err());
    }
}
