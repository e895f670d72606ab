//! Saved certificates of a coordinator.

use carrara_client::Chain;

pub(super) fn run(input: &[u8]) {
    let Ok(chain) = Chain::from_pem(input) else { return };
    let written = chain.to_pem();
    let again = Chain::from_pem(written.as_bytes()).expect("what was written reads");
    assert_eq!(again.root(), chain.root());
    assert_eq!(again.to_pem(), written);
    assert!(written.contains(&chain.root_pem()));
    assert!(chain.intermediate_pem().is_none_or(|pem| written.contains(&pem)));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).expect("a certificate");
    let issuer = rcgen::Issuer::from_params(&params, &key);
    let intermediate = params.signed_by(&key, &issuer).expect("a certificate");
    let (root, intermediate) = (root.pem(), intermediate.pem());
    vec![
        root.clone().into_bytes(),
        format!("{intermediate}{root}").into_bytes(),
        format!("{root}{intermediate}").into_bytes(),
        crate::world::ADMIN.as_bytes().to_vec(),
        format!("text\r\n{}\r\n{root}", crate::world::RECOVERY_KEYS[0]).into_bytes(),
    ]
}
