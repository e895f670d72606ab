//! S-15..S-26, S-40, S-57: what secrets are, seen through activations.

use carrara_core::Coordinator;
use carrara_core::outcome::ActivationRequest;
use serde_json::{Value, json};

use crate::common::{self, UUID, World, env, manifest, request};

/// Two Marbles with the same variables over the same secrets.
fn two_marbles() -> Value {
    let variables = json!({
        "PRIVATE": "{{current.private.whole.hex}}",
        "OTHER": "{{current.other.whole.hex}}",
        "SHARED": "{{current.shared.whole.hex}}",
        "PREVIOUS_PRIVATE": "{{previous.private.whole.hex}}",
        "PREVIOUS_SHARED": "{{previous.shared.whole.hex}}",
        "CERT": "{{current.cert.certificate.pem}}",
        "PREVIOUS_CERT": "{{previous.cert.certificate.pem}}",
        "SHARED_CERT": "{{current.shared_cert.certificate.pem}}",
        "PREVIOUS_SHARED_CERT": "{{previous.shared_cert.certificate.pem}}",
    });
    let mut manifest = manifest();
    manifest["Secrets"] = json!({
        "private": { "Type": "symmetric-key", "Size": 256 },
        "other": { "Type": "symmetric-key", "Size": 256 },
        "shared": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        "cert": { "Type": "cert-ecdsa", "Size": 256 },
        "shared_cert": { "Type": "cert-ed25519", "Shared": true },
    });
    manifest["Marbles"]["web"]["Parameters"]["Env"] = variables.clone();
    manifest["Marbles"]["db"] = json!({ "Package": "app", "Parameters": { "Env": variables } });
    manifest
}

async fn variables(coordinator: &Coordinator, marble: &str, uuid: &str) -> impl Fn(&str) -> String + use<> {
    let asked = ActivationRequest { marble_type: marble.to_owned(), uuid: uuid.to_owned(), ..request() };
    let activation = coordinator.activate(asked).await.unwrap();
    move |name| env(&activation, name)
}

const ANOTHER: &str = "00000000-0000-4000-8000-000000000001";

// S-20, S-26: same UUID, type, name and root secret
#[tokio::test]
async fn a_private_key_is_the_same_at_every_activation_of_the_same_marble_also_after_a_restart() {
    let (world, coordinator) = World::with(&two_marbles()).await;
    let first = variables(&coordinator, "web", UUID).await;
    let second = variables(&coordinator, "web", UUID).await;
    assert_eq!((first("PRIVATE"), first("PRIVATE").len()), (second("PRIVATE"), 64));
    drop(coordinator);
    let restarted = variables(&world.start().await, "web", UUID).await;
    assert_eq!(first("PRIVATE"), restarted("PRIVATE"));
}

// S-20: each of uuid, type and name matters
#[tokio::test]
async fn a_private_key_differs_by_uuid_type_and_name() {
    let (_world, coordinator) = World::with(&two_marbles()).await;
    let web = variables(&coordinator, "web", UUID).await;
    let another = variables(&coordinator, "web", ANOTHER).await;
    let db = variables(&coordinator, "db", UUID).await;
    let keys = [web("PRIVATE"), another("PRIVATE"), db("PRIVATE"), web("OTHER")];
    let distinct: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
}

// S-21
#[tokio::test]
async fn the_form_in_which_a_uuid_is_sent_does_not_matter() {
    let (_world, coordinator) = World::with(&two_marbles()).await;
    let plain = variables(&coordinator, "web", UUID).await;
    let urn = variables(&coordinator, "web", &format!("urn:uuid:{}", UUID.to_uppercase())).await;
    assert_eq!(plain("PRIVATE"), urn("PRIVATE"));
}

// S-22
#[tokio::test]
async fn without_binding_marbles_of_different_types_with_the_same_uuid_share_keys() {
    let mut manifest = two_marbles();
    manifest["Marbles"]["web"]["DisableSecretBinding"] = json!(true);
    let (_world, one) = World::with(&manifest).await;
    let (web, db) = (variables(&one, "web", UUID).await, variables(&one, "db", UUID).await);
    assert_ne!(web("PRIVATE"), db("PRIVATE"), "binding is switched off for one only");
    manifest["Marbles"]["db"]["DisableSecretBinding"] = json!(true);
    let (_world, both) = World::with(&manifest).await;
    let (web, db) = (variables(&both, "web", UUID).await, variables(&both, "db", UUID).await);
    assert_eq!(web("PRIVATE"), db("PRIVATE"));
    assert_ne!(web("PRIVATE"), variables(&both, "web", ANOTHER).await("PRIVATE"));
}

// S-24, S-25
#[tokio::test]
async fn a_new_state_has_new_keys() {
    let (_one, first) = World::with(&two_marbles()).await;
    let (_two, second) = World::with(&two_marbles()).await;
    let (first, second) = (variables(&first, "web", UUID).await, variables(&second, "web", UUID).await);
    for name in ["PRIVATE", "SHARED", "SHARED_CERT"] {
        assert_ne!(first(name), second(name), "{name}");
    }
}

// S-15, S-17, S-25: shared ones are made once
#[tokio::test]
async fn a_shared_secret_is_the_same_for_all_marbles() {
    let (_world, coordinator) = World::with(&two_marbles()).await;
    let web = variables(&coordinator, "web", UUID).await;
    let db = variables(&coordinator, "db", ANOTHER).await;
    assert_eq!((web("SHARED"), web("SHARED").len()), (db("SHARED"), 32));
    assert_eq!(web("SHARED_CERT"), db("SHARED_CERT"));
}

// S-16: "Private certificates get a fresh key each time", current and previous ones
#[tokio::test]
async fn a_private_certificate_is_new_at_every_activation() {
    let (_world, coordinator) = World::with(&two_marbles()).await;
    let first = variables(&coordinator, "web", UUID).await;
    let second = variables(&coordinator, "web", UUID).await;
    assert_ne!(first("CERT"), second("CERT"));
    assert_ne!(first("CERT"), first("PREVIOUS_CERT"));
}

// S-40, S-15
#[tokio::test]
async fn after_the_first_set_previous_values_are_the_current_ones() {
    let (_world, coordinator) = World::with(&two_marbles()).await;
    let web = variables(&coordinator, "web", UUID).await;
    for name in ["PRIVATE", "SHARED", "SHARED_CERT"] {
        assert_eq!(web(name), web(&format!("PREVIOUS_{name}")), "{name}");
    }
}

// S-40, S-57: an upload writes the current value only
#[tokio::test]
async fn a_user_defined_secret_has_no_previous_value_after_an_upload() {
    let mut manifest = manifest();
    manifest["Secrets"] = json!({ "u": { "Type": "plain", "UserDefined": true } });
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{previous.u.whole.hex}}" });
    manifest["Marbles"]["blind"] =
        json!({ "Package": "app", "Parameters": { "Env": { "E": "{{!previous.u.whole.hex}}" } } });
    let (world, coordinator) = World::with(&manifest).await;
    world.store.upload("secret:u", b"current").await;
    for marble in ["web", "blind"] {
        let asked = ActivationRequest { marble_type: marble.to_owned(), ..request() };
        let text = common::message(&coordinator.activate(asked).await.unwrap_err());
        assert!(
            text.starts_with(r#"customizing marble parameters: parsing secrets for env variable "E": "#)
                && text.ends_with("tried to parse secret with empty value"),
            "{marble}: {text}"
        );
    }
    world.store.upload("previousSecret:u", b"old").await;
    let activation = common::activate(&coordinator).await;
    assert_eq!(env(&activation, "E"), hex::encode("old"));
}

// S-3, section 5: a bare key is its bytes; the bare certificate is accepted by pem (deviations)
#[tokio::test]
async fn every_part_of_a_secret_is_written_as_the_table_says() {
    let mut manifest = manifest();
    manifest["Secrets"] = json!({
        "k": { "Type": "symmetric-key", "Size": 64, "Shared": true },
        "c": { "Type": "cert-ecdsa", "Size": 224, "Shared": true },
    });
    manifest["Marbles"]["web"]["Parameters"] = json!({
        "Files": { "/raw": "a{{current.k.whole.raw}}b" },
        "Env": {
            "HEX": "{{current.k.private.hex}}", "PUBLIC": "{{current.k.public.base64}}",
            "C": "{{current.c.certificate.pem}}", "BARE": "{{current.c.whole.pem}}",
            "BARE_HEX": "{{current.c.whole.hex}}", "KEY": "{{current.c.public.pem}}",
        }
    });
    let (_world, coordinator) = World::with(&manifest).await;
    let activation = common::activate(&coordinator).await;
    let key = hex::decode(env(&activation, "HEX")).unwrap();
    assert_eq!(key.len(), 8);
    assert!(activation.files["/raw"].equals(&[b"a", key.as_slice(), b"b"].concat()));
    let (label, spki) = common::pem_blocks(&env(&activation, "KEY")).remove(0);
    assert_eq!(label, "PUBLIC KEY");
    assert_eq!(env(&activation, "BARE_HEX"), hex::encode(spki));
    assert_eq!(env(&activation, "BARE"), env(&activation, "C"));
}
