//! The client against a server that answers as a coordinator of either version would.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;
use crate::error::ApiError;
use crate::test_server::{Seen, TestServer, authority, authority_for, impostor_of, not_allowed, success};
use crate::trust::TrustError;
use crate::{Limits, Trust};

/// A server of version 1 only: 405 for all of version 2.
async fn version_one(answer: &'static str) -> TestServer {
    TestServer::start(
        move |seen: &Seen| {
            if seen.target.starts_with("/api/v2/") { not_allowed() } else { success(answer) }
        },
    )
    .await
}

const STATUS: &str = r#"{"code":3,"message":"ready"}"#;

#[tokio::test]
async fn the_status_is_read_over_version_two() {
    let server = TestServer::start(|_| success(STATUS)).await;
    let status = server.client().status().await.unwrap();
    assert_eq!(status, Status { code: 3, message: "ready".to_owned() });
    assert_eq!(server.targets(), ["GET /api/v2/status"]);
}

// C-10
#[tokio::test]
async fn a_405_falls_back_to_version_one() {
    let server = version_one(r#"{"StatusCode":2,"StatusMessage":"waiting"}"#).await;
    let status = server.client().status().await.unwrap();
    assert_eq!(status, Status { code: 2, message: "waiting".to_owned() });
    assert_eq!(server.targets(), ["GET /api/v2/status", "GET /status"]);
}

// C-10
#[tokio::test]
async fn no_other_code_falls_back() {
    for code in [400, 401, 403, 404, 410, 500, 501, 503] {
        let server =
            TestServer::start(move |_| (code, r#"{"status":"error","data":null,"message":"no"}"#.into()))
                .await;
        let client = server.client();
        client.status().await.unwrap_err();
        client.set_manifest(b"{}").await.unwrap_err();
        assert_eq!(server.targets(), ["GET /api/v2/status", "POST /api/v2/manifest"], "{code}");
    }
}

#[tokio::test]
async fn a_server_without_either_version_is_told() {
    let server = TestServer::start(|_| not_allowed()).await;
    let error = server.client().status().await.unwrap_err();
    assert!(matches!(error, ClientError::NotOffered("the status")), "{error:?}");
}

// R-31, R-30
#[tokio::test]
async fn the_manifest_is_read_over_both_versions_and_its_fingerprint_verified() {
    let fingerprint = hex::encode(Sha256::digest(b"{}"));
    let two = format!(
        r#"{{"manifestSignatureRootECDSA":"AQI=","manifestFingerprint":"{fingerprint}","manifest":"e30="}}"#
    );
    let one = format!(
        r#"{{"ManifestSignatureRootECDSA":"AQI=","ManifestSignature":"{fingerprint}","Manifest":"e30="}}"#
    );
    let expected = Manifest { manifest: b"{}".to_vec(), fingerprint, signature: vec![1, 2] };
    let server = TestServer::start(move |_| success(&two)).await;
    assert_eq!(server.client().manifest().await.unwrap(), expected);
    let server = version_one(one.leak()).await;
    assert_eq!(server.client().manifest().await.unwrap(), expected);
}

#[tokio::test]
async fn a_manifest_with_a_wrong_fingerprint_is_refused() {
    let data = format!(r#"{{"manifestFingerprint":"{}","manifest":"e30="}}"#, "00".repeat(32));
    let server = TestServer::start(move |_| success(&data)).await;
    assert!(matches!(server.client().manifest().await, Err(ClientError::Fingerprint { .. })));
}

// X-53
#[tokio::test]
async fn no_manifest_is_told_over_both_versions() {
    let body = r#"{"status":"error","data":null,"message":"requested value not set"}"#;
    let server = TestServer::start(move |_| (500, body.to_owned())).await;
    assert!(matches!(server.client().manifest().await, Err(ClientError::NoManifest)));
    let server =
        version_one(r#"{"ManifestSignatureRootECDSA":null,"ManifestSignature":"","Manifest":null}"#).await;
    assert!(matches!(server.client().manifest().await, Err(ClientError::NoManifest)));
}

// R-33, R-34
#[tokio::test]
async fn a_manifest_is_set_wrapped_over_version_two_and_raw_over_version_one() {
    let server = TestServer::start(|_| success(r#"{"RecoverySecrets":{"alice":"AQ=="}}"#)).await;
    let set = server.client().set_manifest(b"{\"a\":1}").await.unwrap();
    assert_eq!(set.recovery_secrets, BTreeMap::from([("alice".to_owned(), "AQ==".to_owned())]));
    let body: Value = serde_json::from_slice(&server.seen()[0].body).unwrap();
    assert_eq!(body, serde_json::json!({ "manifest": "eyJhIjoxfQ==" }));

    let server = version_one("null").await;
    assert_eq!(server.client().set_manifest(b"{\"a\":1}").await.unwrap(), ManifestSet::default());
    assert_eq!(server.targets(), ["POST /api/v2/manifest", "POST /manifest"]);
    assert_eq!(server.seen()[1].body, b"{\"a\":1}");
}

// policy.md, Texts
#[tokio::test]
async fn warnings_come_with_a_manifest_that_was_set() {
    let body = r#"{"RecoverySecrets":{},"warnings":[{"code":"M-36","path":"/Packages/a","message":"unused","hint":"remove it"},
        {"message":"odd"}]}"#;
    let set = TestServer::start(|_| success(body)).await.client().set_manifest(b"{}").await.unwrap();
    let texts: Vec<String> = set.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["unused (remove it), at /Packages/a", "odd"]);
}

// X-52: version 2 says 500 for a refused manifest.
#[tokio::test]
async fn a_refused_manifest_gives_the_coordinators_text() {
    let body = r#"{"status":"error","data":null,"message":"checking manifest: no allowed marbles defined"}"#;
    let server = TestServer::start(move |_| (500, body.to_owned())).await;
    let error = server.client().set_manifest(b"{}").await.unwrap_err();
    let ClientError::Api(ApiError { message, .. }) = error else { panic!("{error:?}") };
    assert_eq!(message, "checking manifest: no allowed marbles defined");
}

// R-36, C-13
#[tokio::test]
async fn the_quote_is_read_whatever_the_case_of_its_fields() {
    for data in [
        r#"{"cert":"PEM","quote":"AQI="}"#,
        r#"{"Cert":"PEM","Quote":"AQI="}"#,
        r#"{"CERT":"PEM","qUOTE":"AQI="}"#,
    ] {
        let server = TestServer::start(move |_| success(data)).await;
        let quote = server.client().quote(None).await.unwrap();
        assert_eq!(quote, Quote { certificates: "PEM".to_owned(), quote: Some(vec![1, 2]) });
    }
    for data in [r#"{"cert":"PEM","quote":null}"#, r#"{"cert":"PEM","quote":""}"#, r#"{"cert":"PEM"}"#] {
        let server = TestServer::start(move |_| success(data)).await;
        assert_eq!(server.client().quote(None).await.unwrap().quote, None);
    }
}

// R-37, C-1
#[tokio::test]
async fn a_nonce_is_sent_url_safe_and_never_to_version_one() {
    let server = TestServer::start(|_| success(r#"{"cert":"PEM","quote":null}"#)).await;
    server.client().quote(Some(&[0xfb, 0xff])).await.unwrap();
    assert_eq!(server.targets(), ["GET /api/v2/quote?nonce=-_8%3D"]);
    let server = version_one(r#"{"Cert":"PEM","Quote":null}"#).await;
    assert!(matches!(server.client().quote(Some(b"n")).await, Err(ClientError::NotOffered(_))));
    assert_eq!(server.targets().len(), 1);
    server.client().quote(Some(b"")).await.unwrap();
    assert_eq!(server.targets().last().unwrap(), "GET /quote");
}

// R-50, R-51, R-25
#[tokio::test]
async fn secrets_are_read_by_escaped_names_over_both_versions() {
    const SECRETS: &str = r#"{"a b&":{"Type":"plain","Private":"AQ==","Public":"AQ=="}}"#;
    let server = TestServer::start(|_| success(&format!("{{\"secrets\":{SECRETS}}}"))).await;
    let secrets = server.client().secrets(&["a b&".to_owned(), "ü".to_owned()]).await.unwrap();
    assert_eq!(secrets["a b&"].private.as_ref().unwrap().expose(), [1]);
    assert_eq!(server.targets(), ["GET /api/v2/secrets?s=a%20b%26&s=%C3%BC"]);
    let server = version_one(SECRETS).await;
    assert_eq!(server.client().secrets(&["a b&".to_owned()]).await.unwrap().len(), 1);
}

// R-55
#[tokio::test]
async fn the_update_log_is_lines_over_both_versions() {
    let server = TestServer::start(|_| success(r#"{"updateLog":["one","two"]}"#)).await;
    assert_eq!(server.client().update_log().await.unwrap(), ["one", "two"]);
    let server = version_one(r#""one\ntwo\n""#).await;
    assert_eq!(server.client().update_log().await.unwrap(), ["one", "two"]);
}

// C-5, C-6, R-1
#[tokio::test]
async fn another_root_is_refused_and_nothing_is_sent() {
    let server = TestServer::start(|_| success(STATUS)).await;
    let client = server.client_with(Trust::Root(authority().root));
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { source: TrustError::OtherRoot, .. }), "{error:?}");
    assert!(server.seen().is_empty());
}

// C-5
#[tokio::test]
async fn the_pinned_root_under_another_host_name_is_refused() {
    let server =
        TestServer::start_as(authority_for(&["coordinator.example", "127.0.0.2"]), |_| success(STATUS)).await;
    let error = server.client().status().await.unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { source: TrustError::OtherName, .. }), "{error:?}");
    assert!(server.seen().is_empty());
}

// C-5: who copies the root certificate does not hold its key.
#[tokio::test]
async fn a_server_with_a_copied_root_certificate_is_refused() {
    let server = TestServer::start_as(impostor_of(&authority()), |_| success(STATUS)).await;
    let error = server.client().status().await.unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error:?}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn without_trust_any_certificate_is_accepted() {
    let server = TestServer::start(|_| success(STATUS)).await;
    assert!(server.client_with(Trust::Insecure).status().await.is_ok());
}

#[tokio::test]
async fn an_answer_at_the_limit_is_read_and_one_above_is_refused() {
    let server = TestServer::start(|_| success(STATUS)).await;
    let size = success(STATUS).1.len();
    let limited = |answer_bytes| server.client().with_limits(Limits { answer_bytes, ..Limits::default() });
    assert!(limited(size).status().await.is_ok());
    let error = limited(size - 1).status().await.unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { limit } if limit == size - 1), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let limits = Limits { connect: std::time::Duration::from_millis(50), ..Limits::default() };
    let error = Client::new(address, Trust::Insecure).with_limits(limits).status().await.unwrap_err();
    assert!(matches!(error, ClientError::Late { .. }), "{error:?}");
}
