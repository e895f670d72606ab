//! Every rule of manifest.md section 3, broken and kept. The host's own rules are tested where they are written; here
//! one case each shows that this component alone reports them too.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

mod host_list;
mod lockout;
mod packages;
mod policies;
mod roles;
mod tls;

/// A manifest without findings.
fn good() -> Value {
    json!({
        "Packages": { "svc": { "SignerID": "aa", "ProductID": 7, "SecurityVersion": 2 } },
        "Marbles": { "api": { "Package": "svc" } },
        "Secrets": {
            "shared": { "Type": "symmetric-key", "Size": 128, "Shared": true },
            "private": { "Type": "symmetric-key", "Size": 128 },
            "token": { "Type": "plain", "UserDefined": true },
            "cert": { "Type": "cert-ecdsa", "Size": 256, "Shared": true },
        },
    })
}

/// [`good`] with the value at a place replaced; the place's last name may be new.
fn with(place: &[&str], value: Value) -> Value {
    let mut manifest = good();
    let mut target = &mut manifest;
    for name in place {
        target = &mut target[*name];
    }
    *target = value;
    manifest
}

fn judge(manifest: &Value) -> Vec<Finding> {
    validate("initial", &manifest.to_string())
}

/// Path and message of the findings with this code and severity.
fn found(severity: Severity, code: &str, manifest: &Value) -> Vec<(String, String)> {
    judge(manifest)
        .into_iter()
        .filter(|finding| finding.code == code && finding.severity == severity)
        .map(|finding| (finding.path, finding.message))
        .collect()
}

/// Asserts that exactly this error is found, nothing else, and that its path leads somewhere.
fn assert_refused(manifest: &Value, code: &str, path: &str, message: &str) {
    let found: Vec<_> =
        judge(manifest).into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    let told: Vec<_> = found.iter().map(|error| (&*error.code, &*error.path, &*error.message)).collect();
    assert_eq!(told, [(code, path, message)]);
    assert!(manifest.pointer(path).is_some(), "{path} leads nowhere");
}

/// Asserts that nothing at all is found.
fn assert_accepted(manifest: &Value) {
    assert_eq!(judge(manifest), []);
}

#[test]
fn a_manifest_that_keeps_all_rules_has_no_findings() {
    assert_accepted(&good());
}

// M-30
#[test]
fn a_manifest_without_packages_is_refused() {
    let mut manifest = with(&["Packages"], json!({}));
    let text = "no allowed packages defined";
    assert_eq!(found(Severity::Error, "M-30", &manifest), [(String::new(), text.to_owned())]);
    manifest["Packages"] = Value::Null;
    assert_eq!(found(Severity::Error, "M-30", &manifest).len(), 1);
    assert_eq!(found(Severity::Error, "M-30", &good()), []);
}

// M-31
#[test]
fn a_manifest_without_marbles_is_refused() {
    let manifest = with(&["Marbles"], json!({}));
    let text = "no allowed marbles defined";
    assert_eq!(found(Severity::Error, "M-31", &manifest), [(String::new(), text.to_owned())]);
    assert_eq!(found(Severity::Error, "M-31", &good()), []);
}

// M-30, M-31
#[test]
fn the_first_finding_of_an_empty_manifest_is_that_it_has_no_packages() {
    for manifest in ["{}", "null"] {
        let codes: Vec<String> =
            validate("initial", manifest).into_iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["M-30", "M-31"]);
    }
}

// M-71
#[test]
fn a_certificate_has_one_kind_of_expiry() {
    let not_after = json!({ "NotAfter": "2030-01-02T03:04:05Z" });
    let secret = |cert: &Value, valid_for: u64| {
        with(
            &["Secrets", "cert"],
            json!({ "Type": "cert-ecdsa", "Size": 256, "ValidFor": valid_for, "Cert": cert }),
        )
    };
    assert_refused(
        &secret(&not_after, 7),
        "M-71",
        "/Secrets/cert/ValidFor",
        "ambiguous certificate validity duration for secret: cert, both NotAfter and ValidFor are specified",
    );
    assert_accepted(&secret(&not_after, 0));
    assert_accepted(&secret(&json!({}), 7));
    // M-20: Go's zero time means that NotAfter is not given.
    assert_accepted(&secret(&json!({ "NotAfter": "0001-01-01T00:00:00Z" }), 7));
    // The rule is about certificates; M-71a: a template elsewhere is no error.
    let key = json!({ "Type": "symmetric-key", "Size": 128, "ValidFor": 7, "Cert": not_after });
    assert_accepted(&with(&["Secrets", "shared"], key));
}

// X-71
#[test]
fn findings_come_in_the_order_of_the_rules_and_then_of_the_names() {
    let manifest = json!({
        "Packages": { "p": { "Debug": true } },
        "Marbles": { "m": { "Package": "nowhere" } },
        "TLS": {
            "b": { "Incoming": [{}], "Outgoing": [{ "Addr": "a" }] },
            "B": { "Incoming": [{}] },
            "a": { "Incoming": [{ "Port": "1", "DisableClientAuth": true }] },
        },
        "Users": { "u": {} },
        "Roles": { "r": { "ResourceType": "Other" } },
    });
    let order: Vec<(String, String)> = judge(&manifest)
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error && finding.code != "M-53")
        .map(|finding| (finding.code, finding.path))
        .collect();
    let expected = [
        ("M-32", "/Marbles/m/Package"),
        ("M-40", "/TLS/B/Incoming/0"),
        ("M-40", "/TLS/b/Incoming/0"),
        ("M-43", "/TLS/a/Incoming/0"),
        ("M-44", "/TLS/b/Outgoing/0"),
        ("M-50", "/Users/u/Certificate"),
        ("M-63", "/Roles/r/ResourceType"),
    ];
    assert_eq!(order, expected.map(|(code, path)| (code.to_owned(), path.to_owned())));
}

#[test]
fn nothing_is_said_twice() {
    let manifest = json!({
        "Packages": { "p": { "Debug": true, "UniqueID": "aa", "ProductID": 1 }, "q": {}, "x": {} },
        "Marbles": { "m": { "Package": "p", "TLS": ["t"] }, "n": { "Package": "q" } },
        "TLS": { "u": { "Incoming": [{ "Cert": "c" }, { "Cert": "c" }], "Outgoing": [{}] } },
        "Users": { "u": { "Roles": ["z"] }, "v": { "Roles": ["z", "z"] } },
        "Roles": {
            "r": { "ResourceType": "Secrets", "ResourceNames": ["a", "p", "k"], "Actions": ["ReadSecret", "x"] },
            "s": { "ResourceType": "Manifest", "ResourceNames": ["a"], "Actions": ["x"] },
        },
        "Secrets": { "p": { "Type": "symmetric-key", "Size": 8 }, "k": { "Type": "no" } },
        "Config": { "SealMode": "no", "FeatureGates": ["no"], "UpdateThreshold": 9, "RecoveryThreshold": 1 },
    });
    let findings = judge(&manifest);
    let distinct: BTreeSet<_> = findings.iter().map(|finding| (&finding.path, &finding.message)).collect();
    assert!(findings.len() > 20, "{}", findings.len());
    // Two equal roles of one user are two findings of the host's list at two places at most.
    assert_eq!(distinct.len(), findings.len(), "{findings:#?}");
}

#[test]
fn the_normalised_form_gets_the_findings_of_the_upload() {
    let upload = r#"{"packages":{"svc":{"debug":true}},"MARBLES":{"api":{"package":"svc","tls":["t"]}},
        "tls":{"t":{"incoming":[{"port":""}]}},"roles":{"r":{"resourceType":"Secrets","resourcenames":["x"]}}}"#;
    let normalised = ParsedManifest::parse(upload.as_bytes()).unwrap().normalised_json();
    assert_eq!(validate("initial", &normalised), validate("initial", upload));
    let codes: Vec<String> =
        validate("initial", &normalised).into_iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["M-34", "M-40", "M-61", "debug-package"]);
}

#[test]
fn whole_manifests_are_judged_and_package_updates_only_read() {
    for change in ["initial", "reset", "full-update", "something-new"] {
        assert!(!validate(change, "{}").is_empty(), "{change}");
    }
    let update = r#"{"Packages":{"svc":{"SecurityVersion":3}}}"#;
    assert_eq!(validate("package-update", update), []);
    assert_eq!(validate("package-update", "{}"), []);
    assert_eq!(validate("package-update", "[").len(), 1);
}

#[test]
fn what_cannot_be_read_is_refused() {
    for text in ["", "{", "[]", r#"{"Packages":1}"#] {
        let findings = validate("initial", text);
        assert_eq!(findings.len(), 1, "{text}");
        assert_eq!(findings[0].severity, Severity::Error);
        assert_eq!(findings[0].code, "unreadable-manifest");
    }
}
