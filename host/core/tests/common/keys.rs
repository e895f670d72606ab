//! What Marbles, users and holders of recovery keys bring along.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};

/// A Marble's certificate request (DER) for DNS names and IP addresses.
pub fn csr(names: &[&str]) -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    params(names).serialize_request(&key).unwrap().der().to_vec()
}

/// A user's certificate: DER and PEM.
pub fn user_certificate() -> (Vec<u8>, String) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let certificate = params(&[]).self_signed(&key).unwrap();
    (certificate.der().to_vec(), certificate.pem())
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// Somebody's recovery key.
pub struct RecoveryKey(OaepPrivateDecryptingKey, String, RsaKeyPair);

impl RecoveryKey {
    pub fn generate() -> Self {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<PublicKeyX509Der<'_>>::as_der(&key.public_key()).unwrap();
        let pem = pem::encode(&pem::Pem::new("PUBLIC KEY", der.as_ref()));
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
        let pair = RsaKeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        Self(OaepPrivateDecryptingKey::new(key).unwrap(), pem, pair)
    }

    /// RSA PKCS#1 v1.5 with SHA-256.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.2.public_modulus_len()];
        self.2.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    pub fn pem(&self) -> &str {
        &self.1
    }

    /// `None` if the text is not for this key.
    pub fn decrypt(&self, ciphertext: &[u8]) -> Option<Vec<u8>> {
        let mut plain = vec![0; self.0.min_output_size()];
        self.0.decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut plain, None).ok().map(|plain| plain.to_vec())
    }
}

/// RSA-OAEP with SHA-256, as clients encrypt recovery secrets.
pub fn encrypt_to(spki: &[u8], plain: &[u8]) -> Vec<u8> {
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(spki).unwrap()).unwrap();
    let mut ciphertext = vec![0; key.ciphertext_size()];
    key.encrypt(&OAEP_SHA256_MGF1SHA256, plain, &mut ciphertext, None).unwrap().to_vec()
}
