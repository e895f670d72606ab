//! Updates beside other changes: nothing is lost, nothing happens twice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use carrara_core::Coordinator;
use carrara_core::error::{PendingUpdateError, UpdateManifestError};
use carrara_core::outcome::{Reporting, SecretUpload};
use carrara_core::ports::{OneSet, Policies, PolicyDecision, PolicyFailure, RenderFailure, SecretCatalog};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Finding, Proposal, Template,
};
use carrara_types::secret::SecretBytes;
use serde_json::{Value, json};

use super::update_world::Updating;
use crate::common::{self, FakePolicies, Verdict, bytes, manifest, settings, user_certificate};

fn with_argument(test: &Updating, argument: &str) -> Value {
    test.changed(|manifest| manifest["Marbles"]["web"]["Parameters"]["Argv"] = json!([argument]))
}

//
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_updates_at_once_one_waits_and_the_other_is_told_so() {
    let test = Updating::new(&manifest(), 2).await;
    test.world.store.slow.store(true, Ordering::SeqCst);
    let (one, two) = (with_argument(&test, "./one"), with_argument(&test, "./two"));
    let (one, two) = tokio::join!(test.try_update("alice", &one), test.try_update("bob", &two));
    let (started, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    started.unwrap();
    assert!(matches!(refused.unwrap_err(), UpdateManifestError::Pending));
}

// L-53
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledgements_at_once_all_count() {
    let test = Updating::new(&manifest(), 0).await;
    test.world.store.slow.store(true, Ordering::SeqCst);
    let new = with_argument(&test, "./new");
    test.update("alice", &new).await;
    let (bob, carol) = tokio::join!(test.acknowledge("bob", &new), test.acknowledge("carol", &new));
    assert_eq!(bob.missing_acknowledgments + carol.missing_acknowledgments, 1);
    assert_eq!(test.in_force(), new);
}

// L-56: whichever commits first wins
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_update_is_either_cancelled_or_applied() {
    let test = Updating::new(&manifest(), 2).await;
    test.world.store.slow.store(true, Ordering::SeqCst);
    let new = with_argument(&test, "./new");
    test.update("alice", &new).await;
    let manifest = bytes(&new);
    let (cancelled, acknowledged) = tokio::join!(
        test.coordinator.cancel_update(test.peer("carol")),
        test.try_acknowledge("bob", &manifest)
    );
    assert_ne!(cancelled.is_ok(), acknowledged.is_ok());
    assert_eq!(test.in_force() == new, acknowledged.is_ok());
    for error in [cancelled.err(), acknowledged.err()].into_iter().flatten() {
        assert!(matches!(error, PendingUpdateError::NotFound));
    }
}

#[tokio::test]
async fn a_full_update_in_conflict_is_made_again_and_given_up_after_eight_times() {
    let test = Updating::new(&manifest(), 2).await;
    let conflicts = |number| test.world.store.conflicts.store(number, Ordering::SeqCst);
    let new = with_argument(&test, "./new");
    conflicts(7);
    test.update("alice", &new).await;
    conflicts(8);
    let error = test.try_acknowledge("bob", &bytes(&new)).await.unwrap_err();
    assert!(matches!(error, PendingUpdateError::Busy));
    conflicts(8);
    assert!(matches!(test.coordinator.cancel_update(test.peer("bob")).await, Err(PendingUpdateError::Busy)));
    conflicts(7);
    test.acknowledge("bob", &new).await;
    assert_eq!(test.log(1).len(), 3);
    conflicts(8);
    let alone = test.changed(|manifest| manifest["Config"]["UpdateThreshold"] = json!(1));
    assert!(matches!(test.try_update("alice", &alone).await.unwrap_err(), UpdateManifestError::Busy));
}

/// Policies whose next renderings first let a user upload secrets, on the same coordinator.
struct Uploading {
    inner: Arc<FakePolicies>,
    coordinator: OnceLock<Arc<Coordinator>>,
    /// How many renderings are left that do; those of an upload's own dry run do not count.
    armed: AtomicUsize,
    uploading: AtomicBool,
    peer: Vec<u8>,
}

#[async_trait]
impl Policies for Uploading {
    fn renderers(&self) -> Vec<String> {
        self.inner.renderers()
    }

    async fn validate(&self, proposal: Proposal) -> Result<Vec<Finding>, PolicyFailure> {
        self.inner.validate(proposal).await
    }

    async fn authorize(&self, request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        self.inner.authorize(request).await
    }

    async fn admit(&self, request: AdmissionRequest) -> Result<PolicyDecision, PolicyFailure> {
        self.inner.admit(request).await
    }

    async fn render(
        &self,
        renderer: &str,
        context: Context,
        templates: Vec<Template>,
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        let less = |left: usize| left.checked_sub(1);
        if !self.uploading.load(Ordering::SeqCst)
            && self.armed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
        {
            self.uploading.store(true, Ordering::SeqCst);
            let upload = |name: &str| SecretUpload {
                name: name.to_owned(),
                cert: None,
                private: None,
                key: Some(SecretBytes::new("upload", b"meanwhile".to_vec())),
            };
            let coordinator = Arc::clone(self.coordinator.get().unwrap());
            let uploads = vec![upload("kept"), upload("gone")];
            coordinator.write_secrets(Some(&self.peer), uploads).await.unwrap();
            self.uploading.store(false, Ordering::SeqCst);
        }
        self.inner.render(renderer, context, templates, secrets).await
    }
}

/// alice makes an update that removes `gone`. While it is rendered, so many times at most, she uploads `kept` and `gone`.
async fn updated_beside_uploads(uploads: usize) -> (common::World, Arc<Coordinator>) {
    let (alice, pem) = user_certificate();
    let world = common::World::new().await;
    world.policies.authorizer(Verdict::Roles);
    let policies = Arc::new(Uploading {
        inner: world.policies.clone(),
        coordinator: OnceLock::new(),
        armed: AtomicUsize::new(0),
        uploading: AtomicBool::new(false),
        peer: alice.clone(),
    });
    let mut ports = world.ports();
    ports.policies = Arc::new(OneSet(policies.clone()));
    let coordinator = Arc::new(Coordinator::start(ports, settings()).await.unwrap());
    assert!(policies.coordinator.set(Arc::clone(&coordinator)).is_ok());

    let mut old = manifest();
    old["Secrets"] = json!({
        "kept": { "Type": "plain", "UserDefined": true }, "gone": { "Type": "plain", "UserDefined": true }
    });
    old["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{current.kept.whole.hex}}" });
    old["Users"] = json!({ "alice": { "Certificate": pem, "Roles": ["u", "w"] } });
    old["Roles"] = json!({
        "u": { "ResourceType": "Manifest", "Actions": ["UpdateManifest"] },
        "w": { "ResourceType": "Secrets", "ResourceNames": ["kept", "gone"], "Actions": ["WriteSecret"] },
    });
    common::set(&coordinator, &old).await;
    let mut new = old.clone();
    new["Secrets"].as_object_mut().unwrap().remove("gone");
    new["Roles"]["w"]["ResourceNames"] = json!(["kept"]);
    new["Marbles"]["web"]["Parameters"]["Argv"] = json!(["./new"]);

    policies.armed.store(uploads, Ordering::SeqCst);
    coordinator.update_manifest(Some(&alice), &bytes(&new), Vec::new(), Reporting::Full).await.unwrap();
    policies.armed.store(0, Ordering::SeqCst);
    (world, coordinator)
}

// "no lost update": an upload that is acknowledged while an update is being made stays, and the update takes effect
#[tokio::test]
async fn secrets_that_are_uploaded_while_an_update_is_made_are_not_lost() {
    use carrara_core::ports::Store as _;
    let (world, coordinator) = updated_beside_uploads(1).await;
    let activation = common::activate(&coordinator).await;
    assert_eq!(
        (common::env(&activation, "E"), activation.argv),
        (hex::encode("meanwhile"), vec!["./new".to_owned()])
    );
    let snapshot = world.store.snapshot();
    assert!(snapshot.record_revision("secret:kept").is_some());
    assert!(snapshot.record_revision("secret:gone").is_none());
    assert_eq!(snapshot.log_size(), 5, "set, two secrets, two lines of the update");
}

// Whoever may write a secret cannot keep others from removing it.
#[tokio::test]
async fn uploads_without_end_do_not_hold_up_an_update() {
    use carrara_core::ports::Store as _;
    let (world, coordinator) = updated_beside_uploads(1000).await;
    assert_eq!(common::activate(&coordinator).await.argv, ["./new"]);
    assert!(world.store.snapshot().record_revision("secret:gone").is_none());
}
