//! Sign-quote, counters, the log with its head, and the audit trail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::openapi::tests::{ask, document};
use crate::testing::text_of;
use crate::testing::world::{Caller, World};

const SIGN: &str = "POST /api/v2/sign-quote";
const COUNTER: &str = "POST /api/v2/monotonic-counter";

// rest-api.md, sign-quote
#[tokio::test]
async fn a_quote_that_verifies_is_signed_and_another_one_is_a_fail_with_data() {
    let world = World::new().await;
    let (status, envelope) = ask(&world, Caller::Nobody, SIGN, r#"{"SGXQuote":"AQID"}"#).await;
    assert_eq!((status, &envelope["data"]["tcbStatus"]), (200, &json!("UpToDate")));
    let signature = STANDARD.decode(envelope["data"]["verificationSignature"].as_str().unwrap()).unwrap();
    assert_eq!(signature[0], 0x30);
    for body in ["{}", r#"{"sgxQuote":""}"#] {
        let (status, envelope) = ask(&world, Caller::Nobody, SIGN, body).await;
        assert_eq!((status, &envelope["message"]), (400, &json!("quote verification failed")));
        let reason = envelope["data"]["sgxQuote"].as_str().unwrap();
        assert!(reason.starts_with("quote verification failed: "), "{reason}");
    }
    for body in ["", "[", r#"{"sgxQuote":"%"}"#, r#"{"sgxQuote":1}"#] {
        let (status, envelope) = ask(&world, Caller::Nobody, SIGN, body).await;
        assert_eq!((status, &envelope["status"]), (400, &json!("fail")));
        assert_eq!(envelope["data"], json!({ "sgxQuote": "failed to parse JSON data" }), "{body}");
    }
}

// M-74
#[tokio::test]
async fn features_are_off_unless_the_manifest_names_them() {
    let world = World::without_manifest().await;
    let mut manifest = world.manifest();
    manifest["Config"] = json!({ "FeatureGates": ["monotoniccounter"] });
    let (status, _) = ask(&world, Caller::Nobody, "POST /manifest", manifest.to_string()).await;
    assert_eq!(status, 200);
    let (status, envelope) = ask(&world, Caller::Nobody, SIGN, r#"{"sgxQuote":"AQID"}"#).await;
    let message = "SignQuoteEndpoint feature is not enabled in the manifest";
    assert_eq!((status, &envelope["message"]), (403, &json!(message)));
    assert_eq!(ask(&world, Caller::Nobody, COUNTER, "{}").await.0, 401);
}

// rest-api.md, monotonic-counter
#[tokio::test]
async fn a_counter_answers_the_value_before_and_never_goes_down() {
    let world = World::new().await;
    for (value, before) in [(5, 0), (3, 5), (5, 5), (u64::MAX, 5), (0, u64::MAX)] {
        let body = json!({ "name": "n", "value": value }).to_string();
        let (status, envelope) = ask(&world, Caller::Marble, COUNTER, body).await;
        assert_eq!((status, &envelope["data"]), (200, &json!({ "value": before })));
    }
    let (_, envelope) = ask(&world, Caller::Marble, COUNTER, r#"{"name":"other"}"#).await;
    assert_eq!(envelope["data"]["value"], 0);
}

// rest-api.md, monotonic-counter; section 4: the certificate comes before the body
#[tokio::test]
async fn a_counter_is_refused_to_all_but_marbles_and_with_a_body_that_is_not_understood() {
    let world = World::new().await;
    for caller in [Caller::Nobody, Caller::Stranger, Caller::Admin] {
        let (status, envelope) = ask(&world, caller, COUNTER, "[").await;
        assert_eq!((status, &envelope["status"]), (401, &json!("fail")));
        let message = envelope["message"].as_str().unwrap();
        assert!(message.starts_with("unauthorized marble: "), "{message}");
    }
    for body in ["", "[", r#"{"name":"n","value":-1}"#, r#"{"name":"n","value":1.5}"#, r#"{"name":5}"#] {
        let (status, envelope) = ask(&world, Caller::Marble, COUNTER, body).await;
        assert_eq!((status, &envelope["status"]), (400, &json!("fail")), "{body}");
    }
    for (length, expected) in [(1024, 200), (1025, 400)] {
        let body = json!({ "name": "n".repeat(length), "value": 1 }).to_string();
        assert_eq!(ask(&world, Caller::Marble, COUNTER, body).await.0, expected);
    }
}

// R-55
#[tokio::test]
async fn the_log_is_read_in_parts_in_version_2() {
    let world = World::new().await;
    for key in ["AQ==", "Ag=="] {
        let body = json!({ "token": { "Key": key } }).to_string();
        assert_eq!(ask(&world, Caller::Admin, "POST /secrets", body).await.0, 200);
    }
    let whole = ask(&world, Caller::Nobody, "GET /api/v2/update", "").await.1["data"]["updateLog"].clone();
    assert_eq!(whole.as_array().unwrap().len(), 3);
    for (query, range) in [
        ("from=1", 1..3),
        ("limit=2", 0..2),
        ("from=1&limit=1", 1..2),
        ("limit=0", 0..0),
        ("from=3", 3..3),
        ("from=9&limit=9", 3..3),
    ] {
        let (status, envelope) =
            ask(&world, Caller::Nobody, &format!("GET /api/v2/update?{query}"), "").await;
        let expected = Value::from(whole.as_array().unwrap()[range].to_vec());
        assert_eq!((status, &envelope["data"]["updateLog"]), (200, &expected), "{query}");
    }
    let joined = ask(&world, Caller::Nobody, "GET /update?from=2", "").await.1["data"].clone();
    assert_eq!(joined.as_str().unwrap().lines().count(), 3);
}

#[tokio::test]
async fn the_log_s_head_comes_with_a_proof_from_what_was_seen() {
    let world = World::new().await;
    let (_, envelope) = ask(&world, Caller::Nobody, "GET /api/v2/update/head", "").await;
    let data = &envelope["data"];
    assert!(data["checkpoint"].as_str().unwrap().starts_with("carrara/"));
    assert_eq!(
        (&data["consistency"], data["checkpoint"].as_str().unwrap().lines().nth(1)),
        (&json!([]), Some("1"))
    );
    ask(&world, Caller::Admin, "POST /secrets", r#"{"token":{"Key":""}}"#).await;
    let (_, envelope) = ask(&world, Caller::Nobody, "GET /api/v2/update/head?from=1", "").await;
    let hash = envelope["data"]["consistency"][0].as_str().unwrap();
    assert_eq!(STANDARD.decode(hash).unwrap().len(), 32);
    let (status, envelope) = ask(&world, Caller::Nobody, "GET /api/v2/update/head?from=3", "").await;
    let message = json!("the update log has 2 lines, fewer than from=3");
    assert_eq!((status, &envelope["status"], &envelope["message"]), (400, &json!("fail"), &message));
    assert_eq!(ask(&world, Caller::Nobody, "GET /api/v2/update/head?from=x", "").await.0, 400);
}

#[tokio::test]
async fn the_audit_trail_is_read_in_pages_by_who_may_and_its_query_is_judged_before_the_permission() {
    let world = World::new().await;
    for key in ["AQ==", "Ag==", "Aw=="] {
        let body = json!({ "token": { "Key": key } }).to_string();
        assert_eq!(ask(&world, Caller::Admin, "POST /secrets", body).await.0, 200);
    }
    let (_, whole) = ask(&world, Caller::Admin, "GET /api/v2/audit", "").await;
    let end = whole["data"]["end"].as_u64().unwrap();
    assert!(end >= 3);
    let (_, page) =
        ask(&world, Caller::Admin, &format!("GET /api/v2/audit?from={}&limit=2", end - 3), "").await;
    let data = &page["data"];
    assert_eq!((&data["from"], &data["next"], &data["end"]), (&json!(end - 3), &json!(end - 1), &json!(end)));
    let entries = data["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!((&entries[1]["index"], &entries[1]["action"]), (&json!(end - 2), &json!("WriteSecret")));
    assert_eq!((&entries[1]["user"], &entries[1]["resources"]), (&json!("admin"), &json!(["token"])));
    let (status, past) = ask(&world, Caller::Admin, "GET /api/v2/audit?from=99999", "").await;
    assert_eq!((status, &past["data"]["entries"], &past["data"]["next"]), (200, &json!([]), &json!(end)));

    let (status, envelope) = ask(&world, Caller::Guest, "GET /api/v2/audit?limit=x", "").await;
    assert_eq!((status, &envelope["status"]), (400, &json!("fail")));
    let (status, envelope) = ask(&world, Caller::Guest, "GET /api/v2/audit", "").await;
    assert_eq!((status, &envelope["status"]), (403, &json!("fail")));
}

#[tokio::test]
async fn the_document_is_served_as_it_is() {
    let world = World::without_manifest().await;
    let answer = world.ask(Caller::Nobody, "GET", "/api/v2/openapi.json", "").await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    let served: Value = serde_json::from_str(&text_of(answer).await).unwrap();
    assert_eq!(served, document());
}
