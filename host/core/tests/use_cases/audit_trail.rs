//! The audit trail: what leaves an entry and what does not, when it is stored, who reads it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use carrara_core::Coordinator;
use carrara_core::audit::AUDIT_PAGE;
use carrara_core::error::ReadAuditError;
use carrara_core::outcome::{Reporting, SecretUpload};
use carrara_core::ports::{Batch, Store, StoreError};
use carrara_types::secret::SecretBytes;
use serde_json::{Value, json};

use crate::common::{self, Verdict, World, bytes, manifest, user_certificate};

const VALUE: &[u8] = b"the very secret value";

/// A user `alice`, a shared and a user-defined secret; the policies agree to everything.
async fn world() -> (World, Coordinator, Vec<u8>) {
    let (der, pem) = user_certificate();
    let mut manifest = manifest();
    manifest["Secrets"] = json!({
        "shared": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        "own": { "Type": "plain", "UserDefined": true },
    });
    manifest["Users"] = json!({ "alice": { "Certificate": pem } });
    let (world, coordinator) = World::with(&manifest).await;
    (world, coordinator, der)
}

async fn read(coordinator: &Coordinator, peer: &[u8], name: &str) -> bool {
    coordinator.read_secrets(Some(peer), &[name.to_owned()]).await.is_ok()
}

fn upload(name: &str) -> Vec<SecretUpload> {
    vec![SecretUpload {
        name: name.to_owned(),
        key: Some(SecretBytes::new("key", VALUE.to_vec())),
        cert: None,
        private: None,
    }]
}

/// All entries that are stored, without their times.
fn stored(world: &World) -> Vec<Value> {
    let lines = world.store.snapshot().audit_lines(0, usize::MAX).unwrap();
    let parse = |line: &String| {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        let time = entry.as_object_mut().unwrap().remove("time").unwrap();
        assert_eq!(time, "2031-02-03T04:05:06.789Z");
        entry
    };
    lines.iter().map(parse).collect()
}

fn done(user: Value, action: &str, resources: Value) -> Value {
    json!({ "user": user, "action": action, "resources": resources, "outcome": "done" })
}

fn refused(action: &str, resources: Value, reason: &str) -> Value {
    json!({
        "user": "alice", "action": action, "resources": resources, "outcome": "refused", "reason": reason
    })
}

#[tokio::test]
async fn a_change_is_stored_with_its_entry_in_one_commit() {
    let (world, coordinator, alice) = world().await;
    let fingerprint = coordinator.manifest().unwrap().unwrap().fingerprint.clone();
    let set = done(Value::Null, "SetManifest", json!([fingerprint]));
    assert_eq!(stored(&world), std::slice::from_ref(&set));

    let revision = world.revision();
    coordinator.write_secrets(Some(&alice), upload("own")).await.unwrap();
    assert_eq!(world.revision(), revision + 1, "one commit");
    let wrote = done(json!("alice"), "WriteSecret", json!(["own"]));
    assert_eq!(stored(&world), [set.clone(), wrote.clone()]);

    let update = json!({ "Packages": { "app": { "SecurityVersion": 9 } } });
    let updated =
        coordinator.update_manifest(Some(&alice), &bytes(&update), Vec::new(), Reporting::Full).await;
    updated.unwrap();
    assert_eq!(world.revision(), revision + 2, "one commit");
    let raised = done(json!("alice"), "UpdateSecurityVersion", json!(["app"]));
    assert_eq!(stored(&world), [set, wrote, raised]);
    assert_eq!(coordinator.audit_entries_waiting(), 0);
}

#[tokio::test]
async fn a_change_that_is_not_stored_leaves_no_entry_of_its_own() {
    let (world, coordinator, alice) = world().await;
    let before = stored(&world);
    world.store.commit_fails.store(true, Ordering::SeqCst);
    assert!(coordinator.write_secrets(Some(&alice), upload("own")).await.is_err());
    world.store.commit_fails.store(false, Ordering::SeqCst);
    coordinator.write_out_audit().await.unwrap();
    assert_eq!(stored(&world), before);
}

#[tokio::test]
async fn a_read_is_stored_with_the_next_write_out_and_names_no_value() {
    let (world, coordinator, alice) = world().await;
    coordinator.write_secrets(Some(&alice), upload("own")).await.unwrap();
    let (before, revision) = (stored(&world), world.revision());
    assert!(read(&coordinator, &alice, "own").await);
    assert_eq!((stored(&world), world.revision()), (before.clone(), revision), "a read writes nothing");
    assert_eq!(coordinator.audit_entries_waiting(), 1);

    coordinator.write_out_audit().await.unwrap();
    let entry = done(json!("alice"), "ReadSecret", json!(["own"]));
    assert_eq!(stored(&world)[before.len()..], [entry]);
    assert_eq!((world.revision(), coordinator.audit_entries_waiting()), (revision + 1, 0));
    let text = world.store.snapshot().audit_lines(0, usize::MAX).unwrap().concat();
    assert!(!text.contains(std::str::from_utf8(VALUE).unwrap()));

    // Nothing waits, so nothing is written.
    coordinator.write_out_audit().await.unwrap();
    assert_eq!(world.revision(), revision + 1);
}

#[tokio::test]
async fn a_refusal_is_stored_with_its_public_reason() {
    let (world, coordinator, alice) = world().await;
    let before = stored(&world).len();
    world.policies.authorizer(Verdict::Deny("rbac", "internal words", None));
    assert!(!read(&coordinator, &alice, "shared").await);
    assert!(coordinator.write_secrets(Some(&alice), upload("own")).await.is_err());
    world.policies.authorizer(Verdict::Fail("two-rooms"));
    assert!(!read(&coordinator, &alice, "shared").await);
    coordinator.write_out_audit().await.unwrap();
    let failed = r#"policy "two-rooms" could not decide"#;
    assert_eq!(
        stored(&world)[before..],
        [
            refused(
                "ReadSecret",
                json!(["shared"]),
                "user alice is not allowed to read one or more secrets of: [shared]"
            ),
            refused("WriteSecret", json!(["own"]), "user alice is not allowed to update secret: own"),
            refused("ReadSecret", json!(["shared"]), failed),
        ]
    );
}

// Else whoever reaches the port could push users' entries out.
#[tokio::test]
async fn a_stranger_leaves_no_entry() {
    let (world, coordinator, _) = world().await;
    let before = stored(&world);
    let (stranger, _) = user_certificate();
    for peer in [None, Some(stranger.as_slice())] {
        assert!(coordinator.read_secrets(peer, &["shared".to_owned()]).await.is_err());
        assert!(coordinator.write_secrets(peer, upload("own")).await.is_err());
        assert!(matches!(coordinator.read_audit(peer, 0, 9).await, Err(ReadAuditError::Unauthorized)));
    }
    coordinator.write_out_audit().await.unwrap();
    assert_eq!((stored(&world), coordinator.audit_entries_waiting()), (before, 0));
}

#[tokio::test]
async fn entries_wait_while_the_store_fails_and_are_stored_once() {
    let (world, coordinator, alice) = world().await;
    let before = stored(&world).len();
    assert!(read(&coordinator, &alice, "shared").await);
    world.store.commit_fails.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        assert!(matches!(coordinator.write_out_audit().await, Err(StoreError::Write(_))));
    }
    world.store.commit_fails.store(false, Ordering::SeqCst);
    assert!(read(&coordinator, &alice, "own").await);
    coordinator.write_out_audit().await.unwrap();
    let of = |name: &str| done(json!("alice"), "ReadSecret", json!([name]));
    assert_eq!(stored(&world)[before..], [of("shared"), of("own")]);
}

#[tokio::test]
async fn equal_entries_of_one_write_out_are_one_with_their_number() {
    let (world, coordinator, alice) = world().await;
    let before = stored(&world).len();
    for _ in 0..5000 {
        assert!(read(&coordinator, &alice, "shared").await);
    }
    assert!(read(&coordinator, &alice, "own").await);
    assert_eq!(coordinator.audit_entries_waiting(), 2);
    coordinator.write_out_audit().await.unwrap();
    assert!(read(&coordinator, &alice, "shared").await);
    coordinator.write_out_audit().await.unwrap();
    let of = |name: &str| done(json!("alice"), "ReadSecret", json!([name]));
    let mut counted = of("shared");
    counted["count"] = json!(5000);
    assert_eq!(stored(&world)[before..], [counted, of("own"), of("shared")]);
}

// The trail keeps 10,000 entries: one user's refusals must not push out what others did.
#[tokio::test]
async fn ten_thousand_refusals_of_one_user_leave_everybody_else_s_entries_in_place() {
    let ((bob, bob_pem), (alice, alice_pem)) = (user_certificate(), user_certificate());
    let mut manifest = manifest();
    manifest["Secrets"] = json!({ "own": { "Type": "plain", "UserDefined": true } });
    manifest["Users"] = json!({ "alice": { "Certificate": alice_pem }, "bob": { "Certificate": bob_pem } });
    let (world, coordinator) = World::with(&manifest).await;
    coordinator.write_secrets(Some(&bob), upload("own")).await.unwrap();
    assert!(read(&coordinator, &bob, "own").await);
    coordinator.write_out_audit().await.unwrap();
    let before = stored(&world);
    assert_eq!(before[0]["action"], "SetManifest");

    world.policies.authorizer(Verdict::Deny("rbac", "no", None));
    for _ in 0..10 {
        for size in 1..=1000 {
            // Each different from the others of its second.
            assert!(!read(&coordinator, &alice, &format!("none{size}")).await);
            assert!(!read(&coordinator, &alice, "own").await);
        }
        assert!(coordinator.audit_entries_waiting() <= 64);
        coordinator.write_out_audit().await.unwrap();
    }
    let after = stored(&world);
    assert_eq!(after[..before.len()], before);
    assert!(after.len() - before.len() <= 10 * 65, "{}", after.len());
    world.policies.authorizer(Verdict::Allow);
    let page = coordinator.read_audit(Some(&bob), 0, 2).await.unwrap();
    assert_eq!((page.first, page.from, page.next, page.end), (0, 0, 2, after.len() as u64));
}

// A write-out between a use case's snapshot and its commit must not make it compute again.
#[tokio::test]
async fn a_write_out_is_in_conflict_with_nobody() {
    let (world, coordinator, alice) = world().await;
    let coordinator = Arc::new(coordinator);
    world.store.slow.store(true, Ordering::SeqCst);
    let commits = world.store.commits.load(Ordering::SeqCst);
    let mut tasks = Vec::new();
    for _ in 0..20 {
        assert!(read(&coordinator, &alice, "shared").await);
        let (writing, peer) = (Arc::clone(&coordinator), alice.clone());
        tasks.push(tokio::spawn(async move {
            writing.write_secrets(Some(&peer), upload("own")).await.unwrap();
        }));
        let flushing = Arc::clone(&coordinator);
        tasks.push(tokio::spawn(async move { flushing.write_out_audit().await.unwrap() }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    coordinator.write_out_audit().await.unwrap();
    let made = world.store.commits.load(Ordering::SeqCst) - commits;
    assert!(made <= 20 + 21, "{made} commits: some were computed again");
    let entries = stored(&world);
    let reads = entries.iter().filter(|entry| entry["action"] == "ReadSecret");
    // An entry without a count is one read.
    assert_eq!(reads.map(|entry| entry["count"].as_u64().unwrap_or(1)).sum::<u64>(), 20);
}

// ReadAudit of resource type Manifest (deviations: M-62, M-72)
#[tokio::test]
async fn the_trail_is_read_by_who_may_and_the_refusal_is_noted() {
    let (world, coordinator, alice) = world().await;
    let page = coordinator.read_audit(Some(&alice), 0, 9).await.unwrap();
    assert_eq!((page.first, page.from, page.next, page.end, page.lines.len()), (0, 0, 1, 1, 1));
    {
        let asked = world.policies.authorizations.lock().unwrap();
        let question = asked.last().unwrap();
        assert_eq!((question.action.as_str(), question.resource_type.as_str()), ("ReadAudit", "Manifest"));
        assert_eq!((question.principal.name.as_str(), question.resource_names.len()), ("alice", 0));
    }
    world.policies.authorizer(Verdict::Deny("rbac", "no", None));
    let error = coordinator.read_audit(Some(&alice), 0, 9).await.unwrap_err();
    let text = "user alice is not allowed to read the audit trail; it takes a role of type Manifest with the action \
                ReadAudit";
    assert!(matches!(&error, ReadAuditError::Denied(said) if said == text), "{error}");
    world.policies.authorizer(Verdict::Fail("two-rooms"));
    let error = coordinator.read_audit(Some(&alice), 0, 9).await.unwrap_err();
    assert_eq!(common::message(&error), r#"policy "two-rooms" could not decide"#);
    coordinator.write_out_audit().await.unwrap();
    let failed = refused("ReadAudit", json!([]), r#"policy "two-rooms" could not decide"#);
    assert_eq!(stored(&world)[1..], [refused("ReadAudit", json!([]), text), failed]);
}

#[tokio::test]
async fn pages_say_where_to_go_on_and_have_a_limit() {
    let (world, coordinator, alice) = world().await;
    let entries = (1..AUDIT_PAGE + 5).map(|entry| format!("{{\"entry\":{entry}}}"));
    world.store.commit(Batch { audit_lines: entries.collect(), ..Batch::default() }).await.unwrap();
    let end = AUDIT_PAGE as u64 + 5;
    for (from, limit, expected_from, length) in [
        (0, usize::MAX, 0, AUDIT_PAGE),
        (1, 2, 1, 2),
        (end - 1, 9, end - 1, 1),
        (end, 9, end, 0),
        (u64::MAX, 9, end, 0),
        (3, 0, 3, 0),
    ] {
        let page = coordinator.read_audit(Some(&alice), from, limit).await.unwrap();
        assert_eq!((page.first, page.from, page.end), (0, expected_from, end), "{from} {limit}");
        assert_eq!((page.next, page.lines.len()), (expected_from + length as u64, length), "{from} {limit}");
        if (1..end).contains(&expected_from) && length > 0 {
            assert_eq!(page.lines[0], format!("{{\"entry\":{expected_from}}}"));
        }
    }
}

#[tokio::test]
async fn a_page_from_before_the_oldest_entry_begins_with_it() {
    let (world, coordinator, alice) = world().await;
    let kept = carrara_core::ports::AUDIT_KEPT;
    let entries = (0..kept + 4).map(|entry| entry.to_string());
    world.store.commit(Batch { audit_lines: entries.collect(), ..Batch::default() }).await.unwrap();
    let page = coordinator.read_audit(Some(&alice), 2, 1).await.unwrap();
    assert_eq!((page.first, page.from, page.next, page.end), (5, 5, 6, kept + 5));
    assert_eq!(page.lines, ["4"]);
}

// L-14, L-16
#[tokio::test]
async fn before_a_manifest_is_set_nothing_is_written_out() {
    let world = World::new().await;
    let coordinator = world.start().await;
    coordinator.write_out_audit().await.unwrap();
    let (der, _) = user_certificate();
    assert!(matches!(coordinator.read_audit(Some(&der), 0, 9).await, Err(ReadAuditError::Unauthorized)));
    common::set(&coordinator, &manifest()).await;
    assert_eq!(stored(&world).len(), 1);
}
