//! sign-quote (rest-api.md), G-31, M-74: a quote's TCB status, verified and signed for somebody else.

use aws_lc_rs::signature::{ECDSA_P384_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_core::Coordinator;
use carrara_core::error::FeatureError;
use carrara_core::outcome::{Feature, SignedQuote};
use serde_json::json;

use crate::common::{self, INTERNAL, World, manifest};

/// The least bytes that are recognised as a raw quote (G-31).
fn raw() -> Vec<u8> {
    let mut quote = vec![0; 48];
    (quote[0], quote[8], quote[10]) = (3, 1, 1);
    quote
}

async fn world() -> (World, Coordinator) {
    let mut manifest = manifest();
    manifest["Config"] = json!({ "FeatureGates": ["signquoteendpoint"] });
    World::with(&manifest).await
}

/// By the root certificate that `GET quote` hands out.
async fn verify(coordinator: &Coordinator, message: &str, signature: &[u8]) -> bool {
    let answer = coordinator.quote(None).await.unwrap();
    let (_, root) = common::pem_blocks(&answer.certificates).pop().unwrap();
    let (_, root) = x509_parser::parse_x509_certificate(&root).unwrap();
    UnparsedPublicKey::new(&ECDSA_P384_SHA256_ASN1, &root.public_key().subject_public_key.data)
        .verify(message.as_bytes(), signature)
        .is_ok()
}

// M-74: ignoring case, one gate each
#[tokio::test]
async fn a_feature_is_on_only_if_the_manifest_names_its_gate() {
    let (_world, coordinator) = world().await;
    coordinator.require_feature(Feature::SignQuoteEndpoint).unwrap();
    let error = coordinator.require_feature(Feature::MonotonicCounter).unwrap_err();
    assert_eq!(common::message(&error), "MonotonicCounter feature is not enabled in the manifest");
    let without = World::new().await.start().await;
    let error = without.require_feature(Feature::SignQuoteEndpoint).unwrap_err();
    assert!(matches!(error, FeatureError::Off(Feature::SignQuoteEndpoint)));
}

// sign-quote: "DER ECDSA(root key, SHA-256(ASCII(base64(quote as sent) ++ tcbStatus)))"
#[tokio::test]
async fn the_root_key_signs_the_quote_as_sent_with_its_status() {
    let (world, coordinator) = world().await;
    let SignedQuote { tcb_status, signature } = coordinator.sign_quote(b"a quote").await.unwrap();
    assert_eq!(tcb_status, "UpToDate");
    let encoded = STANDARD.encode(b"a quote");
    assert!(verify(&coordinator, &format!("{encoded}UpToDate"), &signature).await);
    assert!(!verify(&coordinator, &format!("{encoded}OutOfDate"), &signature).await);
    assert_eq!(world.evidence.verified.lock().unwrap().as_slice(), [b"a quote"]);
}

// sign-quote: "A merely invalid TCB level is *not* a failure"; "Does not check packages"
#[tokio::test]
async fn an_outdated_tcb_is_signed_and_packages_are_not_looked_at() {
    let (world, coordinator) = world().await;
    world.evidence.claim(|claims| {
        claims.tcb_status = "OutOfDate".to_owned();
        claims.debug = true;
        claims.report_data.fill(0);
    });
    let signed = coordinator.sign_quote(b"a quote").await.unwrap();
    assert_eq!(signed.tcb_status, "OutOfDate");
    let message = format!("{}OutOfDate", STANDARD.encode(b"a quote"));
    assert!(verify(&coordinator, &message, &signed.signature).await);
}

// Of these platforms the verifier proves versions, and a package says which are enough.
#[tokio::test]
async fn evidence_of_sev_snp_has_no_status_that_could_be_signed() {
    let (world, coordinator) = world().await;
    world.evidence.claim(|claims| claims.tee = carrara_types::claims::Tee::SevSnp);
    let error = coordinator.sign_quote(b"evidence").await.unwrap_err();
    assert!(matches!(error, carrara_core::error::SignQuoteError::Verification(_)));
    assert!(common::message(&error).contains("nobody publishes a TCB status"), "{}", common::message(&error));
}

// G-31, G-30: what is a quote, and where it begins, is the verifier's to see
#[tokio::test]
async fn a_quote_raw_or_framed_reaches_the_verifier_and_is_signed_as_sent() {
    let (world, coordinator) = world().await;
    let framed = [&[1, 0, 0, 0, 2, 0, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0][..], &raw()].concat();
    for quote in [raw(), framed] {
        let signed = coordinator.sign_quote(&quote).await.unwrap();
        assert_eq!(world.evidence.verified.lock().unwrap().pop().unwrap(), quote);
        let message = format!("{}UpToDate", STANDARD.encode(&quote));
        assert!(verify(&coordinator, &message, &signed.signature).await);
    }
}

// sign-quote: the text of a failure
#[tokio::test]
async fn a_quote_that_does_not_verify_is_refused_with_the_verifiers_text() {
    let (world, coordinator) = world().await;
    world.evidence.fail("the signature is wrong");
    let error = coordinator.sign_quote(b"a quote").await.unwrap_err();
    assert_eq!(common::message(&error), "quote verification failed: the signature is wrong");
    assert!(!common::message(&error).contains(INTERNAL));
}

// ports: a verifier is never asked in simulation
#[tokio::test]
async fn in_simulation_no_quote_verifies() {
    let world = World::simulated().await;
    let coordinator = world.start().await;
    common::set(&coordinator, &manifest()).await;
    let text = common::message(&coordinator.sign_quote(b"").await.unwrap_err());
    assert!(text.starts_with("quote verification failed: this coordinator runs in simulation"), "{text}");
}
