//! C-1..C-4 with a verifier that says what it is told.

use carrara_types::claims::{Platform, SgxIdentity, Tee};

use super::*;
use crate::test_server::{TestServer, success};

struct Proves(Claims);

impl QuoteVerifier for Proves {
    fn verify(&self, quote: &[u8]) -> Result<Claims, Box<dyn Error + Send + Sync>> {
        if quote == [1, 2] { Ok(self.0.clone()) } else { Err("not the quote".into()) }
    }
}

fn claims(report_data: Vec<u8>) -> Claims {
    let identity =
        SgxIdentity { unique_id: [0xab; 32], signer_id: [0xcd; 32], product_id: 7, security_version: 3 };
    Claims {
        tee: Tee::Sgx,
        debug: false,
        tcb_status: "UpToDate".to_owned(),
        advisories: Some(Vec::new()),
        report_data,
        identity: Identity::Sgx(identity),
        platform: Platform::default(),
    }
}

fn policy() -> AttestationPolicy {
    AttestationPolicy {
        security_version: 3,
        product_id: 7,
        signer_id: "CD".repeat(32),
        accepted_tcb_statuses: vec!["UpToDate".to_owned(), "SWHardeningNeeded".to_owned()],
        ..AttestationPolicy::default()
    }
}

async fn server(quote: &'static str) -> TestServer {
    let authority = crate::test_server::authority();
    let chain = serde_json::to_string(&authority.chain_pem).unwrap();
    TestServer::start_as(authority, move |_| success(&format!("{{\"cert\":{chain},\"quote\":{quote}}}")))
        .await
}

fn bound(server: &TestServer, nonce: &[u8]) -> Vec<u8> {
    let mut data = Sha256::new().chain_update(&server.authority.root).chain_update(nonce).finalize().to_vec();
    data.resize(64, 0);
    data
}

// C-2; X-31: what was verified is given back
#[tokio::test]
async fn a_coordinator_whose_quote_binds_root_and_nonce_is_accepted() {
    let server = server("\"AQI=\"").await;
    let client = server.client_with(Trust::Insecure);
    let verifier = Proves(claims(bound(&server, b"nonce")));
    let attested = attest(&client, &policy(), Some(&verifier), b"nonce").await.unwrap();
    assert_eq!(attested.trust, Trust::Root(server.authority.root.clone()));
    assert_eq!(attested.quote, Some(vec![1, 2]));
    let error = attest(&client, &policy(), Some(&verifier), b"other").await.unwrap_err();
    assert!(matches!(error, AttestationError::ReportData), "{error:?}");
    let short = Proves(claims(Vec::new()));
    assert!(matches!(attest(&client, &policy(), Some(&short), b"").await, Err(AttestationError::ReportData)));
}

#[tokio::test]
async fn without_a_verifier_nothing_is_asked_and_nothing_accepted() {
    let server = server("\"AQI=\"").await;
    let error = attest(&server.client_with(Trust::Insecure), &policy(), None, b"").await.unwrap_err();
    let expected = "quote verification is not available in this version; use --insecure in simulation";
    assert_eq!(error.to_string(), expected);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_missing_or_false_quote_is_refused() {
    let without = server("null").await;
    let verifier = Proves(claims(bound(&without, b"")));
    let result = attest(&without.client_with(Trust::Insecure), &policy(), Some(&verifier), b"").await;
    assert!(matches!(result, Err(AttestationError::NoQuote)), "{result:?}");
    let other = server("\"Aw==\"").await;
    let result = attest(&other.client_with(Trust::Insecure), &policy(), Some(&verifier), b"").await;
    assert!(matches!(result, Err(AttestationError::Quote(_))), "{result:?}");
}

#[tokio::test]
async fn insecure_takes_the_chain_and_keeps_trusting_anybody() {
    let server = server("null").await;
    let attested = attest_insecure(&server.client_with(Trust::Insecure), b"").await.unwrap();
    assert_eq!(attested.chain.root(), &server.authority.root);
    assert_eq!((attested.trust, attested.quote), (Trust::Insecure, None));
}

// C-3
#[test]
fn without_a_unique_id_version_and_product_are_required() {
    let refused = |policy: AttestationPolicy| policy.check().unwrap_err().to_string();
    assert!(refused(AttestationPolicy { security_version: 0, ..policy() }).contains("SecurityVersion"));
    assert!(refused(AttestationPolicy { product_id: 0, ..policy() }).contains("ProductID"));
    AttestationPolicy { unique_id: "ab".repeat(32), ..AttestationPolicy::default() }.check().unwrap();
    assert!(policy().warnings().is_empty());
    assert_eq!(AttestationPolicy { signer_id: String::new(), ..policy() }.warnings().len(), 1);
}

// C-3
#[test]
fn the_identity_is_compared_field_by_field() {
    let claims = claims(Vec::new());
    policy().accept(&claims).unwrap();
    AttestationPolicy { unique_id: "aB".repeat(32), ..policy() }.accept(&claims).unwrap();
    AttestationPolicy { security_version: 2, ..policy() }.accept(&claims).unwrap();
    AttestationPolicy { product_id: 0, ..policy() }.accept(&claims).unwrap();
    let what = |policy: AttestationPolicy| match policy.accept(&claims) {
        Err(AttestationError::Identity { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what(AttestationPolicy { unique_id: "00".repeat(32), ..policy() }), "UniqueID");
    assert_eq!(what(AttestationPolicy { signer_id: "00".repeat(32), ..policy() }), "SignerID");
    assert_eq!(what(AttestationPolicy { security_version: 4, ..policy() }), "SecurityVersion");
    assert_eq!(what(AttestationPolicy { product_id: 8, ..policy() }), "ProductID");
}

// C-3
#[test]
fn a_debug_enclave_is_accepted_only_if_the_policy_says_so() {
    let debug = Claims { debug: true, ..claims(Vec::new()) };
    assert!(matches!(policy().accept(&debug), Err(AttestationError::Debug)));
    AttestationPolicy { debug: true, ..policy() }.accept(&debug).unwrap();
    AttestationPolicy { debug: true, ..policy() }.accept(&claims(Vec::new())).unwrap();
}

// C-4 as M-81, M-82
#[test]
fn tcb_status_and_advisories_are_judged() {
    let with = |status: &str, advisories: Option<&[&str]>| Claims {
        tcb_status: status.to_owned(),
        advisories: advisories.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()),
        ..claims(Vec::new())
    };
    let none = AttestationPolicy { accepted_tcb_statuses: Vec::new(), ..policy() };
    none.accept(&with("UpToDate", None)).unwrap();
    assert!(matches!(none.accept(&with("SWHardeningNeeded", None)), Err(AttestationError::Tcb(_))));
    assert!(matches!(policy().accept(&with("OutOfDate", None)), Err(AttestationError::Tcb(_))));
    policy().accept(&with("SWHardeningNeeded", None)).unwrap();

    let strict = AttestationPolicy { accepted_advisories: vec!["intel-sa-1".to_owned()], ..policy() };
    strict.accept(&with("SWHardeningNeeded", Some(&["INTEL-SA-1"]))).unwrap();
    strict.accept(&with("UpToDate", Some(&["INTEL-SA-2"]))).unwrap();
    let refused = |claims| strict.accept(&claims).unwrap_err().to_string();
    assert!(refused(with("SWHardeningNeeded", Some(&["INTEL-SA-1", "INTEL-SA-2"]))).contains("INTEL-SA-2"));
    assert!(refused(with("SWHardeningNeeded", None)).contains("cannot be read"));
}

// cli.md section 2
#[test]
fn a_policy_file_is_read_whatever_the_case_of_its_fields() {
    let text =
        br#"{"securityversion":3,"ProductID":7,"SignerID":"cd","UNIQUEID":"","Debug":true,"Other":[1]}"#;
    let read = AttestationPolicy::from_json(text).unwrap();
    assert_eq!((read.security_version, read.product_id, read.debug), (3, 7, true));
    assert_eq!(read.signer_id, "cd");
    assert!(AttestationPolicy::from_json(b"[]").is_err());
    assert!(AttestationPolicy::from_json(br#"{"ProductID":"7"}"#).is_err());
}
