//! Uploads of components: permission before the bytes, strangers in nobody's way, and the right bytes mend what does not work.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use carrara_core::UploadPermission;
use carrara_core::error::{UNAUTHORIZED, UploadPolicyError};
use carrara_core::outcome::Reporting;
use serde_json::{Value, json};
use time::Duration;

use crate::common::{self, World, bytes, component, digest, manifest};
use crate::own_policies::with_policies;
use crate::update_world::Updating;

fn key(component: &[u8]) -> String {
    format!("policy:{}", hex::encode(digest(component).0))
}

fn stored(test: &Updating, component: &[u8]) -> Option<Vec<u8>> {
    test.record(&key(component))
}

/// An update by alice; what is sent along.
async fn update(test: &Updating, to: &Value, sent: &[&Vec<u8>]) {
    let sent = sent.iter().map(|component| component.to_vec()).collect();
    test.coordinator.update_manifest(test.peer("alice"), &bytes(to), sent, Reporting::Full).await.unwrap();
}

/// The manifest with the admitter `door`.
fn with_door(test: &Updating, door: &[u8]) -> Value {
    with_policies(test.first.clone(), &[("door", "marble-admission", door)])
}

/// A coordinator whose admitter was lost, restarted; two users must agree on updates.
async fn without_door(threshold: u64) -> (Updating, Vec<u8>) {
    let mut test = Updating::new(&manifest(), 1).await;
    let door = component("marble-admission", "allow");
    let mut with = with_door(&test, &door);
    with["Config"]["UpdateThreshold"] = json!(threshold);
    update(&test, &with, &[&door]).await;
    test.first = with;
    test.world.store.write(&key(&door), b"damaged").await;
    test.world.engine.forget();
    test.coordinator = test.world.start().await;
    assert!(common::denial(&test.coordinator).await.ends_with(r#"policy "door" is unavailable"#));
    (test, door)
}

fn unauthorized<T>(done: Result<T, UploadPolicyError>) -> bool {
    done.is_err_and(|error| common::message(&error) == UNAUTHORIZED)
}

// policy.md: "whoever has the right bytes may upload them again", also where it is there and did not compile
#[tokio::test]
async fn a_component_that_is_there_and_did_not_compile_is_compiled_again_when_it_is_sent() {
    let test = Updating::alone(&manifest()).await;
    let door = component("marble-admission", "allow");
    update(&test, &with_door(&test, &door), &[&door]).await;
    let engine = &test.world.engine;
    engine.forget();
    engine.compiler_fails.store(true, Ordering::SeqCst);
    let restarted = test.world.start().await;
    let unavailable = async || common::denial(&restarted).await.ends_with(r#"policy "door" is unavailable"#);
    assert!(unavailable().await);
    let before = test.world.revision();
    common::upload(&restarted, None, door.clone()).await.unwrap();
    assert!(unavailable().await);

    engine.compiler_fails.store(false, Ordering::SeqCst);
    let compilations = engine.compilations();
    let again = common::upload(&restarted, None, door.clone()).await;
    assert!(matches!(again, Err(UploadPolicyError::Full)), "a stranger has it compiled once a minute");
    assert_eq!(engine.compilations(), compilations);
    test.world.clock.move_by(Duration::minutes(1));
    common::upload(&restarted, None, door.clone()).await.unwrap();
    common::activate(&restarted).await;
    assert_eq!(test.world.revision(), before, "a stranger's bytes that are there are not stored");

    engine.forget();
    engine.compiler_fails.store(true, Ordering::SeqCst);
    let restarted = test.world.start().await;
    for fails in [true, false] {
        engine.compiler_fails.store(fails, Ordering::SeqCst);
        common::upload(&restarted, test.peer("alice"), door.clone()).await.unwrap();
    }
    common::activate(&restarted).await;
}

// The state's copy is damaged: what comes along with an update takes its place
#[tokio::test]
async fn an_update_that_brings_a_damaged_component_along_stores_it_again() {
    let (mut test, door) = without_door(1).await;
    let mut next = test.first.clone();
    next["Marbles"]["web"]["Parameters"]["Argv"] = json!(["./web-2"]);
    update(&test, &next, &[&door]).await;
    assert_eq!(stored(&test, &door).unwrap(), door);
    test.world.engine.forget();
    test.coordinator = test.world.start().await;
    assert_eq!(common::activate(&test.coordinator).await.argv, ["./web-2"]);
}

// The same of one that waits: the manifest in force is helped at once
#[tokio::test]
async fn an_update_that_waits_mends_what_the_manifest_in_force_lacks() {
    let (mut test, door) = without_door(2).await;
    let mut next = test.first.clone();
    next["Marbles"]["web"]["Parameters"]["Argv"] = json!(["./web-2"]);
    update(&test, &next, &[&door]).await;
    assert_eq!(test.coordinator.pending_update().unwrap().missing_acknowledgments, 1);
    common::activate(&test.coordinator).await;
    assert_eq!(stored(&test, &door).unwrap(), door);
    test.world.engine.forget();
    test.coordinator = test.world.start().await;
    common::activate(&test.coordinator).await;
}

// L-55 does not happen where the lost component was sent again before the last acknowledgement
#[tokio::test]
async fn a_lost_component_of_a_pending_update_is_taken_from_what_was_uploaded_since() {
    let test = Updating::new(&manifest(), 2).await;
    let door = component("marble-admission", "allow");
    let next = with_door(&test, &door);
    update(&test, &next, &[&door]).await;
    test.world.store.write(&key(&door), b"damaged").await;
    test.world.engine.forget();
    common::upload(&test.coordinator, test.peer("alice"), door.clone()).await.unwrap();
    assert_eq!(test.acknowledge("bob", &next).await.missing_acknowledgments, 0);
    assert_eq!((stored(&test, &door).unwrap(), test.in_force()), (door, next));
    common::activate(&test.coordinator).await;
}

// Who may not is told before a byte is read, and strangers leave room
#[tokio::test]
async fn strangers_upload_what_is_lost_alone_and_never_in_the_way_of_a_user() {
    let test = Updating::alone(&manifest()).await;
    assert!(unauthorized(test.coordinator.permit_upload(None).await.map(drop)), "nothing is lost");
    let erin = test.coordinator.permit_upload(test.peer("erin")).await.map(drop);
    assert!(matches!(erin, Err(UploadPolicyError::Denied(_))));

    let (test, door) = without_door(1).await;
    let mut herd: Vec<UploadPermission> = Vec::new();
    let refused = loop {
        match test.coordinator.permit_upload(None).await {
            Ok(permission) => herd.push(permission),
            Err(error) => break error,
        }
        assert!(herd.len() < 10);
    };
    assert!(matches!(refused, UploadPolicyError::Full), "{refused}");
    let erin = test.coordinator.permit_upload(test.peer("erin")).await.map(drop);
    assert!(matches!(erin, Err(UploadPolicyError::Full)), "without permission she is a stranger");
    let other = component("marble-admission", "allow 2");
    common::upload(&test.coordinator, test.peer("alice"), other.clone()).await.unwrap();
    let inspections = test.world.engine.inspections.load(Ordering::SeqCst);
    assert!(unauthorized(test.coordinator.upload_policy(herd.pop().unwrap(), other).await));
    assert_eq!(test.world.engine.inspections.load(Ordering::SeqCst), inspections, "not even parsed");
    test.coordinator.upload_policy(herd.pop().unwrap(), door).await.unwrap();
    common::activate(&test.coordinator).await;
}

// The authorizers' calls hold up nobody else's upload
#[tokio::test]
async fn an_upload_does_not_wait_for_the_authorizers_of_another() {
    let test = Updating::alone(&manifest()).await;
    let coordinator = Arc::new(test.world.start().await);
    let bob = test.peer("bob").unwrap().to_vec();
    let other = Arc::clone(&coordinator);
    *test.world.policies.meanwhile.lock().unwrap() = Some(Box::pin(async move {
        let upload = common::upload(&other, Some(&bob), component("marble-admission", "allow 1"));
        let done = tokio::time::timeout(std::time::Duration::from_secs(20), upload).await;
        done.expect("it waits for alice's authorizers").unwrap();
    }));
    common::upload(&coordinator, test.peer("alice"), component("marble-admission", "allow 2")).await.unwrap();
    let listed = coordinator.list_policies().await.unwrap();
    assert_eq!(listed.iter().filter(|listing| listing.built_in.is_none()).count(), 2);
}

// A permission is about the manifest that was in force when it was given
#[tokio::test]
async fn who_may_upload_is_asked_again_where_another_manifest_came_into_force_meanwhile() {
    let uploaded = async |coordinator: &carrara_core::Coordinator| {
        coordinator.list_policies().await.unwrap().iter().filter(|listing| listing.built_in.is_none()).count()
    };
    let other = component("marble-admission", "allow 2");

    let world = World::new().await;
    let coordinator = world.start().await;
    let first = coordinator.permit_upload(None).await.unwrap();
    common::set(&coordinator, &manifest()).await;
    assert!(unauthorized(coordinator.upload_policy(first, other.clone()).await), "a manifest was set");
    assert_eq!(uploaded(&coordinator).await, 0);

    let test = Updating::alone(&manifest()).await;
    let [bobs, alices] = ["bob", "alice"].map(|user| test.coordinator.permit_upload(test.peer(user)));
    let (bobs, alices) = (bobs.await.unwrap(), alices.await.unwrap());
    let less = test.changed(|manifest| manifest["Users"]["bob"]["Roles"] = json!([]));
    update(&test, &less, &[]).await;
    let refused = test.coordinator.upload_policy(bobs, other.clone()).await.unwrap_err();
    assert!(matches!(refused, UploadPolicyError::Denied(_)), "{refused}");
    assert_eq!(uploaded(&test.coordinator).await, 0);
    test.coordinator.upload_policy(alices, other).await.unwrap();
    assert_eq!(uploaded(&test.coordinator).await, 1);

    let (test, door) = without_door(1).await;
    let stranger = test.coordinator.permit_upload(None).await.unwrap();
    let mut without = test.first.clone();
    without.as_object_mut().unwrap().remove("Policies");
    update(&test, &without, &[]).await;
    assert!(unauthorized(test.coordinator.upload_policy(stranger, door).await), "it is not named any more");
    assert_eq!(uploaded(&test.coordinator).await, 0);
}

// Facts beyond the first 1,024 by name are not told: who sets the manifest learns it
#[tokio::test]
async fn a_manifest_with_more_secrets_than_facts_is_set_with_a_warning() {
    let door = component("marble-admission", "allow");
    let set = async |secrets: usize, door: Option<&[u8]>| {
        let mut with = manifest();
        with["Secrets"] = (0..secrets)
            .map(|number| (format!("s{number}"), json!({ "Type": "plain", "UserDefined": true })))
            .collect();
        let world = World::new().await;
        let coordinator = world.start().await;
        let policies: Vec<_> = door.map(|door| ("door", "marble-admission", door)).into_iter().collect();
        let sent = door.map(<[u8]>::to_vec).into_iter().collect();
        let set =
            coordinator.set_manifest(None, &bytes(&with_policies(with, &policies)), sent).await.unwrap();
        let warnings = set.warnings.into_iter().filter(|warning| warning.path == "/Secrets");
        warnings.map(|warning| warning.message).collect::<Vec<_>>()
    };
    assert_eq!(set(1025, None).await, [""; 0], "nobody is told");
    assert_eq!(set(1024, Some(&door)).await, [""; 0]);
    assert_eq!(
        set(1026, Some(&door)).await,
        [
            "policies are told when a user-defined secret was last set of the first 1024 by name alone, and may not be told of 2 more"
        ]
    );
}
