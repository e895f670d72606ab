//! Key pairs for Marbles and for certificate secrets (S-3, S-11..S-13).
//!
//! By aws-lc-rs where it can; P-224 and RSA of other sizes than 2048, 3072, 4096 and 8192 are only *made* by other
//! crates, here, and never used by the coordinator itself. All of them take randomness from the operating system by
//! their own means.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use carrara_types::secret::SecretBytes;
use p384::pkcs8::{EncodePrivateKey, EncodePublicKey};
use rand_core::OsRng;

use crate::error::Cause;

/// The smallest modulus that is made (S-11).
pub(crate) const MIN_RSA_BITS: usize = 1024;

/// The largest modulus that is made: larger ones take minutes, while a request waits. The host's list refuses them first.
pub(crate) const MAX_RSA_BITS: usize = 8192;

/// Which kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// ECDSA over P-224.
    EcdsaP224,
    /// ECDSA over P-256.
    EcdsaP256,
    /// ECDSA over P-384.
    EcdsaP384,
    /// ECDSA over P-521.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// RSA with a modulus of so many bits, [`MIN_RSA_BITS`] to [`MAX_RSA_BITS`], and exponent 65537.
    Rsa(usize),
}

/// A key pair in the forms that leave the coordinator.
#[derive(Debug)]
pub(crate) struct KeyPair {
    /// PKCS#8 DER.
    pub(crate) pkcs8: SecretBytes,
    /// SubjectPublicKeyInfo DER.
    pub(crate) spki: Vec<u8>,
}

impl KeyPair {
    /// A new key pair. RSA takes from a tenth of a second upwards: not on an executor's thread.
    pub(crate) fn generate(kind: KeyKind, label: &'static str) -> Result<Self, Cause> {
        match kind {
            KeyKind::EcdsaP224 => p224(label),
            KeyKind::EcdsaP256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, label),
            KeyKind::EcdsaP384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, label),
            KeyKind::EcdsaP521 => ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING, label),
            KeyKind::Ed25519 => ed25519(label),
            KeyKind::Rsa(2048) => rsa(KeySize::Rsa2048, label),
            KeyKind::Rsa(3072) => rsa(KeySize::Rsa3072, label),
            KeyKind::Rsa(4096) => rsa(KeySize::Rsa4096, label),
            KeyKind::Rsa(8192) => rsa(KeySize::Rsa8192, label),
            KeyKind::Rsa(bits) => rsa_of_any_size(bits, label),
        }
    }

    fn new(label: &'static str, pkcs8: &[u8], spki: &[u8]) -> Self {
        Self { pkcs8: SecretBytes::new(label, pkcs8.to_vec()), spki: spki.to_vec() }
    }
}

fn failed<E>(_: E) -> Cause {
    Cause("making a key pair".to_owned())
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm, label: &'static str) -> Result<KeyPair, Cause> {
    let pair = EcdsaKeyPair::generate(algorithm).map_err(failed)?;
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
    Ok(KeyPair::new(label, pair.to_pkcs8v1().map_err(failed)?.as_ref(), spki.as_ref()))
}

fn ed25519(label: &'static str) -> Result<KeyPair, Cause> {
    let pair = Ed25519KeyPair::generate().map_err(failed)?;
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
    Ok(KeyPair::new(label, pair.to_pkcs8v1().map_err(failed)?.as_ref(), spki.as_ref()))
}

fn rsa(size: KeySize, label: &'static str) -> Result<KeyPair, Cause> {
    let pair = RsaKeyPair::generate(size).map_err(failed)?;
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
    Ok(KeyPair::new(label, pkcs8.as_ref(), spki.as_ref()))
}

fn p224(label: &'static str) -> Result<KeyPair, Cause> {
    let key = p224::SecretKey::random(&mut OsRng);
    let pkcs8 = key.to_pkcs8_der().map_err(failed)?;
    let spki = key.public_key().to_public_key_der().map_err(failed)?;
    Ok(KeyPair::new(label, pkcs8.as_bytes(), spki.as_bytes()))
}

fn rsa_of_any_size(bits: usize, label: &'static str) -> Result<KeyPair, Cause> {
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(Cause(format!("RSA keys have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, not {bits}")));
    }
    let key = ::rsa::RsaPrivateKey::new(&mut OsRng, bits).map_err(failed)?;
    let pkcs8 = key.to_pkcs8_der().map_err(failed)?;
    let spki = key.to_public_key().to_public_key_der().map_err(failed)?;
    Ok(KeyPair::new(label, pkcs8.as_bytes(), spki.as_bytes()))
}
