//! What happens to an upload while something else changes: no lost update, nothing judged by what is no longer in force.

use carrara_core::Coordinator;
use carrara_core::error::WriteSecretsError;
use carrara_core::outcome::SecretUpload;
use carrara_core::ports::Store as _;
use carrara_types::secret::SecretBytes;
use serde_json::{Value, json};

use crate::common::{self, World, bytes, manifest, user_certificate};
use crate::update_world::Updating;

fn secrets() -> Value {
    let mut manifest = manifest();
    manifest["Secrets"] = json!({
        "u": { "Type": "plain", "UserDefined": true }, "v": { "Type": "plain", "UserDefined": true },
    });
    manifest
}

fn plain(name: &str, value: &[u8]) -> SecretUpload {
    let key = Some(SecretBytes::new("upload", value.to_vec()));
    SecretUpload { name: name.to_owned(), cert: None, private: None, key }
}

async fn world() -> (World, Coordinator, Vec<u8>, Value) {
    let (alice, pem) = user_certificate();
    let mut manifest = secrets();
    manifest["Users"] = json!({ "alice": { "Certificate": pem } });
    let (world, coordinator) = World::with(&manifest).await;
    (world, coordinator, alice, manifest)
}

/// While the next permission is asked for, another manifest comes into force.
fn overtake(world: &World, manifest: &Value) {
    let (store, manifest) = (world.store.clone(), bytes(manifest));
    let meanwhile = async move { store.write("manifest", &manifest).await };
    *world.policies.meanwhile.lock().unwrap() = Some(Box::pin(meanwhile));
}

// architecture, One use case: a batch depends on the manifest that it was computed from; S-55
#[tokio::test]
async fn an_upload_that_a_new_manifest_overtakes_is_judged_by_the_new_one() {
    let (world, coordinator, alice, mut manifest) = world().await;
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{current.u.whole.text}}" });
    overtake(&world, &manifest);
    let error = coordinator.write_secrets(Some(&alice), vec![plain("u", b"a\0b")]).await.unwrap_err();
    assert!(matches!(error, WriteSecretsError::DryRun(_)), "{error:?}");
    assert_eq!(world.policies.authorizations.lock().unwrap().len(), 2, "asked again");
}

// S-56, M-52: whoever is no user any more writes nothing
#[tokio::test]
async fn a_user_who_is_removed_meanwhile_is_refused() {
    let (world, coordinator, alice, mut manifest) = world().await;
    manifest["Users"] = json!({});
    overtake(&world, &manifest);
    let error = coordinator.write_secrets(Some(&alice), vec![plain("u", b"x")]).await.unwrap_err();
    assert!(matches!(error, WriteSecretsError::Unauthorized));
    assert!(world.store.snapshot().record_revision("secret:u").is_none());
}

// S-51: what the new manifest does not have is not written
#[tokio::test]
async fn a_secret_that_is_removed_meanwhile_is_refused() {
    let (world, coordinator, alice, mut manifest) = world().await;
    manifest["Secrets"] = json!({});
    overtake(&world, &manifest);
    let error = coordinator.write_secrets(Some(&alice), vec![plain("u", b"x")]).await.unwrap_err();
    assert!(common::message(&error).contains("the original manifest does not contain"));
    assert!(world.store.snapshot().record_revision("secret:u").is_none());
}

// S-55: which templates use a secret is learnt anew for each manifest
#[tokio::test]
async fn after_an_update_the_new_templates_judge_uploads() {
    let mut manifest = secrets();
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{current.u.whole.text}}" });
    let updating = Updating::alone(&manifest).await;
    updating.world.policies.authorizer(common::Verdict::Allow);
    let upload = |upload| updating.coordinator.write_secrets(updating.peer("alice"), vec![upload]);
    upload(plain("u", b"\0")).await.unwrap_err();
    upload(plain("v", b"\0")).await.unwrap();

    let uses_v = |manifest: &mut Value| {
        manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{current.v.whole.text}}" });
    };
    updating.update("alice", &updating.changed(uses_v)).await;
    upload(plain("u", b"\0")).await.unwrap();
    upload(plain("v", b"\0")).await.unwrap_err();
}

// A record that does not open is named, and told apart from a secret that is not set
#[tokio::test]
async fn a_damaged_record_is_named_and_a_new_upload_repairs_it() {
    let (alice, pem) = user_certificate();
    let mut manifest = secrets();
    manifest["Users"] = json!({ "alice": { "Certificate": pem } });
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{current.u.whole.text}}" });
    let (world, coordinator) = World::with(&manifest).await;
    assert!(common::denial(&coordinator).await.ends_with("tried to parse secret with empty value"));
    world.store.write("secret:u", b"\x09").await;
    assert_eq!(
        common::denial(&coordinator).await,
        "customizing marble parameters: reading the state: record `secret:u`: version 9 is newer than this coordinator"
    );
    coordinator.write_secrets(Some(&alice), vec![plain("u", b"x")]).await.unwrap();
    assert_eq!(common::env(&common::activate(&coordinator).await, "E"), "x");
}
