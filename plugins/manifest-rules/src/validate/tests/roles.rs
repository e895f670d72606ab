//! M-60..M-64.

use super::*;

fn role(resource_type: &str, names: &[&str], actions: &[&str]) -> Value {
    let role = json!({ "ResourceType": resource_type, "ResourceNames": names, "Actions": actions });
    with(&["Roles"], json!({ "r": role }))
}

// M-60
#[test]
fn a_package_role_names_packages_of_the_manifest() {
    assert_accepted(&role("Packages", &["svc"], &["UpdateSecurityVersion"]));
    let text = "role r: resource shared of type Packages is not defined in manifest";
    assert_refused(&role("Packages", &["svc", "shared"], &[]), "M-60", "/Roles/r/ResourceNames/1", text);
}

// M-60
#[test]
fn a_package_role_knows_one_action_ignoring_case() {
    assert_accepted(&role("Packages", &["svc"], &["updatesecurityVERSION"]));
    let text = "unknown action: ReadSecret for type Packages in role: r";
    let manifest = role("Packages", &["svc"], &["UpdateSecurityVersion", "ReadSecret"]);
    assert_refused(&manifest, "M-60", "/Roles/r/Actions/1", text);
}

// M-61
#[test]
fn a_secret_role_names_secrets_of_the_manifest() {
    assert_accepted(&role("Secrets", &["token"], &["ReadSecret", "WriteSecret"]));
    let text = "role r: resource svc of type Secrets is not defined in manifest";
    assert_refused(&role("Secrets", &["svc"], &["ReadSecret"]), "M-61", "/Roles/r/ResourceNames/0", text);
    assert_refused(&role("Secrets", &["svc"], &["WriteSecret"]), "M-61", "/Roles/r/ResourceNames/0", text);
}

// M-61
#[test]
fn a_secret_role_knows_two_actions_ignoring_case() {
    assert_accepted(&role("Secrets", &["token"], &["readsecret", "WRITESECRET"]));
    for unknown in ["UpdateManifest", "", "ReadSecrets"] {
        let text = format!("unknown action: {unknown} for type Secrets in role: r");
        assert_refused(&role("Secrets", &["token"], &[unknown]), "M-61", "/Roles/r/Actions/0", &text);
    }
}

// M-61
#[test]
fn a_secret_role_writes_only_what_is_user_defined_and_reads_nothing_private() {
    let write =
        "manifest specifies write permission for role r and secret shared, but secret is not user-defined";
    let read = "manifest specifies read permission for role r and per-marble-unique secret private";
    let messages = |manifest: &Value| -> Vec<String> {
        found(Severity::Error, "M-61", manifest).into_iter().map(|(_, message)| message).collect()
    };
    assert_eq!(messages(&role("Secrets", &["shared"], &["WriteSecret"])), [write]);
    assert_eq!(messages(&role("Secrets", &["private"], &["readSecret"])), [read]);
    assert_accepted(&role("Secrets", &["shared", "token"], &["ReadSecret"]));
    assert_accepted(&role("Secrets", &["token"], &["WriteSecret"]));
    assert_accepted(&role("Secrets", &["private", "shared"], &[]));
}

// M-62
#[test]
fn a_manifest_role_has_no_resource_names() {
    let text = "role r: resource names are not allowed for type Manifest";
    assert_refused(
        &role("Manifest", &["svc", "x"], &["UpdateManifest"]),
        "M-62",
        "/Roles/r/ResourceNames",
        text,
    );
    assert_accepted(&role("Manifest", &[], &["UpdateManifest"]));
}

// M-62, X-38
#[test]
fn a_manifest_role_knows_four_actions_ignoring_case() {
    assert_accepted(&role("Manifest", &[], &["ReadAudit", "ReadDecisions", "Backup", "UpdateManifest"]));
    assert_accepted(&role("Manifest", &[], &["readaudit", "READDECISIONS", "bACKUP", "updatemanifest"]));
    let text = "unknown action: ReadSecret for type Manifest in role: r";
    assert_refused(&role("Manifest", &[], &["Backup", "ReadSecret"]), "M-62", "/Roles/r/Actions/1", text);
}

// M-63
#[test]
fn other_resource_types_are_refused() {
    for unknown in ["secrets", "Package", "Manifests"] {
        let text = format!("unrecognized resource type: {unknown} for role: r");
        assert_refused(&role(unknown, &["x"], &["y"]), "M-63", "/Roles/r/ResourceType", &text);
    }
}

// M-63
#[test]
fn a_role_without_resource_type_is_refused() {
    let text = "unrecognized resource type:  for role: r";
    for empty in [json!({}), json!({ "ResourceType": "" }), Value::Null] {
        assert_refused(&with(&["Roles"], json!({ "r": empty })), "M-63", "/Roles/r", text);
    }
}

// M-64
#[test]
fn a_role_may_be_without_actions() {
    assert_accepted(&role("Packages", &["svc"], &[]));
    assert_accepted(&role("Secrets", &["token"], &[]));
    assert_accepted(&role("Manifest", &[], &[]));
}
