//! schemathesis reads the OpenAPI document that a real coordinator serves and asks that coordinator whatever the document
//! allows and forbids: every answer's status, type and body must be one that the document announces.
//!
//! Which 5xx there are is part of the document (version 2 answers 500 where version 1 answers 400), so that an announced
//! one is right and any other fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use carrara_tests::api;
use carrara_tests::coordinator::Coordinator;
use carrara_tests::marble::{activate, identity_writer};
use carrara_tests::users::User;
use carrara_tests::{manifests, run, skip};
use serde_json::{Value, json};

const DOCUMENT: &str = "/api/v2/openapi.json";

/// What is held against the document. That other methods are 405 without `Allow` it cannot know.
const CHECKS: &str = "status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance";

/// schemathesis, or the test's end with a note of what is missing.
fn schemathesis(test: &str) -> Option<PathBuf> {
    let Some(python) = std::env::var_os("CARRARA_PYTHON").map(PathBuf::from) else {
        skip::skip(test, "apt-get install -y python3-venv (and run the tests by `cargo xtask test`)");
        return None;
    };
    Some(python.with_file_name("schemathesis"))
}

/// A bounded run with a fixed seed: the same requests every time.
fn ask(schemathesis: &Path, coordinator: &Coordinator, document: &str, user: Option<&User>) -> Output {
    let mut command = Command::new(schemathesis);
    // It leaves its own files where it runs.
    command.current_dir(coordinator.folder()).env("NO_COLOR", "1");
    command.args(["run", document, "--url", &coordinator.url(""), "--tls-verify", "false"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS]);
    command.args(["--max-examples", "15", "--seed", "7", "--request-timeout", "30", "--warnings", "off"]);
    if let Some(user) = user {
        command.arg("--request-cert").arg(&user.certificate_file);
        command.arg("--request-cert-key").arg(&user.key_file);
    }
    run(&mut command)
}

/// Everything was answered as announced, and the coordinator is as well as before.
fn all_announced(output: &Output, coordinator: &Coordinator) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let document = api::get(coordinator, DOCUMENT).json();
    // All but the document itself, which it has read before.
    let operations = document["paths"].as_object().unwrap().values().map(methods).sum::<usize>() - 1;
    assert!(text.contains(&format!("Tested: {operations}")), "all {operations}: {text}");
    assert_eq!(api::get(coordinator, "/api/v2/status").status, 200);
    assert!(!coordinator.log().contains("panicked"), "{}", coordinator.log());
}

fn methods(path: &Value) -> usize {
    path.as_object().unwrap().keys().filter(|key| ["get", "post"].contains(&key.as_str())).count()
}

/// Alice may do everything; both gates are open.
fn start(folder: &Path) -> (Coordinator, User) {
    let alice = User::new(folder, "alice");
    let mut manifest = manifests::with_updaters(&[("alice", &alice)], 1, 0);
    manifest["Config"]["FeatureGates"] = json!(["SignQuoteEndpoint", "MonotonicCounter"]);
    manifest["Marbles"]["svc"]["Parameters"]["Argv"] = identity_writer();
    manifest["Secrets"] = json!({
        "token": { "Type": "plain", "UserDefined": true },
        "cert": { "Type": "cert-ecdsa", "Size": 256, "UserDefined": true },
    });
    let rights = ["ReadSecret", "WriteSecret"];
    manifests::grant(&mut manifest, "alice", "owner", "Secrets", &["token", "cert"], &rights);
    manifests::grant(&mut manifest, "alice", "auditor", "Manifest", &[], &["ReadAudit", "Backup"]);
    manifests::grant(&mut manifest, "alice", "packager", "Packages", &["pkg"], &["UpdateSecurityVersion"]);
    let coordinator = Coordinator::start();
    api::set(&coordinator, &manifest);
    (coordinator, alice)
}

#[test]
fn every_answer_to_a_user_with_all_rights_is_one_that_the_document_announces() {
    let test = "every_answer_to_a_user_with_all_rights_is_one_that_the_document_announces";
    let Some(schemathesis) = schemathesis(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, alice) = start(folder.path());
    let document = coordinator.url(DOCUMENT);
    all_announced(&ask(&schemathesis, &coordinator, &document, Some(&alice)), &coordinator);
}

#[test]
fn every_answer_to_nobody_is_one_that_the_document_announces_before_and_after_the_manifest() {
    let test = "every_answer_to_nobody_is_one_that_the_document_announces_before_and_after_the_manifest";
    let Some(schemathesis) = schemathesis(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    for coordinator in [Coordinator::start(), start(folder.path()).0] {
        let document = coordinator.url(DOCUMENT);
        all_announced(&ask(&schemathesis, &coordinator, &document, None), &coordinator);
    }
}

#[test]
fn every_answer_to_a_marble_is_one_that_the_document_announces() {
    let Some(schemathesis) = schemathesis("every_answer_to_a_marble_is_one_that_the_document_announces")
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (coordinator, _) = start(folder.path());
    let marble = activate(&coordinator, &folder.path().join("m"), "svc");
    let document = coordinator.url(DOCUMENT);
    all_announced(&ask(&schemathesis, &coordinator, &document, Some(&marble)), &coordinator);
}

/// What the others prove is worth something only if this fails.
#[test]
fn an_answer_that_the_document_does_not_announce_is_found() {
    let Some(schemathesis) = schemathesis("an_answer_that_the_document_does_not_announce_is_found") else {
        return;
    };
    let coordinator = Coordinator::start();
    let served = api::get(&coordinator, DOCUMENT).json();
    let only = |method: &str, path: &str| {
        let mut document = served.clone();
        document["paths"] = json!({ path: { method: served["paths"][path][method] } });
        document
    };
    let mut undocumented = only("get", "/api/v2/secrets");
    undocumented["paths"]["/api/v2/secrets"]["get"]["responses"].as_object_mut().unwrap().remove("401");
    for (document, works) in [(only("get", "/api/v2/secrets"), true), (undocumented, false)] {
        let file = coordinator.folder().join("openapi.json");
        std::fs::write(&file, document.to_string()).unwrap();
        let output = ask(&schemathesis, &coordinator, file.to_str().unwrap(), None);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.success(), works, "{text}");
        assert_eq!(text.contains("Undocumented status code"), !works, "{text}");
    }
}
