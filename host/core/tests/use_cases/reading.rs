//! R-50..R-52, R-54, M-61: who reads which secrets, and what is read.

use std::sync::atomic::Ordering;

use carrara_core::Coordinator;
use carrara_core::error::ReadSecretsError;
use carrara_core::outcome::ReadableSecret;
use serde_json::{Value, json};

use crate::common::{self, INTERNAL, NOW, Verdict, World, env, manifest, user_certificate};

const UNAUTHORIZED: &str = "unauthorized user: client certificate did not match any MarbleRun users";

/// A user `alice` with the certificate, and a secret of every kind that matters here.
fn with_user(pem: &str) -> Value {
    let mut manifest = manifest();
    manifest["Secrets"] = json!({
        "shared": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        "cert": { "Type": "cert-ecdsa", "Size": 384, "Shared": true },
        "private": { "Type": "symmetric-key", "Size": 128 },
        "unset": { "Type": "plain", "UserDefined": true, "ValidFor": 3 },
    });
    manifest["Users"] = json!({ "alice": { "Certificate": pem, "Roles": ["reader"] } });
    manifest["Roles"] = json!({
        "reader": { "ResourceType": "Secrets", "ResourceNames": ["shared"], "Actions": ["ReadSecret"] }
    });
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({
        "SHARED": "{{current.shared.whole.hex}}",
        "CERT": "{{current.cert.certificate.hex}}",
        "KEY": "{{current.cert.private.hex}}",
        "PUBLIC": "{{current.cert.public.hex}}",
    });
    manifest
}

async fn world() -> (World, Coordinator, Vec<u8>) {
    let (der, pem) = user_certificate();
    let (world, coordinator) = World::with(&with_user(&pem)).await;
    (world, coordinator, der)
}

async fn read(
    coordinator: &Coordinator,
    peer: &[u8],
    names: &[&str],
) -> Result<Vec<ReadableSecret>, ReadSecretsError> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    coordinator.read_secrets(Some(peer), &names).await
}

async fn refused(coordinator: &Coordinator, peer: &[u8], names: &[&str]) -> String {
    common::message(&read(coordinator, peer, names).await.unwrap_err())
}

// R-54
#[tokio::test]
async fn only_the_certificate_of_a_user_authenticates() {
    let (world, coordinator, alice) = world().await;
    coordinator.authenticate(Some(&alice)).unwrap();
    let (stranger, _) = user_certificate();
    for peer in [None, Some(stranger.as_slice()), Some(&[])] {
        let error = coordinator.authenticate(peer).unwrap_err();
        assert_eq!(common::message(&error), UNAUTHORIZED);
        let error = coordinator.read_secrets(peer, &["shared".to_owned()]).await.unwrap_err();
        assert!(matches!(error, ReadSecretsError::Unauthorized));
    }
    assert!(world.policies.authorizations.lock().unwrap().is_empty(), "nobody is asked about strangers");
}

// R-54: 401 comes before the wrong state
#[tokio::test]
async fn before_a_manifest_is_set_and_in_recovery_nobody_is_a_user() {
    let empty = World::new().await;
    let coordinator = empty.start().await;
    let (der, _) = user_certificate();
    assert_eq!(common::message(&coordinator.authenticate(Some(&der)).unwrap_err()), UNAUTHORIZED);
    assert_eq!(refused(&coordinator, &der, &["shared"]).await, UNAUTHORIZED);

    let (world, coordinator, alice) = world().await;
    world.store.locked.store(true, Ordering::SeqCst);
    assert_eq!(common::message(&coordinator.authenticate(Some(&alice)).unwrap_err()), UNAUTHORIZED);
}

// R-51, S-3: sorted, each once
#[tokio::test]
async fn a_permitted_user_reads_the_values_that_marbles_get() {
    let (_world, coordinator, alice) = world().await;
    let activation = common::activate(&coordinator).await;
    let secrets = read(&coordinator, &alice, &["shared", "cert", "shared"]).await.unwrap();
    let [cert, shared] = secrets.as_slice() else { panic!("{secrets:?}") };
    assert_eq!((cert.name.as_str(), shared.name.as_str()), ("cert", "shared"));

    let value = hex::decode(env(&activation, "SHARED")).unwrap();
    assert!(shared.private.as_ref().unwrap().equals(&value));
    assert!(shared.public.as_ref().unwrap().equals(&value));
    assert_eq!((shared.kind.as_str(), shared.size, shared.cert.is_none()), ("symmetric-key", 128, true));
    assert!(shared.shared && !shared.user_defined);

    assert_eq!(hex::encode(cert.cert.as_ref().unwrap()), env(&activation, "CERT"));
    assert!(cert.private.as_ref().unwrap().equals(&hex::decode(env(&activation, "KEY")).unwrap()));
    assert!(cert.public.as_ref().unwrap().equals(&hex::decode(env(&activation, "PUBLIC")).unwrap()));
    assert_eq!(cert.valid_for, 365, "S-33");
}

// R-51, S-4
#[tokio::test]
async fn an_unset_user_defined_secret_is_read_with_nulls_and_a_set_one_with_its_value() {
    let (world, coordinator, alice) = world().await;
    let unset = read(&coordinator, &alice, &["unset"]).await.unwrap().remove(0);
    assert!(unset.cert.is_none() && unset.private.is_none() && unset.public.is_none());
    assert_eq!((unset.kind.as_str(), unset.user_defined, unset.valid_for), ("plain", true, 3));

    world.store.upload("secret:unset", b"").await;
    let set = read(&coordinator, &alice, &["unset"]).await.unwrap().remove(0);
    assert!(set.private.unwrap().is_empty(), "empty is not null");
}

// policy.md: one call with all names, sorted, without duplicates
#[tokio::test]
async fn the_authorizers_are_asked_once_with_all_names_and_the_users_roles() {
    let (world, coordinator, alice) = world().await;
    read(&coordinator, &alice, &["shared", "cert", "shared"]).await.unwrap();
    let asked = world.policies.authorizations.lock().unwrap();
    let [request] = asked.as_slice() else { panic!("asked once") };
    assert_eq!(request.resource_names, ["cert", "shared"]);
    assert_eq!((request.action.as_str(), request.resource_type.as_str()), ("ReadSecret", "Secrets"));
    assert_eq!(request.principal.name, "alice");
    assert_eq!(request.principal.roles[0].name, "reader");
    assert_eq!(request.principal.roles[0].actions, ["ReadSecret"]);
    assert_eq!(request.context.now, u64::try_from(NOW.unix_timestamp()).unwrap());
}

// R-52: the text of the built-in authorizer is the specification's alone
#[tokio::test]
async fn a_denial_of_the_built_in_authorizer_has_the_specified_text() {
    let (world, coordinator, alice) = world().await;
    world.policies.authorizer(Verdict::Deny("rbac", "internal words", Some("hint")));
    assert_eq!(
        refused(&coordinator, &alice, &["shared", "cert"]).await,
        "user alice is not allowed to read one or more secrets of: [shared cert]"
    );
}

// policy.md, Texts
#[tokio::test]
async fn a_denial_of_a_custom_policy_adds_its_words() {
    let (world, coordinator, alice) = world().await;
    world.policies.authorizer(Verdict::Deny("two-rooms", "wrong room", Some("use the other one")));
    let specified = "user alice is not allowed to read one or more secrets of: [shared]";
    assert_eq!(
        refused(&coordinator, &alice, &["shared"]).await,
        format!("{specified}: two-rooms: wrong room (use the other one)")
    );
    world.policies.authorizer(Verdict::Deny("two-rooms", "wrong room", None));
    assert_eq!(
        refused(&coordinator, &alice, &["shared"]).await,
        format!("{specified}: two-rooms: wrong room")
    );
}

// R-52: "a name that is no secret is refused the same way", also where the authorizer allows it
#[tokio::test]
async fn an_unknown_name_is_refused_like_a_forbidden_one() {
    let (_world, coordinator, alice) = world().await;
    for (names, listed) in
        [(&["missing"][..], "missing"), (&["shared", "missing"], "shared missing"), (&[""], "")]
    {
        assert_eq!(
            refused(&coordinator, &alice, names).await,
            format!("user alice is not allowed to read one or more secrets of: [{listed}]")
        );
    }
}

// M-61, architecture.md: the host's guarantee, whatever an authorizer allows
#[tokio::test]
async fn a_private_secret_is_never_read() {
    let (_world, coordinator, alice) = world().await;
    assert_eq!(
        refused(&coordinator, &alice, &["shared", "private"]).await,
        "user alice is not allowed to read one or more secrets of: [shared private]"
    );
    read(&coordinator, &alice, &["shared"]).await.unwrap();
}

// policy.md, Limits and failure
#[tokio::test]
async fn an_authorizer_that_fails_denies_and_only_its_name_is_told() {
    let (world, coordinator, alice) = world().await;
    world.policies.authorizer(Verdict::Fail("two-rooms"));
    assert_eq!(refused(&coordinator, &alice, &["shared"]).await, r#"policy "two-rooms" could not decide"#);
}

// style.md rule 4: a broken record is for the log
#[tokio::test]
async fn a_record_that_does_not_read_is_told_without_internals() {
    let (world, coordinator, alice) = world().await;
    world.store.write("secret:shared", INTERNAL.as_bytes()).await;
    let text = refused(&coordinator, &alice, &["shared"]).await;
    assert_eq!(text, "the secrets could not be read; see the coordinator's log");
}
