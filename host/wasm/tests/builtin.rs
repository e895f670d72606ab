//! The built-in policies as they are embedded, through the engine.

#![allow(clippy::unwrap_used, clippy::panic)] // also in what the tests share

mod common;

use carrara_core::ports::{Policies, RenderFailure};
use carrara_types::decision::{
    Change, Chunk, Decision, Encoding, HeldRole, Part, Proposal, Scope, SecretReference, Severity,
};
use carrara_wasm::{PolicyHost, World, digest};
use common::{context, one_key, request, template};

fn proposal(manifest: &str) -> Proposal {
    Proposal {
        context: context(1),
        change: Change::Initial,
        manifest: manifest.to_owned(),
        manifest_sha256: digest(manifest.as_bytes()),
        current: None,
        current_versions: Vec::new(),
        proposer: None,
    }
}

fn reader(names: &[&str]) -> HeldRole {
    HeldRole {
        name: "reader".to_owned(),
        resource_type: "Secrets".to_owned(),
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        actions: vec!["readsecret".to_owned()],
    }
}

/// A bare secret is its public bytes (secrets-and-templates.md section 5).
fn key(encoding: Encoding) -> Chunk {
    Chunk::Secret(SecretReference {
        scope: Scope::Current,
        name: "key".to_owned(),
        part: Part::Public,
        encoding,
    })
}

#[test]
fn the_four_are_there_and_understand_that_they_have_no_settings() {
    let host = PolicyHost::builtin().unwrap();
    let policies = host.policies();
    let names: Vec<_> = policies.iter().map(|policy| (policy.name.as_str(), policy.world)).collect();
    let expected = [
        ("manifest-rules", World::ManifestValidation),
        ("rbac", World::RoleAuthorization),
        ("go-template", World::SecretRendering),
        ("liquid", World::SecretRendering),
    ];
    assert_eq!(names, expected);
    assert_eq!(host.renderers(), ["go-template", "liquid"]);
    assert_eq!(host.check_settings().unwrap(), []);
    for policy in policies {
        assert_eq!(digest(host.component(&policy.digest).unwrap()), policy.digest);
    }
}

// M-30, M-31
#[tokio::test]
async fn manifest_rules_refuses_an_empty_manifest_and_accepts_a_small_one() {
    let host = PolicyHost::builtin().unwrap();
    let findings = host.validate(proposal("{}")).await.unwrap();
    let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    assert_eq!(
        (errors[0].code.as_str(), errors[0].message.as_str()),
        ("M-30", "no allowed packages defined")
    );
    let good = r#"{"Packages":{"p":{"Debug":true}},"Marbles":{"m":{"Package":"p"}}}"#;
    let findings = host.validate(proposal(good)).await.unwrap();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Warning), "{findings:?}");
}

#[tokio::test]
async fn rbac_allows_what_a_role_allows_and_nothing_else() {
    let host = PolicyHost::builtin().unwrap();
    let denied = host.authorize(request(1)).await.unwrap();
    assert_eq!(denied.policy, "rbac");
    let Decision::Deny(denial) = denied.decision else { panic!("allowed") };
    assert_eq!(denial.resources, ["key"]);
    let mut allowed = request(1);
    allowed.principal.roles = vec![reader(&["other"]), reader(&["key"])];
    assert_eq!(host.authorize(allowed).await.unwrap().decision, Decision::Allow);
    let mut other = request(1);
    other.principal.roles = vec![reader(&["other"])];
    assert!(matches!(host.authorize(other).await.unwrap().decision, Decision::Deny(_)));
}

// S-70, S-71: a function with one argument and a pipeline
#[tokio::test]
async fn go_template_places_secrets_that_it_cannot_see() {
    let host = PolicyHost::builtin().unwrap();
    let templates =
        vec![template("k={{ hex .Secrets.key }};"), template("{{ .Secrets.key | base64 }}"), template("x")];
    let chunks = host.render("go-template", context(1), templates, one_key()).await.unwrap();
    let text = |text: &str| Chunk::Text(text.as_bytes().to_vec());
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[0], [text("k="), key(Encoding::Hex), text(";")]);
    assert_eq!(chunks[1], [key(Encoding::Base64)]);
    assert_eq!(chunks[2], [text("x")]);
}

// S-73
#[tokio::test]
async fn go_template_names_the_template_and_place_of_an_error() {
    let host = PolicyHost::builtin().unwrap();
    let templates = vec![template("fine"), template("line\n{{ hex .Secrets.missing }}")];
    let failure = host.render("go-template", context(1), templates, one_key()).await.unwrap_err();
    let RenderFailure::Template(error) = failure else { panic!("{failure:?}") };
    assert_eq!((error.template, error.line), (1, 2));
    assert!(error.message.contains("secret does not exist"), "{}", error.message);
}

#[tokio::test]
async fn liquid_places_secrets_that_it_cannot_see() {
    let host = PolicyHost::builtin().unwrap();
    let templates = vec![template("k={{ Secrets.key | hex }};")];
    let chunks = host.render("liquid", context(1), templates, one_key()).await.unwrap();
    let text = |text: &str| Chunk::Text(text.as_bytes().to_vec());
    assert_eq!(chunks, vec![vec![text("k="), key(Encoding::Hex), text(";")]]);
}

#[test]
fn starting_compiles_nothing() {
    // Compiling the four takes seconds even in an optimised build; loading them a few milliseconds.
    let start = std::time::Instant::now();
    PolicyHost::builtin().unwrap();
    assert!(start.elapsed() < std::time::Duration::from_secs(1), "{:?}", start.elapsed());
}
