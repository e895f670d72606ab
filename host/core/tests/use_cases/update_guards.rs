//! What the caller of an update makes sure of: that the manifest can be updated again, and that it is made against the manifest that
//! was looked at (policy.md, In the manifest).

use carrara_core::error::{PendingUpdateError, UpdateManifestError};
use carrara_core::outcome::{Guards, Reporting, Terms, UpdateProgress};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::common::{self, bytes, component, manifest};
use crate::own_policies::with_policies;
use crate::update_world::Updating;

const REFUSE_LOCKOUT: Guards = Guards { refuse_lockout: true, base: None };

fn on_base(manifest: &Value) -> Guards {
    Guards { refuse_lockout: false, base: Some(Sha256::digest(bytes(manifest)).into()) }
}

fn terms(guards: Guards) -> Terms {
    Terms { reporting: Reporting::Full, guards }
}

async fn update(
    test: &Updating,
    to: &Value,
    sent: &[&[u8]],
    guards: Guards,
) -> Result<UpdateProgress, UpdateManifestError> {
    let sent = sent.iter().map(|component| component.to_vec()).collect();
    let before = test.world.revision();
    let done = test.coordinator.update_manifest(test.peer("alice"), &bytes(to), sent, terms(guards)).await;
    assert_eq!(test.world.revision() == before, done.is_err(), "a refusal changes nothing");
    done
}

async fn acknowledge(
    test: &Updating,
    user: &str,
    to: &Value,
    guards: Guards,
) -> Result<UpdateProgress, PendingUpdateError> {
    let before = test.world.revision();
    let done = test.coordinator.acknowledge_update(test.peer(user), &bytes(to), terms(guards)).await;
    assert_eq!(test.world.revision() == before, done.is_err(), "a refusal changes nothing");
    done
}

/// With an authorizer that answers so, and a threshold of one.
fn with_authorizer(test: &Updating, answer: &str) -> (Value, Vec<u8>) {
    let authorizer = component("role-authorization", answer);
    let mut next = with_policies(test.first.clone(), &[("corp", "role-authorization", &authorizer)]);
    next["Config"]["UpdateThreshold"] = json!(1);
    (next, authorizer)
}

fn other(test: &Updating, argument: &str) -> Value {
    test.changed(|manifest| manifest["Marbles"]["web"]["Parameters"]["Argv"] = json!([argument]))
}

// P-20
#[tokio::test]
async fn a_lock_out_by_policies_is_refused_where_the_caller_says_so_and_a_warning_without() {
    for (answer, locks) in [("only mallory", true), ("trap", true), ("only bob", false), ("allow", false)] {
        for others in [1, 2] {
            let test = Updating::new(&manifest(), others).await;
            let (next, authorizer) = with_authorizer(&test, answer);
            let done = update(&test, &next, &[&authorizer], REFUSE_LOCKOUT).await;
            match done {
                Err(UpdateManifestError::Lockout(why)) if locks => {
                    assert_eq!(why.0, "nobody could update this manifest again", "{answer}");
                }
                Ok(_) if !locks => continue,
                done => panic!("{answer}, {others}: {done:?}"),
            }
            assert!(test.coordinator.pending_update().is_err());
            let done = update(&test, &next, &[&authorizer], Guards::default()).await.unwrap();
            assert!(done.warnings.iter().any(|warning| warning.code == "update-lockout"), "{answer}");
        }
    }
}

// P-20
#[tokio::test]
async fn a_lock_out_by_roles_is_refused_where_the_caller_says_so() {
    let test = Updating::alone(&manifest()).await;
    let locked = test.changed(|manifest| {
        manifest["Config"]["UpdateThreshold"] = json!(0);
        for name in ["alice", "bob", "carol"] {
            manifest["Users"][name]["Roles"] = json!([]);
        }
    });
    let error = update(&test, &locked, &[], REFUSE_LOCKOUT).await.unwrap_err();
    let text = common::message(&error);
    assert!(text.starts_with("the update would lock everybody out, and was refused: "), "{text}");
    assert!(text.ends_with("or repeat the request without lockout=refuse"), "{text}");
    update(&test, &other(&test, "./new"), &[], REFUSE_LOCKOUT).await.unwrap();
}

// P-20, L-53
#[tokio::test]
async fn the_acknowledgement_that_would_lock_everybody_out_is_refused_and_the_update_still_waits() {
    let test = Updating::new(&manifest(), 3).await;
    let (next, authorizer) = with_authorizer(&test, "only mallory");
    update(&test, &next, &[&authorizer], Guards::default()).await.unwrap();
    // Not the last one: nothing takes effect by it.
    acknowledge(&test, "bob", &next, REFUSE_LOCKOUT).await.unwrap();
    let refused = acknowledge(&test, "carol", &next, REFUSE_LOCKOUT).await;
    assert!(matches!(refused, Err(PendingUpdateError::Lockout(_))), "{refused:?}");
    assert_eq!(test.coordinator.pending_update().unwrap().missing_users, ["carol"]);
    let done = acknowledge(&test, "carol", &next, Guards::default()).await.unwrap();
    assert_eq!(done.missing_acknowledgments, 0);
}

#[tokio::test]
async fn an_acknowledgement_after_which_somebody_can_update_again_counts() {
    let test = Updating::new(&manifest(), 2).await;
    let (next, authorizer) = with_authorizer(&test, "only bob");
    update(&test, &next, &[&authorizer], REFUSE_LOCKOUT).await.unwrap();
    let done = acknowledge(&test, "bob", &next, REFUSE_LOCKOUT).await.unwrap();
    assert_eq!(done.missing_acknowledgments, 0);
}

#[tokio::test]
async fn of_two_updates_against_the_same_manifest_the_second_is_refused() {
    let test = Updating::alone(&manifest()).await;
    let (mine, theirs) = (other(&test, "./mine"), other(&test, "./theirs"));
    let ask = async |user: &str, to: &Value| {
        let terms = terms(on_base(&test.first));
        test.coordinator.update_manifest(test.peer(user), &bytes(to), Vec::new(), terms).await
    };
    let (one, two) = tokio::join!(ask("alice", &mine), ask("bob", &theirs));
    let (refused, stands) = if one.is_ok() { (two, &mine) } else { (one, &theirs) };
    assert!(matches!(refused, Err(UpdateManifestError::OtherBase(_))), "{refused:?}");
    let in_force = test.coordinator.manifest().unwrap().unwrap();
    assert_eq!(in_force.manifest, bytes(stands));
    // Against what is in force now it is made; and without a base whatever is in force.
    update(&test, &other(&test, "./again"), &[], on_base(stands)).await.unwrap();
    update(&test, &test.first, &[], Guards::default()).await.unwrap();
}

#[tokio::test]
async fn a_package_update_has_a_base_too_and_who_may_not_update_hears_that_first() {
    let test = Updating::alone(&manifest()).await;
    let raise = json!({ "Packages": { "app": { "SecurityVersion": 90 } } });
    let ask = async |user: &str, base: &Value| {
        let terms = terms(on_base(base));
        test.coordinator.update_manifest(test.peer(user), &bytes(&raise), Vec::new(), terms).await
    };
    let wrong = other(&test, "./other");
    assert!(matches!(ask("dave", &wrong).await, Err(UpdateManifestError::OtherBase(_))));
    assert!(matches!(ask("erin", &wrong).await, Err(UpdateManifestError::Denied(_))));
    ask("dave", &test.first).await.unwrap();
}

#[tokio::test]
async fn an_acknowledgement_against_another_manifest_does_not_count() {
    let test = Updating::new(&manifest(), 2).await;
    let next = other(&test, "./new");
    update(&test, &next, &[], on_base(&test.first)).await.unwrap();
    let refused = acknowledge(&test, "bob", &next, on_base(&next)).await;
    assert!(matches!(refused, Err(PendingUpdateError::OtherBase(_))), "{refused:?}");
    assert_eq!(
        acknowledge(&test, "bob", &next, on_base(&test.first)).await.unwrap().missing_acknowledgments,
        0
    );
}
