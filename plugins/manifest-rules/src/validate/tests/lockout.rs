//! An update that leaves nobody able to update again is a warning (policy.md, In the manifest).

use super::*;

/// [`good`] with the user `alice`, who has one role of this type and with these actions.
fn alice(resource_type: &str, actions: &[&str]) -> Value {
    let mut manifest = with(&["Users"], json!({ "alice": { "Certificate": "x", "Roles": ["r"] } }));
    manifest["Roles"] = json!({ "r": { "ResourceType": resource_type, "Actions": actions } });
    manifest
}

/// Severity, path and message of the warning in an update.
fn warning(change: &str, manifest: &Value) -> Option<(Severity, String, String)> {
    let found = validate(change, &manifest.to_string());
    let mut warnings = found.into_iter().filter(|finding| finding.code == "update-lockout");
    let warning = warnings.next().map(|finding| (finding.severity, finding.path, finding.message));
    assert!(warnings.next().is_none());
    warning
}

#[test]
fn an_update_after_which_nobody_could_update_again_is_a_warning() {
    let text = "nobody could update this manifest again".to_owned();
    let expected = |path: &str| Some((Severity::Warning, path.to_owned(), text.clone()));
    assert_eq!(warning("full-update", &good()), expected(""));
    for (resource_type, actions) in [
        ("Manifest", &["ReadAudit", "Backup"] as &[&str]),
        ("Manifest", &[]),
        ("Packages", &["UpdateManifest"]),
        ("manifest", &["UpdateManifest"]),
    ] {
        assert_eq!(warning("full-update", &alice(resource_type, actions)), expected("/Users"), "{actions:?}");
    }
    let mut without_role = alice("Manifest", &["UpdateManifest"]);
    without_role["Users"]["alice"]["Roles"] = json!([]);
    assert_eq!(warning("full-update", &without_role), expected("/Users"));
}

// X-38: any position, any case
#[test]
fn one_user_who_may_update_is_enough() {
    for actions in [&["UpdateManifest"] as &[&str], &["ReadAudit", "updatemanifest"]] {
        assert_eq!(warning("full-update", &alice("Manifest", actions)), None);
    }
}

#[test]
fn first_manifests_and_package_updates_are_not_warned_about() {
    for change in ["initial", "reset", "package-update"] {
        assert_eq!(warning(change, &good()), None, "{change}");
    }
}
