//! lifecycle.md section 11: what anyone may ask.

use std::sync::atomic::Ordering;

use carrara_core::outcome::{Status, TlsPort};
use sha2::{Digest, Sha256};

use crate::common::{self, INTERNAL, World, manifest, pem_blocks};

/// A quote of the fake says what it is over.
fn quote_over(root: &[u8], nonce: &[u8], number: u8) -> Option<Vec<u8>> {
    let digest = Sha256::digest([root, nonce].concat());
    Some([b"quote over ", digest.as_slice(), &[number]].concat())
}

// PEM intermediate, then PEM root; the kept quote is over the root
#[tokio::test]
async fn the_quote_is_over_the_root_certificate_that_is_presented() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let root = coordinator.tls_identity(TlsPort::Rest).certificate.clone();
    let answer = coordinator.quote(None).await.unwrap();
    let certificates = pem_blocks(&answer.certificates);
    assert_eq!(certificates.len(), 2);
    assert_eq!(certificates[1].1, root);
    assert_ne!(certificates[0].1, coordinator.tls_identity(TlsPort::Mesh).certificate, "signed by the root");
    assert_eq!(answer.quote, quote_over(&root, b"", 0));
}

// lifecycle.md section 11, R-37: "Empty = absent"
#[tokio::test]
async fn without_a_nonce_the_kept_quote_is_returned_and_with_one_a_fresh_one_every_time() {
    let (world, coordinator) = World::with(&manifest()).await;
    let root = coordinator.tls_identity(TlsPort::Rest).certificate.clone();
    let quote = async |nonce: Option<&[u8]>| coordinator.quote(nonce).await.unwrap().quote;
    for nonce in [None, Some(&b""[..])] {
        assert_eq!(quote(nonce).await, quote_over(&root, b"", 0));
    }
    assert_eq!(world.evidence.issued(), 1);
    assert_eq!(quote(Some(b"nonce")).await, quote_over(&root, b"nonce", 1));
    assert_eq!(quote(Some(b"nonce")).await, quote_over(&root, b"nonce", 2), "not kept");
    assert_eq!(quote(None).await, quote_over(&root, b"", 0), "nor instead of the kept one");
}

// "no size limit"
#[tokio::test]
async fn a_nonce_may_be_long() {
    let (_world, coordinator) = World::with(&manifest()).await;
    let root = coordinator.tls_identity(TlsPort::Rest).certificate.clone();
    let nonce = vec![7; 100_000];
    assert_eq!(coordinator.quote(Some(&nonce)).await.unwrap().quote, quote_over(&root, &nonce, 1));
}

// lifecycle.md section 12
#[tokio::test]
async fn in_simulation_there_is_no_quote_with_or_without_a_nonce() {
    let world = World::simulated().await;
    let coordinator = world.start().await;
    for nonce in [None, Some(&b"nonce"[..])] {
        let answer = coordinator.quote(nonce).await.unwrap();
        assert!(answer.quote.is_none());
        assert_eq!(pem_blocks(&answer.certificates).len(), 2);
    }
}

// R-38; style.md rule 4
#[tokio::test]
async fn a_quote_that_cannot_be_had_is_told_without_internals_and_the_kept_one_stays() {
    let (world, coordinator) = World::with(&manifest()).await;
    world.evidence.cannot_issue.store(true, Ordering::SeqCst);
    let text = common::message(&coordinator.quote(Some(b"nonce")).await.unwrap_err());
    assert_eq!(text, "no quote could be obtained; see the coordinator's log");
    assert!(!text.contains(INTERNAL));
    assert!(coordinator.quote(None).await.unwrap().quote.is_some());
}

// A coordinator whose store was set up by another one: the kept quote is for the old root
#[tokio::test]
async fn a_quote_is_always_over_the_root_in_force() {
    let world = World::new().await;
    let (one, two) = (world.start().await, world.start().await);
    common::set(&one, &manifest()).await;
    let root = two.tls_identity(TlsPort::Rest).certificate.clone();
    assert_eq!(two.quote(None).await.unwrap().quote, quote_over(&root, b"", 2));
}

// rest-api.md, status
#[tokio::test]
async fn the_status_follows_the_state() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let ready = Status { code: 2, message: "Coordinator is ready to accept a manifest." };
    assert_eq!(coordinator.status(), ready);
    common::set(&coordinator, &manifest()).await;
    let message = "Coordinator is running correctly and ready to accept marbles.";
    assert_eq!(coordinator.status(), Status { code: 3, message });
    world.store.locked.store(true, Ordering::SeqCst);
    assert_eq!(coordinator.status().code, 1);
}

// R-1, G-10: two certificates, the same pointer as long as nothing has changed
#[tokio::test]
async fn each_port_presents_its_own_certificate() {
    let (_world, coordinator) = World::with(&manifest()).await;
    let (rest, mesh) = (coordinator.tls_identity(TlsPort::Rest), coordinator.tls_identity(TlsPort::Mesh));
    assert_ne!(rest.certificate, mesh.certificate);
    assert!(std::sync::Arc::ptr_eq(&rest, &coordinator.tls_identity(TlsPort::Rest)));
}
