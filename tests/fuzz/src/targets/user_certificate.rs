//! A user's certificate in a manifest, and the one that a connection presents.

use carrara_types::manifest::names::{certificate_der, is_certificate};

use super::shared::with_world;

pub(super) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let read = certificate_der(&text);
    if let Some(der) = &read {
        assert!(der.len() <= text.len(), "PEM is longer than what it holds");
    }
    let der = read.as_deref().unwrap_or(input);
    if is_certificate(der) {
        assert!(!is_certificate(&[der, &[0]].concat()), "bytes after the certificate");
    }
    with_world(|world| {
        let users = ["admin", "second", "guest"].map(|user| world.certificate(user).expect("a user"));
        let authenticated = world.coordinator.authenticate(Some(der)).is_ok();
        assert_eq!(authenticated, users.iter().any(|user| user == der), "a stranger passes for a user");
        let _ = world.coordinator.authenticate_marble(Some(der));
        true
    });
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let pem = crate::world::ADMIN.as_bytes().to_vec();
    let der = pem::parse(&pem).expect("a fixture").into_contents();
    vec![pem, der, crate::world::RECOVERY_KEYS[0].as_bytes().to_vec(), include_bytes!("../../../../host/server/fixtures/v1-certificate.der").to_vec()]
}
