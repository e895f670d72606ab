//! M-110..M-112, L-50, L-52, L-60, L-61, X-23, S-41, S-42: a full update that one user makes alone.

use carrara_core::Coordinator;
use carrara_core::error::UpdateManifestError;
use carrara_core::outcome::{Reporting, TlsPort};
use carrara_types::decision::Severity;
use serde_json::{Value, json};
use time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::update_world::{Updating, fingerprint};
use crate::common::{
    self, INTERNAL, Verdict, activate, bytes, denial, env, finding, manifest, manifest_with, user_certificate,
};

/// Another manifest that changes nothing that matters.
fn with_argument(test: &Updating, argument: &str) -> Value {
    test.changed(|manifest| manifest["Marbles"]["web"]["Parameters"]["Argv"] = json!([argument]))
}

// M-112, L-52, R-60
#[tokio::test]
async fn a_full_update_replaces_the_manifest_in_one_commit() {
    let test = Updating::alone(&manifest()).await;
    let new = with_argument(&test, "./new");
    let before = test.world.revision();
    let progress = test.update("alice", &new).await;
    assert_eq!(test.world.revision(), before + 1);
    assert_eq!((progress.missing_acknowledgments, progress.missing_users), (0, None));
    assert!(progress.recovery_secrets.is_none() && progress.warnings.is_empty());
    assert_eq!(activate(&test.coordinator).await.argv, ["./new"]);
    assert!(test.coordinator.pending_update().is_err());
    let fingerprint = fingerprint(&new);
    assert_eq!(
        test.log(1),
        [
            json!({
                "update": "Complete Manifest update initiated by user. No further acknowledgements required",
                "user": "alice", "manifestFingerprint": fingerprint
            }),
            json!({ "update": "Complete Manifest updated", "manifestFingerprint": fingerprint }),
        ]
    );
}

// M-112, R-32
#[tokio::test]
async fn bytes_fingerprint_and_signature_are_the_new_ones_also_after_a_restart() {
    use aws_lc_rs::signature::{ECDSA_P384_SHA256_ASN1, UnparsedPublicKey};
    let mut test = Updating::alone(&manifest()).await;
    let new = with_argument(&test, "./new");
    test.update("alice", &new).await;
    for _ in 0..2 {
        let answer = test.coordinator.manifest().unwrap().unwrap();
        assert_eq!((answer.manifest.clone(), answer.fingerprint.clone()), (bytes(&new), fingerprint(&new)));
        let root = test.coordinator.tls_identity(TlsPort::Rest).certificate.clone();
        let (_, root) = X509Certificate::from_der(&root).unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P384_SHA256_ASN1, &root.public_key().subject_public_key.data);
        key.verify(&answer.manifest, &answer.signature).unwrap();
        test.coordinator = test.world.start().await;
    }
}

// M-110, M-111: the current manifest's users and roles decide, the new one's are in force afterwards
#[tokio::test]
async fn users_and_roles_are_replaced() {
    let test = Updating::alone(&manifest()).await;
    let (frank, pem) = user_certificate();
    let new = test.changed(|manifest| {
        let users = manifest["Users"].as_object_mut().unwrap();
        users.remove("alice");
        users.insert("frank".to_owned(), json!({ "Certificate": pem, "Roles": ["updater"] }));
    });
    let early =
        test.coordinator.update_manifest(Some(&frank), &bytes(&new), Vec::new(), Reporting::Full).await;
    assert!(matches!(early.unwrap_err(), UpdateManifestError::Unauthorized));
    test.update("alice", &new).await;
    assert!(matches!(test.try_update("alice", &new).await.unwrap_err(), UpdateManifestError::Unauthorized));
    test.coordinator.update_manifest(Some(&frank), &bytes(&new), Vec::new(), Reporting::Full).await.unwrap();
}

// M-110
#[tokio::test]
async fn only_who_may_update_the_manifest_updates_it() {
    let test = Updating::alone(&manifest()).await;
    let new = with_argument(&test, "./new");
    for user in ["dave", "erin"] {
        let text = format!("user {user} is not allowed to update the complete manifest");
        assert_eq!(test.refusal(user, &new).await, text);
    }
    test.world.policies.authorizer(Verdict::Deny("hours", "not on Sundays", Some("come tomorrow")));
    assert_eq!(
        test.refusal("alice", &new).await,
        "user alice is not allowed to update the complete manifest: hours: not on Sundays (come tomorrow)"
    );
    test.world.policies.authorizer(Verdict::Fail("hours"));
    let error = test.try_update("alice", &new).await.unwrap_err();
    assert_eq!(common::message(&error), r#"policy "hours" could not decide"#);
    assert!(error.internal().unwrap().contains(INTERNAL));
    assert_eq!(test.log(1), [] as [Value; 0]);
}

// L-50: parsing, what is pending, the permission, the checks
#[tokio::test]
async fn an_update_is_judged_in_the_specified_order() {
    let test = Updating::new(&manifest(), 2).await;
    let invalid = test.changed(|manifest| manifest["Marbles"]["web"]["Package"] = json!("gone"));
    assert!(test.refusal("erin", &invalid).await.contains("is not allowed"), "permission, then checks");
    let invalid_text = "invalid manifest: manifest does not contain marble package gone";
    assert_eq!(test.refusal("alice", &invalid).await, invalid_text);
    test.update("alice", &with_argument(&test, "./new")).await;
    assert!(test.refusal("erin", &invalid).await.starts_with("update already in progress."), "pending first");
    let error = test
        .coordinator
        .update_manifest(test.peer("erin"), b"{", Vec::new(), Reporting::Full)
        .await
        .unwrap_err();
    assert!(common::message(&error).starts_with("unmarshaling manifest: unexpected end of JSON input"));
}

// M-110, policy.md: host and validators judge together
#[tokio::test]
async fn the_validators_see_what_is_in_force_and_who_proposes() {
    let test = Updating::alone(&manifest()).await;
    test.update("dave", &json!({ "Packages": { "app": { "SecurityVersion": 8 } } })).await;
    let new = with_argument(&test, "./new");
    test.update("alice", &new).await;
    {
        let proposals = test.world.policies.proposals.lock().unwrap();
        let asked = proposals.last().unwrap();
        assert_eq!(asked.change.name(), "full-update");
        assert_eq!(asked.proposer.as_ref().unwrap().name, "alice");
        assert_eq!(asked.current_versions, [("app".to_owned(), 8)]);
        assert!(asked.manifest.contains("./new") && !asked.current.as_ref().unwrap().contains("./new"));
        assert_eq!(hex::encode(asked.manifest_sha256), fingerprint(&new));
    }
    *test.world.policies.findings.lock().unwrap() = vec![
        finding(Severity::Error, "corp-1", "", "not like this"),
        finding(Severity::Error, "corp-2", "", "nor that"),
    ];
    assert_eq!(test.refusal("alice", &new).await, "invalid manifest: not like this (and 1 more)");
    *test.world.policies.findings.lock().unwrap() = vec![finding(Severity::Warning, "corp-3", "", "hm")];
    assert_eq!(test.update("alice", &new).await.warnings.len(), 1);
}

// L-61: root and counts stay, the CA is new; M-110: a version may fall; X-33
#[tokio::test]
async fn what_an_update_keeps_and_what_it_renews() {
    let mut manifest = manifest();
    manifest["Marbles"]["web"]["MaxActivations"] = json!(5);
    let test = Updating::alone(&manifest).await;
    activate(&test.coordinator).await;
    test.world.store.write("monotonicCounter:x", &7_u64.to_le_bytes()).await;
    test.update("dave", &json!({ "Packages": { "app": { "SecurityVersion": 8 } } })).await;
    assert!(denial(&test.coordinator).await.contains("at least 8"));

    let kept = ["certificate:coordinatorRootCert", "rootSecret", "previousRootSecret", "monotonicCounter:x"];
    let renewed = ["certificate:coordinatorIntermediateCert", "certificate:marbleRootCert"];
    let (before_kept, before_renewed) =
        (kept.map(|key| test.record(key)), renewed.map(|key| test.record(key)));
    test.update("alice", &test.first).await;
    assert_eq!(kept.map(|key| test.record(key)), before_kept);
    for (key, before) in renewed.into_iter().zip(before_renewed) {
        assert_ne!(test.record(key), before, "{key}");
    }
    assert_eq!(test.record("package:app"), None);
    activate(&test.coordinator).await;
    assert_eq!(test.world.count("web"), Some(2));

    let fewer = test.changed(|manifest| manifest["Marbles"]["web"]["MaxActivations"] = json!(2));
    test.update("alice", &fewer).await;
    assert!(denial(&test.coordinator).await.contains("reached max activations count (2)"));
}

/// One secret of every kind, `web` sees current and previous values.
fn with_secrets() -> Value {
    let names = ["key", "private", "cert", "template", "resized"];
    let mut env: Value = names
        .iter()
        .flat_map(|name| {
            let part = if ["cert", "template"].contains(name) { "certificate" } else { "whole" };
            ["current", "previous"]
                .map(|scope| (format!("{scope}_{name}"), json!(format!("{{{{{scope}.{name}.{part}.hex}}}}"))))
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    env["current_mine"] = json!("{{current.mine.whole.hex}}");
    manifest_with(
        &json!({
            "key": { "Type": "symmetric-key", "Size": 128, "Shared": true },
            "private": { "Type": "symmetric-key", "Size": 128 },
            "cert": { "Type": "cert-ecdsa", "Size": 256, "Shared": true },
            "template": { "Type": "cert-ecdsa", "Size": 256, "Shared": true, "ValidFor": 9 },
            "resized": { "Type": "symmetric-key", "Size": 128, "Shared": true },
            "mine": { "Type": "plain", "UserDefined": true },
            "retyped": { "Type": "plain", "UserDefined": true },
            "gone": { "Type": "symmetric-key", "Size": 128, "Shared": true },
            "gone_mine": { "Type": "plain", "UserDefined": true },
        }),
        &env,
    )
}

async fn values(coordinator: &Coordinator) -> impl Fn(&str) -> String + use<> {
    let activation = activate(coordinator).await;
    move |name| env(&activation, name)
}

async fn with_uploads() -> Updating {
    let test = Updating::alone(&with_secrets()).await;
    for name in ["mine", "retyped", "gone_mine"] {
        test.world.store.upload(&format!("secret:{name}"), b"current").await;
        test.world.store.upload(&format!("previousSecret:{name}"), b"previous").await;
    }
    test
}

// S-41, S-41a, X-23, L-61: row by row
#[tokio::test]
async fn each_secret_is_carried_over_by_its_row_of_the_table() {
    let test = with_uploads().await;
    let before = values(&test.coordinator).await;
    test.world.clock.move_by(Duration::days(1));
    let new = test.changed(|manifest| {
        let secrets = manifest["Secrets"].as_object_mut().unwrap();
        secrets.remove("gone");
        secrets.remove("gone_mine");
        secrets["resized"]["Size"] = json!(256);
        secrets["template"]["Cert"] = json!({ "Subject": { "CommonName": "changed" } });
        secrets["retyped"]["Type"] = json!("cert-rsa");
        secrets.insert("new".to_owned(), json!({ "Type": "cert-ed25519", "Shared": true }));
        let env = &mut manifest["Marbles"]["web"]["Parameters"]["Env"];
        env["current_new"] = json!("{{current.new.certificate.hex}}");
        env["previous_new"] = json!("{{previous.new.certificate.hex}}");
    });
    let mine = test.record("secret:mine");
    test.update("alice", &new).await;
    let after = values(&test.coordinator).await;

    // Unchanged symmetric: kept, previous untouched.
    for name in ["current_key", "previous_key", "current_private", "previous_private"] {
        assert_eq!(before(name), after(name), "{name}");
    }
    // Unchanged certificates, also with another template or ValidFor 0: previous := old, new generated.
    for name in ["cert", "template"] {
        assert_eq!(after(&format!("previous_{name}")), before(&format!("current_{name}")), "{name}");
        assert_ne!(after(&format!("current_{name}")), before(&format!("current_{name}")), "{name}");
    }
    let issued = hex::decode(after("current_template")).unwrap();
    let (_, issued) = X509Certificate::from_der(&issued).unwrap();
    assert!(issued.subject().to_string().contains("changed"), "from the new template");
    let end = issued.validity().not_after.timestamp() - issued.validity().not_before.timestamp();
    assert_eq!(end, 9 * 24 * 3600, "a new life, unlike after a package update");
    // Redefined: new value, previous := new value.
    assert_eq!((after("current_resized").len(), after("current_resized")), (64, after("previous_resized")));
    // New: previous := new value.
    assert_eq!(after("current_new"), after("previous_new"));
    // User-defined: kept, or emptied where redefined.
    assert_eq!(test.record("secret:mine"), mine);
    assert!(test.record("previousSecret:mine").is_some());
    // Removed: deleted from both.
    for name in ["retyped", "gone", "gone_mine"] {
        assert_eq!(test.record(&format!("secret:{name}")), None, "{name}");
        assert_eq!(test.record(&format!("previousSecret:{name}")), None, "{name}");
    }
}

// S-41: only one generation of history
#[tokio::test]
async fn a_second_update_replaces_the_previous_certificate() {
    let test = with_uploads().await;
    test.update("alice", &test.first).await;
    let second = values(&test.coordinator).await;
    test.update("alice", &test.first).await;
    let third = values(&test.coordinator).await;
    assert_eq!(third("previous_cert"), second("current_cert"));
}

// S-43: a package update before a full one leaves the previous value of the first manifest until the full one
#[tokio::test]
async fn package_updates_and_full_updates_keep_one_history() {
    let test = with_uploads().await;
    let first = values(&test.coordinator).await;
    test.update("dave", &json!({ "Packages": { "app": { "SecurityVersion": 3 } } })).await;
    let second = values(&test.coordinator).await;
    assert_eq!(second("previous_cert"), first("current_cert"));
    test.update("alice", &test.first).await;
    let third = values(&test.coordinator).await;
    assert_eq!(third("previous_cert"), second("current_cert"));
    test.update("dave", &json!({ "Packages": { "app": { "SecurityVersion": 3 } } })).await;
    let fourth = values(&test.coordinator).await;
    assert_eq!(fourth("previous_cert"), second("current_cert"), "S-43, also after a full update");
    assert_ne!(fourth("current_cert"), third("current_cert"));
}

// S-41, S-42, S-40
#[tokio::test]
async fn a_rotation_makes_new_keys_and_keeps_the_old_ones_as_previous() {
    let test = with_uploads().await;
    let before = values(&test.coordinator).await;
    let rotating = test.changed(|manifest| manifest["Config"]["RotateRootSecret"] = json!(true));
    let mine = test.record("secret:mine");
    test.update("alice", &rotating).await;
    let after = values(&test.coordinator).await;
    for name in ["key", "private", "cert", "resized"] {
        assert_eq!(after(&format!("previous_{name}")), before(&format!("current_{name}")), "{name}");
        assert_ne!(after(&format!("current_{name}")), before(&format!("current_{name}")), "{name}");
    }
    assert_eq!(test.record("secret:mine"), mine);

    // S-42: "on every full update whose manifest has it true"; one generation of history
    test.update("alice", &rotating).await;
    let again = values(&test.coordinator).await;
    assert_eq!(again("previous_private"), after("current_private"));
    assert_ne!(again("current_private"), after("current_private"));

    // Without it nothing is rotated, and the previous secret stays.
    test.update("alice", &test.first).await;
    let last = values(&test.coordinator).await;
    for name in ["current_private", "previous_private", "current_key", "previous_key"] {
        assert_eq!(last(name), again(name), "{name}");
    }
}

// policy.md: "where nobody could update again, that is a warning"
#[tokio::test]
async fn an_update_after_which_nobody_could_update_is_accepted_with_a_warning() {
    let test = Updating::new(&manifest(), 1).await;
    let locked = test.changed(|manifest| {
        manifest["Config"]["UpdateThreshold"] = json!(0);
        for name in ["alice", "bob", "carol"] {
            manifest["Users"][name]["Roles"] = json!([]);
        }
    });
    let warnings = test.update("alice", &locked).await.warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!((warnings[0].severity, warnings[0].code.as_str()), (Severity::Warning, "update-lockout"));
    assert!(test.try_update("alice", &test.first).await.is_err());

    let test = Updating::new(&manifest(), 1).await;
    assert!(test.update("alice", &test.first).await.warnings.is_empty());
}

// policy.md: "Before an update is accepted the proposed authorizers are asked the same"
#[tokio::test]
async fn too_few_users_whom_the_authorizers_let_update_are_a_warning() {
    let test = Updating::new(&manifest(), 1).await;
    test.world.policies.authorizer(Verdict::RolesButDeny("carol"));
    let warnings = test.update("alice", &three_of(&test)).await.warnings;
    assert_eq!((warnings.len(), warnings[0].code.as_str()), (1, "update-lockout"));
    assert_eq!(warnings[0].message, "fewer users (2) could update this manifest again than must agree (3)");

    let test = Updating::new(&manifest(), 1).await;
    assert!(test.update("alice", &three_of(&test)).await.warnings.is_empty());
}

fn three_of(test: &Updating) -> Value {
    test.changed(|manifest| manifest["Config"]["UpdateThreshold"] = json!(3))
}
