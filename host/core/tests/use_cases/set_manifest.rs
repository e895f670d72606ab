//! R-33..R-35, lifecycle.md section 5: the first manifest, a reset, and that a failure changes nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use carrara_core::error::SetManifestError;
use carrara_core::outcome::TlsPort;
use carrara_core::ports::{Found, Store};
use carrara_types::decision::Change;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::{self, INTERNAL, RecoveryKey, World, bytes, manifest};

// R-33, R-35: "first caller wins"
#[tokio::test]
async fn a_manifest_is_set_once() {
    let (_world, coordinator) = World::with(&manifest()).await;
    let error = coordinator.set_manifest(None, &bytes(&manifest()), Vec::new()).await.unwrap_err();
    assert!(matches!(error, SetManifestError::WrongState));
    assert_eq!(common::message(&error), "server is not in expected state");
}

// R-30, R-31, M-1: the bytes as they were uploaded
#[tokio::test]
async fn the_manifest_is_read_back_as_it_was_uploaded() {
    let world = World::new().await;
    let coordinator = world.start().await;
    assert!(coordinator.manifest().unwrap().is_none());
    let text = [b" \n", bytes(&manifest()).as_slice(), b"\n"].concat();
    coordinator.set_manifest(None, &text, Vec::new()).await.unwrap();
    let answer = coordinator.manifest().unwrap().unwrap();
    assert_eq!(answer.manifest, text);
    assert_eq!(answer.fingerprint, hex::encode(Sha256::digest(&text)));
}

// R-32
#[tokio::test]
async fn the_signature_verifies_under_the_root_key_over_the_manifests_bytes() {
    use aws_lc_rs::signature::{ECDSA_P384_SHA256_ASN1, UnparsedPublicKey};
    use der::Decode;
    let (_world, coordinator) = World::with(&manifest()).await;
    let root = coordinator.tls_identity(TlsPort::Rest).certificate.clone();
    let root = x509_cert::Certificate::from_der(&root).unwrap();
    let key = root.tbs_certificate.subject_public_key_info.subject_public_key;
    let answer = coordinator.manifest().unwrap().unwrap();
    let key = UnparsedPublicKey::new(&ECDSA_P384_SHA256_ASN1, key.raw_bytes());
    key.verify(&answer.manifest, &answer.signature).unwrap();
    assert!(key.verify(b"another manifest", &answer.signature).is_err());
}

// lifecycle.md section 5: "Root certificate and quote do not change"; G-10
#[tokio::test]
async fn setting_a_manifest_changes_neither_certificates_nor_the_quote() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let presented =
        || [TlsPort::Rest, TlsPort::Mesh].map(|port| coordinator.tls_identity(port).certificate.clone());
    let (before, quote) = (presented(), coordinator.quote(None).await.unwrap());
    common::set(&coordinator, &manifest()).await;
    assert_eq!(presented(), before);
    assert_eq!(coordinator.quote(None).await.unwrap(), quote);
    assert_eq!(world.evidence.issued(), 1, "the kept quote");
}

// R-60
#[tokio::test]
async fn the_log_of_a_new_state_has_one_line() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let error = coordinator.update_log(0, None).unwrap_err();
    assert_eq!(common::message(&error), "server is not in expected state");
    common::set(&coordinator, &manifest()).await;
    let line = r#"{"time":"2031-02-03T04:05:06.789Z","update":"Initial manifest set"}"#;
    assert_eq!(coordinator.update_log(0, None).unwrap(), [line]);
}

// M-6: every stage has its prefix
#[tokio::test]
async fn what_is_no_manifest_is_refused_with_its_place() {
    let world = World::new().await;
    let coordinator = world.start().await;
    for text in ["", "{", "[]", r#"{"Packages": 1}"#] {
        let error = coordinator.set_manifest(None, text.as_bytes(), Vec::new()).await.unwrap_err();
        let text = common::message(&error);
        assert!(text.starts_with("unmarshaling manifest: "), "{text}");
    }
    assert_eq!(coordinator.status().code, 2);
}

/// A change that makes the least manifest unacceptable.
type Spoil = fn(&mut Value);

// manifest.md section 7, M-78, M-79, M-53, M-32, M-80: the prefix is the stage's; the host's list, whatever validators allow
#[tokio::test]
async fn every_stage_refuses_with_its_prefix_and_the_next_manifest_is_accepted() {
    let cases: [(&str, Spoil); 5] = [
        ("checking manifest: manifest does not contain marble package nowhere", |m| {
            m["Marbles"]["web"]["Package"] = json!("nowhere");
        }),
        ("generating placeholder secrets from manifest: invalid secret size: k", |m| {
            m["Secrets"] = json!({ "k": { "Type": "symmetric-key", "Size": 7 } });
        }),
        ("generating recovery encryption key: given PEM data is not a public key", |m| {
            m["RecoveryKeys"] = json!({ "a": "no key" });
        }),
        ("generating users from manifest: received invalid certificate for user u", |m| {
            m["Users"] = json!({ "u": { "Certificate": "no certificate" } });
        }),
        ("running manifest template dry run: in Marble web: env variable E: ", |m| {
            m["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{ fail }}" });
        }),
    ];
    let world = World::new().await;
    let coordinator = world.start().await;
    let root = coordinator.tls_identity(TlsPort::Rest).certificate.clone();
    for (prefix, spoil) in cases {
        let mut spoiled = manifest();
        spoil(&mut spoiled);
        let text = common::refusal(&coordinator, &spoiled).await;
        assert!(text.starts_with(prefix), "{text}");
        assert_eq!((coordinator.status().code, world.revision()), (2, 0), "{prefix}");
        assert!(coordinator.manifest().unwrap().is_none());
        assert_eq!(coordinator.tls_identity(TlsPort::Rest).certificate, root);
    }
    common::set(&coordinator, &manifest()).await;
    assert_eq!(coordinator.status().code, 3);
}

// X-5, X-11a: names of the coordinator in a secret's template
#[tokio::test]
async fn a_secret_with_the_coordinators_name_is_refused() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let mut manifest = manifest();
    manifest["Secrets"] =
        json!({ "c": { "Type": "cert-ed25519", "Cert": { "DNSNames": ["coordinator.example"] } } });
    let text = common::refusal(&coordinator, &manifest).await;
    assert!(text.contains("coordinator.example"), "{text}");
    manifest["Secrets"]["c"]["Cert"]["DNSNames"] = json!(["localhost", "web.example"]);
    common::set(&coordinator, &manifest).await;
}

// style.md rule 4, X-25, X-27, X-28: nothing in memory before the commit
#[tokio::test]
async fn a_state_that_cannot_be_written_is_no_state_and_the_second_attempt_works() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let root = coordinator.tls_identity(TlsPort::Rest).certificate.clone();
    world.store.create_fails.store(true, Ordering::SeqCst);
    let text = common::refusal(&coordinator, &manifest()).await;
    assert!(!text.contains(INTERNAL), "{text}");
    assert_eq!(coordinator.status().code, 2);
    assert_eq!(common::denial(&coordinator).await, "cannot accept marbles in current state");

    world.store.create_fails.store(false, Ordering::SeqCst);
    common::set(&coordinator, &manifest()).await;
    assert_eq!(coordinator.tls_identity(TlsPort::Rest).certificate, root);
    common::activate(&coordinator).await;
}

// R-35
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_manifests_set_at_once_exactly_one_wins() {
    let world = World::new().await;
    let coordinator = Arc::new(world.start().await);
    let mut other = manifest();
    other["Marbles"]["other"] = json!({ "Package": "app" });
    let tasks = [bytes(&manifest()), bytes(&other)].map(|text| {
        let coordinator = Arc::clone(&coordinator);
        tokio::spawn(async move { (coordinator.set_manifest(None, &text, Vec::new()).await, text) })
    });
    let mut winners = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            (Ok(_), text) => winners.push(text),
            (Err(error), _) => assert!(matches!(error, SetManifestError::WrongState), "{error:?}"),
        }
    }
    assert_eq!(winners, [coordinator.manifest().unwrap().unwrap().manifest.clone()]);
}

// R-35, X-28: two coordinators on one store; the store decides
#[tokio::test]
async fn the_second_coordinator_on_a_store_is_told_that_the_state_is_wrong() {
    let world = World::new().await;
    let (one, two) = (world.start().await, world.start().await);
    common::set(&one, &manifest()).await;
    assert_eq!(common::refusal(&two, &manifest()).await, "server is not in expected state");
    assert_eq!(
        two.tls_identity(TlsPort::Rest).certificate,
        one.tls_identity(TlsPort::Rest).certificate,
        "the state's certificate, not the temporary one"
    );
}

// L-33, X-1: a manifest in recovery makes a new state; validators are told that it is a reset
#[tokio::test]
async fn in_recovery_a_manifest_makes_a_new_state_with_a_line_about_the_old_one() {
    let world = World::new().await;
    world.store.locked.store(true, Ordering::SeqCst);
    let coordinator = world.start().await;
    assert_eq!(coordinator.status().code, 1);
    common::set(&coordinator, &manifest()).await;
    assert_eq!((coordinator.status().code, world.store.found()), (3, Found::Open));
    assert_eq!(world.policies.proposals.lock().unwrap()[0].change, Change::Reset);
    let log = coordinator.update_log(0, None).unwrap();
    assert_eq!(log.len(), 2);
    let root = hex::encode(Sha256::digest(&coordinator.tls_identity(TlsPort::Rest).certificate));
    assert!(log[0].contains(r#""update":"Previous state archived","rootFingerprint":""#), "{}", log[0]);
    assert!(log[0].contains(&root));
    assert!(log[1].contains("Initial manifest set"));
}

// R-33: "null when there are no recovery keys" is told by an empty map
#[tokio::test]
async fn recovery_secrets_are_returned_by_the_names_of_the_keys() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let mut manifest = manifest();
    manifest["RecoveryKeys"] = json!({ "alice": RecoveryKey::generate().pem() });
    let set = common::set(&coordinator, &manifest).await;
    assert_eq!(set.recovery_secrets.keys().collect::<Vec<_>>(), ["alice"]);
}
