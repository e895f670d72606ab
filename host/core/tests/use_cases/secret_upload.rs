//! S-50..S-57, R-53, X-11, X-24: what users upload, who may, and what is stored of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use carrara_core::Coordinator;
use carrara_core::error::WriteSecretsError;
use carrara_core::outcome::{ReadableSecret, SecretUpload, UploadedCertificate};
use carrara_core::ports::Store;
use carrara_types::secret::SecretBytes;
use serde_json::{Value, json};

use crate::common::{self, INTERNAL, Verdict, World, env, manifest, pem_blocks, user_certificate};

/// `alice` and a user-defined secret of every kind, and two that are none.
fn with_user(pem: &str) -> Value {
    let mut manifest = manifest();
    manifest["Users"] = json!({ "alice": { "Certificate": pem } });
    manifest["Secrets"] = json!({
        "key": { "Type": "symmetric-key", "Size": 128, "UserDefined": true, "ValidFor": 3 },
        "plain": { "Type": "plain", "UserDefined": true },
        "rsa": { "Type": "cert-rsa", "Size": 2048, "UserDefined": true },
        "ed": { "Type": "cert-ed25519", "UserDefined": true },
        "shared": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        "private": { "Type": "symmetric-key", "Size": 128 },
    });
    manifest
}

async fn world() -> (World, Coordinator, Vec<u8>) {
    let (alice, pem) = user_certificate();
    let (world, coordinator) = World::with(&with_user(&pem)).await;
    (world, coordinator, alice)
}

fn upload(name: &str) -> SecretUpload {
    SecretUpload { name: name.to_owned(), cert: None, private: None, key: None }
}

fn bytes(bytes: &[u8]) -> Option<SecretBytes> {
    Some(SecretBytes::new("upload", bytes.to_vec()))
}

fn key(name: &str, key: &[u8]) -> SecretUpload {
    SecretUpload { key: bytes(key), ..upload(name) }
}

fn cert(name: &str, der: &[u8]) -> SecretUpload {
    SecretUpload { cert: Some(UploadedCertificate::Der(der.to_vec())), ..upload(name) }
}

async fn write(
    coordinator: &Coordinator,
    peer: &[u8],
    uploads: Vec<SecretUpload>,
) -> Result<(), WriteSecretsError> {
    coordinator.write_secrets(Some(peer), uploads).await
}

/// Why it is refused, as clients read it; nothing was changed.
async fn refused(
    world: &World,
    coordinator: &Coordinator,
    peer: &[u8],
    uploads: Vec<SecretUpload>,
) -> String {
    let (before, size) = (world.revision(), world.store.snapshot().log_size());
    let error = write(coordinator, peer, uploads).await.unwrap_err();
    assert_eq!((world.revision(), world.store.snapshot().log_size()), (before, size), "nothing was changed");
    common::message(&error)
}

async fn read(coordinator: &Coordinator, peer: &[u8], name: &str) -> ReadableSecret {
    coordinator.read_secrets(Some(peer), &[name.to_owned()]).await.unwrap().remove(0)
}

fn log(world: &World) -> Vec<Value> {
    let lines = world.store.snapshot().log_lines(0, 100).unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

// S-50, S-3: both parts of a key are its bytes
#[tokio::test]
async fn an_uploaded_key_reads_back_and_reaches_marbles() {
    let (alice, pem) = user_certificate();
    let mut manifest = with_user(&pem);
    manifest["Marbles"]["web"]["Parameters"]["Env"] =
        json!({ "KEY": "{{current.key.whole.hex}}", "PLAIN": "{{current.plain.whole.text}}" });
    let (_world, coordinator) = World::with(&manifest).await;
    assert!(common::denial(&coordinator).await.contains("empty value"), "unset");

    write(&coordinator, &alice, vec![key("key", &[7; 16]), key("plain", b"text")]).await.unwrap();
    let secret = read(&coordinator, &alice, "key").await;
    assert!(secret.private.unwrap().equals(&[7; 16]));
    assert!(secret.public.unwrap().equals(&[7; 16]));
    assert_eq!((secret.cert, secret.valid_for, secret.user_defined), (None, 3, true));
    let activation = common::activate(&coordinator).await;
    assert_eq!((env(&activation, "KEY"), env(&activation, "PLAIN")), ("07".repeat(16), "text".to_owned()));

    write(&coordinator, &alice, vec![key("plain", b"newer")]).await.unwrap();
    assert_eq!(env(&common::activate(&coordinator).await, "PLAIN"), "newer");
    assert!(read(&coordinator, &alice, "key").await.private.unwrap().equals(&[7; 16]), "not touched");
}

// S-53: "Public is computed from it"; what the key and the declaration say is not compared
#[tokio::test]
async fn of_a_certificate_the_public_key_is_computed_and_nothing_else_is_checked() {
    let (_world, coordinator, alice) = world().await;
    let (der, _) = user_certificate();
    let private = bytes(b"not a key at all");
    write(&coordinator, &alice, vec![SecretUpload { private, ..cert("rsa", &der) }, cert("ed", &der)])
        .await
        .unwrap();

    let secret = read(&coordinator, &alice, "rsa").await;
    assert_eq!(secret.cert.as_deref(), Some(der.as_slice()));
    assert!(secret.private.unwrap().equals(b"not a key at all"));
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert!(secret.public.unwrap().equals(parsed.public_key().raw));
    assert!(read(&coordinator, &alice, "ed").await.private.is_none(), "may be omitted");
}

// S-54a: null, {} and a missing Key are accepted; an empty one is kept apart
#[tokio::test]
async fn a_plain_secret_may_be_missing_or_empty_or_hold_any_byte() {
    let (_world, coordinator, alice) = world().await;
    write(&coordinator, &alice, vec![upload("plain")]).await.unwrap();
    let secret = read(&coordinator, &alice, "plain").await;
    assert!(secret.private.is_none() && secret.public.is_none());
    for value in [b"".as_slice(), b"a\0b", &[0xff; 40]] {
        write(&coordinator, &alice, vec![key("plain", value)]).await.unwrap();
        let secret = read(&coordinator, &alice, "plain").await;
        assert!(secret.private.unwrap().equals(value) && secret.public.unwrap().equals(value));
    }
}

// S-51
#[tokio::test]
async fn an_upload_of_nothing_of_the_unknown_or_of_a_generated_secret_is_refused() {
    let (world, coordinator, alice) = world().await;
    let refused = |uploads| refused(&world, &coordinator, &alice, uploads);
    assert_eq!(refused(Vec::new()).await, "parsing new secrets: no new secrets defined");
    assert_eq!(
        refused(vec![key("nope", b"x")]).await,
        "parsing new secrets: secret manifest specifies a secret which the original manifest does not contain"
    );
    for name in ["shared", "private"] {
        let text = format!("parsing new secrets: secret {name} is not writeable");
        assert_eq!(refused(vec![key(name, &[1; 16])]).await, text);
    }
}

// S-52: the boundary on both sides
#[tokio::test]
async fn a_symmetric_key_has_exactly_the_declared_size() {
    let (world, coordinator, alice) = world().await;
    let text = "parsing new secrets: declared size and actual size don't match: key";
    for wrong in [Some(0), Some(15), Some(17), None] {
        let wrong = SecretUpload { key: wrong.and_then(|length| bytes(&vec![1; length])), ..upload("key") };
        assert_eq!(refused(&world, &coordinator, &alice, vec![wrong]).await, text);
    }
    write(&coordinator, &alice, vec![key("key", &[1; 16])]).await.unwrap();
}

// S-52, S-53, S-54: parts of the other kind, also empty ones
#[tokio::test]
async fn values_of_the_other_kind_are_refused() {
    let (world, coordinator, alice) = world().await;
    let (der, _) = user_certificate();
    let refused = |upload| refused(&world, &coordinator, &alice, vec![upload]);
    for (name, kind) in [("key", "symmetric-key"), ("plain", "plain")] {
        let text = format!(
            "parsing new secrets: secret {name} is set to be of type {kind} but specified values for a certificate"
        );
        let with_key = || key(name, &[1; 16]);
        let cert = Some(UploadedCertificate::Der(der.clone()));
        assert_eq!(refused(SecretUpload { cert, ..with_key() }).await, text);
        assert_eq!(refused(SecretUpload { private: bytes(b"k"), ..with_key() }).await, text);
        let cert = Some(UploadedCertificate::Unreadable);
        assert_eq!(refused(SecretUpload { cert, ..with_key() }).await, text);
    }
    for value in [b"".as_slice(), b"k"] {
        assert_eq!(
            refused(SecretUpload { key: bytes(value), ..cert("rsa", &der) }).await,
            "parsing new secrets: secret rsa is set to be of type cert-rsa but specified values for a symmetric-key"
        );
    }
}

// S-53, S-54b, X-24
#[tokio::test]
async fn a_certificate_that_is_missing_or_unreadable_names_the_secret_and_the_field() {
    let (world, coordinator, alice) = world().await;
    let refused = |upload| refused(&world, &coordinator, &alice, vec![upload]);
    let unreadable = SecretUpload { cert: Some(UploadedCertificate::Unreadable), ..upload("ed") };
    let text = refused(unreadable).await;
    assert!(text.starts_with("parsing new secrets: secret ed: Cert is no base64"), "{text}");
    let text = refused(SecretUpload { private: bytes(b"k"), ..upload("ed") }).await;
    assert!(text.starts_with("parsing new secrets: secret ed: Cert is missing"), "{text}");
    let text = refused(cert("ed", b"junk")).await;
    assert_eq!(text, "parsing new secrets: secret ed: Cert is no X.509 certificate");
}

// R-53, S-56: all or none
#[tokio::test]
async fn one_bad_secret_refuses_all() {
    let (world, coordinator, alice) = world().await;
    refused(&world, &coordinator, &alice, vec![key("plain", b"x"), key("key", b"short")]).await;
    assert!(read(&coordinator, &alice, "plain").await.public.is_none());
}

// S-56: one question with all names, sorted; the text
#[tokio::test]
async fn the_authorizers_are_asked_once_about_all_names() {
    let (world, coordinator, alice) = world().await;
    write(&coordinator, &alice, vec![key("plain", b"x"), key("key", &[1; 16])]).await.unwrap();
    let asked = world.policies.authorizations.lock().unwrap().remove(0);
    assert_eq!((asked.action.as_str(), asked.resource_type.as_str()), ("WriteSecret", "Secrets"));
    assert_eq!(
        (asked.resource_names, asked.principal.name),
        (vec!["key".into(), "plain".into()], "alice".into())
    );

    world.policies.authorizer(Verdict::Deny("rbac", "no", None));
    assert_eq!(
        refused(&world, &coordinator, &alice, vec![key("plain", b"x")]).await,
        "user alice is not allowed to update secret: plain"
    );
    world.policies.authorizer(Verdict::Deny("hours", "not now", Some("tomorrow")));
    assert_eq!(
        refused(&world, &coordinator, &alice, vec![key("plain", b"x")]).await,
        "user alice is not allowed to update secret: plain: hours: not now (tomorrow)"
    );
}

// X-11, S-56: the same answer whatever is asked, and no template is run
#[tokio::test]
async fn without_permission_nothing_is_learnt_about_the_secrets() {
    let (alice, pem) = user_certificate();
    let mut manifest = with_user(&pem);
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{current.plain.whole.text}}" });
    let (world, coordinator) = World::with(&manifest).await;
    world.policies.rendered.lock().unwrap().clear();
    world.policies.authorizer(Verdict::Deny("rbac", "no", None));
    let (der, _) = user_certificate();
    for upload in [
        key("nope", b"x"),
        key("shared", b"x"),
        key("key", b"wrong size"),
        cert("plain", &der),
        key("plain", b"a\0b"),
    ] {
        let text = format!("user alice is not allowed to update secret: {}", upload.name);
        assert_eq!(refused(&world, &coordinator, &alice, vec![upload]).await, text);
    }
    assert!(world.policies.rendered.lock().unwrap().is_empty());
}

// policy.md, Limits and failure
#[tokio::test]
async fn an_authorizer_that_fails_refuses_and_its_reason_is_for_the_log() {
    let (world, coordinator, alice) = world().await;
    world.policies.authorizer(Verdict::Fail("corp"));
    let error = write(&coordinator, &alice, vec![key("plain", b"x")]).await.unwrap_err();
    assert_eq!(common::message(&error), r#"policy "corp" could not decide"#);
    assert!(error.internal().unwrap().contains(INTERNAL));
}

// R-54
#[tokio::test]
async fn only_users_write_and_strangers_are_told_nothing_else() {
    let (world, coordinator, alice) = world().await;
    let (stranger, _) = user_certificate();
    for peer in [None, Some(stranger.as_slice())] {
        for uploads in [Vec::new(), vec![key("plain", b"x")]] {
            let error = coordinator.write_secrets(peer, uploads).await.unwrap_err();
            assert!(matches!(error, WriteSecretsError::Unauthorized));
        }
    }
    assert!(world.policies.authorizations.lock().unwrap().is_empty());
    world.store.locked.store(true, Ordering::SeqCst);
    let error = write(&coordinator, &alice, vec![key("plain", b"x")]).await.unwrap_err();
    assert!(matches!(error, WriteSecretsError::Unauthorized));
}

// S-57, R-60: one line per secret, in the same commit
#[tokio::test]
async fn the_log_has_a_line_for_each_secret_and_no_value() {
    let (world, coordinator, alice) = world().await;
    let before = world.revision();
    write(&coordinator, &alice, vec![key("plain", b"hunter2"), key("key", &[1; 16])]).await.unwrap();
    assert_eq!(world.revision(), before + 1, "one commit");
    let lines = log(&world);
    let set = |secret: &str, kind: &str| json!({ "time": "2031-02-03T04:05:06.789Z", "update": "Secret set", "user": "alice", "secret": secret, "type": kind });
    assert_eq!(lines[1..], [set("key", "symmetric-key"), set("plain", "plain")]);
    assert!(!format!("{lines:?}").contains("hunter2"));
}

// S-57, decision 2
#[tokio::test]
async fn an_upload_never_writes_the_previous_value() {
    let (world, coordinator, alice) = world().await;
    write(&coordinator, &alice, vec![key("plain", b"one")]).await.unwrap();
    write(&coordinator, &alice, vec![key("plain", b"two")]).await.unwrap();
    assert!(world.store.snapshot().keys("previousSecret:").is_empty());
    world.store.upload("previousSecret:plain", b"carried over").await;
    let before = world.store.snapshot().record_revision("previousSecret:plain");
    write(&coordinator, &alice, vec![key("plain", b"three")]).await.unwrap();
    assert_eq!(world.store.snapshot().record_revision("previousSecret:plain"), before);
}

// R-60: a line is never shortened; the longest names that a manifest may have fit, escaped to six times their length
#[tokio::test]
async fn the_longest_names_are_in_the_log_as_they_are() {
    let (alice, pem) = user_certificate();
    let mut manifest = with_user(&pem);
    let name = "\u{1}".repeat(4096);
    manifest["Secrets"][&name] = json!({ "Type": "plain", "UserDefined": true });
    manifest["Users"] = json!({ &name: { "Certificate": pem } });
    let (world, coordinator) = World::with(&manifest).await;
    write(&coordinator, &alice, vec![key(&name, b"x")]).await.unwrap();
    let line = log(&world).remove(1);
    assert_eq!((line["secret"].as_str(), line["user"].as_str()), (Some(name.as_str()), Some(name.as_str())));
}

/// The audit trail as stored.
async fn trail(world: &World, coordinator: &Coordinator) -> Vec<Value> {
    coordinator.write_out_audit().await.unwrap();
    let lines = world.store.snapshot().audit_lines(0, 100).unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

// The audit trail tells who wrote what and who was refused, by names
#[tokio::test]
async fn the_audit_trail_has_writes_and_refusals() {
    let (world, coordinator, alice) = world().await;
    let before = trail(&world, &coordinator).await.len();
    write(&coordinator, &alice, vec![key("plain", b"hunter2")]).await.unwrap();
    world.policies.authorizer(Verdict::Deny("rbac", "no", None));
    write(&coordinator, &alice, vec![key("key", b"hunter2")]).await.unwrap_err();
    let entries = trail(&world, &coordinator).await.split_off(before);
    let [done, refused] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((&done["action"], &done["outcome"]), (&json!("WriteSecret"), &json!("done")));
    assert_eq!((&done["user"], &done["resources"]), (&json!("alice"), &json!(["plain"])));
    assert_eq!((&refused["outcome"], &refused["resources"]), (&json!("refused"), &json!(["key"])));
    assert_eq!(refused["reason"], "user alice is not allowed to update secret: key");
    assert!(!format!("{entries:?}").contains("hunter2"));
}

// architecture.md, One use case: 8 times, then 503
#[tokio::test]
async fn a_commit_in_conflict_is_tried_again_up_to_eight_times() {
    let (world, coordinator, alice) = world().await;
    world.store.conflicts.store(7, Ordering::SeqCst);
    write(&coordinator, &alice, vec![key("plain", b"x")]).await.unwrap();
    world.store.conflicts.store(8, Ordering::SeqCst);
    let error = write(&coordinator, &alice, vec![key("plain", b"y")]).await.unwrap_err();
    assert!(matches!(error, WriteSecretsError::Busy));
    assert!(read(&coordinator, &alice, "plain").await.public.unwrap().equals(b"x"));
}

#[tokio::test]
async fn a_failing_store_is_told_without_its_internals() {
    let (world, coordinator, alice) = world().await;
    world.store.commit_fails.store(true, Ordering::SeqCst);
    let error = write(&coordinator, &alice, vec![key("plain", b"x")]).await.unwrap_err();
    assert_eq!(common::message(&error), "the secrets could not be stored; see the coordinator's log");
    assert!(error.internal().unwrap().contains(INTERNAL));
}

// No lost update: each write is whole, and every one is in the log
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writes_all_succeed_and_none_is_torn() {
    let (world, coordinator, alice) = world().await;
    let coordinator = Arc::new(coordinator);
    let tasks: Vec<_> = (0..32_u8)
        .map(|number| {
            let (coordinator, alice) = (Arc::clone(&coordinator), alice.clone());
            let uploads = vec![key("plain", &[number; 16]), key("key", &[number; 16])];
            tokio::spawn(async move { write(&coordinator, &alice, uploads).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let names = ["plain".to_owned(), "key".to_owned()];
    let both = coordinator.read_secrets(Some(&alice), &names).await.unwrap();
    assert!(both[0].public.as_ref().unwrap().equals(both[1].public.as_ref().unwrap().expose()));
    assert_eq!(log(&world).len(), 1 + 64);
}

// S-50: the restart
#[tokio::test]
async fn an_upload_survives_a_restart() {
    let (world, coordinator, alice) = world().await;
    let (der, pem) = user_certificate();
    write(&coordinator, &alice, vec![cert("ed", &der)]).await.unwrap();
    drop(coordinator);
    let secret = read(&world.start().await, &alice, "ed").await;
    assert_eq!(secret.cert, Some(pem_blocks(&pem).remove(0).1));
}
