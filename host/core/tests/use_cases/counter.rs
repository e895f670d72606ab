//! monotonic-counter (rest-api.md), X-5, X-11a, X-69, marble-api.md section 10: Marbles' counters never fall.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use carrara_core::Coordinator;
use carrara_core::error::CounterError;
use carrara_core::outcome::ActivationRequest;
use carrara_core::ports::Store;
use serde_json::{Value, json};
use time::Duration;

use crate::common::{self, INTERNAL, UUID, World, manifest, pem_blocks, request, user_certificate};
use crate::update_world::Updating;

fn gated() -> Value {
    let mut manifest = manifest();
    manifest["Config"] = json!({ "FeatureGates": ["MonotonicCounter"] });
    manifest["Marbles"]["db"] = json!({ "Package": "app" });
    manifest
}

/// The certificate of a newly activated Marble.
async fn marble(coordinator: &Coordinator, marble_type: &str, uuid: &str) -> Vec<u8> {
    let asked = ActivationRequest { marble_type: marble_type.to_owned(), uuid: uuid.to_owned(), ..request() };
    let activation = coordinator.activate(asked).await.unwrap();
    pem_blocks(&common::env(&activation, "MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN")).remove(0).1
}

async fn world() -> (World, Coordinator, Vec<u8>) {
    let (world, coordinator) = World::with(&gated()).await;
    let web = marble(&coordinator, "web", UUID).await;
    (world, coordinator, web)
}

async fn advance(coordinator: &Coordinator, marble: &[u8], name: &str, value: u64) -> u64 {
    coordinator.advance_counter(Some(marble), name, value).await.unwrap()
}

/// Why the certificate is refused, on both ways in.
async fn unauthorized(coordinator: &Coordinator, peer: Option<&[u8]>) -> String {
    let text = common::message(&coordinator.authenticate_marble(peer).unwrap_err());
    let error = coordinator.advance_counter(peer, "n", 1).await.unwrap_err();
    assert!(matches!(error, CounterError::Unauthorized(_)));
    assert_eq!(common::message(&error), text);
    text
}

// "if value > stored (start 0) store it; always returns the previous value"
#[tokio::test]
async fn a_counter_starts_at_zero_rises_and_tells_what_it_was() {
    let (_world, coordinator, web) = world().await;
    assert_eq!(advance(&coordinator, &web, "n", 5).await, 0);
    assert_eq!(advance(&coordinator, &web, "n", 7).await, 5);
    assert_eq!(advance(&coordinator, &web, "n", u64::MAX).await, 7);
    assert_eq!(advance(&coordinator, &web, "n", 1).await, u64::MAX);
}

// "Setting to a non-greater value returns the current value, no error"
#[tokio::test]
async fn a_value_that_is_not_greater_changes_nothing_and_stores_nothing() {
    let (world, coordinator, web) = world().await;
    assert_eq!(advance(&coordinator, &web, "n", 0).await, 0);
    advance(&coordinator, &web, "n", 5).await;
    let before = (world.revision(), world.store.commits.load(Ordering::SeqCst));
    for value in [0, 4, 5] {
        assert_eq!(advance(&coordinator, &web, "n", value).await, 5);
    }
    assert_eq!((world.revision(), world.store.commits.load(Ordering::SeqCst)), before);
}

// "Counter id = b64(type):b64(uuid 16 bytes):b64(name)"; L-34
#[tokio::test]
async fn a_counter_belongs_to_type_uuid_and_name() {
    let (world, coordinator, web) = world().await;
    let another = uuid::Uuid::from_u128(0xfeed);
    let others =
        [marble(&coordinator, "db", UUID).await, marble(&coordinator, "web", &another.to_string()).await];
    advance(&coordinator, &web, "n", 5).await;
    for other in &others {
        assert_eq!(advance(&coordinator, other, "n", 3).await, 0);
    }
    assert_eq!(advance(&coordinator, &web, "m", 3).await, 0);
    let record = world.store.snapshot().open("monotonicCounter:d2Vi:a6e4EJ2tEdGAtADAT9QwyA==:bg==").unwrap();
    assert!(record.unwrap().equals(&5_u64.to_le_bytes()));
    assert_eq!(world.store.snapshot().keys("monotonicCounter:").len(), 4);
}

// marble-api.md section 10: a restarted Marble, and a restarted coordinator
#[tokio::test]
async fn a_counter_survives_restarts() {
    let (world, coordinator, web) = world().await;
    advance(&coordinator, &web, "n", 5).await;
    let again = marble(&coordinator, "web", UUID).await;
    assert_ne!(again, web, "a new certificate");
    assert_eq!(advance(&coordinator, &again, "n", 6).await, 5);
    drop(coordinator);
    assert_eq!(advance(&world.start().await, &web, "n", 7).await, 6);
}

// X-69, marble-api.md section 10: the counter survives an update, and the certificate does not
#[tokio::test]
async fn after_an_update_a_marble_is_refused_until_it_restarts_and_its_counter_goes_on() {
    let updating = Updating::alone(&gated()).await;
    let coordinator = &updating.coordinator;
    let old = marble(coordinator, "web", UUID).await;
    advance(coordinator, &old, "n", 5).await;

    let changed = |manifest: &mut Value| manifest["Marbles"]["web"]["Parameters"]["Argv"] = json!(["./new"]);
    updating.update("alice", &updating.changed(changed)).await;
    let text = unauthorized(coordinator, Some(&old)).await;
    assert!(text.ends_with("a Marble of an earlier manifest must be restarted"), "{text}");
    let new = marble(coordinator, "web", UUID).await;
    assert_eq!(advance(coordinator, &new, "n", 6).await, 5);
}

#[tokio::test]
async fn a_name_may_be_empty_or_long_but_not_longer() {
    let (_world, coordinator, web) = world().await;
    advance(&coordinator, &web, "", 1).await;
    advance(&coordinator, &web, &"n".repeat(1024), 1).await;
    let error = coordinator.advance_counter(Some(&web), &"n".repeat(1025), 1).await.unwrap_err();
    assert!(matches!(error, CounterError::Invalid(_)));
    assert_eq!(common::message(&error), "the counter's name has 1025 bytes, more than the limit of 1024");
}

// 401; "wrong state also shows as 401"
#[tokio::test]
async fn without_a_certificate_or_a_state_nobody_is_a_marble() {
    let (world, coordinator, web) = world().await;
    coordinator.authenticate_marble(Some(&web)).unwrap();
    assert_eq!(unauthorized(&coordinator, None).await, "unauthorized marble: no client certificate");
    world.store.locked.store(true, Ordering::SeqCst);
    let text = unauthorized(&coordinator, Some(&web)).await;
    assert_eq!(text, "unauthorized marble: server is not in expected state");
}

// "client certificate must verify to the *current* marble root as anchor"
#[tokio::test]
async fn only_what_this_marble_root_signed_is_a_marble() {
    let (_world, coordinator, web) = world().await;
    let (_other, elsewhere) = World::with(&gated()).await;
    let foreign = marble(&elsewhere, "web", UUID).await;
    let (user, _) = user_certificate();
    for certificate in [&foreign, &user] {
        let text = unauthorized(&coordinator, Some(certificate)).await;
        assert!(text.starts_with("unauthorized marble: the client certificate was not issued by"), "{text}");
    }
    let mut changed = web.clone();
    *changed.last_mut().unwrap() ^= 1;
    unauthorized(&coordinator, Some(&changed)).await;
    for length in [0, 1, 100, web.len() - 1] {
        unauthorized(&coordinator, Some(&web[..length])).await;
    }
    coordinator.authenticate_marble(Some(&web)).unwrap();
}

// S-35, X-5, X-11a: secrets' certificates have the same issuer, whatever their names say
#[tokio::test]
async fn the_certificate_of_a_secret_is_no_marbles() {
    let mut manifest = gated();
    let template = json!({ "Subject": { "CommonName": UUID } });
    manifest["Secrets"] = json!({
        "c": { "Type": "cert-ecdsa", "Size": 384, "Shared": true, "Cert": template },
    });
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "C": "{{current.c.certificate.pem}}" });
    let (_world, coordinator) = World::with(&manifest).await;
    let activation = common::activate(&coordinator).await;
    let secret = pem_blocks(&common::env(&activation, "C")).remove(0).1;
    let text = unauthorized(&coordinator, Some(&secret)).await;
    assert!(text.contains("is no Marble's: it names no Marble type"), "{text}");

    // The coordinator's own certificates are signed by the same key, or by the root.
    for name in ["MARBLE_PREDEFINED_ROOT_CA", "MARBLE_PREDEFINED_COORDINATOR_ROOT_CA"] {
        let own = pem_blocks(&common::env(&activation, name)).remove(0).1;
        unauthorized(&coordinator, Some(&own)).await;
    }
}

// "(time, ...)": the boundary on both sides
#[tokio::test]
async fn a_certificate_counts_only_within_its_time_also_where_it_is_known() {
    let (world, coordinator, web) = world().await;
    coordinator.authenticate_marble(Some(&web)).unwrap();
    world.clock.move_by(Duration::nanoseconds(i64::MAX) - Duration::seconds(2));
    coordinator.authenticate_marble(Some(&web)).unwrap();
    world.clock.move_by(Duration::seconds(3));
    let text = unauthorized(&coordinator, Some(&web)).await;
    assert_eq!(text, "unauthorized marble: the client certificate has expired or is not valid yet");
}

// No lost update: with 32 clients on one counter every value between is seen by exactly one
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_on_one_counter_all_succeed_with_exact_results() {
    many(false).await;
}

// The same where every commit is slower than all requests
#[tokio::test]
async fn a_slow_disk_sends_nobody_away() {
    many(true).await;
}

async fn many(slow: bool) {
    let (world, coordinator, web) = world().await;
    world.store.slow.store(slow, Ordering::SeqCst);
    let coordinator = Arc::new(coordinator);
    let tasks: Vec<_> = (1..=32_u64)
        .map(|value| {
            let (coordinator, web) = (Arc::clone(&coordinator), web.clone());
            tokio::spawn(async move { (value, advance(&coordinator, &web, "n", value).await) })
        })
        .collect();
    let mut raised = BTreeMap::new();
    let mut too_low = Vec::new();
    for task in tasks {
        let (value, before) = task.await.unwrap();
        if value > before {
            assert!(raised.insert(before, value).is_none(), "two raised it from {before}");
        } else {
            too_low.push((value, before));
        }
    }
    // The raises are one chain from 0 to 32, and who came too late saw a value of it.
    let mut value = 0;
    for (before, after) in &raised {
        assert_eq!(*before, value);
        value = *after;
    }
    assert_eq!(value, 32);
    assert!(too_low.iter().all(|(_, seen)| raised.values().any(|value| value == seen)), "{too_low:?}");
    assert_eq!(advance(&coordinator, &web, "n", 0).await, 32);
}

// architecture.md, One use case: 8 times, then 503
#[tokio::test]
async fn a_commit_in_conflict_is_computed_again_up_to_eight_times() {
    let (world, coordinator, web) = world().await;
    world.store.conflicts.store(7, Ordering::SeqCst);
    assert_eq!(advance(&coordinator, &web, "n", 1).await, 0);
    world.store.conflicts.store(8, Ordering::SeqCst);
    let error = coordinator.advance_counter(Some(&web), "n", 2).await.unwrap_err();
    assert!(matches!(error, CounterError::Busy));
    assert_eq!(advance(&coordinator, &web, "n", 0).await, 1);
}

#[tokio::test]
async fn a_counter_that_cannot_be_stored_has_not_risen() {
    let (world, coordinator, web) = world().await;
    world.store.commit_fails.store(true, Ordering::SeqCst);
    let error = coordinator.advance_counter(Some(&web), "n", 1).await.unwrap_err();
    assert_eq!(common::message(&error), "the counter could not be stored; see the coordinator's log");
    assert!(!common::message(&error).contains(INTERNAL));
    world.store.commit_fails.store(false, Ordering::SeqCst);
    assert_eq!(advance(&coordinator, &web, "n", 0).await, 0);
}

// whatever Marbles make is in memory
#[tokio::test]
async fn a_marble_has_a_thousand_counters_and_the_next_one_is_refused_by_name() {
    let (_world, coordinator, web) = world().await;
    for number in 0..1000 {
        advance(&coordinator, &web, &number.to_string(), 1).await;
    }
    let refused = coordinator.advance_counter(Some(&web), "one more", 1).await.unwrap_err();
    assert!(matches!(refused, CounterError::TooMany(_)));
    let text = common::message(&refused);
    assert!(text.contains("1000") && text.contains("use one that exists"), "{text}");
    // Those that exist rise on, and reading makes none.
    assert_eq!(advance(&coordinator, &web, "7", 2).await, 1);
    assert_eq!(advance(&coordinator, &web, "one more", 0).await, 0);
    let other = marble(&coordinator, "db", UUID).await;
    assert_eq!(advance(&coordinator, &other, "one more", 1).await, 0);
}

// Marbles choose their UUIDs, so that the limit of one Marble alone limits nothing
#[tokio::test]
async fn a_state_of_two_hundred_thousand_records_gets_no_further_counter() {
    let (world, coordinator, web) = world().await;
    let there = world.store.snapshot().record_count();
    world.store.more_records.store(199_999 - there, Ordering::SeqCst);
    assert_eq!(advance(&coordinator, &web, "the last one", 1).await, 0);
    let refused = coordinator.advance_counter(Some(&web), "one more", 1).await.unwrap_err();
    assert!(matches!(refused, CounterError::TooMany(_)));
    let text = common::message(&refused);
    assert!(text.contains("200000 records") && text.contains("use one that exists"), "{text}");
    assert_eq!(advance(&coordinator, &web, "the last one", 2).await, 1);
    assert_eq!(advance(&coordinator, &web, "one more", 0).await, 0);
}
