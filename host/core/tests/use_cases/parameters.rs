//! S-64, S-80..S-84 and the host's checks while splicing: what a Marble receives.

use std::sync::atomic::Ordering;

use carrara_core::Coordinator;
use carrara_core::outcome::TlsPort;
use serde_json::{Value, json};

use crate::common::{self, World, env, manifest, manifest_with, pem_blocks};

fn certificates(text: &str) -> Vec<Vec<u8>> {
    pem_blocks(text)
        .into_iter()
        .map(|(label, der)| {
            assert_eq!(label, "CERTIFICATE");
            der
        })
        .collect()
}

async fn authority(coordinator: &Coordinator) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let answer = coordinator.quote(None).await.unwrap();
    let [intermediate, root] = certificates(&answer.certificates).try_into().unwrap();
    (root, intermediate, coordinator.tls_identity(TlsPort::Mesh).certificate.clone())
}

// S-80
#[tokio::test]
async fn every_marble_receives_its_identity_and_the_roots() {
    let (_world, coordinator) = World::with(&manifest()).await;
    let (root, intermediate, marble_root) = authority(&coordinator).await;
    let activation = common::activate(&coordinator).await;
    let names: Vec<&str> = activation.env.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "MARBLE_PREDEFINED_COORDINATOR_ROOT_CA",
            "MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN",
            "MARBLE_PREDEFINED_PRIVATE_KEY",
            "MARBLE_PREDEFINED_ROOT_CA",
        ]
    );
    let of = |name: &str| certificates(&env(&activation, name));
    assert_eq!(of("MARBLE_PREDEFINED_COORDINATOR_ROOT_CA"), [root]);
    assert_eq!(of("MARBLE_PREDEFINED_ROOT_CA"), [marble_root]);
    let chain = of("MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN");
    assert_eq!((chain.len(), &chain[1]), (2, &intermediate));
    let key = pem_blocks(&env(&activation, "MARBLE_PREDEFINED_PRIVATE_KEY"));
    assert_eq!((key.len(), key[0].0.as_str()), (1, "PRIVATE KEY"));
}

// S-80, X-67
#[tokio::test]
async fn the_predefined_variables_override_the_manifests_own() {
    let own = json!({ "MARBLE_PREDEFINED_ROOT_CA": "mine", "MARBLE_PREDEFINED_PRIVATE_KEY": "mine", "KEPT": "mine" });
    let (_world, coordinator) = World::with(&manifest_with(&json!({}), &own)).await;
    let activation = common::activate(&coordinator).await;
    assert_ne!(env(&activation, "MARBLE_PREDEFINED_ROOT_CA"), "mine");
    assert_ne!(env(&activation, "MARBLE_PREDEFINED_PRIVATE_KEY"), "mine");
    assert_eq!(env(&activation, "KEPT"), "mine");
}

// S-64, section 7 of marble-api.md
#[tokio::test]
async fn arguments_and_names_are_never_templates() {
    let mut manifest = manifest();
    manifest["Marbles"]["web"]["Parameters"] = json!({
        "Argv": ["{{ fail }}"], "Files": { "/{{ fail }}": "f" }, "Env": { "{{ fail }}": "e" }
    });
    let (_world, coordinator) = World::with(&manifest).await;
    let activation = common::activate(&coordinator).await;
    assert_eq!(activation.argv, ["{{ fail }}"]);
    assert!(activation.files["/{{ fail }}"].equals(b"f"));
    assert!(activation.env["{{ fail }}"].equals(b"e"));
}

// Section 5: the reserved entries are what S-80 gives
#[tokio::test]
async fn reserved_entries_are_the_marbles_own_identity_and_the_roots() {
    let variables = json!({
        "ROOT": "{{reserved.RootCA.certificate.pem}}",
        "TOP": "{{reserved.CoordinatorRoot.certificate.pem}}",
        "CHAIN": "{{reserved.MarbleCert.certificate.pem}}{{reserved.CoordinatorIntermediate.certificate.pem}}",
        "KEY": "{{reserved.MarbleCert.private.pem}}",
        "PUBLIC": "{{reserved.MarbleCert.public.pem}}",
    });
    let (_world, coordinator) = World::with(&manifest_with(&json!({}), &variables)).await;
    let activation = common::activate(&coordinator).await;
    for (own, predefined) in [
        ("ROOT", "MARBLE_PREDEFINED_ROOT_CA"),
        ("TOP", "MARBLE_PREDEFINED_COORDINATOR_ROOT_CA"),
        ("CHAIN", "MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN"),
        ("KEY", "MARBLE_PREDEFINED_PRIVATE_KEY"),
    ] {
        assert_eq!(env(&activation, own), env(&activation, predefined), "{own}");
    }
    assert_eq!(pem_blocks(&env(&activation, "PUBLIC"))[0].0, "PUBLIC KEY");
}

async fn ttls(manifest: &Value) -> (Value, carrara_core::outcome::Activation) {
    let (_world, coordinator) = World::with(manifest).await;
    let activation = common::activate(&coordinator).await;
    let config = serde_json::from_str(&env(&activation, "MARBLE_TTLS_CONFIG")).unwrap();
    (config, activation)
}

fn with_tls(tls: &Value) -> Value {
    let mut manifest = manifest();
    manifest["TLS"] = tls.clone();
    manifest["Marbles"]["web"]["TLS"] = tls.as_object().unwrap().keys().cloned().collect();
    manifest
}

// S-81..S-83
#[tokio::test]
async fn tls_tags_become_a_configuration_with_the_marbles_own_leaf() {
    let tls =
        json!({ "t": { "Outgoing": [{ "Addr": "db", "Port": "5432" }], "Incoming": [{ "Port": "8443" }] } });
    let (config, activation) = ttls(&with_tls(&tls)).await;
    let chain = certificates(&env(&activation, "MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN"));
    for entry in [&config["tls"]["Outgoing"]["db:5432"], &config["tls"]["Incoming"]["*:8443"]] {
        assert_eq!(entry["cacrt"], env(&activation, "MARBLE_PREDEFINED_ROOT_CA"));
        assert_eq!(certificates(entry["clicrt"].as_str().unwrap()), chain[..1], "the leaf, not the chain");
        assert_eq!(entry["clikey"], env(&activation, "MARBLE_PREDEFINED_PRIVATE_KEY"));
    }
    assert!(config["tls"]["Outgoing"]["db:5432"].get("clientAuth").is_none());
    assert_eq!(config["tls"]["Incoming"]["*:8443"]["clientAuth"], true);
}

// S-83
#[tokio::test]
async fn an_incoming_connection_may_use_a_secrets_certificate() {
    let tls = json!({ "t": { "Incoming": [{ "Port": "1", "Cert": "c", "DisableClientAuth": true }] } });
    for shared in [true, false] {
        let mut manifest = with_tls(&tls);
        manifest["Secrets"] = json!({ "c": { "Type": "cert-ed25519", "Shared": shared } });
        manifest["Marbles"]["web"]["Parameters"]["Env"] =
            json!({ "C": "{{current.c.certificate.pem}}", "K": "{{current.c.private.pem}}" });
        let (config, activation) = ttls(&manifest).await;
        let entry = &config["tls"]["Incoming"]["*:1"];
        assert_eq!(entry["clicrt"], env(&activation, "C"));
        assert_eq!(entry["clikey"], env(&activation, "K"));
        assert_eq!(entry["clientAuth"], false);
    }
}

// S-81 (deviations): addresses and ports are templates; what they yield cannot leave its place in the JSON
#[tokio::test]
async fn an_address_may_be_a_template() {
    let tls = json!({ "t": { "Outgoing": [{ "Addr": "{{current.host.whole.text}}", "Port": "{{current.host.whole.hex}}" }] } });
    let mut manifest = with_tls(&tls);
    manifest["Secrets"] = json!({ "host": { "Type": "plain", "UserDefined": true } });
    let (world, coordinator) = World::with(&manifest).await;
    world.store.upload("secret:host", br#"a":{"b"#).await;
    let activation = common::activate(&coordinator).await;
    let config: Value = serde_json::from_str(&env(&activation, "MARBLE_TTLS_CONFIG")).unwrap();
    let outgoing = config["tls"]["Outgoing"].as_object().unwrap();
    let keys: Vec<&String> = outgoing.keys().collect();
    assert_eq!(keys, [&format!(r#"a":{{"b:{}"#, hex::encode(br#"a":{"b"#))]);
}

// S-81: "overriding a user Env of that name"; "an empty tag still yields the variable"
#[tokio::test]
async fn the_configuration_overrides_a_variable_of_its_name_and_may_be_empty() {
    let mut manifest = with_tls(&json!({ "t": {} }));
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "MARBLE_TTLS_CONFIG": "mine" });
    let (config, _) = ttls(&manifest).await;
    assert_eq!(config, json!({ "tls": { "Incoming": {}, "Outgoing": {} } }));
    manifest["Marbles"]["web"]["TLS"] = json!([]);
    let (_world, coordinator) = World::with(&manifest).await;
    let activation = common::activate(&coordinator).await;
    assert_eq!(env(&activation, "MARBLE_TTLS_CONFIG"), "mine", "without tags nothing is set");
}

/// A Marble with one template over a user-defined plain secret that has the value, if any.
async fn denial_with(template: &str, value: Option<&[u8]>) -> String {
    let secrets = json!({ "u": { "Type": "plain", "UserDefined": true } });
    let (world, coordinator) = World::with(&manifest_with(&secrets, &json!({ "E": template }))).await;
    if let Some(value) = value {
        world.store.upload("secret:u", value).await;
    }
    common::denial(&coordinator).await
}

// Section 7: the frame of an activation quotes names
#[tokio::test]
async fn a_user_defined_secret_that_is_not_set_fails_with_the_place() {
    let text = denial_with("{{current.u.whole.hex}}", None).await;
    assert!(
        text.starts_with(
            r#"customizing marble parameters: parsing secrets for env variable "E": template: data"#
        ) && text.ends_with("tried to parse secret with empty value"),
        "{text}"
    );
    let mut manifest = manifest();
    manifest["Secrets"] = json!({ "u": { "Type": "plain", "UserDefined": true } });
    manifest["Marbles"]["web"]["Parameters"]["Files"] = json!({ "/f": "{{current.u.whole.raw}}" });
    let (_world, coordinator) = World::with(&manifest).await;
    let text = common::denial(&coordinator).await;
    assert!(text.starts_with(r#"customizing marble parameters: parsing secrets for file "/f": "#), "{text}");
}

// policy.md: emptiness and NUL are judged by the host, also where the renderer looked at nothing
#[tokio::test]
async fn the_host_refuses_empty_missing_and_nul_whatever_the_renderer_lets_pass() {
    let empty = "tried to parse secret with empty value";
    for (template, value, cause) in [
        ("{{!current.u.whole.text}}", None, empty),
        ("{{!current.u.whole.hex}}", Some(&b""[..]), empty),
        ("{{!current.u.certificate.pem}}", Some(b"x"), empty),
        ("{{!current.u.whole.text}}", Some(b"a\0b"), "error calling string: secret contains null bytes"),
    ] {
        let text = denial_with(template, value).await;
        assert!(
            text.contains(r#"parsing secrets for env variable "E": "#) && text.ends_with(cause),
            "{text}"
        );
    }
}

// policy.md: what a renderer makes up, or asks for without having looked it up, does not exist
#[tokio::test]
async fn a_renderer_cannot_refer_to_what_is_not_there() {
    for (template, cause) in [
        ("{{!current.missing.whole.hex}}", "secret does not exist"),
        ("{{!previous.missing.whole.hex}}", "secret does not exist"),
        ("{{!reserved.Nope.certificate.pem}}", "secret does not exist"),
        ("{{!reserved.RootCA.private.pem}}", "tried to parse secret with empty value"),
        ("{{!reserved.CoordinatorRoot.private.pem}}", "tried to parse secret with empty value"),
        ("{{!reserved.CoordinatorIntermediate.private.hex}}", "tried to parse secret with empty value"),
    ] {
        let text = denial_with(template, Some(b"v")).await;
        assert!(text.ends_with(cause), "{template}: {text}");
    }
}

// policy.md, Limits and failure: "the next call starts afresh"
#[tokio::test]
async fn a_renderer_that_fails_at_an_activation_refuses_this_one_alone() {
    let mut limited = manifest_with(&json!({}), &json!({ "E": "x" }));
    limited["Marbles"]["web"]["MaxActivations"] = json!(1);
    let (world, coordinator) = World::with(&limited).await;
    world.policies.forgets_a_template.store(true, Ordering::SeqCst);
    assert_eq!(
        common::denial(&coordinator).await,
        r#"customizing marble parameters: parsing secrets for env variable "E": policy "go-template" could not decide"#
    );
    world.policies.forgets_a_template.store(false, Ordering::SeqCst);
    common::activate(&coordinator).await;
}

// S-83, S-53: "Private may be omitted (then activation of a marble using it fails)"
#[tokio::test]
async fn a_tls_tag_whose_secret_is_not_set_fails_at_the_activation() {
    let tls = json!({ "t": { "Incoming": [{ "Port": "1", "Cert": "c", "DisableClientAuth": true }] } });
    let mut manifest = with_tls(&tls);
    manifest["Secrets"] = json!({ "c": { "Type": "cert-ecdsa", "Size": 256, "UserDefined": true } });
    let (_world, coordinator) = World::with(&manifest).await;
    let text = common::denial(&coordinator).await;
    assert!(
        text.starts_with("customizing marble parameters: TLS configuration: ")
            && text.ends_with("tried to parse secret with empty value"),
        "{text}"
    );
}

// S-16: RSA keys are made off the async workers; the result is the same in kind
#[tokio::test]
async fn private_rsa_certificates_are_made_for_templates_and_for_tls_tags() {
    let tls = json!({ "t": { "Incoming": [{ "Port": "1", "Cert": "c", "DisableClientAuth": true }] } });
    let mut manifest = with_tls(&tls);
    manifest["Secrets"] = json!({ "c": { "Type": "cert-rsa", "Size": 2048 } });
    let (config, _) = ttls(&manifest).await;
    let entry = &config["tls"]["Incoming"]["*:1"];
    assert_eq!(certificates(entry["clicrt"].as_str().unwrap()).len(), 1);
    assert_eq!(pem_blocks(entry["clikey"].as_str().unwrap())[0].0, "PRIVATE KEY");

    manifest["Marbles"]["web"]["TLS"] = json!([]);
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "C": "{{current.c.whole.pem}}" });
    let (_world, coordinator) = World::with(&manifest).await;
    let activation = common::activate(&coordinator).await;
    assert_eq!(certificates(&env(&activation, "C")).len(), 1);
}

// policy.md: a renderer per File or Env
#[tokio::test]
async fn every_parameter_goes_to_its_own_renderer() {
    let variables = json!({
        "GO": "go",
        "LIQUID": { "Data": "liquid", "Renderer": "liquid" },
        "NONE": { "Data": "none", "NoTemplates": true },
    });
    let (world, coordinator) = World::with(&manifest_with(&json!({}), &variables)).await;
    world.policies.rendered.lock().unwrap().clear();
    let activation = common::activate(&coordinator).await;
    for (name, value) in [("GO", "go"), ("LIQUID", "liquid"), ("NONE", "none")] {
        assert_eq!(env(&activation, name), value);
    }
    let rendered = world.policies.rendered.lock().unwrap().clone();
    assert_eq!(
        rendered,
        [("go-template".to_owned(), "GO".to_owned()), ("liquid".to_owned(), "LIQUID".to_owned())]
    );
    let unknown = json!({ "E": { "Data": "x", "Renderer": "handlebars" } });
    let empty = World::new().await;
    let coordinator = empty.start().await;
    let text = common::refusal(&coordinator, &manifest_with(&json!({}), &unknown)).await;
    assert!(text.contains("unknown renderer handlebars"), "{text}");
}

// S-63: the NUL rule is that of `string` alone
#[tokio::test]
async fn other_encodings_carry_a_nul() {
    let secrets = json!({ "u": { "Type": "plain", "UserDefined": true } });
    let variables = json!({ "H": "{{current.u.whole.hex}}", "B": "{{current.u.whole.base64}}" });
    let (world, coordinator) = World::with(&manifest_with(&secrets, &variables)).await;
    world.store.upload("secret:u", b"a\0b").await;
    let activation = common::activate(&coordinator).await;
    assert_eq!((env(&activation, "H"), env(&activation, "B")), ("610062".into(), "YQBi".into()));
}
