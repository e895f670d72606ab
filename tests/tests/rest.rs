//! The REST API over curl: envelopes, routing, states, every route that exists (R-10..R-38, R-50..R-55, R-60).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::coordinator::Coordinator;
use carrara_tests::curl::{Answer, Request};
use carrara_tests::manifests;
use carrara_tests::users::{RecoveryKey, User};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

fn get(coordinator: &Coordinator, path: &str) -> Answer {
    Request::get(&coordinator.url(path)).send()
}

fn set(coordinator: &Coordinator, manifest: &Value) -> Answer {
    Request::post(&coordinator.url("/manifest"), manifest.to_string()).send()
}

fn set_v2(coordinator: &Coordinator, manifest: &Value) -> Answer {
    let body = json!({ "manifest": STANDARD.encode(manifest.to_string()) });
    Request::post(&coordinator.url("/api/v2/manifest"), body.to_string()).send()
}

// R-10, rest-api.md "status"
#[test]
fn status_answers_with_number_and_text_in_both_versions() {
    let coordinator = Coordinator::start();
    let v1 = get(&coordinator, "/status");
    assert_eq!(v1.status, 200);
    assert!(v1.has_header("content-type: application/json"), "{}", v1.headers);
    assert_eq!(
        v1.body,
        "{\"status\":\"success\",\"data\":{\"StatusCode\":2,\"StatusMessage\":\"Coordinator is ready to accept a manifest.\"}}\n"
    );
    let v2 = get(&coordinator, "/api/v2/status");
    assert_eq!(v2.data(), json!({ "code": 2, "message": "Coordinator is ready to accept a manifest." }));
    assert_eq!(set(&coordinator, &manifests::minimal()).status, 200);
    assert_eq!(get(&coordinator, "/status").data()["StatusCode"], 3);
}

// R-13, R-20, R-21, R-22, R-23, X-12, X-50
#[test]
fn every_unknown_path_and_method_is_405_without_a_message() {
    let coordinator = Coordinator::start();
    let cases = [
        ("GET", "/"),
        ("GET", "/nope"),
        ("GET", "/manifest/"),
        ("GET", "/api/v2/nope"),
        ("GET", "/api/v3/status"),
        ("GET", "//status"),
        ("GET", "/a/../status"),
        ("GET", "/Status"),
        ("PUT", "/manifest"),
        ("DELETE", "/status"),
        ("POST", "/status"),
        ("GET", "/api/v2/sign-quote"),
        ("OPTIONS", "/status"),
    ];
    for (method, path) in cases {
        let answer = Request::new(method, &coordinator.url(path)).send();
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.body, "{\"status\":\"error\",\"data\":null}\n", "{method} {path}");
        assert!(answer.has_header("content-type: text/plain; charset=utf-8"), "{}", answer.headers);
        assert!(answer.has_header("x-content-type-options: nosniff"));
        assert!(!answer.headers.contains("\nallow:"));
    }
    let head = Request::new("HEAD", &coordinator.url("/status")).send();
    assert_eq!((head.status, head.body.as_str()), (405, ""), "R-21");
}

// R-43, R-44, R-46
#[test]
fn without_a_locked_state_there_is_nothing_to_recover() {
    let coordinator = Coordinator::start();
    let secret = json!({ "recoverySecret": "AQEBAQEBAQEBAQEBAQEBAQ==", "recoverySecretSignature": "AQ==" });
    let answer = Request::post(&coordinator.url("/api/v2/recover"), secret.to_string()).send();
    assert_eq!((answer.status, answer.message().as_str()), (500, "server is not in expected state"));
    let answer = get(&coordinator, "/api/v2/recover/public-key");
    assert_eq!((answer.status, answer.message().as_str()), (500, "server is not in expected state"));
}

// R-30, R-31, X-53
#[test]
fn get_manifest_before_one_is_set_is_200_with_nulls_in_v1_and_500_in_v2() {
    let coordinator = Coordinator::start();
    let v1 = get(&coordinator, "/manifest");
    assert_eq!(v1.status, 200);
    assert_eq!(
        v1.data(),
        json!({ "ManifestSignatureRootECDSA": null, "ManifestSignature": "", "Manifest": null })
    );
    let v2 = get(&coordinator, "/api/v2/manifest");
    assert_eq!((v2.status, v2.message().as_str()), (500, "requested value not set"));
    assert!(v2.has_header("content-type: text/plain; charset=utf-8"), "R-11, X-51");
}

// M-1, R-30, R-31, R-32, R-33
#[test]
fn the_manifest_comes_back_byte_for_byte_with_its_hash_and_a_signature_that_openssl_verifies() {
    let coordinator = Coordinator::start();
    // White space and key order that no serialiser would make.
    let text = format!(" {}\n\t ", manifests::minimal().to_string().replace(':', " :  "));
    let answer = Request::post(&coordinator.url("/manifest"), &text).send();
    assert_eq!((answer.status, answer.data()), (200, Value::Null), "{}", answer.body);

    let v1 = get(&coordinator, "/manifest").data();
    let v2 = get(&coordinator, "/api/v2/manifest").data();
    let hash = hex::encode(Sha256::digest(&text));
    assert_eq!(v1["ManifestSignature"], json!(hash));
    assert_eq!(v2["manifestFingerprint"], json!(hash));
    assert_eq!(STANDARD.decode(v1["Manifest"].as_str().unwrap()).unwrap(), text.as_bytes());
    assert_eq!(v2["manifest"], v1["Manifest"]);
    assert_eq!(v2["manifestSignatureRootECDSA"], v1["ManifestSignatureRootECDSA"]);

    let signature = STANDARD.decode(v1["ManifestSignatureRootECDSA"].as_str().unwrap()).unwrap();
    carrara_tests::openssl::verify_with_root(&coordinator, &signature, text.as_bytes());
}

// R-33, R-34, R-35, X-52
#[test]
fn a_second_manifest_is_refused_with_400_in_v1_and_500_in_v2() {
    let coordinator = Coordinator::start();
    assert_eq!(set_v2(&coordinator, &manifests::minimal()).data()["RecoverySecrets"], json!({}));
    let v1 = set(&coordinator, &manifests::minimal());
    assert_eq!((v1.status, v1.message().as_str()), (400, "server is not in expected state"));
    let v2 = set_v2(&coordinator, &manifests::minimal());
    assert_eq!((v2.status, v2.message().as_str()), (500, "server is not in expected state"));
    assert_eq!(v2.json()["status"], "error");
}

// R-24, R-34
#[test]
fn the_v2_body_is_read_leniently_and_refused_as_fail() {
    let coordinator = Coordinator::start();
    let url = coordinator.url("/api/v2/manifest");
    let empty = Request::post(&url, "").send();
    assert_eq!((empty.status, empty.json()["status"].clone()), (400, json!("fail")));
    assert!(empty.body.contains("EOF"), "{}", empty.body);
    assert!(empty.has_header("content-type: application/json"), "R-12");
    assert_eq!(Request::post(&url, "{\"manifest\":\"***\"}").send().status, 400);
    let encoded = STANDARD.encode(manifests::minimal().to_string());
    let lenient = format!("{{\"MANIFEST\":\"{encoded}\",\"unknown\":1}} trailing garbage");
    assert_eq!(Request::post(&url, lenient).send().status, 200);
}

// M-30, M-32, M-6, manifest.md section 7
#[test]
fn a_refused_manifest_names_the_stage_and_the_rule_and_changes_nothing() {
    let coordinator = Coordinator::start();
    for (text, expected) in [
        ("", "unmarshaling manifest: unexpected end of JSON input"),
        ("{", "unmarshaling manifest: unexpected end of JSON input"),
        ("{}", "checking manifest: no allowed packages defined"),
        (
            r#"{"Packages":{"a":{"Debug":true}},"Marbles":{"m":{"Package":"b"}}}"#,
            "checking manifest: manifest does not contain marble package b",
        ),
    ] {
        let answer = Request::post(&coordinator.url("/manifest"), text).send();
        assert_eq!(answer.status, 400, "{text}");
        assert!(answer.message().starts_with(expected), "{text}: {}", answer.message());
        assert_eq!(get(&coordinator, "/status").data()["StatusCode"], 2, "{text}");
    }
    // Also what the answer only counts, and the places.
    for logged in ["refused code=\"M-31\"", "no allowed marbles defined", "path=\"/Marbles/m/Package\""] {
        coordinator.wait_for_log(|log| log.contains(logged));
    }
}

// L-40, L-41, R-33, R-34
#[test]
fn recovery_secrets_are_returned_once_per_key_and_decrypt_with_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let keys = ["one", "two"].map(|name| RecoveryKey::new(folder.path(), name));
    let coordinator = Coordinator::start();
    let mut manifest = manifests::minimal();
    manifest["RecoveryKeys"] = json!({ "one": keys[0].public, "two": keys[1].public });
    let answer = set(&coordinator, &manifest);
    assert_eq!(answer.status, 200, "{}", answer.body);
    for (name, key) in ["one", "two"].iter().zip(&keys) {
        let secret = answer.data()["RecoverySecrets"][name].as_str().unwrap().to_owned();
        assert_eq!(key.decrypt(&STANDARD.decode(secret).unwrap()).len(), 32, "{name}");
    }
}

// R-36, R-37, R-38
#[test]
fn the_quote_is_null_in_simulation_with_the_chain_and_a_bad_nonce_is_refused() {
    let coordinator = Coordinator::start();
    let v1 = get(&coordinator, "/quote").data();
    assert_eq!(v1["Quote"], Value::Null);
    assert_eq!(v1["Cert"].as_str().unwrap().matches("BEGIN CERTIFICATE").count(), 2);
    let v2 = get(&coordinator, "/api/v2/quote?nonce=AAECAw%3D%3D");
    assert_eq!((v2.status, v2.data()["quote"].clone()), (200, Value::Null));
    assert_eq!(v2.data()["cert"], v1["Cert"]);
    let bad = get(&coordinator, "/api/v2/quote?nonce=AAECAw");
    assert_eq!((bad.status, bad.json()["status"].clone()), (400, json!("fail")), "padding is required");
    assert!(bad.message().starts_with("invalid query: bad nonce format: "), "{}", bad.message());
    assert_eq!(get(&coordinator, "/quote?nonce=%%%").status, 200, "v1 ignores the nonce");
}

fn with_secrets(folder: &std::path::Path) -> (Coordinator, User, User) {
    let (alice, bob) = (User::new(folder, "alice"), User::new(folder, "bob"));
    let coordinator = Coordinator::start();
    let secrets = json!({
        "key": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        "cert": { "Type": "cert-ecdsa", "Size": 256, "Shared": true },
        "token": { "Type": "plain", "UserDefined": true },
        "other": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        "mine": { "Type": "symmetric-key", "Size": 128 },
    });
    let mut manifest =
        manifests::with_reader("alice", &alice.certificate, &["key", "cert", "token"], secrets);
    manifest["Users"]["bob"] = json!({ "Certificate": bob.certificate, "Roles": [] });
    let answer = set(&coordinator, &manifest);
    assert_eq!(answer.status, 200, "{}", answer.body);
    (coordinator, alice, bob)
}

// S-1, S-3, S-4, R-51
#[test]
fn a_user_with_the_role_reads_secrets_in_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, alice, _) = with_secrets(folder.path());
    let v1 = Request::get(&coordinator.url("/secrets?s=key&s=token&s=key")).as_user(&alice).send();
    assert_eq!(v1.status, 200, "{}", v1.body);
    let key = &v1.data()["key"];
    assert_eq!(key["Private"], key["Public"]);
    assert_eq!(STANDARD.decode(key["Private"].as_str().unwrap()).unwrap().len(), 16);
    let unset = r#""token":{"Type":"plain","Size":0,"Shared":false,"UserDefined":true,"Cert":null,"ValidFor":0,"Private":null,"Public":null}"#;
    assert!(v1.body.contains(unset), "S-4: {}", v1.body);

    let v2 = Request::get(&coordinator.url("/api/v2/secrets?s=key&s=cert")).as_user(&alice).send();
    assert_eq!(v2.data()["secrets"]["key"], *key);
    let cert = &v2.data()["secrets"]["cert"];
    assert_eq!(cert["ValidFor"], 365, "S-33");
    assert!(cert["Cert"].is_string());
}

// R-50, R-52, M-61
#[test]
fn a_user_without_the_role_cannot_read_the_secret_nor_any_of_several() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, alice, bob) = with_secrets(folder.path());
    let denied = Request::get(&coordinator.url("/secrets?s=key")).as_user(&bob).send();
    assert_eq!(denied.status, 400);
    assert_eq!(denied.message(), "user bob is not allowed to read one or more secrets of: [key]");
    let partly = Request::get(&coordinator.url("/api/v2/secrets?s=other&s=key")).as_user(&alice).send();
    assert_eq!(partly.status, 500);
    assert_eq!(partly.message(), "user alice is not allowed to read one or more secrets of: [other key]");
    for name in ["mine", "no-such-secret"] {
        let answer = Request::get(&coordinator.url(&format!("/secrets?s={name}"))).as_user(&alice).send();
        assert_eq!(
            answer.message(),
            format!("user alice is not allowed to read one or more secrets of: [{name}]")
        );
    }
}

// R-50, R-25
#[test]
fn a_query_without_names_or_with_an_empty_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, alice, _) = with_secrets(folder.path());
    for (query, text) in [
        ("", "invalid query: endpoint requires at least one query parameter"),
        ("?x=1", "invalid query: endpoint requires at least one query parameter"),
        ("?S=key", "invalid query: endpoint requires at least one query parameter"),
        ("?s=", "malformed query string: empty query parameter"),
        ("?s=key&s=", "malformed query string: empty query parameter"),
    ] {
        let v1 = Request::get(&coordinator.url(&format!("/secrets{query}"))).as_user(&alice).send();
        assert_eq!((v1.status, v1.message().as_str()), (400, text), "{query}");
        assert_eq!(v1.json()["status"], "error");
        let v2 = Request::get(&coordinator.url(&format!("/api/v2/secrets{query}"))).as_user(&alice).send();
        assert_eq!((v2.status, v2.json()["status"].clone()), (400, json!("fail")), "{query}");
    }
}

// R-2, R-54, rest-api.md section 4 (401 before the query and before the state)
#[test]
fn whoever_is_no_user_gets_401_before_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let stranger = User::new(folder.path(), "stranger");
    let text = "unauthorized user: client certificate did not match any MarbleRun users";
    let empty = Coordinator::start();
    let (full, _, _) = with_secrets(folder.path());
    for coordinator in [&empty, &full] {
        for path in ["/secrets?s=key", "/secrets", "/api/v2/secrets?s=key"] {
            let anonymous = Request::get(&coordinator.url(path)).send();
            let foreign = Request::get(&coordinator.url(path)).as_user(&stranger).send();
            for answer in [anonymous, foreign] {
                assert_eq!((answer.status, answer.message().as_str()), (401, text), "{path}");
                let kind = if path.starts_with("/api/v2") { "fail" } else { "error" };
                assert_eq!(answer.json()["status"], kind, "{path}");
            }
        }
    }
}

// R-55, R-60
#[test]
fn the_update_log_has_one_exact_line_after_the_first_manifest() {
    let coordinator = Coordinator::start();
    let early = get(&coordinator, "/update");
    assert_eq!((early.status, early.message().as_str()), (500, "server is not in expected state"));
    assert_eq!(set(&coordinator, &manifests::minimal()).status, 200);
    let v1 = get(&coordinator, "/update").data();
    let line = v1.as_str().unwrap().strip_suffix('\n').unwrap();
    let time = line.strip_prefix("{\"time\":\"").unwrap().split('"').next().unwrap();
    assert_eq!(line, format!("{{\"time\":\"{time}\",\"update\":\"Initial manifest set\"}}"));
    assert_eq!((time.len(), &time[10..11], &time[19..20], &time[23..]), (24, "T", ".", "Z"), "{time}");
    assert_eq!(get(&coordinator, "/api/v2/update").data()["updateLog"], json!([line]));
}

// X-17: a body over the limit is refused with the limit's name and changes nothing.
#[test]
fn an_oversized_body_is_413_with_the_limit_named() {
    let coordinator = Coordinator::start();
    let answer = Request::post(&coordinator.url("/manifest"), vec![b' '; 20 << 20]).send();
    assert_eq!(answer.status, 413, "{}", answer.headers);
    assert!(answer.message().contains("limit"), "{}", answer.body);
    assert_eq!(get(&coordinator, "/status").status, 200);
}

#[test]
fn every_answer_carries_a_request_id_of_its_own() {
    let coordinator = Coordinator::start();
    let id = |path: &str| {
        let answer = get(&coordinator, path);
        let line = answer.headers.lines().find(|line| line.starts_with("x-request-id: ")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("no request id: {}", answer.headers))
    };
    assert_ne!(id("/status"), id("/status"));
    id("/nope");
    let chosen =
        Request::get(&coordinator.url("/status")).option("--header").option("X-Request-Id: mine").send();
    assert!(!chosen.headers.contains("x-request-id: mine"), "a caller does not choose it");
}

// R-1
#[test]
fn http_1_1_and_http_2_are_both_spoken() {
    let coordinator = Coordinator::start();
    for (option, version) in [("--http1.1", "http/1.1 200"), ("--http2", "http/2 200")] {
        let answer = Request::get(&coordinator.url("/status")).option(option).send();
        assert!(answer.headers.starts_with(version), "{}", answer.headers);
    }
}
