//! What is a policy and what is not: imports, versions, worlds.
#![allow(clippy::unwrap_used, clippy::panic)] // also in what the tests share

mod common;

use std::error::Error as _;
use std::fs;

use carrara_core::ports::Policies;
use carrara_types::decision::{AdmissionRequest, Change, Decision, Proposal, Severity};
use carrara_wasm::{HostError, LoadError, PolicyHost, PolicySource, Surface, World, digest};
use common::{authorizer, component_of, context, renderer, wit};

const HARMLESS: &str = "(func $misbehave (result i32) (i32.const 2048))";

/// Why the component is not taken as a policy of this world: the error and its cause.
fn refusal(world: World, component: Vec<u8>) -> (LoadError, String) {
    let error = PolicyHost::empty().unwrap().add(PolicySource::new("p", world, component)).unwrap_err();
    assert_eq!(error.to_string(), "loading the policy \"p\"");
    let text = error.source().unwrap().to_string();
    let HostError::Load { source, .. } = error else { panic!("{error}") };
    (source, text)
}

/// The package's files, changed by `edit`, in a folder of their own.
fn edited_wit(edit: impl Fn(&str) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut changed = false;
    for file in fs::read_dir(wit()).unwrap() {
        let file = file.unwrap();
        if file.path().extension().is_some_and(|ending| ending == "wit") {
            let text = fs::read_to_string(file.path()).unwrap();
            let edited = edit(&text);
            changed |= edited != text;
            fs::write(folder.path().join(file.file_name()), edited).unwrap();
        }
    }
    assert!(changed, "nothing was edited");
    folder
}

fn authorizer_fields() -> String {
    format!("{}{HARMLESS}", include_str!("../../../tests/hostile/authorizer.prelude.wat"))
}

#[test]
fn a_policy_that_imports_anything_else_is_refused_by_name() {
    let component =
        wat::parse_str(r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#).unwrap();
    let (error, text) = refusal(World::RoleAuthorization, component);
    assert!(matches!(error, LoadError::ForbiddenImport(_)));
    assert!(text.contains("imports wasi:cli/environment@0.2.0"), "{text}");
}

#[test]
fn an_authorizer_has_no_access_to_secrets() {
    let export = "  @since(version = 1.0.0)\n  export role-authorizer;\n";
    let import = "  @since(version = 1.0.0)\n  import secrets;\n";
    let folder = edited_wit(|text| text.replace(export, &format!("{import}{export}")));
    let import = r#"(import "carrara:policy/secrets@1.0.0" "names" (func $names (param i32 i32)))"#;
    let fields = format!("{import}{}", authorizer_fields());
    let component = component_of(folder.path(), "role-authorization", &fields);
    let (_, text) = refusal(World::RoleAuthorization, component);
    assert!(text.contains("role-authorization") && text.contains("carrara:policy/secrets@1.0.0"), "{text}");
}

#[test]
fn a_policy_of_another_version_is_refused_with_both_versions() {
    let folder = edited_wit(|text| text.replace("carrara:policy@1.0.0", "carrara:policy@2.0.0"));
    let fields = authorizer_fields().replace("@1.0.0", "@2.0.0");
    let (error, text) =
        refusal(World::RoleAuthorization, component_of(folder.path(), "role-authorization", &fields));
    assert!(matches!(error, LoadError::WrongVersion { .. }), "{error:?}");
    assert_eq!(
        text,
        "the component imports carrara:policy/host@2.0.0, this coordinator offers 1.0.0: build it against wit/ of \
         carrara:policy@1.0.0"
    );
}

/// What a component built against a changed `wit/` of the same version is told.
fn refused_after(edit: impl Fn(&str) -> String, export: impl Fn(String) -> String) -> String {
    let fields = export(authorizer_fields());
    let component = component_of(edited_wit(edit).path(), "role-authorization", &fields);
    // As when it is uploaded: nothing is compiled.
    let surface = Surface::read(&component).and_then(|surface| surface.fits(World::RoleAuthorization));
    let at_upload = surface.unwrap_err().to_string();
    assert_eq!(refusal(World::RoleAuthorization, component).1, at_upload);
    at_upload
}

// P-1
#[test]
fn a_policy_whose_records_differ_is_refused_with_the_function_and_the_field() {
    let lacks = refused_after(|text| text.replace("    actions: list<string>,\n", ""), |fields| fields);
    for part in [
        "authorize",
        "carrara:policy/role-authorizer@1.0.0",
        "it lacks `request.principal.roles[].actions[]: string`",
    ] {
        assert!(lacks.contains(part), "{part} in {lacks}");
    }
    let field = "\n    resource-type:";
    let renamed = refused_after(
        |text| {
            if text.contains("interface role-authorizer") {
                text.replace(field, "\n    resource-kind:")
            } else {
                text.to_owned()
            }
        },
        |fields| fields,
    );
    assert!(
        renamed.contains(
            "`request.resource-kind: string`, where this coordinator has `request.resource-type: string`"
        ),
        "{renamed}"
    );
    let adds = refused_after(
        |text| text.replace("    action: string,\n", "    action: string, verb: u32,\n"),
        |fields| fields,
    );
    assert!(adds.contains("it has `request.verb: u32`"), "{adds}");
    let variant =
        refused_after(|text| text.replace("truth(bool)", "truth(bool), real(f64)"), |fields| fields);
    assert!(variant.contains("`request.context.facts[].value: case real`"), "{variant}");
}

// P-1
#[test]
fn a_policy_without_a_function_that_is_called_is_refused_with_its_name() {
    let text = refused_after(
        |text| text.replace("authorize: func", "permit: func"),
        |fields| fields.replace("#authorize", "#permit"),
    );
    assert!(
        text.contains("without the function authorize") && text.contains("build it against wit/"),
        "{text}"
    );
}

#[test]
fn a_policy_of_a_later_minor_version_fits_if_it_asks_for_nothing_new() {
    let folder = edited_wit(|text| text.replace("carrara:policy@1.0.0", "carrara:policy@1.3.0"));
    let fields = authorizer_fields().replace("@1.0.0", "@1.3.0");
    let component = component_of(folder.path(), "role-authorization", &fields);
    let mut host = PolicyHost::empty().unwrap();
    host.add(PolicySource::new("p", World::RoleAuthorization, component)).unwrap();
    assert_eq!(host.authorize_here(&common::request(1)).unwrap().decision, Decision::Allow);
}

#[test]
fn a_policy_that_asks_for_a_function_of_a_later_version_is_refused_with_the_functions_name() {
    let folder = edited_wit(|text| {
        let text = text.replace("carrara:policy@1.0.0", "carrara:policy@1.1.0");
        text.replace("interface host {", "interface host {\n  shout: func();")
    });
    let import = r#"(import "carrara:policy/host@1.1.0" "shout" (func $shout))"#;
    let fields = format!("{import}{}", authorizer_fields()).replace("@1.0.0", "@1.1.0");
    let (error, text) =
        refusal(World::RoleAuthorization, component_of(folder.path(), "role-authorization", &fields));
    assert!(matches!(error, LoadError::UnknownFunction { .. }), "{error:?}");
    for part in ["carrara:policy/host", "1.1.0", "1.0.0", "shout"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_policy_of_another_world_is_refused_with_the_missing_interface() {
    let (error, text) = refusal(World::MarbleAdmission, authorizer(HARMLESS));
    assert!(matches!(error, LoadError::MissingExport { .. }), "{error:?}");
    assert!(text.contains("carrara:policy/marble-admitter@1.0.0"), "{text}");
}

#[test]
fn a_core_module_is_refused_with_the_remedy() {
    let (_, text) = refusal(World::RoleAuthorization, wat::parse_str("(module)").unwrap());
    assert!(text.contains("wasm-tools component new"), "{text}");
}

#[test]
fn a_damaged_component_is_refused() {
    let mut component = authorizer(HARMLESS);
    component.truncate(component.len() - 10);
    let (error, _) = refusal(World::RoleAuthorization, component);
    assert!(matches!(error, LoadError::Malformed(_)), "{error:?}");
}

#[test]
fn the_surface_tells_the_world_without_compiling() {
    assert_eq!(Surface::read(&authorizer(HARMLESS)).unwrap().worlds(), [World::RoleAuthorization]);
    let renderer = renderer("(func $misbehave (param i32))");
    assert_eq!(Surface::read(&renderer).unwrap().worlds(), [World::SecretRendering]);
}

#[test]
fn policies_are_listed_with_digests_and_given_out_for_audit() {
    let component = authorizer(HARMLESS);
    let mut host = PolicyHost::empty().unwrap();
    host.add(PolicySource::new("p", World::RoleAuthorization, component.clone())).unwrap();
    let [policy] = host.policies().try_into().unwrap();
    assert_eq!(
        (policy.name.as_str(), policy.world, policy.size),
        ("p", World::RoleAuthorization, component.len())
    );
    assert_eq!(policy.digest, digest(&component));
    assert_eq!(host.component(&policy.digest), Some(component.as_slice()));
    assert_eq!(host.component(&[0; 32]), None);
}

#[test]
fn a_name_is_given_once() {
    let mut host = PolicyHost::empty().unwrap();
    host.add(PolicySource::new("p", World::RoleAuthorization, authorizer(HARMLESS))).unwrap();
    let error = host.add(PolicySource::new("p", World::RoleAuthorization, authorizer(HARMLESS))).unwrap_err();
    assert!(matches!(error, HostError::Duplicate(name) if name == "p"));
}

#[test]
fn settings_are_judged_by_the_policy() {
    let mut host = PolicyHost::empty().unwrap();
    host.add(PolicySource::new("p", World::RoleAuthorization, authorizer(HARMLESS))).unwrap();
    assert_eq!(host.check_settings().unwrap(), []);
    // A refusal of the settings without an error is nonsense.
    let refuses = authorizer_fields()
        .replace("(i32.const 1024))", "(i32.store (i32.const 1024) (i32.const 1)) (i32.const 1024))");
    let mut host = PolicyHost::empty().unwrap();
    let component = component_of(&wit(), "role-authorization", &refuses);
    host.add(PolicySource::new("p", World::RoleAuthorization, component)).unwrap();
    assert_eq!(host.check_settings().unwrap_err().policy, "p");
}

/// A component of another world with the authorizer's prelude: its function gets its question the same way.
fn like_an_authorizer(world: &str, export: &str, misbehave: &str) -> Vec<u8> {
    let fields = include_str!("../../../tests/hostile/authorizer.prelude.wat");
    let fields = fields.replace("role-authorizer@1.0.0#authorize", export);
    component_of(&wit(), world, &format!("{fields}{misbehave}"))
}

fn admission(now: u64) -> AdmissionRequest {
    AdmissionRequest {
        context: context(now),
        marble_type: "frontend".to_owned(),
        package_name: "web".to_owned(),
        uuid: "00000000-0000-4000-8000-000000000000".to_owned(),
        evidence: None,
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        activations: None,
        max_activations: None,
    }
}

#[tokio::test]
async fn without_an_admitter_a_marble_is_admitted_and_with_one_it_decides() {
    let mut host = PolicyHost::empty().unwrap();
    assert_eq!(host.admit(admission(666)).await.unwrap().decision, Decision::Allow);
    let denies = include_str!("../../../tests/hostile/forged-log-line.wat");
    let component = like_an_authorizer("marble-admission", "marble-admitter@1.0.0#admit", denies);
    host.add(PolicySource::new("gate", World::MarbleAdmission, component)).unwrap();
    assert_eq!(host.admit(admission(1)).await.unwrap().decision, Decision::Allow);
    let answer = host.admit(admission(666)).await.unwrap();
    assert_eq!(answer.policy, "gate");
    assert!(matches!(answer.decision, Decision::Deny(denial) if denial.code == "E1"));
    assert_eq!(host.admit_here(&admission(666)).unwrap().policy, "gate");
}

fn proposal(now: u64) -> Proposal {
    Proposal {
        context: context(now),
        change: Change::Initial,
        manifest: "{}".to_owned(),
        manifest_sha256: [0; 32],
        current: None,
        current_versions: Vec::new(),
        proposer: None,
    }
}

/// Answers one warning whose message is `$name`'s bytes.
fn validator(message: &str) -> Vec<u8> {
    let misbehave = format!(
        r#"(data (i32.const 5000) "{message}")
        (func $misbehave (result i32)
          (i32.store (i32.const 3072) (i32.const 4000)) (i32.store offset=4 (i32.const 3072) (i32.const 1))
          (i32.store8 (i32.const 4000) (i32.const 1))
          (i32.store offset=20 (i32.const 4000) (i32.const 5000))
          (i32.store offset=24 (i32.const 4000) (i32.const {}))
          (i32.const 3072))"#,
        message.len()
    );
    like_an_authorizer("manifest-validation", "manifest-validator@1.0.0#validate", &misbehave)
}

#[tokio::test]
async fn validators_speak_in_order_and_manifest_rules_first() {
    let mut host = PolicyHost::empty().unwrap();
    for name in ["zebra", "manifest-rules", "ape"] {
        host.add(PolicySource::new(name, World::ManifestValidation, validator(name))).unwrap();
    }
    let findings = host.validate(proposal(666)).await.unwrap();
    let messages: Vec<_> = findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["manifest-rules", "ape", "zebra"]);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Warning));
    assert_eq!(host.validate_here(&proposal(666)).unwrap(), findings);
    assert_eq!(host.validate(proposal(1)).await.unwrap(), []);
}

#[tokio::test]
async fn a_finding_that_says_nothing_is_nonsense() {
    let mut host = PolicyHost::empty().unwrap();
    host.add(PolicySource::new("mute", World::ManifestValidation, validator(""))).unwrap();
    let failure = host.validate(proposal(666)).await.unwrap_err();
    assert_eq!(failure.policy, "mute");
    assert!(failure.reason.contains("without a message"), "{}", failure.reason);
}
