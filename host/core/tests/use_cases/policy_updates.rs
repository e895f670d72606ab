//! Updates of manifests with policies: both sets judge, components come and go with the commit (policy.md, In the manifest).

use carrara_core::outcome::{DecisionFilter, Reporting, UpdateProgress};
use carrara_core::ports::Store as _;
use carrara_core::{Coordinator, Settings, UploadLimits};
use carrara_types::decision::{Decision, Value as FactValue};
use carrara_types::decision_record::{Answer, DecisionRecord, Question};
use carrara_types::policy::{Digest, Mode, World as PolicyWorld};
use serde_json::{Value, json};

use crate::common::{self, bytes, component, digest, manifest};
use crate::own_policies::with_policies;
use crate::update_world::Updating;

async fn update(test: &Updating, user: &str, to: &Value, sent: &[&[u8]]) -> Result<UpdateProgress, String> {
    let sent = sent.iter().map(|component| component.to_vec()).collect();
    let updated = test.coordinator.update_manifest(test.peer(user), &bytes(to), sent, Reporting::Full).await;
    updated.map_err(|error| common::message(&error))
}

fn stored(test: &Updating) -> Vec<String> {
    test.world.store.snapshot().keys("policy:")
}

fn key(component: &[u8]) -> String {
    format!("policy:{}", hex::encode(digest(component).0))
}

// policy.md: "When an update is started the policies of the current manifest and of the proposed one both judge it"
#[tokio::test]
async fn both_the_current_and_the_proposed_validators_judge_an_update() {
    let test = Updating::alone(&manifest()).await;
    let strict = component("manifest-validation", "deny never");
    let lax = component("manifest-validation", "allow");
    let proposed = with_policies(test.first.clone(), &[("corp", "manifest-validation", &strict)]);
    assert_eq!(update(&test, "alice", &proposed, &[&strict]).await.unwrap_err(), "invalid manifest: never");
    assert_eq!(stored(&test).len(), 0, "a refused update leaves nothing");
    let proposed = with_policies(test.first.clone(), &[("corp", "manifest-validation", &lax)]);
    update(&test, "alice", &proposed, &[&lax]).await.unwrap();
    // The one in force judges the update that would remove it.
    let asked = test.world.engine.asked("corp");
    update(&test, "alice", &test.first, &[]).await.unwrap();
    assert_eq!(test.world.engine.asked("corp"), asked + 1);
    assert_eq!(stored(&test).len(), 0, "nothing names it any more");
    assert_eq!(test.world.engine.sets(), 0, "nobody holds the old set");
}

// All components of a manifest together are limited: those that the state has count as well
#[tokio::test]
async fn stored_components_count_in_what_an_update_may_name() {
    let test = Updating::alone(&manifest()).await;
    let (old, new) = (component("marble-admission", "allow"), component("role-authorization", "allow"));
    let with = with_policies(test.first.clone(), &[("old", "marble-admission", &old)]);
    update(&test, "alice", &with, &[&old]).await.unwrap();
    let both = with_policies(with, &[("new", "role-authorization", &new)]);
    let start = async |named_bytes: usize| {
        let uploads = UploadLimits { named_bytes, ..UploadLimits::default() };
        let settings = Settings { uploads, ..common::settings() };
        Coordinator::start(test.world.ports(), settings).await.unwrap()
    };
    let update = async |coordinator: Coordinator| {
        let sent = vec![new.clone()];
        coordinator.update_manifest(test.peer("alice"), &bytes(&both), sent, Reporting::Full).await
    };
    let sum = old.len() + new.len();
    let text = common::message(&update(start(sum - 1).await).await.unwrap_err());
    assert!(text.contains(&format!("{sum} bytes together")), "{text}");
    update(start(sum).await).await.unwrap();
}

// Compiling takes long, and no turn is held meanwhile
#[tokio::test]
async fn whoever_waits_for_the_compiler_keeps_nobody_else_from_updating() {
    let test = Updating::alone(&manifest()).await;
    let admits = component("marble-admission", "allow");
    let slow = with_policies(test.first.clone(), &[("slow", "marble-admission", &admits)]);
    let mut other = test.first.clone();
    other["Marbles"]["web"]["MaxActivations"] = json!(5);
    let compiler = test.world.engine.hold.write().await;
    let sent: [&[u8]; 1] = [&admits];
    let both = async {
        tokio::join!(update(&test, "alice", &slow, &sent), async {
            update(&test, "alice", &other, &[]).await.unwrap();
            assert_eq!(stored(&test).len(), 0, "the slow one still waits");
            drop(compiler);
        })
    };
    let (updated, ()) = tokio::time::timeout(std::time::Duration::from_secs(60), both).await.unwrap();
    updated.unwrap();
    assert_eq!(stored(&test), [key(&admits)]);
}

// policy.md: the current validator cannot be swapped out by what it would refuse
#[tokio::test]
async fn a_validator_in_force_refuses_its_own_removal() {
    let test = Updating::alone(&manifest()).await;
    let lax = component("manifest-validation", "allow");
    let with = with_policies(test.first.clone(), &[("corp", "manifest-validation", &lax)]);
    update(&test, "alice", &with, &[&lax]).await.unwrap();
    // From now on it traps.
    test.world.store.write(&key(&lax), b"damaged").await;
    test.world.engine.forget();
    let restarted = test.world.start().await;
    let peer = test.peer("alice");
    let updated = restarted.update_manifest(peer, &bytes(&test.first), Vec::new(), Reporting::Full).await;
    assert_eq!(common::message(&updated.unwrap_err()), r#"policy "corp" is unavailable"#);
}

// policy.md: "Before an update is accepted the proposed authorizers are asked the same: where nobody could update again, that is a
// warning"
#[tokio::test]
async fn a_lock_out_by_the_proposed_authorizers_is_foreseen() {
    for (answer, warned) in [("only mallory", true), ("trap", true), ("only bob", false), ("allow", false)] {
        // A second user must agree, so that nothing comes into force.
        let other = Updating::new(&manifest(), 2).await;
        let authorizer = component("role-authorization", answer);
        let mut next = with_policies(other.first.clone(), &[("corp", "role-authorization", &authorizer)]);
        next["Config"]["UpdateThreshold"] = json!(1);
        let progress = update(&other, "alice", &next, &[&authorizer]).await.unwrap();
        let lockout = progress.warnings.iter().any(|warning| warning.code == "update-lockout");
        assert_eq!(lockout, warned, "{answer}: {:?}", progress.warnings);
        assert_eq!(other.world.engine.asked("corp"), 3, "about each user whom the roles allow it");
    }
}

// policy.md: "Who *holds* UpdateManifest is what all enforcing authorizers allow"
#[tokio::test]
async fn whoever_an_authorizer_in_force_denies_need_not_acknowledge() {
    let test = Updating::alone(&manifest()).await;
    let authorizer = component("role-authorization", "only alice");
    let mut with = with_policies(test.first.clone(), &[("corp", "role-authorization", &authorizer)]);
    with["Config"]["UpdateThreshold"] = json!(1);
    update(&test, "alice", &with, &[&authorizer]).await.unwrap();
    let text = update(&test, "bob", &test.first, &[]).await.unwrap_err();
    assert_eq!(text, "user bob is not allowed to update the complete manifest: corp: not you");
    let progress = update(&test, "alice", &test.first, &[]).await.unwrap();
    assert_eq!(progress.missing_acknowledgments, 0);
}

// policy.md: "Components of a pending update are kept"; "When it is applied only the host's own safety checks and the dry run are
// repeated"
#[tokio::test]
async fn a_pending_update_keeps_its_components_and_its_validators_are_not_asked_again() {
    let test = Updating::new(&manifest(), 2).await;
    let (validator, admits) =
        (component("manifest-validation", "allow"), component("marble-admission", "allow"));
    let proposed = with_policies(
        test.first.clone(),
        &[("corp", "manifest-validation", &validator), ("door", "marble-admission", &admits)],
    );
    let progress = update(&test, "alice", &proposed, &[&validator, &admits]).await.unwrap();
    assert_eq!(progress.missing_acknowledgments, 1);
    let mut keys = vec![key(&validator), key(&admits)];
    keys.sort();
    assert_eq!(stored(&test), keys);
    let listed = test.coordinator.list_policies().await.unwrap();
    let waiting = listed.iter().find(|listing| listing.digest == digest(&admits)).unwrap();
    assert_eq!((waiting.pending.as_slice(), waiting.used_by.len()), (["door".to_owned()].as_slice(), 0));
    assert_eq!(waiting.size, Some(admits.len() as u64));

    let asked = test.world.engine.asked("corp");
    // A restart in between: what is needed is compiled again.
    test.world.engine.forget();
    let restarted = test.world.start().await;
    let done = restarted.acknowledge_update(test.peer("bob"), &bytes(&proposed), Reporting::Full).await;
    assert_eq!(done.unwrap().missing_acknowledgments, 0);
    assert_eq!(test.world.engine.asked("corp"), asked);
    assert_eq!(stored(&test), keys);
    common::activate(&restarted).await;
    assert_eq!(test.world.engine.asked("door"), 1);
}

// policy.md: "Components of a pending update are kept" and no longer than it waits
#[tokio::test]
async fn a_cancelled_update_takes_its_components_along_and_leaves_those_in_force() {
    let test = Updating::new(&manifest(), 2).await;
    let (kept, new) = (component("marble-admission", "allow"), component("marble-admission", "allow 2"));
    let with = with_policies(test.first.clone(), &[("door", "marble-admission", &kept)]);
    update(&test, "alice", &with, &[&kept]).await.unwrap();
    test.acknowledge("bob", &with).await;
    let next = with_policies(test.first.clone(), &[("door", "marble-admission", &new)]);
    update(&test, "alice", &next, &[&new]).await.unwrap();
    assert_eq!(stored(&test).len(), 2);
    test.coordinator.cancel_update(test.peer("alice")).await.unwrap();
    assert_eq!(stored(&test), [key(&kept)]);
    common::activate(&test.coordinator).await;
}

// L-55: a pending update whose component is lost fails, and nothing of it stays
#[tokio::test]
async fn a_pending_update_whose_component_is_lost_fails_when_it_is_applied() {
    let test = Updating::new(&manifest(), 2).await;
    let admits = component("marble-admission", "allow");
    let next = with_policies(test.first.clone(), &[("door", "marble-admission", &admits)]);
    update(&test, "alice", &next, &[&admits]).await.unwrap();
    test.world.store.write(&key(&admits), b"damaged").await;
    test.world.engine.forget();
    let error = test.try_acknowledge("bob", &bytes(&next)).await.unwrap_err();
    let text = common::message(&error);
    assert!(text.starts_with("applying the manifest update: ") && text.contains("door"), "{text}");
    assert_eq!((stored(&test).len(), test.in_force() == test.first), (0, true));
}

// policy.md: "afterwards they need UpdateManifest"
#[tokio::test]
async fn once_a_manifest_is_set_uploads_need_the_right_to_update_it() {
    let test = Updating::alone(&manifest()).await;
    let admits = component("marble-admission", "allow");
    let upload = async |user: &str| {
        let sent = common::upload(&test.coordinator, test.peer(user), admits.clone()).await;
        sent.map_err(|error| common::message(&error))
    };
    assert_eq!(upload("nobody").await.unwrap_err(), carrara_core::error::UNAUTHORIZED);
    assert_eq!(
        upload("erin").await.unwrap_err(),
        "user erin is not allowed to upload policies; it takes a role of type Manifest with the action UpdateManifest"
    );
    upload("alice").await.unwrap();
    let next = with_policies(test.first.clone(), &[("door", "marble-admission", &admits)]);
    update(&test, "alice", &next, &[]).await.unwrap();
    assert_eq!(stored(&test), [key(&admits)]);
    test.coordinator.write_out_audit().await.unwrap();
}

// A swap under load: what was decided at a revision was decided by the policies in force at it
#[tokio::test]
async fn a_request_is_judged_by_one_set_and_a_commit_swaps_the_whole() {
    let test = Updating::alone(&manifest()).await;
    let components: Vec<Vec<u8>> =
        (0..4).map(|number| component("marble-admission", &format!("allow {number}"))).collect();
    let mut from = Vec::new();
    for (number, component) in components.iter().enumerate() {
        let name = format!("door-{number}");
        let next = with_policies(test.first.clone(), &[(&name, "marble-admission", component)]);
        update(&test, "alice", &next, &[component]).await.unwrap();
        from.push(test.world.revision());
        common::activate(&test.coordinator).await;
        assert_eq!(test.world.engine.sets(), 1, "the sets before are gone");
    }
    let compiled = test.world.engine.compilations();
    assert_eq!(compiled, components.len(), "each once");
    for (name, revision) in test.world.engine.asked.lock().unwrap().iter() {
        let in_force = from.iter().rposition(|first| first <= revision).unwrap();
        assert_eq!(*name, format!("door-{in_force}"));
    }
}

// policy.md, Facts
#[tokio::test]
async fn policies_are_told_when_secrets_were_last_set() {
    use carrara_core::outcome::SecretUpload;
    use carrara_types::secret::SecretBytes;
    let mut with = manifest();
    with["Secrets"] = json!({
        "token": { "Type": "plain", "UserDefined": true },
        "never": { "Type": "plain", "UserDefined": true },
        "own": { "Type": "symmetric-key", "Size": 128, "Shared": true },
    });
    let test = Updating::alone(&with).await;
    test.world.policies.authorizer(common::Verdict::Allow);
    let admits = component("marble-admission", "allow");
    let next = with_policies(test.first.clone(), &[("door", "marble-admission", &admits)]);
    update(&test, "alice", &next, &[&admits]).await.unwrap();
    let facts = async || {
        common::activate(&test.coordinator).await;
        test.world.policies.admissions.lock().unwrap().last().unwrap().context.facts.clone()
    };
    assert_eq!(facts().await, []);
    let set = async || {
        let key = Some(SecretBytes::new("key", b"x".to_vec()));
        let upload = SecretUpload { name: "token".to_owned(), cert: None, private: None, key };
        test.coordinator.write_secrets(test.peer("alice"), vec![upload]).await.unwrap();
    };
    set().await;
    let first = facts().await;
    let now = u64::try_from(common::NOW.unix_timestamp()).unwrap();
    assert_eq!((first.len(), first[0].name.as_str()), (1, "secret-last-set:token"));
    assert_eq!(first[0].value, FactValue::Number(now));
    test.world.clock.move_by(time::Duration::hours(1));
    set().await;
    assert_eq!(facts().await[0].value, FactValue::Number(now + 3600));
    // A secret that is declared anew is not set.
    let mut renewed = next.clone();
    renewed["Secrets"]["token"]["ValidFor"] = json!(7);
    update(&test, "alice", &renewed, &[]).await.unwrap();
    assert_eq!(facts().await, []);
}

// policy.md, Decision records: "served to users with the action `ReadDecisions` (resource type `Manifest`)"
#[tokio::test]
async fn decisions_are_read_by_whoever_may() {
    let test = Updating::alone(&manifest()).await;
    test.world.engine.decisions.record(DecisionRecord {
        sequence: 0,
        time_ms: 1,
        revision: 2,
        world: PolicyWorld::MarbleAdmission,
        policy: "door".to_owned(),
        digest: Digest([1; 32]),
        mode: Mode::Shadow,
        settings: Digest([2; 32]),
        request: Question::Admission(Default::default()),
        answer: Answer::Decision(Decision::Allow),
        fuel: 3,
        duration_us: 4,
        cut: false,
    });
    let read = async |user: &str| {
        let filter = DecisionFilter::default();
        let page = test.coordinator.read_decisions(test.peer(user), 0, 10, &filter).await;
        page.map_err(|error| common::message(&error))
    };
    assert_eq!(read("nobody").await.unwrap_err(), carrara_core::error::UNAUTHORIZED);
    assert_eq!(
        read("alice").await.unwrap_err(),
        "user alice is not allowed to read the policies' decisions; it takes a role of type Manifest with the action \
         ReadDecisions"
    );
    let mut allowed = test.first.clone();
    allowed["Roles"]["updater"]["Actions"] = json!(["UpdateManifest", "ReadDecisions"]);
    update(&test, "alice", &allowed, &[]).await.unwrap();
    let page = read("alice").await.unwrap();
    assert_eq!((page.first, page.next, page.records.len()), (1, 1, 1));
    assert_eq!((page.records[0].sequence, page.records[0].policy.as_str()), (1, "door"));
}
