//! The document says what the code does: the same endpoints, every status that a failure can have, and schemas that
//! answers fit.

use std::collections::BTreeSet;

use carrara_core::error::{
    BackupError, Cause, CounterError, FeatureError, Lockout, LogHeadError, ManifestReadError, OtherBase,
    PendingUpdateError, QuoteError, ReadAuditError, ReadDecisionsError, ReadLogError, ReadSecretsError,
    RecoverError, RecoveryPublicKeyError, SetManifestError, SignQuoteError, Unauthorized,
    UpdateManifestError, UploadPolicyError, WriteSecretsError,
};
use carrara_core::outcome::Feature;
use carrara_core::ports::{ComponentRefused, EvidenceError, StoreError};
use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::edge::{self, Answer, Mishap};
use crate::json::body::BodyError;
use crate::problem::problem;
use crate::rest::Version;
use crate::rest::routes::{ROUTES, Route};
use crate::testing::text_of;
use crate::testing::world::{Caller, World};

/// The document.
pub(in crate::rest) fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// Asks, holds the answer against the document, and gives its status and envelope.
pub(in crate::rest) async fn ask(
    world: &World,
    caller: Caller,
    endpoint: &str,
    body: impl Into<Bytes>,
) -> (u16, Value) {
    let (method, uri) = endpoint.split_once(' ').unwrap();
    let path = uri.split('?').next().unwrap();
    let answer = world.ask(caller, method, uri, body).await;
    let status = answer.status().as_u16();
    let text = assert_described(&document(), method, path, answer).await;
    (status, serde_json::from_str(&text).unwrap())
}

/// What a `$ref` stands for.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

/// Fails unless the answer is one that the document promises.
pub(in crate::rest) async fn assert_described(
    document: &Value,
    method: &str,
    path: &str,
    answer: Answer,
) -> String {
    let status = answer.status().as_str().to_owned();
    let place = format!("{method} {path}: {status}");
    let operation = &document["paths"][path][method.to_lowercase()];
    let response = resolved(document, &operation["responses"][&status]);
    assert!(response.is_object(), "{place} is not described");
    for (name, header) in response["headers"].as_object().unwrap() {
        let header = resolved(document, header);
        let value = answer.headers().get(name).unwrap_or_else(|| panic!("{place} has no {name}"));
        let value = value.to_str().unwrap();
        let number = value.parse::<u64>().map(Value::from);
        assert_fits(document, &header["schema"], &number.unwrap_or_else(|_| json!(value)), &place);
    }
    let media = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let schema = &response["content"][&media]["schema"];
    assert!(schema.is_object(), "{place} is not described as {media}");
    if ["application/x-tar", "application/wasm"].contains(&media.as_str()) {
        return String::new();
    }
    let text = text_of(answer).await;
    assert!(text.ends_with('\n'), "{place}: {text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    if media == "application/json" {
        assert_fits(document, schema, &value, &place);
    } else {
        let schema = resolved(document, schema);
        assert_fits(document, schema, &json!(text), &place);
        assert_fits(document, &schema["contentSchema"], &value, &place);
    }
    text
}

fn assert_fits(document: &Value, schema: &Value, value: &Value, place: &str) {
    let mut root = document.clone();
    let root_object = root.as_object_mut().unwrap();
    root_object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root_object.insert("allOf".to_owned(), json!([schema]));
    let validator = jsonschema::validator_for(&root).unwrap();
    let errors: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{place}: {value}: {errors:?}");
}

#[test]
fn every_endpoint_is_described_and_nothing_else() {
    let document = document();
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let routes = ROUTES.iter().map(|route| (route.method.to_string(), route.path.to_owned())).collect();
    assert_eq!(described, routes);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn operations_have_names_of_their_own_and_every_part_is_used() {
    let document = document();
    let mut names = BTreeSet::new();
    for operation in
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        assert!(names.insert(operation["operationId"].as_str().unwrap()));
        assert!(!operation["summary"].as_str().unwrap().is_empty());
    }
    for (kind, parts) in document["components"].as_object().unwrap() {
        for name in parts.as_object().unwrap().keys() {
            let reference = format!("\"#/components/{kind}/{name}\"");
            let in_security = DOCUMENT.contains(&format!("\"{name}\": []"));
            assert!(DOCUMENT.contains(&reference) || in_security, "{reference} is not used");
        }
    }
}

#[test]
fn who_needs_a_certificate_is_described() {
    for route in ROUTES {
        let operation = &document()["paths"][route.path][route.method.as_str().to_lowercase()];
        let schemes: Vec<&String> = operation["security"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|one| one.as_object().unwrap().keys())
            .collect();
        let expected =
            match failures_of(route).iter().find(|failure| problem(route.version, failure).status == 401) {
                Some(Failure::Counter(_)) => vec!["marbleCertificate"],
                Some(_) if resource(route) == "/manifest" => vec!["ownerCertificate"],
                Some(_) => vec!["userCertificate"],
                None => vec![],
            };
        assert_eq!(schemes, expected, "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn every_failure_of_an_endpoint_is_described() {
    let document = document();
    for route in ROUTES {
        for failure in failures_of(route) {
            let mut answer = edge::answer(problem(route.version, &failure).into_response());
            let id = http::HeaderValue::from_static("0d9c9f4e-5b0c-4b43-9f0c-6a3d5b1c6a11");
            answer.headers_mut().insert(edge::REQUEST_ID, id);
            assert_described(&document, route.method.as_str(), route.path, answer).await;
        }
    }
}

fn failures_of(route: &Route) -> Vec<Failure> {
    failures().into_iter().filter(|failure| may_fail_so(route, failure)).collect()
}

/// Which endpoints may fail so. Without a wildcard, so that a new kind of failure is added here, too.
fn may_fail_so(route: &Route, failure: &Failure) -> bool {
    let is = |method: Method, path: &str| route.method == method && resource(route) == path;
    let reads_body = route.method == Method::POST && resource(route) != "/update-cancel";
    let v2 = route.version == Version::V2;
    match failure {
        Failure::NotAllowed | Failure::Mishap(_) | Failure::Encoding => true,
        Failure::NoManifest => v2 && is(Method::GET, "/manifest"),
        Failure::Feature(_) => matches!(resource(route), "/sign-quote" | "/monotonic-counter"),
        Failure::Unauthorized(_) => {
            matches!(resource(route), "/secrets" | "/audit" | "/backup" | "/decisions" | "/update-cancel")
                || is(Method::POST, "/manifest")
                || (route.method == Method::POST && matches!(resource(route), "/update" | "/update-manifest"))
        }
        Failure::SetManifest(_) => is(Method::POST, "/manifest"),
        Failure::Manifest(_) => {
            is(Method::GET, "/manifest")
                || is(Method::GET, "/policies")
                || is(Method::GET, "/policies/{digest}")
        }
        Failure::Quote(_) => is(Method::GET, "/quote"),
        Failure::Secrets(_) => is(Method::GET, "/secrets"),
        Failure::WriteSecrets(_) => is(Method::POST, "/secrets"),
        Failure::Log(_) => is(Method::GET, "/update"),
        Failure::Update(_) => is(Method::POST, "/update"),
        Failure::NoUpdate(_) => is(Method::GET, "/update-manifest"),
        Failure::Pending(PendingUpdateError::Lockout(_) | PendingUpdateError::OtherBase(_)) => {
            is(Method::POST, "/update-manifest")
        }
        Failure::Pending(_) => is(Method::POST, "/update-manifest") || is(Method::POST, "/update-cancel"),
        Failure::SignQuote(_) | Failure::SignQuoteBody(_) => is(Method::POST, "/sign-quote"),
        Failure::Counter(_) => is(Method::POST, "/monotonic-counter"),
        Failure::LogHead(_) => is(Method::GET, "/update/head"),
        Failure::Audit(_) => is(Method::GET, "/audit"),
        Failure::Backup(_) | Failure::BackupsFull => is(Method::GET, "/backup"),
        Failure::UploadPolicy(_) => is(Method::POST, "/policies"),
        Failure::NoComponent => is(Method::GET, "/policies/{digest}"),
        Failure::Decisions(_) => is(Method::GET, "/decisions"),
        Failure::ManifestTooLarge(_) => v2 && (is(Method::POST, "/manifest") || is(Method::POST, "/update")),
        Failure::Query(_) => {
            is(Method::POST, "/update")
                || is(Method::POST, "/update-manifest")
                || is(Method::GET, "/secrets")
                || is(Method::GET, "/audit")
                || is(Method::GET, "/decisions")
                || is(Method::GET, "/policies/{digest}")
                || (v2 && route.method == Method::GET)
                    && matches!(resource(route), "/quote" | "/update" | "/update/head")
        }
        Failure::Recover(RecoverError::Unsigned) | Failure::RecoverySignature => {
            !v2 && is(Method::POST, "/recover")
        }
        Failure::Recover(_) => is(Method::POST, "/recover"),
        Failure::RecoveryPublicKey(_) => is(Method::GET, "/recover/public-key"),
        // Version 1 has JSON in one body only, and sign-quote its own word for it.
        Failure::Body(BodyError::TooLong(_)) => is(Method::POST, "/recover"),
        Failure::Body(_) => {
            reads_body
                && !matches!(resource(route), "/sign-quote" | "/policies")
                && (v2 || resource(route) == "/secrets")
        }
        // To recover, a body that is too long is a malformed one.
        Failure::BodyTooLarge(_) => reads_body && resource(route) != "/recover",
        Failure::BodySlow | Failure::BodyBroken | Failure::BodiesFull => reads_body,
        Failure::AnswersFull => route.method == Method::GET,
    }
}

/// The path without its version.
fn resource(route: &Route) -> &'static str {
    route.path.strip_prefix("/api/v2").unwrap_or(route.path)
}

/// One of each kind.
fn failures() -> Vec<Failure> {
    let store = || StoreError::NotOpen;
    let cause = || Cause("x".to_owned());
    vec![
        Failure::NotAllowed,
        Failure::NoManifest,
        Failure::Feature(FeatureError::Off(Feature::SignQuoteEndpoint)),
        Failure::Feature(FeatureError::Store(store())),
        Failure::Unauthorized(Unauthorized),
        Failure::SetManifest(SetManifestError::Unauthorized),
        Failure::SetManifest(SetManifestError::WrongState),
        Failure::Manifest(ManifestReadError::Store(store())),
        Failure::Quote(QuoteError::Issue(EvidenceError("x".to_owned()))),
        Failure::Secrets(ReadSecretsError::Unauthorized),
        Failure::Secrets(ReadSecretsError::Denied("x".to_owned())),
        Failure::WriteSecrets(WriteSecretsError::Unauthorized),
        Failure::WriteSecrets(WriteSecretsError::Invalid(cause())),
        Failure::WriteSecrets(WriteSecretsError::Busy),
        Failure::Log(ReadLogError::WrongState),
        Failure::Update(UpdateManifestError::Unauthorized),
        Failure::Update(UpdateManifestError::Pending),
        Failure::Update(UpdateManifestError::Busy),
        Failure::Update(UpdateManifestError::Lockout(Lockout("x".to_owned()))),
        Failure::Update(UpdateManifestError::OtherBase(OtherBase)),
        Failure::NoUpdate(PendingUpdateError::NotFound),
        Failure::Pending(PendingUpdateError::Unauthorized),
        Failure::Pending(PendingUpdateError::NotFound),
        Failure::Pending(PendingUpdateError::Different),
        Failure::Pending(PendingUpdateError::Busy),
        Failure::Pending(PendingUpdateError::Lockout(Lockout("x".to_owned()))),
        Failure::Pending(PendingUpdateError::OtherBase(OtherBase)),
        Failure::SignQuote(SignQuoteError::Verification(cause())),
        Failure::SignQuote(SignQuoteError::Sign(cause())),
        Failure::SignQuoteBody(BodyError::Empty),
        Failure::Counter(CounterError::Unauthorized(cause())),
        Failure::Counter(CounterError::Invalid("x".to_owned())),
        Failure::Counter(CounterError::TooMany("x".to_owned())),
        Failure::Counter(CounterError::Store(store())),
        Failure::Counter(CounterError::Busy),
        Failure::LogHead(LogHeadError::WrongState),
        Failure::LogHead(LogHeadError::TooFar { from: 2, size: 1 }),
        Failure::LogHead(LogHeadError::Sign(cause())),
        Failure::LogHead(LogHeadError::Store(store())),
        Failure::Audit(ReadAuditError::Unauthorized),
        Failure::Audit(ReadAuditError::Denied("x".to_owned())),
        Failure::Audit(ReadAuditError::Store(store())),
        Failure::Backup(BackupError::Unauthorized),
        Failure::Backup(BackupError::Denied("x".to_owned())),
        Failure::Backup(BackupError::NotKept),
        Failure::Backup(BackupError::Store(store())),
        Failure::BackupsFull,
        Failure::UploadPolicy(UploadPolicyError::Unauthorized),
        Failure::UploadPolicy(UploadPolicyError::Denied("x".to_owned())),
        Failure::UploadPolicy(UploadPolicyError::TooLarge { bytes: 2, most: 1 }),
        Failure::UploadPolicy(UploadPolicyError::Refused(ComponentRefused("x".to_owned()))),
        Failure::UploadPolicy(UploadPolicyError::Ended),
        Failure::UploadPolicy(UploadPolicyError::Busy),
        Failure::UploadPolicy(UploadPolicyError::Full),
        Failure::NoComponent,
        Failure::Decisions(ReadDecisionsError::Unauthorized),
        Failure::Decisions(ReadDecisionsError::Denied("x".to_owned())),
        Failure::Decisions(ReadDecisionsError::Store(store())),
        Failure::ManifestTooLarge(1),
        Failure::Recover(RecoverError::Unsigned),
        Failure::Recover(RecoverError::NotExpected),
        Failure::Recover(RecoverError::SignatureMissing),
        Failure::Recover(RecoverError::Decrypt(cause())),
        Failure::RecoverySignature,
        Failure::RecoveryPublicKey(RecoveryPublicKeyError::WrongState),
        Failure::Body(BodyError::TooLong(1)),
        Failure::Query("x".to_owned()),
        Failure::Body(BodyError::Empty),
        Failure::BodyTooLarge(1),
        Failure::BodySlow,
        Failure::BodyBroken,
        Failure::BodiesFull,
        Failure::AnswersFull,
        Failure::Mishap(Mishap::Panic),
        Failure::Mishap(Mishap::Timeout),
        Failure::Mishap(Mishap::Overload),
        Failure::Encoding,
    ]
}
