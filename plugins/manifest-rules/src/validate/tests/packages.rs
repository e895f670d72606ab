//! M-33..M-36, which the host reports, and X-8.

use super::*;

fn warned(code: &str, manifest: &Value) -> Vec<(String, String)> {
    found(Severity::Warning, code, manifest)
}

fn errors(manifest: &Value) -> usize {
    judge(manifest).iter().filter(|finding| finding.severity == Severity::Error).count()
}

const BOTH: &str = "manifest specifies both UniqueID *and* SignerID/ProductID/SecurityVersion in package svc";

// M-35
#[test]
fn a_debug_package_without_identity_is_accepted_with_warnings() {
    let manifest = with(&["Packages", "svc"], json!({ "Debug": true }));
    assert_eq!(errors(&manifest), 0);
    let text = "manifest misses value for SignerID in package svc";
    assert_eq!(warned("M-34", &manifest), [("/Packages/svc".to_owned(), text.to_owned())]);
    assert_eq!(warned("debug-package", &manifest)[0].0, "/Packages/svc/Debug");
}

// M-35
#[test]
fn a_debug_package_with_two_identities_is_accepted_with_warnings() {
    let manifest =
        with(&["Packages", "svc"], json!({ "Debug": true, "UniqueID": "aa", "SecurityVersion": 0 }));
    assert_eq!(errors(&manifest), 0);
    assert_eq!(warned("M-33", &manifest), [("/Packages/svc".to_owned(), BOTH.to_owned())]);
}

//
#[test]
fn a_debug_package_with_an_identity_is_warned_about_once() {
    let manifest = with(&["Packages", "svc"], json!({ "Debug": true, "UniqueID": "aa" }));
    let codes: Vec<String> = judge(&manifest).into_iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["debug-package"]);
}

// M-36, X-8
#[test]
fn a_package_that_no_marble_uses_is_checked_with_warnings() {
    for (package, code, text) in [
        (json!({}), "M-34", "manifest misses value for SignerID in package new"),
        (json!({ "SignerID": "aa" }), "M-34", "manifest misses value for ProductID in package new"),
        (
            json!({ "SignerID": "aa", "ProductID": 0 }),
            "M-34",
            "manifest misses value for SecurityVersion in package new",
        ),
        (
            json!({ "UniqueID": "aa", "ProductID": 0 }),
            "M-33",
            "manifest specifies both UniqueID *and* SignerID/ProductID/SecurityVersion in package new",
        ),
    ] {
        let manifest = with(&["Packages", "new"], package);
        assert_eq!(errors(&manifest), 0);
        assert_eq!(warned(code, &manifest), [("/Packages/new".to_owned(), text.to_owned())]);
    }
}

// M-36
#[test]
fn a_complete_package_that_no_marble_uses_is_accepted() {
    assert_accepted(&with(&["Packages", "new"], json!({ "UniqueID": "aa" })));
    let complete = json!({ "SignerID": "aa", "ProductID": 0, "SecurityVersion": 0 });
    assert_accepted(&with(&["Packages", "new"], complete));
}

// M-33, M-34
#[test]
fn a_used_package_needs_exactly_one_identity() {
    let package = |package: Value| with(&["Packages", "svc"], package);
    assert_refused(&package(json!({ "UniqueID": "aa", "SignerID": "bb" })), "M-33", "/Packages/svc", BOTH);
    for (incomplete, missing) in [
        (json!({}), "SignerID"),
        (json!({ "SignerID": "aa", "SecurityVersion": 1 }), "ProductID"),
        (json!({ "SignerID": "aa", "ProductID": 1 }), "SecurityVersion"),
    ] {
        let text = format!("manifest misses value for {missing} in package svc");
        assert_refused(&package(incomplete), "M-34", "/Packages/svc", &text);
    }
    assert_accepted(&package(json!({ "UniqueID": "aa" })));
}
