//! L-61, X-30: a full update that changes recovery keys makes a new data key.

use std::collections::BTreeMap;

use carrara_core::error::{PendingUpdateError, UpdateManifestError};
use carrara_core::outcome::{Reporting, UpdateProgress};
use serde_json::{Value, json};

use super::update_world::Updating;
use crate::common::{RecoveryKey, activate, bytes, manifest};

fn with_keys(manifest: &mut Value, keys: &[(&str, &RecoveryKey)], threshold: u64) {
    manifest["RecoveryKeys"] =
        keys.iter().map(|(name, key)| ((*name).to_owned(), json!(key.pem()))).collect();
    manifest["Config"]["RecoveryThreshold"] = json!(threshold);
}

async fn world(keys: &[(&str, &RecoveryKey)], update_threshold: u64) -> Updating {
    let mut manifest = manifest();
    with_keys(&mut manifest, keys, 0);
    Updating::new(&manifest, update_threshold).await
}

fn secrets(progress: UpdateProgress) -> BTreeMap<String, Vec<u8>> {
    progress.recovery_secrets.unwrap()
}

#[tokio::test]
async fn a_changed_recovery_key_gets_the_new_data_key_and_the_state_is_sealed_with_it() {
    let (old, new) = (RecoveryKey::generate(), RecoveryKey::generate());
    let mut test = world(&[("alice", &old)], 1).await;
    let changed = test.changed(|manifest| with_keys(manifest, &[("alice", &new)], 0));
    let blobs = secrets(test.update("alice", &changed).await);
    assert_eq!(blobs.keys().collect::<Vec<_>>(), ["alice"]);
    assert!(old.decrypt(&blobs["alice"]).is_none());
    let data_key = new.decrypt(&blobs["alice"]).unwrap();
    {
        let rekeyed = test.world.store.rekeyed.lock().unwrap();
        let rekeyed = rekeyed.as_ref().unwrap();
        assert!(rekeyed.data_key.equals(&data_key));
        assert_eq!(rekeyed.recovery_data, br#"{"format":1,"threshold":1,"shares":{}}"#);
        let first = test.world.store.created.lock().unwrap();
        assert!(!first.as_ref().unwrap().data_key.equals(&data_key));
    }
    test.coordinator = test.world.start().await;
    activate(&test.coordinator).await;
    assert_eq!(test.in_force(), changed);
}

#[tokio::test]
async fn with_the_last_acknowledgement_the_acknowledging_user_gets_the_recovery_secrets() {
    let (old, new) = (RecoveryKey::generate(), RecoveryKey::generate());
    let test = world(&[("alice", &old)], 2).await;
    let changed = test.changed(|manifest| with_keys(manifest, &[("alice", &old), ("bob", &new)], 0));
    let started = test.update("alice", &changed).await;
    assert!(started.recovery_secrets.is_none(), "nothing has changed yet");
    assert!(test.world.store.rekeyed.lock().unwrap().is_none());
    let blobs = secrets(test.acknowledge("carol", &changed).await);
    assert!(old.decrypt(&blobs["alice"]).is_some() && new.decrypt(&blobs["bob"]).is_some());
}

#[tokio::test]
async fn the_data_key_stays_where_keys_and_threshold_say_the_same() {
    let (one, two) = (RecoveryKey::generate(), RecoveryKey::generate());
    let keys = [("alice", &one), ("bob", &two)];
    let test = world(&keys, 1).await;
    // 0 and n are equal.
    let same = test.changed(|manifest| with_keys(manifest, &keys, 2));
    assert!(test.update("alice", &same).await.recovery_secrets.is_none());
    assert!(test.world.store.rekeyed.lock().unwrap().is_none());
}

#[tokio::test]
async fn without_recovery_keys_nobody_gets_the_new_data_key() {
    let key = RecoveryKey::generate();
    let test = world(&[("alice", &key)], 1).await;
    let none = test.changed(|manifest| with_keys(manifest, &[], 0));
    assert!(secrets(test.update("alice", &none).await).is_empty());
    assert!(test.world.store.rekeyed.lock().unwrap().is_some());
}

// X-30
#[tokio::test]
async fn version_1_changes_no_recovery_keys() {
    let (old, new) = (RecoveryKey::generate(), RecoveryKey::generate());
    let test = world(&[("alice", &old)], 1).await;
    let changed = bytes(&test.changed(|manifest| with_keys(manifest, &[("alice", &new)], 0)));
    let before = test.world.revision();
    let update =
        test.coordinator.update_manifest(test.peer("alice"), &changed, Vec::new(), Reporting::SuccessOnly);
    let error = update.await.unwrap_err();
    assert!(matches!(&error, UpdateManifestError::NeedsVersion2(text) if text.contains("/api/v2/update")));
    assert_eq!(test.world.revision(), before);

    let test = world(&[("alice", &old)], 2).await;
    let changed = test.changed(|manifest| with_keys(manifest, &[("alice", &new)], 0));
    test.update("alice", &changed).await;
    let (before, manifest) = (test.world.revision(), bytes(&changed));
    let acknowledgement =
        test.coordinator.acknowledge_update(test.peer("bob"), &manifest, Reporting::SuccessOnly);
    let error = acknowledgement.await.unwrap_err();
    assert!(
        matches!(&error, PendingUpdateError::NeedsVersion2(text) if text.contains("/api/v2/update-manifest"))
    );
    assert_eq!(
        (test.world.revision(), test.coordinator.pending_update().unwrap().missing_users.len()),
        (before, 2)
    );
    assert_eq!(secrets(test.acknowledge("bob", &changed).await).len(), 1);
}
