//! sign-quote on the real binary (rest-api.md, sign-quote; G-31). In simulation no quote verifies; what a verified one is
//! answered with, the use case's own tests show.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api;
use carrara_tests::coordinator::Coordinator;
use carrara_tests::manifests;
use serde_json::json;

const PATH: &str = "/api/v2/sign-quote";

// rest-api.md sign-quote: M-74's gate comes before the body
#[test]
fn without_the_gate_the_endpoint_is_403() {
    let coordinator = Coordinator::start();
    for body in ["", "{}", r#"{"sgxQuote":"AAAA"}"#] {
        let before = api::post(&coordinator, PATH, body);
        let text = "SignQuoteEndpoint feature is not enabled in the manifest";
        assert_eq!((before.status, before.message().as_str()), (403, text));
        assert_eq!(before.json()["status"], "error");
    }
    let mut manifest = manifests::minimal();
    manifest["Config"] = json!({ "FeatureGates": ["MonotonicCounter"] });
    api::set(&coordinator, &manifest);
    assert_eq!(api::post(&coordinator, PATH, "{}").status, 403, "the other gate does not open it");
}

// rest-api.md sign-quote: both failures, told apart by their data
#[test]
fn what_is_no_quote_and_what_does_not_verify_are_400_with_the_reason_in_the_data() {
    let coordinator = Coordinator::start();
    let mut manifest = manifests::minimal();
    manifest["Config"] = json!({ "FeatureGates": ["signquoteENDPOINT"] });
    api::set(&coordinator, &manifest);
    for body in ["", "{", r#"{"sgxQuote":7}"#, r#"{"sgxQuote":"***"}"#] {
        let answer = api::post(&coordinator, PATH, body);
        assert_eq!((answer.status, answer.json()["status"].as_str()), (400, Some("fail")), "{}", answer.body);
        assert_eq!(answer.data(), json!({ "sgxQuote": "failed to parse JSON data" }), "{body}");
    }
    for quote in [vec![], vec![3; 20], [&[3, 0, 2, 0][..], &[0; 432]].concat()] {
        let body = json!({ "SGXQUOTE": STANDARD.encode(quote) }).to_string();
        let answer = api::post(&coordinator, PATH, body);
        assert_eq!((answer.status, answer.json()["status"].as_str()), (400, Some("fail")), "{}", answer.body);
        assert_eq!(answer.message(), "quote verification failed");
        let reason = answer.data()["sgxQuote"].as_str().unwrap().to_owned();
        assert!(reason.starts_with("quote verification failed: "), "{reason}");
    }
}
