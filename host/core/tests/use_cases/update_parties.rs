//! L-50..L-56, R-57..R-60a: full updates that several users must acknowledge.

use std::sync::atomic::Ordering;

use carrara_core::error::{PendingUpdateError, UpdateManifestError};
use carrara_core::outcome::Reporting;
use serde_json::{Value, json};

use super::update_world::{Updating, fingerprint};
use crate::common::{self, INTERNAL, RENDER_FAULT, Verdict, activate, bytes, manifest};

fn new_argument(test: &Updating) -> Value {
    test.changed(|manifest| manifest["Marbles"]["web"]["Parameters"]["Argv"] = json!(["./new"]))
}

/// A manifest that is accepted and cannot be applied.
fn broken(test: &Updating) -> Value {
    test.changed(|manifest| manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{ fail }}" }))
}

async fn argument(test: &Updating) -> String {
    activate(&test.coordinator).await.argv.remove(0)
}

fn text(error: &PendingUpdateError) -> String {
    common::message(error)
}

async fn refused_acknowledgement(test: &Updating, user: &str, manifest: &[u8]) -> String {
    let before = test.world.revision();
    let error = test.try_acknowledge(user, manifest).await.unwrap_err();
    assert_eq!(test.world.revision(), before);
    text(&error)
}

// Strangers may ask for it as often as they like.
#[tokio::test]
async fn the_pending_update_is_opened_once_per_change_of_it() {
    let test = Updating::new(&manifest(), 3).await;
    let (new, store) = (new_argument(&test), &test.world.store);
    let opened = || store.opened.lock().unwrap().get("pendingUpdate").copied().unwrap_or_default();
    let missing = || test.coordinator.pending_update().unwrap().missing_users;
    test.update("bob", &new).await;
    let begun = opened();
    for _ in 0..100 {
        assert_eq!(missing(), ["alice", "carol"]);
    }
    assert_eq!(opened(), begun + 1);
    test.acknowledge("carol", &new).await;
    for _ in 0..100 {
        assert_eq!(missing(), ["alice"]);
    }
    assert_eq!(opened(), begun + 2);
    test.coordinator.cancel_update(test.peer("alice")).await.unwrap();
    for _ in 0..100 {
        assert!(test.coordinator.pending_update().is_err());
    }
    let other =
        test.changed(|manifest| manifest["Marbles"]["web"]["Parameters"]["Argv"] = json!(["./other"]));
    test.update("alice", &other).await;
    assert_eq!(test.coordinator.pending_update().unwrap().manifest, bytes(&other));
    assert_eq!(opened(), begun + 3);
}

// L-51..L-54, R-58, R-60: two of three
#[tokio::test]
async fn an_update_waits_until_as_many_users_as_the_threshold_have_acknowledged() {
    let test = Updating::new(&manifest(), 2).await;
    let new = new_argument(&test);
    let before = test.world.revision();
    let progress = test.update("bob", &new).await;
    assert!(progress.warnings.is_empty());
    let waiting = ["alice".to_owned(), "carol".to_owned()];
    assert_eq!(progress.missing_acknowledgments, 1);
    assert_eq!(
        progress.missing_users.as_deref(),
        Some(waiting.as_slice()),
        "all who have not, though one is enough"
    );
    assert_eq!((argument(&test).await.as_str(), test.world.revision()), ("./web", before + 1));
    let pending = test.coordinator.pending_update().unwrap();
    assert_eq!((pending.manifest, pending.missing_acknowledgments), (bytes(&new), 1));
    assert_eq!(pending.missing_users, waiting);

    let progress = test.acknowledge("carol", &new).await;
    assert_eq!((progress.missing_acknowledgments, progress.missing_users), (0, None));
    assert_eq!((argument(&test).await.as_str(), test.world.revision()), ("./new", before + 2));
    assert_eq!(text(&test.coordinator.pending_update().unwrap_err()), "no update in progress");
    assert_eq!(refused_acknowledgement(&test, "alice", &bytes(&new)).await, "no update in progress");

    let fingerprint = fingerprint(&new);
    assert_eq!(
        test.log(1),
        [
            json!({
                "update": "Complete Manifest update initiated by user. Waiting for acknowledgments to apply the update",
                "user": "bob", "missingAcknowledgments": 1, "missingUsers": ["alice", "carol"],
                "manifestFingerprint": fingerprint
            }),
            json!({
                "update": "Complete Manifest update acknowledged by user", "user": "carol",
                "missingAcknowledgments": 0, "missingUsers": [], "manifestFingerprint": fingerprint
            }),
            json!({ "update": "Complete Manifest updated", "manifestFingerprint": fingerprint }),
        ]
    );
    let line = test.coordinator.update_log(1, Some(1)).unwrap().remove(0);
    let order =
        r#""user":"bob","missingAcknowledgments":1,"missingUsers":["alice","carol"],"manifestFingerprint":"#;
    assert!(line.contains(order), "{line}");
}

// L-51: threshold 0
#[tokio::test]
async fn without_a_threshold_every_holder_acknowledges() {
    let test = Updating::new(&manifest(), 0).await;
    let new = new_argument(&test);
    assert_eq!(test.update("alice", &new).await.missing_acknowledgments, 2);
    let progress = test.acknowledge("bob", &new).await;
    assert_eq!(progress.missing_acknowledgments, 1);
    assert_eq!(progress.missing_users.unwrap(), ["carol"]);
    assert_eq!(argument(&test).await, "./web");
    assert_eq!(test.acknowledge("carol", &new).await.missing_acknowledgments, 0);
    assert_eq!(argument(&test).await, "./new");
}

// L-53
#[tokio::test]
async fn a_second_acknowledgement_succeeds_and_changes_nothing() {
    let test = Updating::new(&manifest(), 3).await;
    let new = new_argument(&test);
    test.update("alice", &new).await;
    test.acknowledge("bob", &new).await;
    let before = test.world.revision();
    for user in ["alice", "bob"] {
        let progress = test.acknowledge(user, &new).await;
        assert_eq!(progress.missing_acknowledgments, 1);
        assert_eq!(progress.missing_users.unwrap(), ["carol"]);
    }
    assert_eq!(test.world.revision(), before);
}

// L-53: literal bytes
#[tokio::test]
async fn other_bytes_are_no_acknowledgement() {
    let test = Updating::new(&manifest(), 2).await;
    let new = new_argument(&test);
    test.update("alice", &new).await;
    let different = "provided manifest does not match the pending manifest";
    let with_space = [bytes(&new), b" ".to_vec()].concat();
    for manifest in [with_space.as_slice(), &bytes(&test.first), b"", b"no JSON"] {
        for user in ["alice", "bob"] {
            assert_eq!(refused_acknowledgement(&test, user, manifest).await, different);
        }
    }
    test.acknowledge("bob", &new).await;
    assert_eq!(argument(&test).await, "./new");
}

// L-53, R-54
#[tokio::test]
async fn only_the_required_users_acknowledge() {
    let test = Updating::new(&manifest(), 2).await;
    let new = new_argument(&test);
    assert_eq!(refused_acknowledgement(&test, "erin", &bytes(&new)).await, "no update in progress");
    test.update("alice", &new).await;
    for user in ["dave", "erin"] {
        for manifest in [bytes(&new), b"other".to_vec()] {
            let text = format!("user {user} is not allowed to acknowledge manifest updates");
            assert_eq!(refused_acknowledgement(&test, user, &manifest).await, text);
        }
    }
    for peer in [None, Some(b"stranger".as_slice())] {
        let error =
            test.coordinator.acknowledge_update(peer, &bytes(&new), Reporting::Full).await.unwrap_err();
        assert!(matches!(error, PendingUpdateError::Unauthorized));
        let error = test.coordinator.cancel_update(peer).await.unwrap_err();
        assert!(matches!(error, PendingUpdateError::Unauthorized));
    }
}

// M-111, L-51: frozen at the start
#[tokio::test]
async fn a_user_whom_the_proposed_manifest_removes_still_acknowledges() {
    let test = Updating::new(&manifest(), 0).await;
    let new = test.changed(|manifest| {
        manifest["Users"].as_object_mut().unwrap().remove("carol");
        manifest["Config"]["UpdateThreshold"] = json!(1);
    });
    assert_eq!(test.update("alice", &new).await.missing_users.unwrap(), ["bob", "carol"]);
    test.acknowledge("bob", &new).await;
    assert_eq!(test.log(1).len(), 2, "carol's is still needed");
    assert_eq!(test.acknowledge("carol", &new).await.missing_acknowledgments, 0);
    let error = test.try_update("carol", &new).await.unwrap_err();
    assert!(matches!(error, UpdateManifestError::Unauthorized), "and is gone afterwards");
}

// L-51, policy.md: all authorizers must allow; one that traps must not lower the number of acknowledgements
#[tokio::test]
async fn who_must_acknowledge_is_what_the_authorizers_say_and_a_trap_counts() {
    let test = Updating::new(&manifest(), 0).await;
    let new = new_argument(&test);
    test.world.policies.authorizer(Verdict::RolesButDeny("bob"));
    assert_eq!(test.update("alice", &new).await.missing_users.unwrap(), ["carol"]);
    test.coordinator.cancel_update(test.peer("alice")).await.unwrap();
    test.world.policies.authorizer(Verdict::RolesButTrapFor("dave"));
    assert_eq!(test.update("alice", &new).await.missing_users.unwrap(), ["bob", "carol", "dave"]);
    test.acknowledge("dave", &new).await;
    assert_eq!(test.coordinator.pending_update().unwrap().missing_users, ["bob", "carol"]);
}

// L-51: where a number of users must agree, one of whom a failing authorizer cannot say that it lets her is none of them;
// the number stays
#[tokio::test]
async fn a_trap_makes_nobody_one_of_those_whose_number_counts() {
    let test = Updating::new(&manifest(), 2).await;
    let new = new_argument(&test);
    test.world.policies.authorizer(Verdict::RolesButTrapFor("dave"));
    let progress = test.update("alice", &new).await;
    assert_eq!(progress.missing_acknowledgments, 1);
    assert_eq!(progress.missing_users.unwrap(), ["bob", "carol"]);
    refused_acknowledgement(&test, "dave", &bytes(&new)).await;
    assert_eq!(test.coordinator.pending_update().unwrap().missing_users, ["bob", "carol"]);
    assert_eq!(test.acknowledge("bob", &new).await.missing_acknowledgments, 0);
}

// R-60: lines are never shortened, and a manifest under which one would not fit could never be changed again
#[tokio::test]
async fn a_manifest_whose_updaters_the_log_cannot_hold_is_refused() {
    let test = Updating::alone(&manifest()).await;
    let with_users = |test: &Updating, number: usize| {
        test.changed(|manifest| {
            manifest["Config"]["UpdateThreshold"] = json!(0);
            for index in 0..number {
                let (_, pem) = common::user_certificate();
                let name = format!("{index:04000}");
                manifest["Users"][name] = json!({ "Certificate": pem, "Roles": ["updater"] });
            }
        })
    };
    let text = test.refusal("alice", &with_users(&test, 17)).await;
    assert!(text.contains("users who may update the manifest take 68"), "{text}");
    assert!(test.coordinator.pending_update().is_err());
    test.update("alice", &with_users(&test, 15)).await;
    assert_eq!(test.update("alice", &test.first).await.missing_acknowledgments, 17);
}

// L-51, policy.md: what the authorizers say later changes nothing
#[tokio::test]
async fn the_required_users_are_those_at_the_start() {
    let test = Updating::new(&manifest(), 0).await;
    let new = new_argument(&test);
    test.update("alice", &new).await;
    test.world.policies.authorizer(Verdict::Deny("hours", "closed", None));
    test.acknowledge("bob", &new).await;
    test.acknowledge("carol", &new).await;
    assert_eq!(argument(&test).await, "./new");
}

// R-57, L-56
#[tokio::test]
async fn while_one_update_waits_there_is_no_other() {
    let test = Updating::new(&manifest(), 2).await;
    let new = new_argument(&test);
    test.update("alice", &new).await;
    let text =
        "update already in progress. Acknowledge the update to apply it, or cancel it to start a new one";
    let versions = json!({ "Packages": { "app": { "SecurityVersion": 9 } } });
    for (user, update) in [("alice", &new), ("bob", &new), ("bob", &test.first), ("dave", &versions)] {
        assert_eq!(test.refusal(user, update).await, text);
    }
    test.coordinator.cancel_update(test.peer("bob")).await.unwrap();
    test.update("dave", &versions).await;
}

// L-56, R-60a: permission, then existence
#[tokio::test]
async fn any_holder_cancels_and_nobody_else() {
    let test = Updating::new(&manifest(), 2).await;
    let new = new_argument(&test);
    let denied = "user dave is not allowed to update the complete manifest";
    let cancel = async |user: &str| test.coordinator.cancel_update(test.peer(user)).await;
    assert_eq!(text(&cancel("dave").await.unwrap_err()), denied);
    assert_eq!(text(&cancel("carol").await.unwrap_err()), "no update in progress");
    test.update("alice", &new).await;
    assert_eq!(text(&cancel("dave").await.unwrap_err()), denied);
    assert!(test.coordinator.pending_update().is_ok());
    cancel("carol").await.unwrap();
    assert_eq!(text(&cancel("carol").await.unwrap_err()), "no update in progress");
    assert_eq!(refused_acknowledgement(&test, "bob", &bytes(&new)).await, "no update in progress");
    assert!(matches!(test.coordinator.pending_update(), Err(PendingUpdateError::NotFound)));
    assert_eq!(
        test.log(2),
        [json!({
            "update": "Complete Manifest update cancelled by user", "user": "carol",
            "manifestFingerprint": fingerprint(&new)
        })]
    );
    assert_eq!(argument(&test).await, "./web");
    assert_eq!(test.update("alice", &new).await.missing_acknowledgments, 1, "a new one starts from nothing");
}

// L-51: "Pending record is persisted"
#[tokio::test]
async fn what_waits_survives_a_restart() {
    let mut test = Updating::new(&manifest(), 3).await;
    let new = new_argument(&test);
    test.update("alice", &new).await;
    test.acknowledge("carol", &new).await;
    test.coordinator = test.world.start().await;
    assert_eq!(test.coordinator.pending_update().unwrap().missing_users, ["bob"]);
    test.acknowledge("bob", &new).await;
    assert_eq!(argument(&test).await, "./new");
}

// R-58: without a manifest nothing is pending and nobody is a user
#[tokio::test]
async fn before_a_manifest_is_set_there_is_no_update() {
    let world = common::World::new().await;
    let coordinator = world.start().await;
    assert!(matches!(coordinator.pending_update(), Err(PendingUpdateError::NotFound)));
    assert!(matches!(coordinator.cancel_update(Some(b"x")).await, Err(PendingUpdateError::Unauthorized)));
}

// L-55, at once: the line of the start, the line of the failure, nothing else
#[tokio::test]
async fn an_update_that_cannot_be_applied_changes_nothing_and_says_why() {
    let test = Updating::alone(&manifest()).await;
    let broken = broken(&test);
    let records = ["manifest", "certificate:marbleRootCert", "rootSecret"];
    let before = records.map(|key| test.record(key));
    let error = test.try_update("alice", &broken).await.unwrap_err();
    let why = "running manifest template dry run: in Marble web: env variable E: ";
    assert_eq!(common::message(&error), format!("applying the manifest update: {why}{RENDER_FAULT}"));
    assert_eq!(records.map(|key| test.record(key)), before);
    assert!(test.coordinator.pending_update().is_err());
    let updates: Vec<Value> = test.log(1).into_iter().map(|line| line["update"].clone()).collect();
    assert_eq!(
        updates,
        [
            "Complete Manifest update initiated by user. No further acknowledgements required",
            "Complete Manifest update cancelled due to error during apply"
        ]
    );
    test.update("alice", &new_argument(&test)).await;
}

// L-55, with the last acknowledgement
#[tokio::test]
async fn an_acknowledged_update_that_cannot_be_applied_is_dropped() {
    let test = Updating::new(&manifest(), 2).await;
    let broken = broken(&test);
    let warnings = test.update("alice", &broken).await.warnings;
    assert_eq!(warnings.len(), 1, "who starts it is told");
    assert_eq!(warnings[0].code, "M-80");
    assert!(warnings[0].message.ends_with(RENDER_FAULT), "{}", warnings[0].message);
    let error = test.try_acknowledge("bob", &bytes(&broken)).await.unwrap_err();
    assert!(matches!(error, PendingUpdateError::Apply(_)));
    assert!(text(&error).ends_with(RENDER_FAULT));
    assert!(test.coordinator.pending_update().is_err());
    assert_eq!(argument(&test).await, "./web");
    let lines = test.log(2);
    assert_eq!(lines[0]["update"], "Complete Manifest update acknowledged by user");
    assert_eq!(
        lines[1],
        json!({
            "update": "Complete Manifest update cancelled due to error during apply",
            "manifestFingerprint": fingerprint(&broken)
        })
    );
    test.update("alice", &new_argument(&test)).await;
    assert!(test.coordinator.pending_update().is_ok());
}

// A disk that is full is no fault of the update: it waits on.
#[tokio::test]
async fn an_acknowledgement_that_cannot_be_stored_leaves_the_update_waiting() {
    let test = Updating::new(&manifest(), 2).await;
    let new = new_argument(&test);
    test.update("alice", &new).await;
    test.world.store.commit_fails.store(true, Ordering::SeqCst);
    let error = test.try_acknowledge("bob", &bytes(&new)).await.unwrap_err();
    assert!(!text(&error).contains(INTERNAL) && error.internal().unwrap().contains(INTERNAL));
    assert!(test.coordinator.cancel_update(test.peer("bob")).await.is_err());
    test.world.store.commit_fails.store(false, Ordering::SeqCst);
    assert_eq!(test.coordinator.pending_update().unwrap().missing_acknowledgments, 1);
    test.acknowledge("bob", &new).await;
}

// X-30
#[tokio::test]
async fn version_1_starts_no_update_whose_missing_acknowledgements_it_cannot_report() {
    let test = Updating::new(&manifest(), 2).await;
    let new = new_argument(&test);
    let before = test.world.revision();
    let start = async |user: &str, manifest: &Value| {
        test.coordinator
            .update_manifest(test.peer(user), &bytes(manifest), Vec::new(), Reporting::SuccessOnly)
            .await
    };
    let error = start("alice", &new).await.unwrap_err();
    assert!(matches!(&error, UpdateManifestError::NeedsVersion2(text) if text.contains("/api/v2/update")));
    assert_eq!(test.world.revision(), before);
    assert!(start("erin", &new).await.unwrap_err().to_string().contains("not allowed"), "permission first");
    start("dave", &json!({ "Packages": { "app": { "SecurityVersion": 3 } } })).await.unwrap();
    test.update("alice", &new).await;
    let acknowledged = test
        .coordinator
        .acknowledge_update(test.peer("bob"), &bytes(&new), Reporting::SuccessOnly)
        .await
        .unwrap();
    assert_eq!(acknowledged.missing_acknowledgments, 0);
}
