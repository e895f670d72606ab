//! The host's own rules reach whoever asks this component alone (offline, or as another coordinator's policy).

use super::*;

fn refusing(code: &str, manifest: &Value) -> bool {
    !found(Severity::Error, code, manifest).is_empty()
}

// M-32, M-37, M-50, M-51, M-70, M-73, M-74, M-76, M-77, S-10
#[test]
fn rules_of_the_host_are_reported_too() {
    for (code, place, value) in [
        ("M-32", &["Marbles", "api", "Package"][..], json!("nowhere")),
        ("M-37", &["Marbles", "api", "TLS"], json!(["nowhere"])),
        ("M-50", &["Users"], json!({ "ann": {} })),
        ("M-51", &["Users"], json!({ "ann": { "Certificate": "x", "Roles": ["nowhere"] } })),
        ("M-70", &["Secrets", "token", "Type"], json!("other")),
        ("M-73", &["Config"], json!({ "SealMode": "productkey" })),
        ("M-74", &["Config"], json!({ "FeatureGates": [""] })),
        ("M-76", &["Config"], json!({ "RecoveryThreshold": 2 })),
        ("S-10", &["Secrets", "shared", "Size"], json!(7)),
    ] {
        assert!(refusing(code, &with(place, value)), "{code}");
        assert!(!refusing(code, &good()), "{code}");
    }
}

// M-77
#[test]
fn a_recovery_threshold_of_one_is_refused() {
    let manifest = |threshold: u64| {
        let mut manifest = with(&["Config"], json!({ "RecoveryThreshold": threshold }));
        manifest["RecoveryKeys"] = json!({ "a": "x", "b": "y" });
        manifest
    };
    assert!(refusing("M-77", &manifest(1)));
    assert!(!refusing("M-77", &manifest(2)));
}

// M-52
#[test]
fn two_users_with_one_certificate_are_refused() {
    let users = |second: &str| {
        with(&["Users"], json!({ "a": { "Certificate": "x" }, "b": { "Certificate": second } }))
    };
    assert!(refusing("M-52", &users("x")));
    assert!(!refusing("M-52", &users("y")));
}

// M-72, X-38
#[test]
fn updates_need_as_many_updaters_as_the_threshold_says_whatever_the_order_of_their_actions() {
    let manifest = |threshold: u64| {
        let mut manifest = with(&["Config"], json!({ "UpdateThreshold": threshold }));
        let actions = ["Backup", "updatemanifest"];
        manifest["Roles"] = json!({ "up": { "ResourceType": "Manifest", "Actions": actions } });
        manifest["Users"] =
            json!({ "a": { "Certificate": "x", "Roles": ["up"] }, "b": { "Certificate": "y" } });
        manifest
    };
    assert!(refusing("M-72", &manifest(2)));
    assert!(!refusing("M-72", &manifest(1)));
}
