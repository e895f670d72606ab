//! style.md rule 6: what is printed for debugging holds no secret.

use std::fmt::Debug;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_core::outcome::TlsPort;
use carrara_core::ports::{Batch, NewState, SealMode};
use carrara_types::secret::SecretBytes;
use serde_json::json;

use crate::common::{self, World, env, manifest, user_certificate};

/// Fails if any usual form of the secret is printed.
fn hides(printed: &impl Debug, secret: &[u8]) {
    assert!(secret.len() >= 8, "too short to be looked for");
    for text in [format!("{printed:?}"), format!("{printed:#?}")] {
        let flat: String = text.split_whitespace().collect();
        let listed = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        for form in [
            hex::encode(secret),
            hex::encode_upper(secret),
            STANDARD.encode(secret),
            listed,
            String::from_utf8_lossy(secret).escape_debug().to_string(),
        ] {
            assert!(!flat.contains(&form) && !text.contains(&form), "{text}");
        }
    }
}

#[test]
#[should_panic(expected = "hunter2")]
fn the_check_itself_finds_a_secret() {
    hides(&vec!["hunter2hunter2"], b"hunter2hunter2");
}

#[tokio::test]
async fn no_outcome_prints_a_secret() {
    let (user, pem) = user_certificate();
    let mut manifest = manifest();
    manifest["Secrets"] = json!({
        "k": { "Type": "symmetric-key", "Size": 256, "Shared": true },
        "c": { "Type": "cert-ed25519", "Shared": true },
    });
    manifest["Users"] = json!({ "alice": { "Certificate": pem } });
    manifest["TLS"] = json!({ "t": { "Incoming": [{ "Port": "1" }] } });
    manifest["Marbles"]["web"]["TLS"] = json!(["t"]);
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "K": "{{current.k.whole.hex}}" });
    manifest["Marbles"]["web"]["Parameters"]["Files"] = json!({ "/k": "{{current.k.whole.raw}}" });
    let (_world, coordinator) = World::with(&manifest).await;

    let activation = common::activate(&coordinator).await;
    let secrets = coordinator.read_secrets(Some(&user), &["k".into(), "c".into()]).await.unwrap();
    let identity = coordinator.tls_identity(TlsPort::Rest);
    let key = hex::decode(env(&activation, "K")).unwrap();
    let leaf_key = env(&activation, "MARBLE_PREDEFINED_PRIVATE_KEY");
    let leaf_key = common::pem_blocks(&leaf_key).remove(0).1;

    assert!(activation.files["/k"].equals(&key));
    hides(&activation, &key);
    hides(&activation, &leaf_key);
    hides(&activation, env(&activation, "MARBLE_TTLS_CONFIG").as_bytes());
    for secret in &secrets {
        hides(&secrets, secret.private.as_ref().unwrap().expose());
    }
    hides(&identity, identity.key.expose());
}

#[test]
fn what_goes_to_the_store_prints_no_secret() {
    let secret = || SecretBytes::new("record", b"hunter2hunter2".to_vec());
    hides(
        &NewState { data_key: secret(), recovery_data: Vec::new(), seal_mode: SealMode::ProductKey },
        b"hunter2hunter2",
    );
    hides(&Batch { puts: vec![("k".to_owned(), secret())], ..Batch::default() }, b"hunter2hunter2");
}

// An error's text and its Debug go to logs
#[tokio::test]
async fn an_activation_that_fails_over_a_secret_does_not_tell_it() {
    let value = b"hunter2\0hunter2";
    let mut manifest = manifest();
    manifest["Secrets"] = json!({ "u": { "Type": "plain", "UserDefined": true } });
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{current.u.whole.text}}" });
    let (world, coordinator) = World::with(&manifest).await;
    world.store.upload("secret:u", value).await;
    let error = coordinator.activate(common::request()).await.unwrap_err();
    hides(&error, value);
    assert!(common::message(&error).contains("null bytes") && !common::message(&error).contains("hunter2"));
}
