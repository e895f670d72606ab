//! Commands that attest, as users run them: what is missing or refused is told with the remedy (cli.md section 2). Quotes that
//! are accepted are made by chains of the tests' own and are tested where another root can be given: host/client.

// Helpers of tests may do what tests may.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use carrara_client::collateral::Bundle;
use carrara_client::collateral::mock::samples;
use carrara_client::sigstruct::fixtures::{debug_sigstruct, elf};
use sha2::{Digest, Sha256};
use support::{Answers, FakeCoordinator, carrara};

/// A quote of a real machine.
const QUOTE: &[u8] = include_bytes!("../../attest/tests/fixtures/intel/sgx_quote");

const POLICY: &str = r#"{"UniqueID":"00","SecurityVersion":1,"ProductID":1}"#;

/// A coordinator that shows this quote.
fn showing(folder: &Path, quote: &[u8]) -> (FakeCoordinator, String) {
    std::fs::write(folder.join("era-config.json"), POLICY).unwrap();
    let server = FakeCoordinator::start(|chain| {
        let data = json!({ "data": { "cert": chain, "quote": BASE64_STANDARD.encode(quote) } });
        Answers::from([("GET /api/v2/quote", (200, data.to_string()))])
    });
    let host = server.address.to_string();
    (server, host)
}

#[test]
fn without_collateral_the_error_names_the_options() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = showing(folder.path(), QUOTE);
    let error = carrara(folder.path(), &["attest", &host]).error();
    assert!(error.contains("--pccs-url URL") && error.contains("--collateral FILE"), "{error}");
    assert!(!folder.path().join("root.pem").exists());
}

#[test]
fn collateral_that_has_expired_accepts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = showing(folder.path(), QUOTE);
    let mut bundle = Bundle::default();
    bundle.add(samples::sgx());
    std::fs::write(folder.path().join("collateral.json"), bundle.to_json()).unwrap();
    let error = carrara(folder.path(), &["attest", &host, "--collateral", "collateral.json"]).error();
    assert!(error.contains("collateral.json") && error.contains("it was valid until 2025-"), "{error}");
    let error = carrara(folder.path(), &["attest", &host, "--collateral", "missing.json"]).error();
    assert!(error.contains("missing.json"), "{error}");
    assert!(!folder.path().join("root.pem").exists());
}

#[test]
fn a_pccs_that_cannot_be_reached_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = showing(folder.path(), QUOTE);
    // Listens no more.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let error = carrara(folder.path(), &["attest", &host, "--pccs-url", &url]).error();
    assert!(error.contains(&url) && error.contains("no valid collateral"), "{error}");
    let error = carrara(folder.path(), &["attest", &host, "--pccs-url", "http://pccs.example.org"]).error();
    assert!(error.contains("write https"), "{error}");
    let error = carrara(folder.path(), &["attest", &host, "--pccs-ca", "ca.pem"]).error();
    assert!(error.contains("--pccs-url"), "{error}");
}

#[test]
fn what_is_no_quote_is_refused_before_collateral_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for quote in [&QUOTE[..QUOTE.len() / 2], b"quote"] {
        let (_server, host) = showing(folder.path(), quote);
        let error = carrara(folder.path(), &["attest", &host]).error();
        assert!(error.contains("verifying the coordinator's quote: reading the quote"), "{error}");
    }
    let server = FakeCoordinator::start(|_| Answers::new());
    let error = carrara(folder.path(), &["attest", &server.address.to_string()]).error();
    assert!(error.contains("the coordinator has no quote"), "{error}");
}

#[test]
fn a_policy_that_would_not_be_compared_is_refused_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (server, host) = showing(folder.path(), QUOTE);
    let refused = |policy: &str| {
        std::fs::write(folder.path().join("policy.json"), policy).unwrap();
        carrara(folder.path(), &["attest", &host, "--era-config", "policy.json"]).error()
    };
    assert!(refused("{").contains("policy.json"));
    assert!(refused("{}").contains("SecurityVersion"));
    assert!(refused(r#"{"TDX":{"RTMR1":"00"}}"#).contains("TDX/RTMR1: expected 96 hex digits"));
    assert!(refused(r#"{"TDX":{"MRDT":""}}"#).contains("unknown field MRDT"));
    assert!(refused(r#"{"SNP":{"VMPL":0}}"#).contains("SNP must have Measurement"));
    assert!(server.asked().is_empty());
}

// cli.md section 3
#[test]
fn package_info_prints_what_was_signed() {
    let folder = tempfile::tempdir().unwrap();
    let enclave = elf(".oeinfo", &[&[7; 100][..], &debug_sigstruct()].concat());
    std::fs::write(folder.path().join("service"), enclave).unwrap();
    let run = carrara(folder.path(), &["package-info", "service"]);
    let signer = hex::encode(Sha256::digest([0x11; 384]));
    assert_eq!(
        run.text(),
        format!(
            "UniqueID (MRENCLAVE)      : {}\nSignerID (MRSIGNER)       : {signer}\nProductID (ISVPRODID)     : 263\n\
             SecurityVersion (ISVSVN)  : 515\n",
            "ab".repeat(32)
        )
    );
    assert!(run.complaints().contains("signed for debug mode"), "{}", run.complaints());
    let json = carrara(folder.path(), &["package-info", "service", "--output", "json"]).json();
    assert_eq!((&json["SignerID"], &json["SecurityVersion"]), (&json!(signer), &json!(515)));
    let error = carrara(folder.path(), &["package-info", "."]).error();
    assert!(error.contains("build/lib/libocclum-libos.signed.so") && error.contains("*.sig"), "{error}");
}
