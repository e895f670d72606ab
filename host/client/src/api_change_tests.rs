//! Calls that change something, and what only newer coordinators offer.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::test_server::{Seen, TestServer, not_allowed, success};
use crate::{Limits, SecretUploads};

const REFUSED: &str = r#"{"status":"error","data":null,"message":"no"}"#;
const NONE_PENDING: &str = r#"{"status":"error","data":null,"message":"no update in progress"}"#;

/// A server of version 1 only, with an answer per path.
async fn version_one(answers: &'static [(&'static str, u16, &'static str)]) -> TestServer {
    TestServer::start(move |seen: &Seen| {
        let call = format!("{} {}", seen.method, seen.target);
        match answers.iter().find(|(known, ..)| *known == call) {
            Some((_, 200, data)) => success(data),
            Some((_, code, body)) => (*code, (*body).to_owned()),
            None => not_allowed(),
        }
    })
    .await
}

async fn version_two(data: &'static str) -> TestServer {
    TestServer::start(move |_| success(data)).await
}

fn sent(server: &TestServer, index: usize) -> Value {
    serde_json::from_slice(&server.seen()[index].body).unwrap()
}

// R-53
#[tokio::test]
async fn secrets_are_sent_wrapped_to_version_two_and_bare_to_version_one() {
    let uploads = SecretUploads::key("a", b"\x01");
    let server = version_two("null").await;
    server.client().set_secrets(&uploads).await.unwrap();
    assert_eq!(sent(&server, 0), json!({ "secrets": { "a": { "Key": "AQ==" } } }));
    let server = version_one(&[("POST /secrets", 200, "null")]).await;
    server.client().set_secrets(&uploads).await.unwrap();
    assert_eq!(server.targets(), ["POST /api/v2/secrets", "POST /secrets"]);
    assert_eq!(sent(&server, 1), json!({ "a": { "Key": "AQ==" } }));
}

// C-12
#[tokio::test]
async fn a_body_is_sent_as_json_over_both_versions() {
    let uploads = SecretUploads::key("a", b"\x01");
    let servers = [version_two("null").await, version_one(&[("POST /secrets", 200, "null")]).await];
    for server in servers {
        server.client().set_secrets(&uploads).await.unwrap();
        for seen in server.seen() {
            assert_eq!(seen.content_type.as_deref(), Some("application/json"), "{}", seen.target);
        }
    }
}

// C-10, C-11
#[tokio::test]
async fn a_refused_change_is_an_error_and_is_not_tried_again() {
    for code in [400, 401, 403, 404, 413, 500, 503] {
        let server = TestServer::start(move |_| (code, REFUSED.to_owned())).await;
        let client = server.client();
        client.set_secrets(&SecretUploads::key("a", b"")).await.unwrap_err();
        client.update_manifest(b"{}").await.unwrap_err();
        client.acknowledge_update(b"{}").await.unwrap_err();
        client.cancel_update().await.unwrap_err();
        client.pending_update().await.unwrap_err();
        client.audit(0, None).await.unwrap_err();
        client.log_head(0).await.unwrap_err();
        assert_eq!(
            server.targets(),
            [
                "POST /api/v2/secrets",
                "POST /api/v2/update",
                "POST /api/v2/update-manifest",
                "POST /api/v2/update-cancel",
                "GET /api/v2/update-manifest",
                "GET /api/v2/audit?from=0",
                "GET /api/v2/update/head?from=0"
            ]
        );
    }
}

// R-56
#[tokio::test]
async fn an_update_tells_who_must_acknowledge_or_that_it_took_effect() {
    let server = version_two(
        r#"{"missingAcknowledgments":2,"missingUsers":["a","b","c"],"warnings":[{"message":"w"}]}"#,
    )
    .await;
    let progress = server.client().update_manifest(b"{}").await.unwrap();
    assert_eq!((progress.missing_acknowledgments, progress.missing_users.len()), (2, 3));
    assert_eq!(progress.warnings[0].message, "w");
    assert_eq!(sent(&server, 0), json!({ "manifest": "e30=" }));

    let applied = r#"{"missingAcknowledgments":0,"missingUsers":null,"recoverySecrets":{"r":"AQ=="}}"#;
    let progress = version_two(applied).await.client().update_manifest(b"{}").await.unwrap();
    assert_eq!((progress.missing_acknowledgments, progress.missing_users.len()), (0, 0));
    assert_eq!(progress.recovery_secrets, BTreeMap::from([("r".to_owned(), "AQ==".to_owned())]));
}

#[tokio::test]
async fn policies_are_sent_along_in_base64_and_never_left_out() {
    let server = version_two("null").await;
    let policies = [vec![1], vec![2, 3]];
    server.client().update_manifest_with(b"{}", &policies).await.unwrap();
    server.client().set_manifest_with(b"{}", &policies).await.unwrap();
    for index in 0..2 {
        assert_eq!(sent(&server, index), json!({ "manifest": "e30=", "policies": ["AQ==", "AgM="] }));
    }
    let old = version_one(&[("POST /update", 200, "null"), ("POST /manifest", 200, "null")]).await;
    let updated = old.client().update_manifest_with(b"{}", &policies).await;
    let set = old.client().set_manifest_with(b"{}", &policies).await;
    assert!(matches!(updated, Err(ClientError::NotOffered(_))), "{updated:?}");
    assert!(matches!(set, Err(ClientError::NotOffered(_))), "{set:?}");
    assert_eq!(old.targets(), ["POST /api/v2/update", "POST /api/v2/manifest"]);
}

#[tokio::test]
async fn what_the_caller_makes_sure_of_is_a_query_in_both_versions() {
    let (base, lockout) = (Some("00ff".to_owned()), true);
    for (guards, query) in [
        (UpdateGuards::default(), ""),
        (UpdateGuards { refuse_lockout: lockout, base: None }, "?lockout=refuse"),
        (UpdateGuards { refuse_lockout: false, base: base.clone() }, "?base=00ff"),
        (UpdateGuards { refuse_lockout: lockout, base }, "?lockout=refuse&base=00ff"),
    ] {
        let old = TestServer::start(|seen: &Seen| match seen.target.starts_with("/api/v2") {
            true => not_allowed(),
            false => success("null"),
        })
        .await;
        let _ = old.client().acknowledge_update_guarded(b"{}", &guards).await;
        let _ = old.client().update_manifest_guarded(b"{}", &[], &guards).await;
        let asked = ["/api/v2/update-manifest", "/update-manifest", "/api/v2/update", "/update"];
        assert_eq!(old.targets()[..4], asked.map(|path| format!("POST {path}{query}")));
    }
}

// C-14
#[tokio::test]
async fn an_update_without_data_took_effect() {
    for data in ["null", "{}"] {
        let progress = version_two(data).await.client().update_manifest(b"{}").await.unwrap();
        assert_eq!(progress, UpdateProgress::default());
    }
}

// R-56, C-14: version 1 says nothing, so the pending update is asked for.
#[tokio::test]
async fn over_version_one_an_update_took_effect_unless_one_waits() {
    let asks = ["POST /api/v2/update", "POST /update", "GET /api/v2/update-manifest", "GET /update-manifest"];
    let applied =
        version_one(&[("POST /update", 200, "null"), ("GET /update-manifest", 404, NONE_PENDING)]).await;
    assert_eq!(applied.client().update_manifest(b"{ }").await.unwrap(), UpdateProgress::default());
    assert_eq!(applied.targets(), asks);
    assert_eq!(applied.seen()[1].body, b"{ }");

    let older = version_one(&[("POST /update", 200, "null")]).await;
    assert_eq!(older.client().update_manifest(b"{}").await.unwrap(), UpdateProgress::default());

    let waits = version_one(&[
        ("POST /update", 200, "null"),
        (
            "GET /update-manifest",
            200,
            r#"{"manifest":"e30=","message":"2 users still need to acknowledge the update manifest","missingUsers":["a","b"]}"#,
        ),
    ])
    .await;
    let progress = waits.client().update_manifest(b"{}").await.unwrap();
    assert_eq!((progress.missing_acknowledgments, progress.missing_users), (2, vec!["a".into(), "b".into()]));
}

// R-59
#[tokio::test]
async fn an_acknowledgement_is_understood_over_both_versions() {
    let server = version_two(r#"{"message":"m","missingUsers":["b"],"missingAcknowledgments":1}"#).await;
    let progress = server.client().acknowledge_update(b"{}").await.unwrap();
    assert_eq!((progress.missing_acknowledgments, progress.message.as_str()), (1, "m"));
    assert_eq!(sent(&server, 0), json!({ "manifest": "e30=" }));

    for (text, missing) in [
        (r#""All users have acknowledged the update manifest. Update successfully applied""#, 0),
        (r#""1 user still needs to acknowledge the update manifest""#, 1),
        (r#""3 users still need to acknowledge the update manifest""#, 3),
    ] {
        let answers = Box::leak(Box::new([("POST /update-manifest", 200, text)]));
        let progress = version_one(answers).await.client().acknowledge_update(b"{}").await.unwrap();
        assert_eq!(progress.missing_acknowledgments, missing);
        assert_eq!(format!("{:?}", progress.message), text);
    }
}

// R-60a
#[tokio::test]
async fn a_cancellation_gives_the_coordinators_words() {
    let server = version_two(r#"{"message":"Update successfully cancelled"}"#).await;
    assert_eq!(server.client().cancel_update().await.unwrap(), "Update successfully cancelled");
    let server = version_one(&[("POST /update-cancel", 200, r#""Update successfully cancelled""#)]).await;
    assert_eq!(server.client().cancel_update().await.unwrap(), "Update successfully cancelled");
}

// R-58
#[tokio::test]
async fn the_pending_update_is_read() {
    let server = version_two(r#"{"manifest":"e30=","message":"m","missingUsers":["a"]}"#).await;
    let pending = server.client().pending_update().await.unwrap();
    let expected = PendingUpdate {
        manifest: b"{}".to_vec(),
        message: "m".to_owned(),
        missing_users: vec!["a".to_owned()],
    };
    assert_eq!(pending, expected);
}

// R-58, R-59, R-60a
#[tokio::test]
async fn no_pending_update_is_told_from_other_404s() {
    let server = TestServer::start(|_| (404, NONE_PENDING.to_owned())).await;
    let client = server.client();
    assert!(matches!(client.pending_update().await, Err(ClientError::NoUpdate)));
    assert!(matches!(client.acknowledge_update(b"{}").await, Err(ClientError::NoUpdate)));
    assert!(matches!(client.cancel_update().await, Err(ClientError::NoUpdate)));
    let other = TestServer::start(|_| (404, REFUSED.to_owned())).await;
    assert!(matches!(other.client().pending_update().await, Err(ClientError::Api(_))));
}

// rest-api.md monotonic-counter
#[tokio::test]
async fn a_counter_gives_its_previous_value() {
    let server = version_two(r#"{"value":18446744073709551615}"#).await;
    assert_eq!(server.client().set_monotonic_counter("n", 7).await.unwrap(), u64::MAX);
    assert_eq!(sent(&server, 0), json!({ "name": "n", "value": 7 }));
    let old = version_one(&[]).await;
    let error = old.client().set_monotonic_counter("n", 7).await.unwrap_err();
    assert!(matches!(error, ClientError::NotOffered("monotonic counters")), "{error:?}");
}

// rest-api.md sign-quote
#[tokio::test]
async fn a_quote_is_signed_or_refused_with_the_reason() {
    let server = version_two(r#"{"tcbStatus":"OutOfDate","verificationSignature":"AQI="}"#).await;
    let signed = server.client().sign_quote(&[3]).await.unwrap();
    assert_eq!(signed, SignedQuote { tcb_status: "OutOfDate".to_owned(), signature: vec![1, 2] });
    assert_eq!(sent(&server, 0), json!({ "sgxQuote": "Aw==" }));
    let body = r#"{"status":"fail","data":{"sgxQuote":"quote verification failed: x"},"message":"quote verification failed"}"#;
    let server = TestServer::start(move |_| (400, body.to_owned())).await;
    let error = server.client().sign_quote(&[3]).await.unwrap_err();
    let ClientError::Api(refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.data.as_deref(), Some(r#"{"sgxQuote":"quote verification failed: x"}"#));
}

#[tokio::test]
async fn a_part_of_the_log_is_asked_for_and_cut_where_the_server_sends_all() {
    let server = version_two(r#"{"updateLog":["b","c"]}"#).await;
    assert_eq!(server.client().update_log_range(1, Some(2)).await.unwrap(), ["b", "c"]);
    assert_eq!(server.targets(), ["GET /api/v2/update?from=1&limit=2"]);
    let all = version_two(r#"{"updateLog":["a","b","c","d"]}"#).await;
    assert_eq!(all.client().update_log_range(1, Some(2)).await.unwrap(), ["b", "c"]);
    let one = version_one(&[("GET /update", 200, r#""a\nb\nc\n""#)]).await;
    assert_eq!(one.client().update_log_range(1, None).await.unwrap(), ["b", "c"]);
    assert!(one.client().update_log_range(9, Some(5)).await.unwrap().is_empty());
}

// R-60: the number of lines is not limited
#[tokio::test]
async fn a_log_that_is_too_long_for_one_answer_is_read_in_parts() {
    let all: Vec<String> = (0..1200).map(|line| format!("line {line}")).collect();
    let lines = all.clone();
    let server = TestServer::start(move |seen: &Seen| {
        let part = match seen.target.as_str() {
            "/api/v2/update" => &lines[..],
            "/api/v2/update?from=0&limit=500" => &lines[..500],
            "/api/v2/update?from=500&limit=500" => &lines[500..1000],
            "/api/v2/update?from=1000&limit=500" => &lines[1000..],
            other => panic!("{other}"),
        };
        success(&json!({ "updateLog": part }).to_string())
    })
    .await;
    let limits = Limits { answer_bytes: 10_000, ..Limits::default() };
    assert_eq!(server.client().with_limits(limits).update_log().await.unwrap(), all);
    let whole = version_two(r#"{"updateLog":["a","b","c","d"]}"#).await;
    let limits = Limits { answer_bytes: 10, ..Limits::default() };
    let error = whole.client().with_limits(limits).update_log().await.unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { .. }), "{error:?}");
    assert_eq!(whole.targets().len(), 2, "it knows no parts");
}

#[tokio::test]
async fn the_head_comes_with_its_proof() {
    let hash = BASE64_STANDARD.encode([7; 32]);
    let data = format!(r#"{{"checkpoint":"text","consistency":["{hash}"]}}"#);
    let server = TestServer::start(move |_| success(&data)).await;
    let head = server.client().log_head(3).await.unwrap();
    assert_eq!((head.checkpoint.as_str(), head.consistency), ("text", vec![[7; 32]]));
    assert_eq!(server.targets(), ["GET /api/v2/update/head?from=3"]);
    let short = version_two(r#"{"checkpoint":"text","consistency":["AQ=="]}"#).await;
    assert!(matches!(short.client().log_head(3).await, Err(ClientError::Malformed { .. })));
}

#[tokio::test]
async fn the_audit_trail_is_read_by_page() {
    let server = version_two(
        r#"{"first":1,"from":2,"next":3,"end":9,"entries":[{"index":2,"time":"t","user":null,"action":"SetManifest",
            "resources":["x"],"outcome":"done","moreResources":4}]}"#,
    )
    .await;
    let page = server.client().audit(2, Some(1)).await.unwrap();
    assert_eq!((page.first, page.from, page.next, page.end), (1, 2, 3, 9));
    let entry = &page.entries[0];
    assert_eq!((entry.index, entry.user.as_deref(), entry.action.as_str()), (2, None, "SetManifest"));
    assert_eq!(entry.more["moreResources"], 4);
    assert_eq!(server.targets(), ["GET /api/v2/audit?from=2&limit=1"]);
}

#[tokio::test]
async fn the_openapi_document_has_no_envelope() {
    let server = TestServer::start(|_| (200, r#"{"openapi":"3.1.0"}"#.to_owned())).await;
    assert_eq!(server.client().openapi().await.unwrap()["openapi"], "3.1.0");
    let server = TestServer::start(|_| (503, REFUSED.to_owned())).await;
    assert!(matches!(server.client().openapi().await, Err(ClientError::Api(_))));
}
