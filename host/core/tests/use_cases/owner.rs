//! X-1: with an owner configured, nobody else makes a state.

use std::sync::atomic::Ordering;

use carrara_core::error::{SetManifestError, StartupManifestError, Unauthorized};
use carrara_core::outcome::Reporting;
use carrara_core::ports::Store as _;
use carrara_core::{Coordinator, OwnerCertificate, Settings};
use serde_json::json;

use super::recovery_world::Locked;
use crate::common::{self, World, bytes, manifest};

async fn owned(world: &World) -> (Coordinator, Vec<u8>) {
    let (der, pem) = common::user_certificate();
    let owner = Some(OwnerCertificate::from_pem(pem.as_bytes()).unwrap());
    (Coordinator::start(world.ports(), Settings { owner, ..common::settings() }).await.unwrap(), der)
}

// X-1, R-54
#[tokio::test]
async fn only_the_owner_sets_the_first_manifest() {
    let world = World::new().await;
    let (coordinator, owner) = owned(&world).await;
    let (stranger, _) = common::user_certificate();
    let text = bytes(&manifest());
    for peer in [None, Some(&stranger[..]), Some(&owner[..owner.len() - 1]), Some(&[][..])] {
        assert_eq!(coordinator.authenticate_owner(peer), Err(Unauthorized));
        let error = coordinator.set_manifest(peer, &text, Vec::new()).await.unwrap_err();
        assert!(matches!(error, SetManifestError::Unauthorized));
        assert_eq!(common::message(&error), common::message(&Unauthorized));
        assert_eq!((coordinator.status().code, world.revision()), (2, 0));
    }
    assert_eq!(coordinator.authenticate_owner(Some(&owner)), Ok(()));
    coordinator.set_manifest(Some(&owner), &text, Vec::new()).await.unwrap();
    assert_eq!(coordinator.status().code, 3);
}

// X-1: she owns the claim, not the state
#[tokio::test]
async fn once_a_manifest_is_set_the_owner_is_nobody() {
    let world = World::new().await;
    let (coordinator, owner) = owned(&world).await;
    let text = bytes(&manifest());
    coordinator.set_manifest(Some(&owner), &text, Vec::new()).await.unwrap();
    let error = coordinator.set_manifest(Some(&owner), &text, Vec::new()).await.unwrap_err();
    assert!(matches!(error, SetManifestError::WrongState));
    let error = coordinator.set_manifest(None, &text, Vec::new()).await.unwrap_err();
    assert!(matches!(error, SetManifestError::Unauthorized), "401 comes first");
    assert!(coordinator.authenticate(Some(&owner)).is_err());
    assert!(coordinator.update_manifest(Some(&owner), &text, Vec::new(), Reporting::Full).await.is_err());
    assert!(coordinator.read_secrets(Some(&owner), &["s".to_owned()]).await.is_err());
    assert!(coordinator.read_audit(Some(&owner), 0, 1).await.is_err());
    assert!(coordinator.cancel_update(Some(&owner)).await.is_err());
}

// X-1, L-49b
#[tokio::test]
async fn in_recovery_only_the_owner_resets_and_holders_recover_without_her() {
    let test = Locked::new(2, 0).await;
    let (coordinator, owner) = owned(&test.world).await;
    let text = bytes(&manifest());
    let error = coordinator.set_manifest(None, &text, Vec::new()).await.unwrap_err();
    assert!(matches!(error, SetManifestError::Unauthorized));
    test.expect_locked();
    assert_eq!(coordinator.recover(test.input("alice")).await.unwrap().remaining, 1);
    coordinator.set_manifest(Some(&owner), &text, Vec::new()).await.unwrap();
    assert_eq!(coordinator.status().code, 3);
    let log = test.world.store.snapshot().log_lines(0, 2).unwrap();
    assert!(log[0].contains(r#""update":"Previous state archived","rootFingerprint":""#), "{log:?}");

    let test = Locked::new(1, 0).await;
    let (coordinator, _) = owned(&test.world).await;
    assert_eq!(coordinator.recover(test.input("alice")).await.unwrap().remaining, 0);
}

// X-1, X-26: whoever starts the process is the host
#[tokio::test]
async fn a_startup_manifest_is_refused_where_an_owner_is_configured() {
    let world = World::new().await;
    let (coordinator, owner) = owned(&world).await;
    let text = bytes(&json!(manifest()));
    for state in [2, 3] {
        assert_eq!(coordinator.status().code, state);
        let error = coordinator
            .apply_startup_manifest(&text, Vec::new(), Some(Box::new(|_| Ok(()))))
            .await
            .unwrap_err();
        assert!(matches!(error, StartupManifestError::Owner));
        assert!(error.to_string().contains("remove the startup manifest"), "{error}");
        if state == 2 {
            coordinator.set_manifest(Some(&owner), &text, Vec::new()).await.unwrap();
        }
    }
    let world = World::new().await;
    world.store.locked.store(true, Ordering::SeqCst);
    let (coordinator, _) = owned(&world).await;
    let error =
        coordinator.apply_startup_manifest(&text, Vec::new(), Some(Box::new(|_| Ok(())))).await.unwrap_err();
    assert!(matches!(error, StartupManifestError::Owner));
}
