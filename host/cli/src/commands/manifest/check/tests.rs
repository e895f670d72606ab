use std::path::Path;

use super::*;
use crate::output::Format;
use crate::output::tests::Kept;

const MANIFEST: &str = r#"{
  "Packages": { "svc": { "Debug": true } },
  "Marbles": {
    "api": {
      "Package": "svc",
      "Parameters": { "Env": { "A": "{{ hex .Secrets.key }}" } }
    }
  },
  "Secrets": { "key": { "Type": "symmetric-key", "Size": 128, "Shared": true } }
}
"#;

/// What is printed, with the exit code.
fn checked(folder: &Path, name: &str, text: &str, update_of: Option<&str>) -> (String, ExitCode) {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    let update_of = update_of.map(|text| {
        let path = folder.join("current.json");
        std::fs::write(&path, text).unwrap();
        path
    });
    let kept = Kept::default();
    let result = run(&Check { file, update_of, policies: Vec::new() }, &mut kept.output(Format::Text));
    let code = result.err().map_or(ExitCode::Success, |error| ExitCode::of(&error));
    (kept.text().replace(&format!("{}/", folder.display()), ""), code)
}

fn check(name: &str, text: &str) -> (String, ExitCode) {
    checked(tempfile::tempdir().unwrap().path(), name, text, None)
}

#[test]
fn a_good_manifest_has_no_errors() {
    for (name, text) in
        [("m.json", MANIFEST.to_owned()), ("init.json", super::super::init::MANIFEST.to_owned())]
    {
        let (text, code) = check(name, &text);
        assert_eq!(code, ExitCode::Success, "{text}");
        assert!(text.contains(&format!("{name}: no warnings")) || text.contains("warning"), "{text}");
    }
}

// M-32, X-9, S-60
#[test]
fn each_finding_has_its_line_and_column_as_a_compiler_tells_them() {
    let broken = MANIFEST
        .replace(r#""Package": "svc""#, r#""Package": "svd", "Packege": 1"#)
        .replace(".Secrets.key", ".Secrets.kex");
    let (text, code) = check("m.json", &broken);
    assert_eq!(code, ExitCode::Findings);
    for expected in [
        "m.json:5:7: error[M-32]: manifest does not contain marble package svd\n",
        "m.json:5:25: warning[X-9]: unknown field Packege is ignored\n  hint: did you mean Package?\n",
        "m.json:6:",
        "error[M-80]: template",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn findings_in_yaml_have_the_places_of_the_yaml() {
    let text = "Packages:\n  svc: {Debug: true}\nMarbles:\n  api:\n    Package: svd\nBogus: 1\n";
    let (text, code) = check("m.yaml", text);
    assert_eq!(code, ExitCode::Findings);
    assert!(text.contains("m.yaml:5:5: error[M-32]"), "{text}");
    assert!(text.contains("m.yaml:6:1: warning[X-9]"), "{text}");
}

// M-6, M-8
#[test]
fn a_text_that_cannot_be_read_is_one_error_with_its_place() {
    let cases = [
        ("m.json", "{\n  \"Packages\": {,}\n}", "m.json:2:16: error[syntax]"),
        ("m.json", "{\n \"Packages\": {\"a\": {\"Debug\": 1}}}", "m.json:2:30: error[syntax]"),
        ("m.json", "", "m.json:1:1: error[syntax]"),
        ("m.yaml", "Packages:\n  a:\n    Debug: 1\n", "m.yaml:3:5: error[syntax]"),
        ("m.yaml", "Packages:\n  a: {}\n  a: {}\n", "m.yaml:3:3: error[syntax]"),
        ("m.yaml", "just text", "m.yaml:1:1: error[syntax]"),
    ];
    for (name, content, expected) in cases {
        let (text, code) = check(name, content);
        assert_eq!(code, ExitCode::Findings, "{content:?}");
        assert!(text.starts_with(expected), "{expected}: {text}");
        assert!(!text.contains("line 1, column"), "{text}");
    }
}

#[test]
fn a_file_that_is_not_there_is_an_ordinary_error() {
    let kept = Kept::default();
    let command = Check { file: "missing/m.json".into(), update_of: None, policies: Vec::new() };
    let error = run(&command, &mut kept.output(Format::Text)).unwrap_err();
    assert_eq!(ExitCode::of(&error), ExitCode::Error);
}

// M-100..M-104
#[test]
fn a_package_update_is_checked_against_what_it_updates() {
    let folder = tempfile::tempdir().unwrap();
    let current = MANIFEST
        .replace(r#"{ "Debug": true }"#, r#"{ "SignerID": "aa", "ProductID": 1, "SecurityVersion": 2 }"#);
    let update = |text: &str| checked(folder.path(), "u.json", text, Some(&current));
    assert_eq!(update(r#"{"Packages":{"svc":{"SecurityVersion":2}}}"#).1, ExitCode::Success);
    let refused = [
        (
            r#"{"Packages":{"svc":{"SecurityVersion":1}}}"#,
            "u.json:1:21: error[M-104]: update manifest tries to downgrade",
        ),
        (r#"{"Packages":{"svc":{"Debug":true,"SecurityVersion":3}}}"#, "error[M-102]"),
        (r#"{"Packages":{"svc":{}}}"#, "error[M-103]"),
        (r#"{"Packages":{"other":{"SecurityVersion":3}}}"#, "error[M-100]"),
        (r#"{}"#, "error[M-101]"),
        (r#"{"Packages":{"svc":{"SecurityVersion":3}},"Config":{"UpdateThreshold":1}}"#, "error[X-35]"),
    ];
    for (text, expected) in refused {
        let (found, code) = update(text);
        assert_eq!(code, ExitCode::Findings, "{text}");
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn a_full_update_is_checked_as_a_whole_manifest() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(checked(folder.path(), "u.json", MANIFEST, Some(MANIFEST)).1, ExitCode::Success);
    let broken = MANIFEST.replace(r#""Package": "svc""#, r#""Package": "svd""#);
    assert!(checked(folder.path(), "u.json", &broken, Some(MANIFEST)).0.contains("M-32"));
}

// S-62
#[test]
fn a_variable_with_a_null_byte_is_an_error() {
    let text = MANIFEST.replace(r#""{{ hex .Secrets.key }}""#, r#"{ "Data": "AAA=", "Encoding": "base64" }"#);
    let (text, _) = check("m.json", &text);
    assert!(text.contains("error[M-80]: content contains null bytes"), "{text}");
}

/// The manifest with a policy of its own.
fn with_policy(component: &str) -> String {
    let entry = format!(
        "\"Policies\": {{\n    \"own\": {{ \"World\": \"role-authorization\", \"Component\": \"{component}\" }}\n  }}"
    );
    MANIFEST.replacen("{\n", &format!("{{\n  {entry},\n"), 1)
}

#[test]
fn a_policy_whose_component_is_not_given_is_a_warning_and_one_that_is_none_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("p.wasm");
    std::fs::write(&component, b"abc").unwrap();
    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let file = folder.path().join("m.json");
    std::fs::write(&file, with_policy(digest)).unwrap();
    let check = |policies: Vec<PathBuf>| {
        let kept = Kept::default();
        let command = Check { file: file.clone(), update_of: None, policies };
        let result = run(&command, &mut kept.output(Format::Text));
        (kept.text(), result.err().map_or(ExitCode::Success, |error| ExitCode::of(&error)))
    };
    let (text, code) = check(Vec::new());
    assert_eq!(code, ExitCode::Success, "{text}");
    assert!(
        text.contains("warning[policies]") && text.contains(digest) && text.contains("--policy"),
        "{text}"
    );
    let (text, code) = check(vec![component]);
    assert_eq!(code, ExitCode::Findings, "{text}");
    assert!(text.contains("m.json:3:") && text.contains("error[policies]: policy own: "), "{text}");
}

#[test]
fn a_built_in_policys_component_is_always_there() {
    let policies = carrara_wasm::PolicyHost::builtin().unwrap().policies();
    let rbac = policies.iter().find(|policy| policy.name == "rbac").unwrap();
    let digest = carrara_types::policy::Digest(rbac.digest).to_string();
    let (text, code) = check("m.json", &with_policy(&digest));
    assert_eq!(code, ExitCode::Success, "{text}");
    assert!(!text.contains("[policies]"), "{text}");
}
