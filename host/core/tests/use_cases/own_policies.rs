//! A manifest's own policies: their components, settings, and what judges the manifest (policy.md, In the manifest).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use carrara_core::ports::{Found, Store};
use carrara_core::{OwnerCertificate, Settings, UploadLimits};
use carrara_types::decision::Severity;
use serde_json::{Value, json};
use time::Duration;

use crate::common::{self, World, bytes, component, digest, finding, manifest, user_certificate};

/// The manifest with policies: name, world and component.
pub(crate) fn with_policies(mut manifest: Value, policies: &[(&str, &str, &[u8])]) -> Value {
    for (name, world, component) in policies {
        manifest["Policies"][name] = json!({ "World": world, "Component": digest(component).to_string() });
    }
    manifest
}

fn stored(world: &World) -> Vec<String> {
    world.store.snapshot().keys("policy:")
}

fn key(component: &[u8]) -> String {
    format!("policy:{}", hex::encode(digest(component).0))
}

// policy.md: "`POST manifest` and `POST update` also take `policies`, atomically"; "A missing component refuses the manifest and names
// the digests"
#[tokio::test]
async fn missing_components_are_all_named_and_a_manifest_brings_them_along() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let (one, two) = (component("marble-admission", "allow"), component("role-authorization", "allow"));
    let wanted =
        with_policies(manifest(), &[("one", "marble-admission", &one), ("two", "role-authorization", &two)]);
    let text = common::refusal(&coordinator, &wanted).await;
    assert!(text.starts_with("checking manifest: missing components of policies: sha256:"), "{text}");
    for (name, component) in [("one", &one), ("two", &two)] {
        assert!(text.contains(&format!("{} ({name})", digest(component))), "{text}");
    }
    assert!(!text.contains("more)"), "{text}");

    let error = coordinator.set_manifest(None, &bytes(&wanted), vec![one.clone()]).await.unwrap_err();
    assert!(!common::message(&error).contains(&digest(&one).to_string()), "it came along");
    assert!(
        coordinator.policy_component(&digest(&one)).await.unwrap().is_none(),
        "a refused manifest leaves nothing"
    );

    coordinator.set_manifest(None, &bytes(&wanted), vec![one.clone(), two.clone()]).await.unwrap();
    let mut keys = vec![key(&one), key(&two)];
    keys.sort();
    assert_eq!(stored(&world), keys);
    assert_eq!(coordinator.policy_component(&digest(&one)).await.unwrap().as_deref(), Some(one.as_slice()));
    common::activate(&coordinator).await;
    assert_eq!(world.engine.asked("one"), 1);
}

// policy.md: "The bytes of every policy in force, pinned built-ins included, are part of the sealed state"
#[tokio::test]
async fn a_built_in_policy_that_is_named_by_its_digest_is_stored_and_need_not_be_sent() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let rbac = common::RBAC;
    let mut pinned = with_policies(manifest(), &[("pinned", "role-authorization", rbac)]);
    pinned["Policies"]["pinned"]["Replaces"] = json!("rbac");
    common::set(&coordinator, &pinned).await;
    assert_eq!(stored(&world), [key(rbac)]);
    let listed = coordinator.list_policies().await.unwrap();
    assert_eq!((listed.len(), listed[0].built_in.as_deref()), (1, Some("rbac")));
    assert_eq!(
        (listed[0].size, listed[0].used_by.as_slice()),
        (Some(rbac.len() as u64), ["pinned".to_owned()].as_slice())
    );
}

// policy.md: "Absent: the built-ins alone"
#[tokio::test]
async fn a_manifest_without_policies_stores_none_and_makes_no_set_of_its_own() {
    let (world, coordinator) = World::with(&manifest()).await;
    common::activate(&coordinator).await;
    assert_eq!((stored(&world).len(), world.engine.sets()), (0, 0));
    assert!(world.policies.admissions.lock().unwrap()[0].context.facts.is_empty());
}

// policy.md: a component must fit its world, settings are judged with line and column; nothing is compiled for what the host refuses
#[tokio::test]
async fn components_and_settings_that_do_not_fit_are_refused_with_the_policy_s_name() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let admits = component("marble-admission", "allow");
    let broken = component("marble-admission", "broken");
    let no_policy = b"text".to_vec();
    let refused = async |policies: &[(&str, &str, &[u8])], sent: &[u8], settings: Value| {
        let mut manifest = with_policies(manifest(), policies);
        manifest["Policies"]["p"]["Settings"] = settings;
        let sent = vec![sent.to_vec()];
        common::message(&coordinator.set_manifest(None, &bytes(&manifest), sent).await.unwrap_err())
    };
    assert_eq!(
        refused(&[("p", "role-authorization", &admits)], &admits, json!(null)).await,
        "checking manifest: policy p is of world role-authorization, but its component implements marble-admission"
    );
    assert_eq!(
        refused(&[("p", "role-authorization", &no_policy)], &no_policy, json!(null)).await,
        "checking manifest: policy p: it exports none of the interfaces"
    );
    assert_eq!(world.engine.compilations(), 0, "nothing unfit is compiled");
    assert_eq!(
        refused(&[("p", "marble-admission", &broken)], &broken, json!(null)).await,
        "checking manifest: policy p: it does not compile"
    );
    assert_eq!(
        refused(&[("p", "marble-admission", &admits)], &admits, json!("a\nbad")).await,
        "checking manifest: settings of policy p, line 2, column 7: unexpected token"
    );
    let compiled = world.engine.compilations();
    let mut unsafe_too =
        with_policies(manifest(), &[("p", "marble-admission", &component("marble-admission", "allow x"))]);
    unsafe_too["Marbles"]["web"]["Package"] = json!("nowhere");
    let sent = vec![component("marble-admission", "allow x")];
    coordinator.set_manifest(None, &bytes(&unsafe_too), sent).await.unwrap_err();
    assert_eq!(world.engine.compilations(), compiled, "what the host refuses compiles nothing");
    assert_eq!(world.revision(), 0);
}

// policy.md: "at the first manifest the built-ins and its own do"; "reported once"
#[tokio::test]
async fn a_first_manifest_is_judged_by_the_built_in_validators_and_its_own() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let set = async |answer: &str| {
        let validator = component("manifest-validation", answer);
        let wanted = with_policies(manifest(), &[("corp", "manifest-validation", &validator)]);
        coordinator.set_manifest(None, &bytes(&wanted), vec![validator]).await
    };
    let text = common::message(&set("deny not on a Friday").await.unwrap_err());
    assert_eq!(text, "checking manifest: not on a Friday");
    let text = common::message(&set("trap").await.unwrap_err());
    assert_eq!(text, r#"checking manifest: policy "corp" could not decide"#);
    let built_in = finding(Severity::Warning, "corp", "/Marbles", "look twice");
    world.policies.findings.lock().unwrap().push(built_in);
    let warnings = set("warn look twice").await.unwrap().warnings;
    assert_eq!(warnings.len(), 1, "reported once: {warnings:?}");
    assert!(world.engine.asked("corp") >= 3);
}

// policy.md: "Before a manifest is set uploads are parsed and checked for imports, never compiled, ... gone on restart"
#[tokio::test]
async fn before_a_manifest_is_set_anybody_may_upload_and_a_manifest_finds_it() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let admits = component("marble-admission", "allow");
    let info = common::upload(&coordinator, None, admits.clone()).await.unwrap();
    assert_eq!((info.digest, info.size), (digest(&admits), admits.len()));
    assert_eq!((world.engine.inspections.load(Ordering::SeqCst), world.engine.compilations()), (1, 0));
    let error = common::upload(&coordinator, None, b"text".to_vec()).await.unwrap_err();
    assert_eq!(
        common::message(&error),
        "this is no policy that can be used: it exports none of the interfaces"
    );
    let listed = coordinator.list_policies().await.unwrap();
    assert!(listed.iter().any(|listing| listing.digest == digest(&admits) && listing.used_by.is_empty()));

    let wanted = with_policies(manifest(), &[("p", "marble-admission", &admits)]);
    let text = common::refusal(&world.start().await, &wanted).await;
    assert!(text.contains("missing components"), "gone on restart: {text}");
    common::set(&coordinator, &wanted).await;
    assert_eq!(stored(&world), [key(&admits)]);
}

// policy.md: "with an owner certificate: the owner's only"
#[tokio::test]
async fn only_the_owner_uploads_where_one_is_configured() {
    let world = World::new().await;
    let (der, pem) = user_certificate();
    let owner = Some(OwnerCertificate::from_pem(pem.as_bytes()).unwrap());
    let settings = Settings { owner, ..common::settings() };
    let coordinator = carrara_core::Coordinator::start(world.ports(), settings).await.unwrap();
    let admits = component("marble-admission", "allow");
    let error = common::upload(&coordinator, None, admits.clone()).await.unwrap_err();
    assert_eq!(common::message(&error), carrara_core::error::UNAUTHORIZED);
    assert_eq!(world.engine.inspections.load(Ordering::SeqCst), 0);
    common::upload(&coordinator, Some(&der), admits).await.unwrap();
}

// policy.md: "bounded in number and bytes", "others expire after 24 hours"
#[tokio::test]
async fn uploads_are_bounded_and_end_after_a_day() {
    let world = World::new().await;
    let uploads = UploadLimits { component_bytes: 64, count: 2, ..UploadLimits::default() };
    let settings = Settings { uploads, ..common::settings() };
    let coordinator = carrara_core::Coordinator::start(world.ports(), settings).await.unwrap();
    let error = common::upload(&coordinator, None, vec![b' '; 65]).await.unwrap_err();
    assert_eq!(common::message(&error), "the component has 65 bytes, and a policy may have at most 64");
    for answer in ["allow 1", "allow 2", "allow 3"] {
        common::upload(&coordinator, None, component("marble-admission", answer)).await.unwrap();
    }
    assert_eq!(coordinator.list_policies().await.unwrap().len(), 1 + 2, "one is built in");
    world.clock.move_by(Duration::hours(24));
    assert_eq!(coordinator.list_policies().await.unwrap().len(), 1);
}

// All components of a manifest together are limited, each digest once
#[tokio::test]
async fn components_that_are_too_large_together_refuse_the_manifest_and_name_the_largest() {
    let world = World::new().await;
    let (small, large) = (component("marble-admission", "allow"), component("role-authorization", "allow"));
    let sum = small.len() + large.len();
    let start = async |named_bytes: usize| {
        let uploads = UploadLimits { named_bytes, ..UploadLimits::default() };
        let settings = Settings { uploads, ..common::settings() };
        carrara_core::Coordinator::start(world.ports(), settings).await.unwrap()
    };
    let wanted = with_policies(
        manifest(),
        &[
            ("again", "marble-admission", &small),
            ("s", "marble-admission", &small),
            ("t", "role-authorization", &large),
        ],
    );
    let components = || vec![small.clone(), large.clone()];
    let tight = start(sum - 1).await;
    let error = tight.set_manifest(None, &bytes(&wanted), components()).await.unwrap_err();
    let refusal = format!(
        "checking manifest: the components of all policies have {sum} bytes together, and at most {} are allowed; that of \
         policy t is the largest with {} bytes",
        sum - 1,
        large.len()
    );
    assert_eq!(common::message(&error), refusal);
    assert_eq!(world.engine.compilations(), 0);
    start(sum).await.set_manifest(None, &bytes(&wanted), components()).await.unwrap();
}

// policy.md: "One that can no longer be compiled or read after a restart makes its world deny ...; the coordinator starts, and whoever
// has the right bytes may upload them again"
#[tokio::test]
async fn a_lost_component_makes_its_world_deny_until_anybody_uploads_it_again() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let admits = component("marble-admission", "allow");
    let wanted = with_policies(manifest(), &[("p", "marble-admission", &admits)]);
    coordinator.set_manifest(None, &bytes(&wanted), vec![admits.clone()]).await.unwrap();
    world.store.write(&key(&admits), b"damaged").await;
    world.engine.forget();
    let restarted = world.start().await;
    assert_eq!(restarted.status().code, 3);
    assert!(common::denial(&restarted).await.ends_with(r#"policy "p" is unavailable"#));
    let listed = restarted.list_policies().await.unwrap();
    let lost = listed.iter().find(|listing| listing.digest == digest(&admits)).unwrap();
    assert_eq!((lost.size, lost.used_by.as_slice()), (None, ["p".to_owned()].as_slice()));

    let other = common::upload(&restarted, None, component("marble-admission", "allow y")).await.unwrap_err();
    assert_eq!(common::message(&other), carrara_core::error::UNAUTHORIZED, "other bytes are not wanted");
    common::upload(&restarted, None, admits.clone()).await.unwrap();
    common::activate(&restarted).await;
    assert_eq!(world.store.snapshot().open(&key(&admits)).unwrap().unwrap().expose(), admits);
    let before = world.revision();
    let again = common::upload(&restarted, None, admits).await.unwrap_err();
    assert_eq!(common::message(&again), carrara_core::error::UNAUTHORIZED, "nothing is lost any more");
    assert_eq!(world.revision(), before);
}

// policy.md: while a policy compiles the answer is that it is not ready
#[tokio::test]
async fn a_policy_that_is_being_compiled_says_so() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let admits = component("marble-admission", "allow");
    let wanted = with_policies(manifest(), &[("p", "marble-admission", &admits)]);
    coordinator.set_manifest(None, &bytes(&wanted), vec![admits]).await.unwrap();
    world.engine.compiling.store(true, Ordering::SeqCst);
    assert!(common::denial(&coordinator).await.ends_with(r#"policy "p" is being compiled; try again"#));
    world.engine.compiling.store(false, Ordering::SeqCst);
    common::activate(&coordinator).await;
}

// policy.md: "A renderer is chosen per File or Env"; the dry run uses the proposed renderers
#[tokio::test]
async fn a_manifest_s_own_renderer_is_used_in_the_dry_run_and_afterwards() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let set = async |answer: &str| {
        let renders = component("secret-rendering", answer);
        let mut wanted = with_policies(manifest(), &[("handlebars", "secret-rendering", &renders)]);
        wanted["Marbles"]["web"]["Parameters"]["Env"] =
            json!({ "E": { "Data": "{{ x }}", "Renderer": "handlebars" } });
        coordinator.set_manifest(None, &bytes(&wanted), vec![renders]).await
    };
    let text = common::message(&set("trap").await.unwrap_err());
    assert_eq!(
        text,
        r#"running manifest template dry run: in Marble web: env variable E: policy "handlebars" could not decide"#
    );
    set("rendered").await.unwrap();
    assert_eq!(common::env(&common::activate(&coordinator).await, "E"), "rendered");
}

// 32 MiB is the largest component; a restart and a recovery read it again
#[tokio::test]
async fn the_largest_component_survives_a_restart_on_disk_and_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    let mut admits = component("marble-admission", "allow");
    admits.resize(32 << 20, b'x');
    let wanted = with_policies(manifest(), &[("p", "marble-admission", &admits)]);
    let length = {
        let world = World::on(dir.path(), 1).await;
        let coordinator = world.start().await;
        common::upload(&coordinator, None, admits.clone()).await.unwrap();
        common::set(&coordinator, &wanted).await;
        world.store.backup().await.unwrap().length
    };
    assert!(length > 32 << 20, "{length}");
    let world = World::on(dir.path(), 1).await;
    assert_eq!(world.store.found(), Found::Open);
    let coordinator = Arc::new(world.start().await);
    common::activate(&coordinator).await;
    let read = coordinator.policy_component(&digest(&admits)).await.unwrap().unwrap();
    assert!(read.as_ref() == admits.as_slice());
    let opened = || world.store.opened.lock().unwrap()[&key(&admits)];
    let before = opened();
    for _ in 0..3 {
        common::activate(&coordinator).await;
        coordinator.list_policies().await.unwrap();
    }
    assert!(opened() <= before + 1, "never read again for a request, and once for lists");
}
