//! M-92, G-27: activations are counted exactly, and only where the manifest limits them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use carrara_core::error::ActivateError;
use carrara_core::outcome::ActivationRequest;
use serde_json::{Value, json};

use crate::common::{self, INTERNAL, Verdict, World, manifest, request};

fn limited(limit: u64) -> Value {
    let mut manifest = manifest();
    manifest["Marbles"]["web"]["MaxActivations"] = json!(limit);
    manifest["Marbles"]["free"] = json!({ "Package": "app" });
    manifest
}

// M-92: the boundary
#[tokio::test]
async fn the_last_allowed_activation_succeeds_and_the_next_is_refused() {
    let (world, coordinator) = World::with(&limited(2)).await;
    common::activate(&coordinator).await;
    common::activate(&coordinator).await;
    assert_eq!(world.count("web"), Some(2));
    assert_eq!(
        common::denial(&coordinator).await,
        r#"marble verification failed: reached max activations count (2) for marble type "web""#
    );
    assert_eq!(world.count("web"), Some(2));
}

// M-92: "per marble type (not per UUID)"; other types are not touched
#[tokio::test]
async fn the_count_is_the_types_and_not_the_uuids() {
    let (world, coordinator) = World::with(&limited(1)).await;
    common::activate(&coordinator).await;
    let another = ActivationRequest { uuid: uuid::Uuid::new_v4().to_string(), ..request() };
    assert!(coordinator.activate(another).await.is_err());
    let free = || ActivationRequest { marble_type: "free".to_owned(), ..request() };
    coordinator.activate(free()).await.unwrap();
    coordinator.activate(free()).await.unwrap();
    assert_eq!(world.count("free"), None);
}

// M-92: "incremented and persisted only if MaxActivations > 0"
#[tokio::test]
async fn nothing_is_stored_where_there_is_no_limit() {
    let (world, coordinator) = World::with(&limited(0)).await;
    let before = world.revision();
    common::activate(&coordinator).await;
    assert_eq!((world.count("web"), world.revision()), (None, before));
    assert_eq!(world.store.commits.load(Ordering::SeqCst), 0);
}

// M-92: neither a refusal nor a failure counts
#[tokio::test]
async fn what_is_refused_or_fails_is_not_counted() {
    let mut manifest = limited(1);
    manifest["Secrets"] = json!({ "u": { "Type": "plain", "UserDefined": true } });
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{current.u.whole.hex}}" });
    let (world, coordinator) = World::with(&manifest).await;
    assert!(common::denial(&coordinator).await.contains("empty value"), "rendering fails");
    world.store.upload("secret:u", b"v").await;
    world.policies.admitter(Verdict::Deny("doorman", "no", None));
    common::denial(&coordinator).await;
    world.policies.admitter(Verdict::Allow);
    world.evidence.fail("bad");
    common::denial(&coordinator).await;
    world.evidence.claim(|_| {});
    assert_eq!(world.count("web"), None);
    common::activate(&coordinator).await;
    assert_eq!(world.count("web"), Some(1));
}

// M-92
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_concurrent_activations_with_a_limit_of_10_exactly_10_succeed() {
    ten_of_64_succeed(false).await;
}

// M-92: no Marble is sent away because the others were faster
#[tokio::test]
async fn exactly_10_succeed_too_where_every_commit_is_slower_than_all_activations() {
    ten_of_64_succeed(true).await;
}

async fn ten_of_64_succeed(slow: bool) {
    let (world, coordinator) = World::with(&limited(10)).await;
    world.store.slow.store(slow, Ordering::SeqCst);
    let coordinator = Arc::new(coordinator);
    let asked = request();
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let coordinator = Arc::clone(&coordinator);
            let request = ActivationRequest { uuid: uuid::Uuid::new_v4().to_string(), ..asked.clone() };
            tokio::spawn(async move { coordinator.activate(request).await })
        })
        .collect();
    let mut succeeded = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => succeeded += 1,
            Err(error) => {
                let text = common::message(&error);
                assert!(text.contains("reached max activations count (10)"), "{text}");
            }
        }
    }
    assert_eq!((succeeded, world.count("web")), (10, Some(10)));
}

// G-22: "a failing commit means no activation"; G-22's text holds no internals
#[tokio::test]
async fn a_count_that_cannot_be_stored_is_no_activation() {
    let (world, coordinator) = World::with(&limited(2)).await;
    world.store.commit_fails.store(true, Ordering::SeqCst);
    let error = coordinator.activate(request()).await.unwrap_err();
    assert!(matches!(error, ActivateError::Store(_)));
    assert!(!common::message(&error).contains(INTERNAL));
    world.store.commit_fails.store(false, Ordering::SeqCst);
    common::activate(&coordinator).await;
    assert_eq!(world.count("web"), Some(1));
}

// architecture.md, One use case: 8 times, then 503
#[tokio::test]
async fn a_commit_in_conflict_is_computed_again_up_to_eight_times() {
    let (world, coordinator) = World::with(&limited(9)).await;
    world.store.conflicts.store(7, Ordering::SeqCst);
    common::activate(&coordinator).await;
    assert_eq!(world.count("web"), Some(1));
    world.store.conflicts.store(8, Ordering::SeqCst);
    let error = coordinator.activate(request()).await.unwrap_err();
    assert!(matches!(error, ActivateError::Busy));
    assert_eq!(world.count("web"), Some(1));
}

// M-92: "never reset, not by restart"
#[tokio::test]
async fn the_count_survives_a_restart() {
    let (world, coordinator) = World::with(&limited(1)).await;
    common::activate(&coordinator).await;
    drop(coordinator);
    let coordinator = world.start().await;
    assert!(common::denial(&coordinator).await.contains("reached max activations count (1)"));
}
