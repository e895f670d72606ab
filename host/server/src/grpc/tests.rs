//! Codes, messages and what happens to unknown methods.

use carrara_core::error::Cause;
use carrara_core::ports::{PolicyFailure, StoreError};
use futures_util::FutureExt as _;
use prost::Message as _;

use super::*;
use crate::edge::Answer;
use crate::metrics::tests::metrics;
use crate::testing::{coordinator, question};

/// A gRPC request: five bytes (compression, length) before the message.
async fn call(path: &str, message: &[u8]) -> Answer {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0], &length[..], message].concat();
    let mut question = question("POST", path, body);
    question.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
    (app(coordinator().await, metrics().marbles, &Limits::default()).answer)(question).await
}

fn code(answer: &Answer) -> &str {
    answer.headers()["grpc-status"].to_str().unwrap()
}

// G-20
#[tokio::test]
async fn before_a_manifest_is_set_no_marble_is_accepted() {
    let request = rpc::ActivationReq { marble_type: "frontend".to_owned(), ..Default::default() };
    let answer = call(ACTIVATE, &request.encode_to_vec()).await;
    assert_eq!(code(&answer), "9");
    assert_eq!(answer.headers()["grpc-message"], "cannot%20accept%20marbles%20in%20current%20state");
}

// G-2
#[tokio::test]
async fn an_unknown_method_or_service_is_unimplemented() {
    for path in [
        "/rpc.Marble/Deactivate",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/",
    ] {
        let answer = call(path, &[]).await;
        assert_eq!((answer.status().as_u16(), code(&answer)), (200, "12"), "{path}");
        assert_eq!(route(path), "unmatched");
    }
    assert_eq!(route(ACTIVATE), ACTIVATE);
}

// G-1
#[tokio::test]
async fn a_message_over_four_mebibytes_is_refused_and_one_of_exactly_four_is_read() {
    let request = |bytes: usize| rpc::ActivationReq { quote: vec![1; bytes].into(), ..Default::default() };
    let overhead = request(GRPC_MESSAGE_BYTES).encoded_len() - GRPC_MESSAGE_BYTES;
    let answer = call(ACTIVATE, &request(GRPC_MESSAGE_BYTES - overhead).encode_to_vec()).await;
    assert_eq!(code(&answer), "9");
    let answer = call(ACTIVATE, &request(GRPC_MESSAGE_BYTES - overhead + 1).encode_to_vec()).await;
    assert_eq!(code(&answer), "8", "RESOURCE_EXHAUSTED, as gRPC-Go");
}

// what does not fit beside the other bodies is refused at once, with the code that means "try again"
#[tokio::test]
async fn a_call_for_whose_body_there_is_no_room_is_unavailable_at_once() {
    // One body at a time.
    let limits = Limits { requests: 4, bodies_bytes: 1 << 20, ..Limits::default() };
    let app = app(coordinator().await, metrics().marbles, &limits);
    let ask = |bytes: usize| {
        let message =
            rpc::ActivationReq { quote: vec![1; bytes].into(), ..Default::default() }.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let mut question = question("POST", ACTIVATE, [&[0], &length[..], &message].concat());
        question.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
        question
    };
    type Part = Result<hyper::body::Frame<Bytes>, edge::BodyError>;
    let never = http_body_util::StreamBody::new(futures_util::stream::pending::<Part>());
    let mut slow = (app.answer)(ask(1).map(|_| never.boxed()));
    assert!((&mut slow).now_or_never().is_none());
    let refused = (app.answer)(ask(1)).now_or_never().expect("nobody waits for a place");
    assert_eq!((refused.status().as_u16(), code(&refused)), (200, "14"));
    assert_eq!(refused.extensions().get(), Some(&Refused::Bodies));
    drop(slow);
    // One that grows out of what there is, and one that just fits (with its head and the message's own bytes).
    assert_eq!(code(&(app.answer)(ask(1 << 20)).await), "14");
    assert_eq!(code(&(app.answer)(ask((1 << 20) - 64)).await), "9", "it was read");
}

#[tokio::test]
async fn a_message_that_does_not_decode_is_refused() {
    let answer = call(ACTIVATE, &[0xff; 7]).await;
    assert_eq!(code(&answer), "13");
}

// G-20..G-29
#[test]
fn every_error_has_its_code_and_its_words() {
    let cause = || Cause("why".to_owned());
    let policy = || PolicyFailure::failed("doorman".to_owned(), "trap at 0x1234".to_owned());
    let store = StoreError::Read("record 7 at /secret/place".to_owned());
    for (error, code, message) in [
        (ActivateError::WrongState, Code::FailedPrecondition, "cannot accept marbles in current state"),
        (ActivateError::NoCertificate, Code::Unauthenticated, "couldn't get marble TLS certificate"),
        (ActivateError::Verification(cause()), Code::PermissionDenied, "marble verification failed: why"),
        (
            ActivateError::Admission(policy()),
            Code::PermissionDenied,
            "marble verification failed: policy \"doorman\" could not decide",
        ),
        (
            ActivateError::Rendering {
                place: "parsing secrets for file \"F\"".to_owned(),
                failure: policy(),
            },
            Code::Internal,
            "customizing marble parameters: parsing secrets for file \"F\": policy \"doorman\" could not decide",
        ),
        (ActivateError::InvalidUuid(cause()), Code::InvalidArgument, "invalid UUID: why"),
        (
            ActivateError::Failed { context: "parsing the CSR", source: cause() },
            Code::Internal,
            "parsing the CSR: why",
        ),
        (
            ActivateError::Store(store),
            Code::Internal,
            "the activation could not be stored; see the coordinator's log",
        ),
        (ActivateError::Busy, Code::Unavailable, "the state changed too often meanwhile; try again"),
    ] {
        let status = status(&error);
        assert_eq!((status.code(), status.message()), (code, message));
    }
}

// policy.md: UNAVAILABLE while a policy is being compiled, so that the launcher tries again
#[test]
fn a_policy_that_is_being_compiled_is_unavailable_and_one_that_cannot_be_used_is_not() {
    let errors = |kind| {
        let failure =
            || PolicyFailure { policy: "doorman".to_owned(), kind, reason: "at /secret/place".to_owned() };
        let rendering = ActivateError::Rendering { place: "in file \"F\"".to_owned(), failure: failure() };
        [status(&ActivateError::Admission(failure())), status(&rendering)]
    };
    for status in errors(FailureKind::NotReady) {
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().ends_with("policy \"doorman\" is being compiled; try again"), "{status}");
    }
    let codes = errors(FailureKind::Unavailable).map(|status| status.code());
    assert_eq!(codes, [Code::PermissionDenied, Code::Internal]);
    assert_eq!(errors(FailureKind::Failed).map(|status| status.code()), codes);
}

#[test]
fn a_mishap_is_a_grpc_status_in_an_answer_of_200() {
    for (mishap, expected) in [(Mishap::Panic, "13"), (Mishap::Timeout, "4"), (Mishap::Overload, "14")] {
        let answer = super::mishap(mishap);
        assert_eq!((answer.status().as_u16(), code(&answer)), (200, expected));
    }
}

// marble-api.md sections 1, 7
#[test]
fn parameters_have_their_field_numbers() {
    let secret = |text: &str| SecretBytes::new("s", text.as_bytes().to_vec());
    let activation = Activation {
        files: BTreeMap::from([("f".to_owned(), secret("1"))]),
        env: BTreeMap::from([("e".to_owned(), secret("2"))]),
        argv: vec!["a".to_owned()],
    };
    let expected = b"\x0a\x13\x0a\x06\x0a\x01f\x12\x011\x12\x06\x0a\x01e\x12\x012\x1a\x01a";
    assert_eq!(parameters(activation).encode_to_vec(), expected);
}
