//! S-60..S-62, S-65, M-80: every template is rendered once before a manifest is accepted.

use serde_json::{Value, json};

use crate::common::{self, RENDER_FAULT, World, manifest, manifest_with};

const FRAME: &str = "running manifest template dry run: in Marble ";

async fn refusal(manifest: &Value) -> String {
    let world = World::new().await;
    let coordinator = world.start().await;
    let text = common::refusal(&coordinator, manifest).await;
    assert_eq!(coordinator.status().code, 2, "a refusal changes nothing");
    text
}

async fn is_accepted(manifest: &Value) {
    World::with(manifest).await;
}

// S-60: the names are bare
#[tokio::test]
async fn a_fault_in_a_file_or_variable_is_told_with_its_place() {
    let env = manifest_with(&json!({}), &json!({ "E": "{{ fail }}" }));
    assert_eq!(refusal(&env).await, format!("{FRAME}web: env variable E: {RENDER_FAULT}"));

    let mut file = manifest();
    file["Marbles"]["web"]["Parameters"]["Files"] = json!({ "/good": "plain", "/bad": "x {{ fail }}" });
    assert_eq!(refusal(&file).await, format!("{FRAME}web: file /bad: {RENDER_FAULT}"));
}

// S-60: "of every marble"
#[tokio::test]
async fn the_templates_of_all_marbles_are_run() {
    let mut manifest = manifest();
    manifest["Marbles"]["zeta"] = json!({ "Package": "app", "Parameters": { "Env": { "E": "{{ fail }}" } } });
    assert_eq!(refusal(&manifest).await, format!("{FRAME}zeta: env variable E: {RENDER_FAULT}"));
}

// S-60: without templates braces are text
#[tokio::test]
async fn what_is_marked_as_no_template_is_not_run_and_arrives_as_it_is() {
    let mut manifest = manifest();
    manifest["Marbles"]["web"]["Parameters"]["Env"] =
        json!({ "E": { "Data": "{{ fail }}", "NoTemplates": true } });
    let (_world, coordinator) = World::with(&manifest).await;
    let activation = common::activate(&coordinator).await;
    assert_eq!(common::env(&activation, "E"), "{{ fail }}");
}

// S-81: addresses are templates too
#[tokio::test]
async fn the_address_of_a_tls_tag_is_run_as_well() {
    let mut manifest = manifest();
    manifest["TLS"] = json!({ "t": { "Outgoing": [{ "Addr": "{{ fail }}", "Port": "1" }] } });
    manifest["Marbles"]["web"]["TLS"] = json!(["t"]);
    assert_eq!(
        refusal(&manifest).await,
        format!("{FRAME}web: env variable MARBLE_TTLS_CONFIG: {RENDER_FAULT}")
    );
}

// S-62, also with NoTemplates; S-63: files may hold anything
#[tokio::test]
async fn a_nul_in_the_data_of_a_variable_is_refused_and_in_a_file_it_is_not() {
    let text = format!("{FRAME}web: env variable: E: content contains null bytes");
    let nul = json!({ "Data": "QQBB", "Encoding": "base64" });
    let raw = json!({ "Data": "QQBB", "Encoding": "base64", "NoTemplates": true });
    for data in [nul.clone(), raw] {
        assert_eq!(refusal(&manifest_with(&json!({}), &json!({ "E": data }))).await, text);
    }
    let mut file = manifest();
    file["Marbles"]["web"]["Parameters"]["Files"] = json!({ "/f": nul });
    let (_world, coordinator) = World::with(&file).await;
    assert!(common::activate(&coordinator).await.files["/f"].equals(b"A\0A"));
}

fn using(secrets: &Value, template: &str) -> Value {
    manifest_with(secrets, &json!({ "E": template }))
}

// S-61: a user-defined secret has all parts in a dry run, whatever its type; so does its previous value (S-57)
#[tokio::test]
async fn a_dry_run_takes_every_part_of_a_user_defined_secret_as_set() {
    let secrets = json!({ "u": { "Type": "symmetric-key", "Size": 128, "UserDefined": true } });
    for part in ["whole", "public", "private", "certificate"] {
        is_accepted(&using(&secrets, &format!("{{{{current.u.{part}.hex}}}}"))).await;
        is_accepted(&using(&secrets, &format!("{{{{previous.u.{part}.hex}}}}"))).await;
    }
}

// S-61, section 5: reserved entries have the listed parts only
#[tokio::test]
async fn reserved_entries_have_the_listed_parts_and_no_others() {
    let none = json!({});
    for name in ["RootCA", "CoordinatorRoot", "CoordinatorIntermediate"] {
        is_accepted(&using(&none, &format!("{{{{reserved.{name}.certificate.pem}}}}"))).await;
        for part in ["private", "public"] {
            let text = refusal(&using(&none, &format!("{{{{reserved.{name}.{part}.pem}}}}"))).await;
            assert!(text.contains("tried to parse secret with empty value"), "{name} {part}: {text}");
        }
    }
    for part in ["certificate", "private", "public"] {
        is_accepted(&using(&none, &format!("{{{{reserved.MarbleCert.{part}.pem}}}}"))).await;
    }
    let text = refusal(&using(&none, "{{reserved.Nope.certificate.pem}}")).await;
    assert!(text.contains("secret does not exist"), "{text}");
}

// S-65
#[tokio::test]
async fn the_certificate_of_a_symmetric_key_is_an_empty_value() {
    let secrets = json!({ "k": { "Type": "symmetric-key", "Size": 128 } });
    let text = refusal(&using(&secrets, "{{current.k.certificate.pem}}")).await;
    assert!(text.ends_with("tried to parse secret with empty value"), "{text}");
    is_accepted(&using(&secrets, "{{current.k.whole.hex}}")).await;
}

// S-73
#[tokio::test]
async fn a_secret_that_is_not_declared_does_not_exist() {
    let text = refusal(&using(&json!({}), "{{current.missing.whole.hex}}")).await;
    assert!(text.ends_with("secret does not exist"), "{text}");
}

// policy.md, Limits and failure: the reason stays in the log
#[tokio::test]
async fn a_renderer_that_fails_refuses_the_manifest_with_its_name_alone() {
    let text = refusal(&using(&json!({}), "{{ trap }}")).await;
    assert_eq!(text, format!(r#"{FRAME}web: env variable E: policy "go-template" could not decide"#));
    let liquid = json!({ "E": { "Data": "{{ trap }}", "Renderer": "liquid" } });
    let text = refusal(&manifest_with(&json!({}), &liquid)).await;
    assert_eq!(text, format!(r#"{FRAME}web: env variable E: policy "liquid" could not decide"#));
    let manifest = common::bytes(&using(&json!({}), "{{ trap }}"));
    let error = World::new().await.start().await.set_manifest(None, &manifest, Vec::new()).await.unwrap_err();
    assert!(error.internal().unwrap().contains(common::INTERNAL), "for the log");
}

// policy.md: "the host checks that there are as many results as templates"
#[tokio::test]
async fn a_renderer_that_forgets_a_template_fails() {
    let world = World::new().await;
    world.policies.forgets_a_template.store(true, std::sync::atomic::Ordering::SeqCst);
    let coordinator = world.start().await;
    let text = common::refusal(&coordinator, &using(&json!({}), "x")).await;
    assert_eq!(text, format!(r#"{FRAME}web: env variable E: policy "go-template" could not decide"#));
}
