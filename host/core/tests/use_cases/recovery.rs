//! L-40..L-43, L-46..L-49b: what opens a locked state, and what is there afterwards.

use std::sync::atomic::Ordering;

use carrara_core::outcome::Reporting;
use carrara_core::ports::{Found, Store as _};
use serde_json::{Value, json};

use super::recovery_world::{Locked, decrypted, input, keys, on_another_machine, root, with_keys};
use crate::common::{self, INTERNAL, World, bytes, manifest};

// L-41, L-46, L-49a
#[tokio::test]
async fn the_holder_of_the_only_key_opens_the_state() {
    let test = Locked::new(1, 0).await;
    test.expect_locked();
    let step = test.send(test.input("alice")).await.unwrap();
    assert_eq!((step.remaining, step.message().as_str()), (0, "Recovery successful."));
    test.expect_recovered().await;
}

// L-42, L-47, X-29: threshold 0 and n are the same
#[tokio::test]
async fn all_holders_together_open_the_state_and_the_remaining_count_is_exact() {
    for threshold in [0, 3] {
        let test = Locked::new(3, threshold).await;
        let step = test.send(test.input("carol")).await.unwrap();
        let text = "Secret was processed successfully. Upload the next secret. Remaining secrets: 2";
        assert_eq!((step.remaining, step.message().as_str()), (2, text));
        assert_eq!(test.remaining("alice").await, 1);
        test.expect_locked();
        assert_eq!(test.remaining("bob").await, 0);
        test.expect_recovered().await;
    }
}

// L-43, L-48, X-29: exact here, too: threshold minus provided
#[tokio::test]
async fn any_two_of_three_holders_open_the_state() {
    for (first, second) in [("alice", "bob"), ("carol", "alice"), ("bob", "carol")] {
        let test = Locked::new(3, 2).await;
        assert_eq!(test.remaining(first).await, 1);
        test.expect_locked();
        assert_eq!(test.remaining(second).await, 0);
        test.expect_recovered().await;
    }
}

// L-49a: no secret stays in memory once the state is open; it shows where the same state is locked again
#[tokio::test]
async fn nothing_that_was_accepted_is_left_after_a_recovery() {
    let test = Locked::new(3, 0).await;
    for (owner, remaining) in [("alice", 2), ("bob", 1), ("carol", 0)] {
        assert_eq!(test.remaining(owner).await, remaining);
    }
    test.world.store.locked.store(true, Ordering::SeqCst);
    assert_eq!(test.remaining("alice").await, 2, "as at the beginning");
}

// L-40
#[tokio::test]
async fn without_recovery_keys_nothing_opens_the_state_and_the_text_says_so() {
    let test = Locked::new(0, 0).await;
    let key = common::RecoveryKey::generate();
    let text = test.refusal(input(&[7; 32], key.sign(&[7; 32]))).await;
    assert!(text.contains("no recovery keys: set a new manifest"), "{text}");
}

// L-49a: the quote follows the root certificate
#[tokio::test]
async fn the_quote_of_a_recovered_coordinator_is_over_the_old_root_and_kept() {
    let test = Locked::new(1, 0).await;
    let temporary = test.coordinator.quote(None).await.unwrap();
    test.remaining("alice").await;
    let issued = test.world.evidence.issued();
    let quote = test.coordinator.quote(None).await.unwrap();
    assert_ne!(quote.certificates, temporary.certificates);
    assert_eq!(common::pem_blocks(&quote.certificates)[1].1, test.root);
    assert_eq!(quote.quote, test.coordinator.quote(None).await.unwrap().quote);
    assert_eq!(test.world.evidence.issued(), issued, "no new one was needed");
}

#[tokio::test]
async fn a_recovery_leaves_an_audit_entry_and_no_line_in_the_update_log() {
    let test = Locked::new(1, 0).await;
    test.remaining("alice").await;
    let snapshot = test.world.store.snapshot();
    let lines = snapshot.audit_lines(0, 100).unwrap();
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let fingerprint = test.coordinator.manifest().unwrap().unwrap().fingerprint.clone();
    assert_eq!((&last["action"], &last["outcome"]), (&json!("Recover"), &json!("done")));
    assert_eq!((&last["user"], &last["resources"]), (&Value::Null, &json!([fingerprint])));
    assert_eq!(snapshot.log_size(), 1);
}

#[tokio::test]
async fn the_audit_entry_of_a_recovery_waits_where_it_cannot_be_stored_at_once() {
    let test = Locked::new(1, 0).await;
    test.world.store.commit_fails.store(true, Ordering::SeqCst);
    assert_eq!(test.remaining("alice").await, 0);
    assert_eq!(test.coordinator.audit_entries_waiting(), 1);
    test.world.store.commit_fails.store(false, Ordering::SeqCst);
    test.expect_recovered().await;
}

// L-49b, X-1
#[tokio::test]
async fn a_new_manifest_in_recovery_archives_the_locked_state_and_ends_the_recovery() {
    let test = Locked::new(2, 0).await;
    let public_key = test.coordinator.recovery_public_key().await.unwrap();
    assert_eq!(test.remaining("alice").await, 1);
    common::set(&test.coordinator, &manifest()).await;
    assert_eq!(test.coordinator.status().code, 3);
    assert_ne!(root(&test.coordinator), test.root);
    assert_eq!(test.world.store.snapshot().log_size(), 2);
    assert_eq!(std::fs::read_dir(test.folder.path().join("archive")).unwrap().count(), 1);
    let error = test.send(test.input("bob")).await.unwrap_err();
    assert_eq!(common::message(&error), "server is not in expected state");
    let late = common::encrypt_to(&public_key, &test.secrets["bob"]);
    test.send(input(&late, test.keys["bob"].sign(&test.secrets["bob"]))).await.unwrap_err();
}

// L-49a: the temporary CA is not what is shown where the state cannot be read for once
#[tokio::test]
async fn no_temporary_authority_is_left_after_a_recovery() {
    let test = Locked::new(1, 0).await;
    test.remaining("alice").await;
    test.world.store.locked.store(true, Ordering::SeqCst);
    assert_eq!(root(&test.coordinator), test.root);
}

// L-49b: nothing of the replaced state stays in memory
#[tokio::test]
async fn a_caller_who_goes_away_while_a_new_manifest_is_set_leaves_no_recovery_behind() {
    let test = Locked::new(2, 0).await;
    let public_key = test.coordinator.recovery_public_key().await.unwrap();
    let store = &test.world.store;
    let permit = store.may_adopt.acquire().await.unwrap();
    let manifest = bytes(&manifest());
    tokio::select! {
        _ = test.coordinator.set_manifest(None, &manifest, Vec::new()) => panic!("nobody may learn of it yet"),
        () = store.adopting.notified() => {}
    }
    drop(permit);
    let late = common::encrypt_to(&public_key, &[1; 32]);
    let mut text = String::new();
    for _ in 0..100 {
        text = common::message(&test.send(input(&late, vec![1])).await.unwrap_err());
        if text.starts_with("failed to decrypt") {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the key is still there: {text}");
}

// L-61
#[tokio::test]
async fn after_an_update_the_new_recovery_keys_open_the_state_and_the_old_ones_do_not() {
    let (old, new) = (keys(1), keys(1));
    let (user, pem) = common::user_certificate();
    let mut first = manifest();
    first["Config"] = json!({});
    first["Users"] = json!({ "admin": { "Certificate": pem, "Roles": ["updater"] } });
    first["Roles"] = json!({ "updater": { "ResourceType": "Manifest", "Actions": ["UpdateManifest"] } });
    with_keys(&mut first, &old, 0);
    let mut second = first.clone();
    with_keys(&mut second, &new, 0);

    let folder = tempfile::TempDir::new().unwrap();
    let world = World::on(folder.path(), 1).await;
    let coordinator = world.start().await;
    let old_secrets = decrypted(&old, &common::set(&coordinator, &first).await.recovery_secrets);
    let updated =
        coordinator.update_manifest(Some(&user), &bytes(&second), Vec::new(), Reporting::Full).await.unwrap();
    let new_secrets = decrypted(&new, &updated.recovery_secrets.unwrap());
    let before = root(&coordinator);
    drop((world, coordinator));

    let (world, coordinator) = on_another_machine(&folder).await;
    let (old_secret, new_secret) = (&old_secrets["alice"], &new_secrets["alice"]);
    let refused = coordinator.recover(input(old_secret, old["alice"].sign(old_secret))).await;
    assert!(common::message(&refused.unwrap_err()).contains("does not open the state"));
    let refused = coordinator.recover(input(new_secret, old["alice"].sign(new_secret))).await;
    assert!(common::message(&refused.unwrap_err()).contains("not signed by any"));
    assert_eq!(world.store.found(), Found::Locked);
    let step = coordinator.recover(input(new_secret, new["alice"].sign(new_secret))).await.unwrap();
    assert_eq!((step.remaining, root(&coordinator)), (0, before));
}

#[tokio::test]
async fn what_fails_at_the_end_can_be_done_again_with_the_last_secret() {
    let test = Locked::new(2, 0).await;
    assert_eq!(test.remaining("alice").await, 1);
    test.world.evidence.cannot_issue.store(true, Ordering::SeqCst);
    let text = test.refusal(test.input("bob")).await;
    assert!(text.contains("no quote") && !text.contains(INTERNAL), "{text}");
    test.world.evidence.cannot_issue.store(false, Ordering::SeqCst);
    test.world.store.adopt_fails.store(true, Ordering::SeqCst);
    let text = test.refusal(test.input("bob")).await;
    assert!(text.contains("see the coordinator's log") && !text.contains(INTERNAL), "{text}");
    test.world.store.adopt_fails.store(false, Ordering::SeqCst);
    assert_eq!(test.remaining("bob").await, 0);
    test.expect_recovered().await;
}

#[tokio::test]
async fn of_two_who_send_the_same_secret_at_once_one_is_counted() {
    let test = Locked::new(2, 0).await;
    let (one, other) = tokio::join!(test.send(test.input("alice")), test.send(test.input("alice")));
    let accepted: Vec<usize> =
        [&one, &other].iter().filter_map(|result| Some(result.as_ref().ok()?.remaining)).collect();
    assert_eq!(accepted, [1]);
    let (one, other) = tokio::join!(test.send(test.input("bob")), test.send(test.input("bob")));
    assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|ok| **ok).count(), 1);
    test.expect_recovered().await;
}

#[tokio::test]
async fn a_caller_who_goes_away_at_the_end_does_not_leave_it_half_done() {
    let test = Locked::new(1, 0).await;
    let public_key = test.coordinator.recovery_public_key().await.unwrap();
    let store = &test.world.store;
    let permit = store.may_adopt.acquire().await.unwrap();
    tokio::select! {
        _ = test.send(test.input("alice")) => panic!("nothing may be adopted yet"),
        () = store.adopting.notified() => {}
    }
    test.expect_locked();
    assert_eq!(test.coordinator.status().code, 1, "nobody who asks for the state waits");
    let issued = test.world.evidence.issued();
    drop(permit);
    // It takes its turn behind whoever still recovers.
    let late = common::encrypt_to(&public_key, &test.secrets["alice"]);
    let error = test.send(input(&late, vec![1])).await.unwrap_err();
    assert!(error.to_string().starts_with("failed to decrypt"), "the key is gone: {error}");
    test.coordinator.quote(None).await.unwrap();
    assert_eq!(test.world.evidence.issued(), issued, "the quote that was made is kept");
    test.expect_recovered().await;
}

#[tokio::test]
async fn in_other_states_there_is_nothing_to_recover() {
    let world = World::new().await;
    let coordinator = world.start().await;
    for code in [2, 3] {
        assert_eq!(coordinator.status().code, code);
        let error = coordinator.recover(input(&[1; 32], vec![1])).await.unwrap_err();
        assert_eq!(common::message(&error), "server is not in expected state");
        let error = coordinator.recovery_public_key().await.unwrap_err();
        assert_eq!(common::message(&error), "server is not in expected state");
        if code == 2 {
            common::set(&coordinator, &manifest()).await;
        }
    }
}
