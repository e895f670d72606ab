//! L-20 as X-26: the manifest that a start names.

use std::sync::atomic::Ordering;

use carrara_core::error::{SetManifestError, StartupManifestError};
use serde_json::json;

use crate::common::{self, RecoveryKey, World, bytes, manifest};

#[tokio::test]
async fn it_is_set_where_there_is_no_state_and_left_alone_where_it_is_in_force() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let text = bytes(&manifest());
    assert!(coordinator.apply_startup_manifest(&text, false).await.unwrap().is_some());
    let revision = world.revision();
    let restarted = world.start().await;
    assert!(restarted.apply_startup_manifest(&text, false).await.unwrap().is_none());
    assert_eq!(world.revision(), revision);
}

//
#[tokio::test]
async fn another_manifest_than_the_one_in_force_is_an_error_that_names_it() {
    let (world, coordinator) = World::with(&manifest()).await;
    let revision = world.revision();
    let other = [bytes(&manifest()), b"\n".to_vec()].concat();
    let error = coordinator.apply_startup_manifest(&other, true).await.unwrap_err();
    assert!(matches!(error, StartupManifestError::Different(_)));
    let fingerprint = coordinator.manifest().unwrap().unwrap().fingerprint.clone();
    assert!(common::message(&error).contains(&fingerprint));
    assert_eq!(world.revision(), revision);
}

// X-26, L-20
#[tokio::test]
async fn it_is_never_applied_in_recovery() {
    let world = World::new().await;
    world.store.locked.store(true, Ordering::SeqCst);
    let coordinator = world.start().await;
    let error = coordinator.apply_startup_manifest(&bytes(&manifest()), true).await.unwrap_err();
    assert!(matches!(error, StartupManifestError::Recovery));
    assert_eq!((coordinator.status().code, world.revision()), (1, 0));
}

//
#[tokio::test]
async fn with_recovery_keys_it_is_set_only_if_somebody_keeps_the_recovery_secrets() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let mut manifest = manifest();
    manifest["RecoveryKeys"] = json!({ "alice": RecoveryKey::generate().pem() });
    let error = coordinator.apply_startup_manifest(&bytes(&manifest), false).await.unwrap_err();
    assert!(matches!(error, StartupManifestError::RecoveryKeys));
    assert_eq!(coordinator.status().code, 2);
    let set = coordinator.apply_startup_manifest(&bytes(&manifest), true).await.unwrap().unwrap();
    assert_eq!(set.recovery_secrets.len(), 1);
}

#[tokio::test]
async fn a_refused_one_is_an_error_with_the_whole_chain() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let error = coordinator.apply_startup_manifest(b"{", false).await.unwrap_err();
    assert!(matches!(error, StartupManifestError::Set(SetManifestError::Parse(_))));
    let text = common::message(&error);
    assert!(text.starts_with("setting the startup manifest: unmarshaling manifest: "), "{text}");
    assert_eq!(coordinator.status().code, 2);
}
