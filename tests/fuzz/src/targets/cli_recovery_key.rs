//! A holder's private recovery key in PEM.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use carrara_client::RecoveryKey;

pub(super) fn run(input: &[u8]) {
    if let Ok(key) = RecoveryKey::from_pem(input) {
        assert_eq!(format!("{key:?}"), "RecoveryKey", "a key in a log");
        assert!(key.decrypt(b"no ciphertext").is_err());
        let _ = key.decrypt(&[7; 256]);
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = key.as_der().expect("DER");
        pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref())).into_bytes()
    });
    let renamed = String::from_utf8_lossy(key).replace("PRIVATE KEY", "RSA PRIVATE KEY").into_bytes();
    vec![key.clone(), renamed, crate::world::ADMIN.as_bytes().to_vec()]
}
