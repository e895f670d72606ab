//! M-100..M-106, L-60, X-22, X-35, S-34, S-43: raising security versions of packages.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use carrara_core::error::UpdateManifestError;
use carrara_core::outcome::{Reporting, TlsPort};
use carrara_core::ports::Store as _;
use carrara_types::decision::Severity;
use serde_json::{Value, json};
use time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::update_world::Updating;
use crate::common::{self, INTERNAL, UUID, Verdict, activate, denial, env, finding, manifest, manifest_with};

fn versions(app: u64) -> Value {
    json!({ "Packages": { "app": { "SecurityVersion": app } } })
}

/// A secret of every kind, seen by `web`.
fn with_secrets() -> Value {
    manifest_with(
        &json!({
            "key": { "Type": "symmetric-key", "Size": 128, "Shared": true },
            "private": { "Type": "symmetric-key", "Size": 128 },
            "cert": { "Type": "cert-ecdsa", "Size": 256, "Shared": true, "ValidFor": 9,
                      "Cert": { "Subject": { "CommonName": "from the manifest" }, "DNSNames": [] } },
            "rsa": { "Type": "cert-rsa", "Size": 2048, "Shared": true },
        }),
        &json!({
            "KEY": "{{current.key.whole.hex}}", "OLD_KEY": "{{previous.key.whole.hex}}",
            "PRIVATE": "{{current.private.whole.hex}}", "OLD_PRIVATE": "{{previous.private.whole.hex}}",
            "CERT": "{{current.cert.certificate.hex}}", "OLD_CERT": "{{previous.cert.certificate.hex}}",
            "RSA": "{{current.rsa.certificate.hex}}",
        }),
    )
}

// M-100, M-106, R-60
#[tokio::test]
async fn a_raised_version_is_in_force_at_once_and_shows_in_the_log_alone() {
    let test = Updating::alone(&manifest()).await;
    activate(&test.coordinator).await;
    let (manifest, signature) = (test.record("manifest"), test.record("manifestSignature"));
    let progress = test.update("dave", &versions(4)).await;
    assert_eq!((progress.missing_acknowledgments, progress.missing_users), (0, None));
    assert!(progress.recovery_secrets.is_none());
    assert!(
        denial(&test.coordinator).await.contains("SecurityVersion is 3, but the package demands at least 4")
    );
    test.world.evidence.claim(|claims| {
        let carrara_types::claims::Identity::Sgx(identity) = &mut claims.identity else {
            panic!("an enclave")
        };
        identity.security_version = 4;
    });
    activate(&test.coordinator).await;
    assert_eq!((test.record("manifest"), test.record("manifestSignature")), (manifest, signature));
    assert_eq!(
        test.log(1),
        [
            json!({ "update": "SecurityVersion increased", "user": "dave", "package": "app", "new version": 4 })
        ]
    );
    let line = test.world.store.snapshot().log_lines(1, 1).unwrap().remove(0);
    let order = r#""update":"SecurityVersion increased","user":"dave","package":"app","new version":4}"#;
    assert!(line.ends_with(order), "{line}");
}

// M-104, M-106: "current = after earlier updates", also after a restart
#[tokio::test]
async fn the_version_in_force_counts_and_survives_a_restart() {
    let mut test = Updating::alone(&manifest()).await;
    test.update("dave", &versions(5)).await;
    test.coordinator = test.world.start().await;
    let text = "checking update manifest: update manifest tries to downgrade SecurityVersion of the original manifest";
    assert_eq!(test.refusal("dave", &versions(4)).await, text);
    assert!(denial(&test.coordinator).await.contains("at least 5"));
    test.update("dave", &versions(5)).await;
    assert_eq!(test.log(1).len(), 2, "an equal version is logged, too");
}

// M-100, M-101: permission on every package, before anything else is said
#[tokio::test]
async fn whoever_lacks_the_permission_on_one_package_changes_none() {
    let test = Updating::alone(&manifest()).await;
    let refused = |user: &str, names: &str| {
        format!("user {user} is not allowed to update one or more packages of [{names}]")
    };
    let both = json!({ "Packages": { "app": { "SecurityVersion": 9 }, "other": { "Debug": true } } });
    assert_eq!(test.refusal("dave", &both).await, refused("dave", "app other"));
    assert_eq!(test.refusal("alice", &versions(9)).await, refused("alice", "app"));
    assert_eq!(test.refusal("erin", &json!({})).await, refused("erin", ""));
    assert_eq!(test.refusal("dave", &json!({})).await, "checking update manifest: no packages defined");
    test.world.policies.authorizer(Verdict::Allow);
    assert_eq!(test.refusal("dave", &both).await, refused("dave", "app other"), "unknown to the manifest");
}

// R-54
#[tokio::test]
async fn a_stranger_is_told_nothing() {
    let test = Updating::alone(&manifest()).await;
    for peer in [None, Some(b"stranger".as_slice())] {
        let error = test
            .coordinator
            .update_manifest(peer, b"no JSON", Vec::new(), Reporting::Full)
            .await
            .unwrap_err();
        assert!(matches!(error, UpdateManifestError::Unauthorized));
    }
}

// M-101..M-104, X-35
#[tokio::test]
async fn what_is_no_update_of_versions_is_refused() {
    let test = Updating::alone(&manifest()).await;
    for (package, text) in [
        (json!({ "SecurityVersion": 9, "ProductID": 7 }), "update manifest contains unupdatable values"),
        (json!({}), "update manifest does not specify a SecurityVersion to update"),
        (
            json!({ "SecurityVersion": 2 }),
            "update manifest tries to downgrade SecurityVersion of the original manifest",
        ),
    ] {
        let update = json!({ "Packages": { "app": package } });
        assert_eq!(test.refusal("dave", &update).await, format!("checking update manifest: {text}"));
    }
    let mut config = versions(9);
    config["Config"] = json!({ "UpdateThreshold": 2 });
    assert!(test.refusal("dave", &config).await.contains("send a full manifest"));
    assert_eq!(test.log(1), [] as [Value; 0]);
}

// M-105
#[tokio::test]
async fn a_package_without_a_version_gets_one() {
    let mut manifest = manifest();
    manifest["Packages"]["app"] = json!({ "UniqueID": "ab".repeat(32) });
    let test = Updating::alone(&manifest).await;
    activate(&test.coordinator).await;
    test.update("dave", &versions(9)).await;
    assert!(denial(&test.coordinator).await.contains("at least 9"));
}

// L-60, X-22
#[tokio::test]
async fn the_ca_is_renewed_under_the_same_root_and_with_the_same_names() {
    let test = Updating::alone(&manifest()).await;
    let root = test.record("certificate:coordinatorRootCert");
    let keys = ["certificate:coordinatorIntermediateCert", "certificate:marbleRootCert"];
    let before = keys.map(|key| test.record(key).unwrap());
    test.update("dave", &versions(4)).await;
    assert_eq!(test.record("certificate:coordinatorRootCert"), root);
    for (old, new) in before.iter().zip(keys.map(|key| test.record(key).unwrap())) {
        assert_ne!(old, &new);
        let (_, old) = X509Certificate::from_der(old).unwrap();
        let (_, new) = X509Certificate::from_der(&new).unwrap();
        let names = |certificate: &X509Certificate<'_>| {
            let names = certificate.subject_alternative_name().unwrap().unwrap();
            names.value.general_names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>()
        };
        assert_eq!(names(&old), names(&new));
        assert!(names(&new).iter().any(|name| name.contains("coordinator.example")));
        assert!(names(&new).iter().any(|name| name.contains("IPAddress")));
    }
}

// L-60, S-34, S-43, X-70
#[tokio::test]
async fn keys_stay_and_shared_certificates_are_issued_again_to_their_old_end() {
    let test = Updating::alone(&with_secrets()).await;
    let before = activate(&test.coordinator).await;
    test.world.clock.move_by(Duration::days(3));
    test.update("dave", &versions(3)).await;
    let after = activate(&test.coordinator).await;
    for name in ["KEY", "OLD_KEY", "PRIVATE", "OLD_PRIVATE", "OLD_CERT"] {
        assert_eq!(env(&before, name), env(&after, name), "{name}");
    }
    let marble_root = test.record("certificate:marbleRootCert").unwrap();
    let (_, issuer) = X509Certificate::from_der(&marble_root).unwrap();
    for name in ["CERT", "RSA"] {
        let (old, new) = (hex::decode(env(&before, name)).unwrap(), hex::decode(env(&after, name)).unwrap());
        let (_, old) = X509Certificate::from_der(&old).unwrap();
        let (_, new) = X509Certificate::from_der(&new).unwrap();
        assert_ne!(old.public_key().raw, new.public_key().raw, "{name}: a new key");
        assert_eq!(old.validity().not_after, new.validity().not_after, "{name}");
        new.verify_signature(Some(issuer.public_key())).unwrap();
        assert_eq!(old.subject(), new.subject());
        // X-70: what the template suppresses stays suppressed.
        if name == "CERT" {
            assert!(!format!("{:?}", new.subject_alternative_name()).contains("localhost"));
        }
    }

    // S-43: a second one does not touch the previous value either.
    test.update("dave", &versions(3)).await;
    assert_eq!(env(&activate(&test.coordinator).await, "OLD_CERT"), env(&before, "CERT"));
}

// policy.md: validators judge a package update, too
#[tokio::test]
async fn a_validator_may_refuse_or_remark_a_package_update() {
    let test = Updating::alone(&manifest()).await;
    test.update("dave", &versions(4)).await;
    {
        let proposals = test.world.policies.proposals.lock().unwrap();
        let asked = proposals.last().unwrap();
        assert_eq!(asked.change.name(), "package-update");
        assert_eq!(asked.proposer.as_ref().unwrap().name, "dave");
        assert_eq!(asked.current_versions, [("app".to_owned(), 3)]);
    }
    let remark = finding(Severity::Warning, "slow-down", "/Packages/app", "raised twice in a day");
    *test.world.policies.findings.lock().unwrap() = vec![remark.clone()];
    let mut update = versions(5);
    update["Packages"]["app"]["Colour"] = json!("red");
    let warnings = test.update("dave", &update).await.warnings;
    assert!(warnings.contains(&remark));
    assert!(warnings.iter().any(|warning| warning.message.contains("Colour")), "X-9: {warnings:?}");
    assert_eq!(test.world.policies.proposals.lock().unwrap().last().unwrap().current_versions[0].1, 4);

    *test.world.policies.findings.lock().unwrap() =
        vec![finding(Severity::Error, "slow-down", "/Packages/app", "not today")];
    assert_eq!(test.refusal("dave", &versions(6)).await, "checking update manifest: not today");
}

#[tokio::test]
async fn an_update_in_conflict_is_made_again_and_given_up_after_eight_times() {
    let test = Updating::alone(&manifest()).await;
    test.world.store.conflicts.store(7, Ordering::SeqCst);
    test.update("dave", &versions(4)).await;
    assert_eq!(test.log(1).len(), 1);
    test.world.store.conflicts.store(8, Ordering::SeqCst);
    let error = test.try_update("dave", &versions(5)).await.unwrap_err();
    assert!(matches!(error, UpdateManifestError::Busy));
    test.world.store.commit_fails.store(true, Ordering::SeqCst);
    let error = test.try_update("dave", &versions(5)).await.unwrap_err();
    assert!(!common::message(&error).contains(INTERNAL) && error.internal().unwrap().contains(INTERNAL));
    assert_eq!(test.log(1).len(), 1);
}

// S-20: the root secret stays
#[tokio::test]
async fn a_marble_opens_what_it_sealed_before_the_update() {
    let test = Updating::alone(&with_secrets()).await;
    let before = env(&activate(&test.coordinator).await, "PRIVATE");
    test.update("dave", &versions(3)).await;
    assert_eq!(env(&activate(&test.coordinator).await, "PRIVATE"), before, "{UUID}");
}

// L-60: the old intermediate certificate is valid for centuries, so that its key must not stay in memory
#[tokio::test]
async fn nobody_holds_the_old_intermediate_key_after_an_update() {
    let mut test = Updating::alone(&manifest()).await;
    for restarted in [false, true] {
        if restarted {
            test.coordinator = test.world.start().await;
        }
        let old = Arc::downgrade(&test.coordinator.tls_identity(TlsPort::Mesh));
        test.update("dave", &versions(4)).await;
        let new = test.coordinator.tls_identity(TlsPort::Mesh);
        assert_eq!(Some(new.certificate.clone()), test.record("certificate:marbleRootCert"));
        assert!(old.upgrade().is_none(), "restarted: {restarted}");
    }
}
