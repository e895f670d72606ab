//! Backing the state up: who may, what is noted, and what is refused.

use std::sync::atomic::Ordering;

use carrara_core::Coordinator;
use carrara_core::error::BackupError;
use carrara_core::ports::Store as _;
use serde_json::{Value, json};

use crate::common::{INTERNAL, Verdict, World, manifest, message, user_certificate};

/// With a user `alice`.
async fn world(seal_mode: &str) -> (World, Coordinator, Vec<u8>) {
    let (der, pem) = user_certificate();
    let mut manifest = manifest();
    manifest["Users"] = json!({ "alice": { "Certificate": pem } });
    manifest["Config"] = json!({ "SealMode": seal_mode });
    let (world, coordinator) = World::with(&manifest).await;
    (world, coordinator, der)
}

/// The newest entry of the audit trail, with what waits.
async fn newest_entry(world: &World, coordinator: &Coordinator) -> Value {
    coordinator.write_out_audit().await.unwrap();
    serde_json::from_str(world.store.snapshot().audit_lines(0, usize::MAX).unwrap().last().unwrap()).unwrap()
}

#[tokio::test]
async fn a_backup_is_of_the_newest_revision_and_its_entry_is_stored_before_it_is_handed_out() {
    let (world, coordinator, alice) = world("").await;
    let revision = world.revision();
    let backup = coordinator.back_up_state(Some(&alice)).await.unwrap();
    assert_eq!((backup.revision, world.revision()), (revision, revision + 1));
    assert_eq!(coordinator.audit_entries_waiting(), 0, "it is stored already");
    let entry = newest_entry(&world, &coordinator).await;
    assert_eq!((&entry["action"], &entry["user"]), (&json!("Backup"), &json!("alice")));
    assert_eq!(entry["resources"], json!([format!("revision {revision}")]));
}

#[tokio::test]
async fn a_backup_whose_entry_cannot_be_stored_is_not_handed_out() {
    let (world, coordinator, alice) = world("").await;
    world.store.commit_fails.store(true, Ordering::SeqCst);
    let error = coordinator.back_up_state(Some(&alice)).await.err().unwrap();
    assert!(matches!(error, BackupError::Store(_)), "{error:?}");
    assert!(!message(&error).contains(INTERNAL));
}

#[tokio::test]
async fn only_users_with_the_right_back_up() {
    let (world, coordinator, alice) = world("").await;
    let (stranger, _) = user_certificate();
    for peer in [None, Some(stranger.as_slice())] {
        assert!(matches!(coordinator.back_up_state(peer).await, Err(BackupError::Unauthorized)));
    }
    world.policies.authorizer(Verdict::Deny("rbac", "internal words", None));
    let denied = message(&coordinator.back_up_state(Some(&alice)).await.err().unwrap());
    let text = "user alice is not allowed to back up the state; it takes a role of type Manifest with the action Backup";
    assert_eq!(denied, text);
    let entry = newest_entry(&world, &coordinator).await;
    assert_eq!(
        (&entry["action"], &entry["outcome"], &entry["reason"]),
        (&json!("Backup"), &json!("refused"), &json!(text))
    );
    world.policies.authorizer(Verdict::Fail("two-rooms"));
    let failed = message(&coordinator.back_up_state(Some(&alice)).await.err().unwrap());
    assert_eq!(failed, r#"policy "two-rooms" could not decide"#);
}

#[tokio::test]
async fn without_a_manifest_there_is_nobody_who_may() {
    let world = World::new().await;
    let coordinator = world.start().await;
    assert!(matches!(coordinator.back_up_state(None).await, Err(BackupError::Unauthorized)));
}

// L-35
#[tokio::test]
async fn what_is_never_written_is_not_backed_up() {
    let (world, coordinator, alice) = world("Disabled").await;
    let error = coordinator.back_up_state(Some(&alice)).await.err().unwrap();
    assert!(matches!(error, BackupError::NotKept) && message(&error).contains("SealMode"), "{error:?}");
    let entry = newest_entry(&world, &coordinator).await;
    assert_eq!((&entry["action"], &entry["outcome"]), (&json!("Backup"), &json!("refused")));
}

#[tokio::test]
async fn a_copy_that_cannot_be_made_is_told_without_internals() {
    let (world, coordinator, alice) = world("").await;
    let revision = world.revision();
    world.store.backup_fails.store(true, Ordering::SeqCst);
    let error = coordinator.back_up_state(Some(&alice)).await.err().unwrap();
    assert_eq!(message(&error), "the state could not be copied; see the coordinator's log");
    assert_eq!(world.revision(), revision, "no entry of a copy that there is not");
}
