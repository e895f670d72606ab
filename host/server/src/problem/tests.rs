//! Every failure has its status, its envelope and its words.

use carrara_core::error::{Cause, WRONG_STATE};
use carrara_core::ports::{EvidenceError, PolicyFailure, StoreError};
use http_body_util::BodyExt as _;

use super::*;
use Version::{V1, V2};

fn store() -> StoreError {
    StoreError::Write("disk full at /secret/place".to_owned())
}

fn policy() -> PolicyFailure {
    PolicyFailure { policy: "rbac".to_owned(), reason: "trap at 0x1234".to_owned() }
}

fn dry_run() -> SetManifestError {
    SetManifestError::DryRunPolicy { place: "in Marble M: file F".to_owned(), failure: policy() }
}

/// Status, kind and message, in short.
fn shown(version: Version, failure: &Failure) -> (u16, Kind, String) {
    let problem = problem(version, failure);
    (problem.status.as_u16(), problem.kind, problem.message)
}

async fn body(version: Version, failure: &Failure) -> (http::HeaderMap, String) {
    let response = problem(version, failure).into_response();
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (headers, String::from_utf8(body.to_vec()).unwrap())
}

//
#[tokio::test]
async fn what_is_not_allowed_has_no_message_and_no_allow_header() {
    for version in [V1, V2] {
        let (headers, text) = body(version, &Failure::NotAllowed).await;
        assert_eq!(text, "{\"status\":\"error\",\"data\":null}\n");
        assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(!headers.contains_key("allow"));
        assert_eq!(problem(version, &Failure::NotAllowed).status, 405);
    }
}

//
#[tokio::test]
async fn an_error_is_plain_text_and_a_fail_is_json() {
    let failure = Failure::Query("<bad>".to_owned());
    let (headers, text) = body(V1, &failure).await;
    assert_eq!(text, "{\"status\":\"error\",\"data\":null,\"message\":\"\\u003cbad\\u003e\"}\n");
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    let (headers, text) = body(V2, &failure).await;
    assert_eq!(text, "{\"status\":\"fail\",\"data\":null,\"message\":\"\\u003cbad\\u003e\"}\n");
    assert_eq!(headers["content-type"], "application/json");
    assert!(!headers.contains_key("x-content-type-options"));
}

//
#[test]
fn a_refused_manifest_is_400_in_v1_and_500_in_v2() {
    let refusals = [
        (SetManifestError::WrongState, WRONG_STATE),
        (SetManifestError::DryRun(Cause("x".to_owned())), "running manifest template dry run: x"),
        (SetManifestError::Users(Cause("x".to_owned())), "generating users from manifest: x"),
        (SetManifestError::Store(store()), "the manifest could not be stored; see the coordinator's log"),
        (SetManifestError::Policy(policy()), "checking manifest: policy \"rbac\" could not decide"),
        (
            dry_run(),
            "running manifest template dry run: in Marble M: file F: policy \"rbac\" could not decide",
        ),
    ];
    for (error, message) in refusals {
        let failure = Failure::SetManifest(error);
        assert_eq!(shown(V1, &failure), (400, Kind::Error, message.to_owned()));
        assert_eq!(shown(V2, &failure), (500, Kind::Error, message.to_owned()));
    }
}

//
#[test]
fn no_manifest_is_500_in_v2() {
    let expected = (500, Kind::Error, "requested value not set".to_owned());
    assert_eq!(shown(V2, &Failure::NoManifest), expected);
}

//
#[test]
fn a_stranger_is_401_an_error_in_v1_and_a_fail_in_v2() {
    let failure = Failure::Secrets(ReadSecretsError::Unauthorized);
    let message = "unauthorized user: client certificate did not match any MarbleRun users".to_owned();
    assert_eq!(shown(V1, &failure), (401, Kind::Error, message.clone()));
    assert_eq!(shown(V2, &failure), (401, Kind::Fail, message));
}

//
#[test]
fn secrets_that_may_not_be_read_are_400_in_v1_and_500_in_v2() {
    let denied = "user U is not allowed to read one or more secrets of: [a b]";
    for (error, message) in [
        (ReadSecretsError::Denied(denied.to_owned()), denied),
        (ReadSecretsError::WrongState, WRONG_STATE),
        (ReadSecretsError::Policy(policy()), "policy \"rbac\" could not decide"),
        (ReadSecretsError::Store(store()), "the secrets could not be read; see the coordinator's log"),
    ] {
        let failure = Failure::Secrets(error);
        assert_eq!(shown(V1, &failure), (400, Kind::Error, message.to_owned()));
        assert_eq!(shown(V2, &failure), (500, Kind::Error, message.to_owned()));
    }
}

//
#[test]
fn reading_what_everybody_may_read_fails_with_500() {
    for version in [V1, V2] {
        for failure in [
            Failure::Manifest(ManifestReadError::Store(store())),
            Failure::Quote(QuoteError::Issue(EvidenceError("driver".to_owned()))),
            Failure::Log(ReadLogError::Store(store())),
            Failure::Log(ReadLogError::WrongState),
        ] {
            let (status, kind, _) = shown(version, &failure);
            assert_eq!((status, kind), (500, Kind::Error), "{failure:?}");
        }
    }
    assert_eq!(shown(V1, &Failure::Log(ReadLogError::WrongState)).2, WRONG_STATE);
}

//
#[test]
fn an_empty_body_is_a_400_fail() {
    assert_eq!(shown(V2, &Failure::Body(BodyError::Empty)), (400, Kind::Fail, "EOF".to_owned()));
}

#[test]
fn a_body_that_is_too_long_names_the_limit() {
    let (status, kind, message) = shown(V2, &Failure::BodyTooLarge(1234));
    assert_eq!((status, kind), (413, Kind::Error));
    assert!(message.contains("1234 bytes"), "{message}");
}

#[test]
fn what_goes_wrong_on_the_way_has_its_own_status() {
    for (failure, status) in [
        (Failure::BodySlow, 408),
        (Failure::BodyBroken, 400),
        (Failure::BodiesFull, 503),
        (Failure::Encoding, 500),
        (Failure::Mishap(Mishap::Panic), 500),
        (Failure::Mishap(Mishap::Timeout), 503),
        (Failure::Mishap(Mishap::Overload), 503),
    ] {
        assert_eq!(problem(V2, &failure).status, status, "{failure:?}");
        assert_eq!(problem(V2, &failure).kind, Kind::Error);
    }
}

#[test]
fn internals_reach_the_log_and_never_the_message() {
    for (failure, internal) in [
        (Failure::SetManifest(SetManifestError::Store(store())), "/secret/place"),
        (Failure::SetManifest(SetManifestError::Policy(policy())), "0x1234"),
        (Failure::SetManifest(dry_run()), "0x1234"),
        (Failure::Manifest(ManifestReadError::Store(store())), "/secret/place"),
        (Failure::Secrets(ReadSecretsError::Store(store())), "/secret/place"),
        (Failure::Secrets(ReadSecretsError::Policy(policy())), "0x1234"),
        (Failure::Log(ReadLogError::Store(store())), "/secret/place"),
        (Failure::Quote(QuoteError::Issue(EvidenceError("driver".to_owned()))), "driver"),
    ] {
        for version in [V1, V2] {
            let problem = problem(version, &failure);
            assert!(!problem.message.contains(internal), "{}", problem.message);
            assert!(problem.cause.is_some_and(|cause| cause.contains(internal)), "{failure:?}");
        }
    }
    assert_eq!(problem(V2, &Failure::NotAllowed).cause, None);
}
