//! Routes, and what they answer without a manifest.

use std::time::Duration;

use futures_util::FutureExt as _;
use http::StatusCode;

use super::routes::{ROUTES, label};
use super::*;
use crate::testing::world::World;
use crate::testing::{coordinator, question, text_of};

async fn ask(method: &str, uri: &str, body: impl Into<Bytes>) -> edge::Answer {
    let app = app(coordinator().await, &Limits::default());
    (app.answer)(question(method, uri, body)).await
}

async fn get(uri: &str) -> (StatusCode, String) {
    let answer = ask("GET", uri, "").await;
    (answer.status(), text_of(answer).await)
}

/// What there is; everything else is 405. Written down once more, so that nothing is there, or gone, by accident.
const ENDPOINTS: [(&str, &str); 35] = [
    ("GET", "/status"),
    ("GET", "/api/v2/status"),
    ("GET", "/manifest"),
    ("GET", "/api/v2/manifest"),
    ("POST", "/manifest"),
    ("POST", "/api/v2/manifest"),
    ("GET", "/quote"),
    ("GET", "/api/v2/quote"),
    ("GET", "/secrets"),
    ("GET", "/api/v2/secrets"),
    ("POST", "/secrets"),
    ("POST", "/api/v2/secrets"),
    ("GET", "/update"),
    ("GET", "/api/v2/update"),
    ("POST", "/update"),
    ("POST", "/api/v2/update"),
    ("GET", "/api/v2/update/head"),
    ("GET", "/update-manifest"),
    ("GET", "/api/v2/update-manifest"),
    ("POST", "/update-manifest"),
    ("POST", "/api/v2/update-manifest"),
    ("POST", "/update-cancel"),
    ("POST", "/api/v2/update-cancel"),
    ("POST", "/api/v2/sign-quote"),
    ("POST", "/api/v2/monotonic-counter"),
    ("GET", "/api/v2/policies"),
    ("POST", "/api/v2/policies"),
    ("GET", "/api/v2/policies/{digest}"),
    ("GET", "/api/v2/decisions"),
    ("GET", "/api/v2/audit"),
    ("GET", "/api/v2/backup"),
    ("POST", "/recover"),
    ("POST", "/api/v2/recover"),
    ("GET", "/api/v2/recover/public-key"),
    ("GET", "/api/v2/openapi.json"),
];

const OTHER_PATHS: [&str; 23] = [
    "/api/v2/policies/",
    "/api/v2/policies/x/y",
    "/",
    "/manifest/",
    "/api/v2/manifest/",
    "//status",
    "/a/../status",
    "/Status",
    "/%73tatus",
    "/status/x",
    "/api/v2",
    "/api/v2/",
    "/api/v1/status",
    "/api/v2/nothing",
    "/recover/public-key",
    "/api/v2/recover/",
    "/update/head",
    "/sign-quote",
    "/monotonic-counter",
    "/audit",
    "/openapi.json",
    "/events",
    "/metrics",
];

//
#[tokio::test]
async fn every_unknown_path_and_method_is_405() {
    let methods = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"];
    let app = app(coordinator().await, &Limits::default());
    for path in OTHER_PATHS.into_iter().chain(ENDPOINTS.map(|(_, path)| path)) {
        for method in methods.into_iter().filter(|method| !ENDPOINTS.contains(&(*method, path))) {
            let answer = (app.answer)(question(method, &path.replace("{digest}", "x"), "")).await;
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
            assert_eq!(text_of(answer).await, "{\"status\":\"error\",\"data\":null}\n");
        }
    }
}

// R-20; the only method whose request has no path
#[tokio::test]
async fn connect_is_405() {
    let app = app(coordinator().await, &Limits::default());
    let answer = (app.answer)(question("CONNECT", "example.com:443", "")).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(text_of(answer).await, "{\"status\":\"error\",\"data\":null}\n");
}

#[tokio::test]
async fn every_endpoint_is_there_and_has_its_name_in_the_log() {
    let app = app(coordinator().await, &Limits::default());
    for (method, path) in ENDPOINTS {
        let answer = (app.answer)(question(method, &path.replace("{digest}", "x"), "")).await;
        assert_ne!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(label(path), path);
    }
    assert_eq!(ROUTES.len(), ENDPOINTS.len());
    for path in OTHER_PATHS {
        assert_eq!(label(path), "unmatched");
    }
}

// R-10; rest-api.md, status
#[tokio::test]
async fn the_status_has_other_names_in_each_version() {
    let message = "Coordinator is ready to accept a manifest.";
    let expected =
        format!("{{\"status\":\"success\",\"data\":{{\"StatusCode\":2,\"StatusMessage\":\"{message}\"}}}}\n");
    assert_eq!(get("/status").await, (StatusCode::OK, expected));
    let expected = format!("{{\"status\":\"success\",\"data\":{{\"code\":2,\"message\":\"{message}\"}}}}\n");
    assert_eq!(get("/api/v2/status").await, (StatusCode::OK, expected));
    assert_eq!(ask("GET", "/status", "").await.headers()["content-type"], "application/json");
}

//
#[tokio::test]
async fn v1_answers_200_with_nulls_before_a_manifest_is_set() {
    let data = "{\"ManifestSignatureRootECDSA\":null,\"ManifestSignature\":\"\",\"Manifest\":null}";
    let expected = format!("{{\"status\":\"success\",\"data\":{data}}}\n");
    assert_eq!(get("/manifest").await, (StatusCode::OK, expected));
}

//
#[tokio::test]
async fn v2_answers_500_before_a_manifest_is_set() {
    let expected = "{\"status\":\"error\",\"data\":null,\"message\":\"requested value not set\"}\n";
    assert_eq!(get("/api/v2/manifest").await, (StatusCode::INTERNAL_SERVER_ERROR, expected.to_owned()));
}

//
#[tokio::test]
async fn a_text_that_is_no_manifest_is_400_in_v1_and_500_in_v2() {
    let answer = ask("POST", "/manifest", "{").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(
        text_of(answer)
            .await
            .starts_with("{\"status\":\"error\",\"data\":null,\"message\":\"unmarshaling manifest: ")
    );
    let answer = ask("POST", "/api/v2/manifest", "{\"manifest\":\"ew==\"}").await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        text_of(answer)
            .await
            .starts_with("{\"status\":\"error\",\"data\":null,\"message\":\"unmarshaling manifest: ")
    );
}

//
#[tokio::test]
async fn a_v2_body_that_is_no_json_or_base64_is_a_400_fail() {
    for (body, message) in [("", "EOF"), ("{\"manifest\":\"%\"}", "field \\\"manifest\\\" must be")] {
        let answer = ask("POST", "/api/v2/manifest", body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(answer.headers()["content-type"], "application/json");
        let text = text_of(answer).await;
        let expected = format!("{{\"status\":\"fail\",\"data\":null,\"message\":\"{message}");
        assert!(text.starts_with(&expected), "{text}");
    }
}

// X-17; R-4 is limited by it
#[tokio::test]
async fn a_body_over_the_limit_is_413_and_names_the_limit() {
    let limit = Limits::default().manifest_bytes;
    let answer = ask("POST", "/manifest", vec![b' '; limit + 1]).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let text = text_of(answer).await;
    assert!(
        text.starts_with("{\"status\":\"error\",\"data\":null,") && text.contains(&limit.to_string()),
        "{text}"
    );
    let answer = ask("POST", "/manifest", vec![b' '; limit]).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn bodies_that_do_not_fit_into_memory_together_are_503() {
    let mut service = warp::service(filter(&api(Duration::from_secs(9)).await));
    let answer = service.call(question("POST", "/manifest", vec![b' '; 1025])).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(answer.extensions().get(), Some(&crate::metrics::Refused::Bodies));
    // The share of the first one was given back.
    let answer = service.call(question("POST", "/manifest", vec![b' '; 1024])).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    let mut service = warp::service(filter(&api(Duration::from_millis(20)).await));
    let answer = service.call(slow_question("POST", "/manifest")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
}

// each line is opened by itself; who reads them all leaves the workers to others
#[tokio::test]
async fn long_readings_of_the_log_wait_for_each_other_and_nobody_else_for_them() {
    let world = World::new().await;
    let api = api_of(Arc::clone(&world.coordinator), Duration::from_secs(1));
    let reading = api.log_readings.acquire().await.unwrap();
    let mut service = warp::service(filter(&api));
    let mut long = Box::pin(service.call(question("GET", "/api/v2/update", "")));
    assert!((&mut long).now_or_never().is_none());
    for path in ["/status", "/api/v2/update?limit=100"] {
        let answer = warp::service(filter(&api)).call(question("GET", path, "")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    assert!((&mut long).now_or_never().is_none());
    drop(reading);
    assert_eq!(long.await.unwrap().status(), StatusCode::OK);
}

// each of them holds the place of a request
#[tokio::test]
async fn so_many_wait_for_a_long_reading_of_the_log_and_one_more_is_told_to_try_again() {
    let world = World::new().await;
    let api = api_of(Arc::clone(&world.coordinator), Duration::from_secs(1));
    let reading = api.log_readings.acquire().await.unwrap();
    let ask = |path: &str| warp::service(filter(&api)).call(question("GET", path, ""));
    let mut waiting: Vec<_> = (0..LOG_READERS).map(|_| Box::pin(ask("/update"))).collect();
    assert!(waiting.iter_mut().all(|reader| reader.now_or_never().is_none()));
    for path in ["/update", "/api/v2/update", "/api/v2/update?limit=101"] {
        let answer = ask(path).now_or_never().expect("nobody waits for a place").unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.headers()["retry-after"], "1", "{path}");
    }
    // A place that is free again is the next one's.
    drop(waiting.pop());
    let mut next = Box::pin(ask("/update"));
    assert!((&mut next).now_or_never().is_none());
    drop(reading);
    for reader in waiting.into_iter().chain([next]) {
        assert_eq!(reader.await.unwrap().status(), StatusCode::OK);
    }
}

/// One KiB of bodies, and one at a time.
async fn api(body_read: Duration) -> Arc<Api> {
    api_of(coordinator().await, body_read)
}

fn api_of(coordinator: Arc<Coordinator>, body_read: Duration) -> Arc<Api> {
    api_with(coordinator, Uploads::within(1024, 1024, body_read), Limits::default().answers_bytes)
}

/// With so many bytes of long answers.
pub(super) fn api_within(coordinator: &Arc<Coordinator>, answers: usize) -> Arc<Api> {
    api_with(Arc::clone(coordinator), Uploads::new(&Limits::default()), answers)
}

fn api_with(coordinator: Arc<Coordinator>, uploads: Uploads, answers: usize) -> Arc<Api> {
    Arc::new(Api {
        coordinator,
        uploads,
        answers: LongAnswers::within(answers),
        manifest: manifest::Written::default(),
        log_readings: Semaphore::new(1),
        log_readers: Semaphore::new(LOG_READERS),
        component_readings: Semaphore::new(1),
        component_readers: Semaphore::new(1),
        backups: Arc::new(Semaphore::new(1)),
        limits: Limits::default(),
    })
}

/// A request whose body never comes.
fn slow_question(method: &str, path: &str) -> edge::Question {
    type Part = Result<hyper::body::Frame<Bytes>, edge::BodyError>;
    let never = http_body_util::StreamBody::new(futures_util::stream::pending::<Part>());
    let body = http_body_util::BodyExt::boxed(never);
    question(method, path, "").map(|_| body)
}

//
#[tokio::test]
async fn slow_bodies_keep_other_bodies_waiting_for_nothing_and_other_requests_not_at_all() {
    let api = api(Duration::from_secs(60)).await;
    let mut service = warp::service(filter(&api));
    let slow = tokio::spawn(service.call(slow_question("POST", "/manifest")));
    while api.uploads.taken() == 0 {
        tokio::task::yield_now().await;
    }
    let answer = service.call(question("POST", "/manifest", "{}")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let answer = service.call(slow_question("POST", "/unknown")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    let answer = service.call(question("GET", "/status", "")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    slow.abort();
}

//
#[tokio::test]
async fn a_simulated_quote_is_null_with_and_without_a_nonce() {
    let (status, text) = get("/quote").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.starts_with("{\"status\":\"success\",\"data\":{\"Cert\":\"-----BEGIN CERTIFICATE-----\\n"),
        "{text}"
    );
    assert!(text.ends_with("\",\"Quote\":null}}\n"), "{text}");
    let (status, text) = get("/api/v2/quote?nonce=AAEC").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.starts_with("{\"status\":\"success\",\"data\":{\"cert\":\"")
            && text.ends_with("\"quote\":null}}\n")
    );
}

//
#[tokio::test]
async fn a_bad_nonce_is_a_400_fail_in_v2_and_ignored_in_v1() {
    let (status, text) = get("/api/v2/quote?nonce=a").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let expected = "{\"status\":\"fail\",\"data\":null,\"message\":\"invalid query: bad nonce format: ";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(get("/quote?nonce=a").await.0, StatusCode::OK);
}

// rest-api.md section 4: authentication comes before the query and the state
#[tokio::test]
async fn a_stranger_s_bad_query_is_401_all_the_same() {
    for (uri, kind) in
        [("/secrets?s=", "error"), ("/api/v2/secrets", "fail"), ("/api/v2/secrets?s=a", "fail")]
    {
        let (status, text) = get(uri).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{uri}");
        let message = "unauthorized user: client certificate did not match any MarbleRun users";
        assert_eq!(text, format!("{{\"status\":\"{kind}\",\"data\":null,\"message\":\"{message}\"}}\n"));
    }
}

// R-54; rest-api.md section 4: without users authentication fails before the body is looked at
#[tokio::test]
async fn a_stranger_s_bad_body_is_401_all_the_same() {
    for path in ["/secrets", "/update", "/update-manifest", "/update-cancel"] {
        for (path, kind) in [(path.to_owned(), "error"), (format!("/api/v2{path}"), "fail")] {
            let answer = ask("POST", &path, "{").await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
            let message = "unauthorized user: client certificate did not match any MarbleRun users";
            let expected = format!("{{\"status\":\"{kind}\",\"data\":null,\"message\":\"{message}\"}}\n");
            assert_eq!(text_of(answer).await, expected);
        }
    }
    assert_eq!(get("/api/v2/audit?from=x").await.0, StatusCode::UNAUTHORIZED);
}

// M-74; rest-api.md section 4: the gate comes before all else
#[tokio::test]
async fn gated_endpoints_are_403_before_certificate_and_body_are_looked_at() {
    for (path, feature) in
        [("/api/v2/sign-quote", "SignQuoteEndpoint"), ("/api/v2/monotonic-counter", "MonotonicCounter")]
    {
        let answer = ask("POST", path, "{").await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let message = format!("{feature} feature is not enabled in the manifest");
        let expected = format!("{{\"status\":\"error\",\"data\":null,\"message\":\"{message}\"}}\n");
        assert_eq!(text_of(answer).await, expected);
    }
}

//
#[tokio::test]
async fn no_pending_update_is_404_in_both_versions() {
    for path in ["/update-manifest", "/api/v2/update-manifest"] {
        let expected = "{\"status\":\"error\",\"data\":null,\"message\":\"no update in progress\"}\n";
        assert_eq!(get(path).await, (StatusCode::NOT_FOUND, expected.to_owned()));
    }
}

#[tokio::test]
async fn the_log_s_head_needs_a_manifest_and_says_when_to_ask_again() {
    let answer = ask("GET", "/api/v2/update/head?from=0", "").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    let expected = "{\"status\":\"error\",\"data\":null,\"message\":\"server is not in expected state\"}\n";
    assert_eq!(text_of(answer).await, expected);
    assert_eq!(get("/api/v2/update/head?from=-1").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_number_in_the_query_of_the_log_is_judged_before_the_state_and_ignored_in_v1() {
    for uri in ["/api/v2/update?from=x", "/api/v2/update?limit=-1"] {
        let (status, text) = get(uri).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(
            text.starts_with("{\"status\":\"fail\",\"data\":null,\"message\":\"invalid query: "),
            "{text}"
        );
    }
    assert_eq!(get("/update?from=x").await.0, StatusCode::INTERNAL_SERVER_ERROR);
}

// R-55; rest-api.md section 4
#[tokio::test]
async fn the_update_log_needs_a_manifest() {
    for uri in ["/update", "/api/v2/update"] {
        let expected =
            "{\"status\":\"error\",\"data\":null,\"message\":\"server is not in expected state\"}\n";
        assert_eq!(get(uri).await, (StatusCode::INTERNAL_SERVER_ERROR, expected.to_owned()));
    }
}
