//! A user's certificate and key in PEM, in one file.

use carrara_client::ClientIdentity;

pub(super) fn run(input: &[u8]) {
    let Ok(identity) = ClientIdentity::from_pem(input, input) else { return };
    assert!(!identity.certificate().is_empty());
    assert_eq!(format!("{identity:?}"), "ClientIdentity", "a key in a log");
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let made = |algorithm| {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let params = rcgen::CertificateParams::new(vec!["user".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("a certificate");
        format!("{}{}", certificate.pem(), key.serialize_pem()).into_bytes()
    };
    vec![
        made(&rcgen::PKCS_ECDSA_P256_SHA256),
        made(&rcgen::PKCS_ECDSA_P384_SHA384),
        made(&rcgen::PKCS_ED25519),
        crate::world::ADMIN.as_bytes().to_vec(),
    ]
}
