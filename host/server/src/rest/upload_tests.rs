//! POST secrets, from the request to what is read back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::openapi::tests::ask;
use crate::testing::Pair;
use crate::testing::world::{Caller, World};

const V1: &str = "POST /secrets";
const V2: &str = "POST /api/v2/secrets";

/// The map as each version takes it.
fn both(map: &str) -> [(&'static str, String); 2] {
    [(V1, map.to_owned()), (V2, format!("{{\"secrets\":{map}}}"))]
}

async fn read(world: &World, name: &str) -> Value {
    let (status, envelope) = ask(world, Caller::Admin, &format!("GET /secrets?s={name}"), "").await;
    assert_eq!(status, 200);
    envelope["data"][name].clone()
}

// R-53, S-50, S-54
#[tokio::test]
async fn what_is_written_is_read_back_and_the_answer_is_null() {
    let world = World::new().await;
    for (number, (endpoint, body)) in
        [both(r#"{"token":{"kEy":"AQL/"}}"#), both(r#"{"token":{"Key":[1,2,255]}}"#)]
            .into_iter()
            .flatten()
            .enumerate()
    {
        let (status, envelope) = ask(&world, Caller::Admin, endpoint, body).await;
        assert_eq!((status, &envelope), (200, &json!({ "status": "success", "data": null })), "{number}");
        let secret = read(&world, "token").await;
        assert_eq!((&secret["Private"], &secret["Public"]), (&json!("AQL/"), &json!("AQL/")));
        ask(&world, Caller::Admin, V1, r#"{"token":null}"#).await;
        assert_eq!(read(&world, "token").await["Private"], Value::Null);
    }
}

// S-53
#[tokio::test]
async fn a_certificate_is_read_back_with_its_public_key() {
    let world = World::new().await;
    let pair = Pair::p256();
    let (cert, key) = (STANDARD.encode(&pair.certificate), STANDARD.encode(&pair.key));
    for (endpoint, body) in both(&json!({ "certificate": { "Cert": cert, "Private": key } }).to_string()) {
        assert_eq!(ask(&world, Caller::Admin, endpoint, body).await.0, 200);
        let secret = read(&world, "certificate").await;
        assert_eq!((&secret["Cert"], &secret["Private"]), (&json!(cert), &json!(key)));
        assert!(secret["Public"].as_str().unwrap().len() > 80);
    }
}

// R-53, S-51, S-53
#[tokio::test]
async fn what_does_not_fit_is_400_in_v1_and_500_in_v2() {
    let world = World::new().await;
    for (map, words) in [
        ("{}", "parsing new secrets: no new secrets defined"),
        (r#"{"key":{"Key":"AA=="}}"#, "parsing new secrets: secret key is not writeable"),
        (r#"{"certificate":{"Cert":"%"}}"#, "parsing new secrets: "),
    ] {
        for ((endpoint, body), expected) in both(map).into_iter().zip([400, 500]) {
            let (status, envelope) = ask(&world, Caller::Admin, endpoint, body).await;
            assert_eq!((status, &envelope["status"]), (expected, &json!("error")), "{map}");
            let message = envelope["message"].as_str().unwrap();
            assert!(message.starts_with(words), "{message}");
        }
    }
}

// R-53, R-24, S-54b
#[tokio::test]
async fn what_is_not_understood_is_400_an_error_in_v1_and_a_fail_in_v2() {
    let world = World::new().await;
    for (map, words) in [
        ("", "EOF"),
        ("[]", "the body is not a JSON object"),
        (r#"{"token":{"Key":"hunter2!"}}"#, "secret \"token\": field \"Key\""),
        (r#"{"token":{"Cert":"AAAA"}}"#, "x509: malformed certificate"),
    ] {
        for ((endpoint, body), kind) in both(map).into_iter().zip(["error", "fail"]) {
            let body = if map.is_empty() { String::new() } else { body };
            let (status, envelope) = ask(&world, Caller::Admin, endpoint, body).await;
            assert_eq!((status, &envelope["status"]), (400, &json!(kind)), "{map}");
            let message = envelope["message"].as_str().unwrap();
            let words = match (map, kind) {
                ("[]", "fail") => "field \"secrets\" must be an object",
                ("", "error") => "unexpected end of JSON input",
                _ => words,
            };
            assert!(message.starts_with(words) && !message.contains("hunter2"), "{message}");
        }
    }
}

// rest-api.md section 4, X-11: who is no user learns nothing of the body; who may not write, nothing of the secrets
#[tokio::test]
async fn strangers_are_401_before_the_body_and_permission_comes_before_what_the_secrets_are() {
    let world = World::new().await;
    for caller in [Caller::Nobody, Caller::Stranger, Caller::Marble] {
        for (endpoint, _) in both("") {
            assert_eq!(ask(&world, caller, endpoint, "[").await.0, 401);
        }
    }
    for map in [r#"{"token":{"Key":""}}"#, r#"{"key":{"Key":""}}"#, r#"{"none":{}}"#] {
        let (status, envelope) = ask(&world, Caller::Guest, V1, map).await;
        let name = map.split('"').nth(1).unwrap();
        let message = format!("user guest is not allowed to update secret: {name}");
        assert_eq!((status, &envelope["message"]), (400, &json!(message)));
    }
}

// X-17
#[tokio::test]
async fn an_upload_over_the_limit_is_413() {
    let world = World::new().await;
    let limit = crate::limits::Limits::default().secrets_bytes;
    for (endpoint, _) in both("") {
        assert_eq!(ask(&world, Caller::Admin, endpoint, vec![b' '; limit + 1]).await.0, 413);
        assert_eq!(ask(&world, Caller::Admin, endpoint, vec![b' '; limit]).await.0, 400);
    }
}
