//! L-13..L-16, L-18: what a start finds, and that time never runs below the last commit.

use std::sync::atomic::Ordering;
use std::time::Duration as Span;

use carrara_core::error::{ActivateError, StartError};
use carrara_core::outcome::{Activation, TlsPort};
use carrara_core::{Coordinator, Settings};
use der::Decode;
use serde_json::{Value, json};
use time::Duration;
use x509_cert::Certificate;

use crate::common::{self, INTERNAL, NOW, World, env, manifest, pem_blocks};

fn presented(coordinator: &Coordinator) -> [Vec<u8>; 2] {
    [TlsPort::Rest, TlsPort::Mesh].map(|port| coordinator.tls_identity(port).certificate.clone())
}

// L-15, L-13: the names of the second start have no effect on a loaded state
#[tokio::test]
async fn a_restart_finds_the_same_certificates_manifest_log_and_secrets() {
    let mut manifest = manifest();
    manifest["Secrets"] = json!({
        "s": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        "c": { "Type": "cert-ed25519", "Shared": true },
    });
    manifest["Marbles"]["web"]["Parameters"]["Env"] =
        json!({ "S": "{{current.s.whole.hex}}", "C": "{{current.c.private.pem}}" });
    let (world, before) = World::with(&manifest).await;
    let activation = common::activate(&before).await;

    let settings = Settings { dns_names: vec!["renamed.example".to_owned()], ..Settings::default() };
    let after = Coordinator::start(world.ports(), settings).await.unwrap();
    assert_eq!(presented(&after), presented(&before));
    assert_eq!(after.manifest().unwrap(), before.manifest().unwrap());
    assert_eq!(after.update_log(0, None).unwrap(), before.update_log(0, None).unwrap());
    assert_eq!(after.status(), before.status());
    let again = common::activate(&after).await;
    for name in ["S", "C", "MARBLE_PREDEFINED_ROOT_CA", "MARBLE_PREDEFINED_COORDINATOR_ROOT_CA"] {
        assert_eq!(env(&again, name), env(&activation, name), "{name}");
    }
}

// L-14: "each restart in state 2 shows a new root certificate"; nothing is written
#[tokio::test]
async fn before_a_manifest_every_start_makes_a_new_authority_and_stores_nothing() {
    let world = World::new().await;
    let (one, two) = (world.start().await, world.start().await);
    assert_ne!(presented(&one), presented(&two));
    assert_eq!((one.status().code, world.revision()), (2, 0));
}

// L-16
#[tokio::test]
async fn in_recovery_a_start_shows_a_temporary_authority_and_neither_manifest_nor_log() {
    let (world, before) = World::with(&manifest()).await;
    world.store.locked.store(true, Ordering::SeqCst);
    let after = world.start().await;
    assert_eq!(after.status().code, 1);
    assert_ne!(presented(&after), presented(&before));
    assert!(after.manifest().unwrap().is_none());
    assert!(after.update_log(0, None).is_err());
}

// L-18, X-2, X-3: never a fallback to simulation
#[tokio::test]
async fn a_start_without_the_quote_that_the_tee_should_give_is_refused() {
    let world = World::new().await;
    world.evidence.cannot_issue.store(true, Ordering::SeqCst);
    let error = Coordinator::start(world.ports(), common::settings()).await.err().unwrap();
    assert!(matches!(error, StartError::Quote(_)));
    let text = common::message(&error);
    assert_eq!(text, format!("obtaining the coordinator's quote: {INTERNAL}"), "the operator's own log");
}

// L-17: a state that opens but makes no sense ends the start
#[tokio::test]
async fn a_state_that_makes_no_sense_is_not_started() {
    let (world, _coordinator) = World::with(&manifest()).await;
    world.store.write("manifest", b"{").await;
    let error = Coordinator::start(world.ports(), common::settings()).await.err().unwrap();
    assert!(matches!(error, StartError::State(_)));
    assert!(common::message(&error).starts_with("loading the state: "));
}

// G-22; style.md rule 4: a state that can no longer be read goes to the log; the ports keep their certificates
#[tokio::test]
async fn a_state_that_can_no_longer_be_read_is_told_without_internals() {
    let (world, coordinator) = World::with(&manifest()).await;
    let before = presented(&coordinator);
    world.store.write("manifest", INTERNAL.as_bytes()).await;
    let error = coordinator.activate(common::request()).await.unwrap_err();
    assert!(matches!(error, ActivateError::Store(_)));
    assert!(!common::message(&error).contains(INTERNAL));
    let text = common::message(&coordinator.manifest().unwrap_err());
    assert_eq!(text, "the manifest could not be read; see the coordinator's log");
    assert_eq!(presented(&coordinator), before);
}

fn limited() -> Value {
    let mut manifest = manifest();
    manifest["Marbles"]["web"]["MaxActivations"] = json!(9);
    manifest
}

/// When the Marble's certificate begins to be valid, since 1970.
fn not_before(activation: &Activation) -> Span {
    let chain = pem_blocks(&env(activation, "MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN"));
    let leaf = Certificate::from_der(&chain[0].1).unwrap();
    leaf.tbs_certificate.validity.not_before.to_unix_duration()
}

fn seconds(time: time::OffsetDateTime) -> Span {
    Span::from_secs(u64::try_from(time.unix_timestamp()).unwrap())
}

// architecture.md, Trust: "Time never runs below the last committed time"; G-46
#[tokio::test]
async fn time_never_runs_below_the_last_commit() {
    let (world, coordinator) = World::with(&limited()).await;
    world.clock.move_by(Duration::hours(-1));
    let activation = common::activate(&coordinator).await;
    assert_eq!(not_before(&activation), seconds(NOW), "the manifest was set then");

    world.clock.move_by(Duration::hours(3));
    let later = NOW + Duration::hours(2);
    assert_eq!(not_before(&common::activate(&coordinator).await), seconds(later));
    world.clock.move_by(Duration::days(-900));
    assert_eq!(
        not_before(&common::activate(&coordinator).await),
        seconds(later),
        "an activation was counted then"
    );
    let asked = world.policies.admissions.lock().unwrap().last().unwrap().context.now;
    assert_eq!(Span::from_secs(asked), seconds(later), "policies see the same time");

    let restarted = world.start().await;
    assert_eq!(not_before(&common::activate(&restarted).await), seconds(later), "nor after a restart");
}

// What was not committed binds nobody
#[tokio::test]
async fn time_may_go_back_as_long_as_nothing_was_committed() {
    let (world, coordinator) = World::with(&manifest()).await;
    world.clock.move_by(Duration::hours(2));
    common::activate(&coordinator).await;
    world.clock.move_by(Duration::hours(-1));
    let activation = common::activate(&coordinator).await;
    assert_eq!(not_before(&activation), seconds(NOW + Duration::hours(1)));
}
