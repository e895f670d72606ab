//! L-20 as X-26: the manifest that a start names.

use std::sync::atomic::Ordering;

use carrara_core::error::{Cause, SetManifestError, StartupManifestError};
use carrara_core::outcome::KeepSecrets;
use carrara_core::ports::{Found, Store as _};
use serde_json::json;

use crate::common::{self, RecoveryKey, World, bytes, manifest};

fn kept() -> Option<KeepSecrets> {
    Some(Box::new(|_| Ok(())))
}

#[tokio::test]
async fn it_is_set_where_there_is_no_state_and_left_alone_where_it_is_in_force() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let text = bytes(&manifest());
    assert!(coordinator.apply_startup_manifest(&text, Vec::new(), None).await.unwrap().is_some());
    let revision = world.revision();
    let restarted = world.start().await;
    assert!(restarted.apply_startup_manifest(&text, Vec::new(), None).await.unwrap().is_none());
    assert_eq!(world.revision(), revision);
}

//
#[tokio::test]
async fn another_manifest_than_the_one_in_force_is_an_error_that_names_it() {
    let (world, coordinator) = World::with(&manifest()).await;
    let revision = world.revision();
    let other = [bytes(&manifest()), b"\n".to_vec()].concat();
    let error = coordinator.apply_startup_manifest(&other, Vec::new(), kept()).await.unwrap_err();
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
    let error =
        coordinator.apply_startup_manifest(&bytes(&manifest()), Vec::new(), kept()).await.unwrap_err();
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
    let error = coordinator.apply_startup_manifest(&bytes(&manifest), Vec::new(), None).await.unwrap_err();
    assert!(matches!(error, StartupManifestError::RecoveryKeys));
    assert_eq!(coordinator.status().code, 2);
    let set =
        coordinator.apply_startup_manifest(&bytes(&manifest), Vec::new(), kept()).await.unwrap().unwrap();
    assert_eq!(set.recovery_secrets.len(), 1);
}

// the recovery secrets exist nowhere else, so they are kept before there is a state to recover
#[tokio::test]
async fn the_recovery_secrets_are_kept_before_the_state_is_made_and_without_them_none_is() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let mut manifest = manifest();
    manifest["RecoveryKeys"] = json!({ "alice": RecoveryKey::generate().pem() });
    let full = Box::new(|_: &_| Err(Cause("the disk is full".to_owned())));
    let error =
        coordinator.apply_startup_manifest(&bytes(&manifest), Vec::new(), Some(full)).await.unwrap_err();
    let text = common::message(&error);
    assert!(text.ends_with("no manifest was set: the disk is full"), "{text}");
    assert_eq!((coordinator.status().code, world.revision()), (2, 0));

    let (told, kept) = std::sync::mpsc::channel();
    let store = std::sync::Arc::clone(&world.store);
    let keep: KeepSecrets = Box::new(move |secrets| {
        assert_eq!(store.found(), Found::Empty);
        told.send(secrets.clone()).unwrap();
        Ok(())
    });
    let set =
        coordinator.apply_startup_manifest(&bytes(&manifest), Vec::new(), Some(keep)).await.unwrap().unwrap();
    assert_eq!(kept.recv().unwrap(), set.recovery_secrets);
}

#[tokio::test]
async fn a_refused_one_is_an_error_with_the_whole_chain() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let error = coordinator.apply_startup_manifest(b"{", Vec::new(), None).await.unwrap_err();
    assert!(matches!(error, StartupManifestError::Set(SetManifestError::Parse(_))));
    let text = common::message(&error);
    assert!(text.starts_with("setting the startup manifest: unmarshaling manifest: "), "{text}");
    assert_eq!(coordinator.status().code, 2);
}
