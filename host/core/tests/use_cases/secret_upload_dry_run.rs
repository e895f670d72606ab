//! S-55, S-61: an upload runs the templates that use its secrets, those alone, and judges the values as an activation
//! does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use carrara_core::Coordinator;
use carrara_core::outcome::{SecretUpload, UploadedCertificate};
use carrara_types::secret::SecretBytes;
use serde_json::{Value, json};

use crate::common::{self, World, manifest, user_certificate};

const FRAME: &str = "updating secrets: running manifest template dry run: in Marble ";

/// The Marbles `web` and `db` use user-defined secrets in some of their parameters.
fn manifest_of(pem: &str) -> Value {
    let mut manifest = manifest();
    manifest["Users"] = json!({ "alice": { "Certificate": pem } });
    manifest["Secrets"] = json!({
        "a": { "Type": "plain", "UserDefined": true },
        "b": { "Type": "plain", "UserDefined": true },
        "c": { "Type": "cert-ecdsa", "Size": 256, "UserDefined": true },
        "unused": { "Type": "plain", "UserDefined": true },
        "made": { "Type": "symmetric-key", "Size": 128, "Shared": true },
    });
    manifest["Marbles"]["web"]["Parameters"] = json!({
        "Env": {
            "A": "{{current.a.whole.text}}",
            "AB": "{{current.a.whole.hex}}{{current.b.whole.hex}}",
            "MADE": "{{current.made.whole.hex}}",
            "NONE": "text",
        },
        "Files": {
            "/b": { "Data": "{{current.b.whole.raw}}", "Renderer": "liquid" },
            "/verbatim": { "Data": "{{current.a.whole.raw}}", "NoTemplates": true },
            "/c": "{{current.c.certificate.pem}}",
        },
    });
    manifest["Marbles"]["db"] = json!({
        "Package": "app",
        "Parameters": { "Env": { "A": "{{current.a.whole.hex}}", "RESERVED": "{{reserved.RootCA.certificate.pem}}" } }
    });
    manifest
}

async fn world_of(change: impl FnOnce(&mut Value)) -> (World, Coordinator, Vec<u8>) {
    let (alice, pem) = user_certificate();
    let mut manifest = manifest_of(&pem);
    change(&mut manifest);
    let (world, coordinator) = World::with(&manifest).await;
    (world, coordinator, alice)
}

async fn world() -> (World, Coordinator, Vec<u8>) {
    world_of(|_| {}).await
}

fn plain(name: &str, value: &[u8]) -> SecretUpload {
    let key = Some(SecretBytes::new("upload", value.to_vec()));
    SecretUpload { name: name.to_owned(), cert: None, private: None, key }
}

async fn accepted(coordinator: &Coordinator, alice: &[u8], uploads: Vec<SecretUpload>) {
    coordinator.write_secrets(Some(alice), uploads).await.unwrap();
}

async fn refused(coordinator: &Coordinator, alice: &[u8], upload: SecretUpload) -> String {
    common::message(&coordinator.write_secrets(Some(alice), vec![upload]).await.unwrap_err())
}

/// The templates that were rendered since the last call, sorted.
fn rendered(world: &World) -> Vec<String> {
    let mut names: Vec<String> =
        world.policies.rendered.lock().unwrap().drain(..).map(|(_, name)| name).collect();
    names.sort();
    names
}

// S-55 (deviations): the rows of the table
#[tokio::test]
async fn an_upload_renders_the_templates_that_use_its_secrets_and_no_others() {
    let (world, coordinator, alice) = world().await;
    accepted(&coordinator, &alice, vec![plain("unused", b"x")]).await;
    rendered(&world);
    for (names, expected) in [
        (vec!["unused"], vec![]),
        (vec!["a"], vec!["A", "A", "AB"]),
        (vec!["b"], vec!["/b", "AB"]),
        (vec!["a", "b"], vec!["/b", "A", "A", "AB"]),
    ] {
        let uploads = names.iter().map(|name| plain(name, b"x")).collect();
        accepted(&coordinator, &alice, uploads).await;
        assert_eq!(rendered(&world), expected, "{names:?}");
    }
}

// S-55: also what a template only looks at, and whoever lists the secrets
#[tokio::test]
async fn a_template_that_looks_a_secret_up_or_lists_them_uses_it() {
    let (world, coordinator, alice) = world_of(|manifest| {
        manifest["Marbles"]["web"]["Parameters"] = json!({
            "Env": { "LOOKS": "{{ look a }}", "LISTS": "{{ list }}", "MADE": "{{ look made }}", "BLIND": "{{!current.a.whole.hex}}" }
        });
        manifest["Marbles"]["db"]["Parameters"] = json!({});
    })
    .await;
    accepted(&coordinator, &alice, vec![plain("unused", b"x")]).await;
    rendered(&world);
    accepted(&coordinator, &alice, vec![plain("a", b"x")]).await;
    assert_eq!(rendered(&world), ["BLIND", "LISTS", "LOOKS"]);
    accepted(&coordinator, &alice, vec![plain("b", b"x")]).await;
    assert_eq!(rendered(&world), ["LISTS"]);
}

// S-55: after a start everything is run once, and that is kept
#[tokio::test]
async fn the_first_upload_after_a_start_learns_what_uses_what() {
    let (world, coordinator, alice) = world().await;
    accepted(&coordinator, &alice, vec![plain("unused", b"x")]).await;
    drop(coordinator);
    let coordinator = world.start().await;
    rendered(&world);
    accepted(&coordinator, &alice, vec![plain("unused", b"x")]).await;
    let first = rendered(&world);
    for name in ["A", "AB", "MADE", "NONE", "RESERVED", "/b", "/c"] {
        assert!(first.contains(&name.to_owned()), "{name} was rendered: {first:?}");
    }
    accepted(&coordinator, &alice, vec![plain("unused", b"x")]).await;
    assert!(rendered(&world).is_empty());
}

// Many first uploads at once do the work once
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_first_uploads_learn_once() {
    let (world, coordinator, alice) = world().await;
    let coordinator = Arc::new(coordinator);
    rendered(&world);
    accepted(&coordinator, &alice, vec![plain("unused", b"x")]).await;
    let alone = rendered(&world);
    drop(coordinator);

    let coordinator = Arc::new(world.start().await);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (coordinator, alice) = (Arc::clone(&coordinator), alice.clone());
            tokio::spawn(async move { accepted(&coordinator, &alice, vec![plain("unused", b"x")]).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(rendered(&world), alone);
}

// A caller who goes away leaves what was learnt, and nobody waiting
#[tokio::test]
async fn an_abandoned_first_upload_leaves_its_work_to_the_next() {
    let (world, coordinator, alice) = world().await;
    world.policies.slow_renderer.store(true, Ordering::SeqCst);
    rendered(&world);
    let mut first = Box::pin(coordinator.write_secrets(Some(&alice), vec![plain("unused", b"x")]));
    while !world.policies.rendered.lock().unwrap().iter().any(|(_, name)| name == "NONE") {
        let poll = std::future::poll_fn(|context| std::task::Poll::Ready(first.as_mut().poll(context)));
        assert!(poll.await.is_pending());
    }
    drop(first);
    let of_db = |names: &[String]| names.iter().filter(|name| *name == "RESERVED").count();
    assert_eq!(of_db(&rendered(&world)), 2, "`db` comes first: once with its other variable, once alone");
    accepted(&coordinator, &alice, vec![plain("unused", b"x")]).await;
    assert_eq!(of_db(&rendered(&world)), 0, "`db` was known");
    accepted(&coordinator, &alice, vec![plain("b", b"x")]).await;
    assert_eq!(rendered(&world), ["/b", "AB"]);
}

// S-55, S-63: "a plain secret with a NUL byte used via `string`"
#[tokio::test]
async fn a_nul_is_refused_where_a_template_writes_the_secret_as_text() {
    let (_world, coordinator, alice) = world().await;
    assert_eq!(
        refused(&coordinator, &alice, plain("a", b"x\0y")).await,
        format!(
            "{FRAME}web: env variable A: template: data: error calling string: secret contains null bytes"
        )
    );
    accepted(&coordinator, &alice, vec![plain("b", b"x\0y")]).await;
}

// S-55: "or an empty one used anywhere", also one without a value (S-54a)
#[tokio::test]
async fn an_empty_value_is_refused_where_a_template_uses_it_and_accepted_elsewhere() {
    let (_world, coordinator, alice) = world().await;
    let missing = |name: &str| SecretUpload { key: None, ..plain(name, b"") };
    for upload in [plain("b", b""), missing("b")] {
        let text = refused(&coordinator, &alice, upload).await;
        assert!(text.starts_with(&format!("{FRAME}web: ")), "{text}");
        assert!(text.ends_with("tried to parse secret with empty value"), "{text}");
    }
    accepted(&coordinator, &alice, vec![plain("unused", b""), missing("unused")]).await;
    assert!(common::denial(&coordinator).await.contains("empty value"), "nothing was stored of what is used");
}

// S-55: the parts are those of the upload; S-53: without a private key a certificate alone is enough for who uses only it
#[tokio::test]
async fn a_certificate_without_key_is_refused_where_a_template_uses_the_key() {
    let der = user_certificate().0;
    let upload = || SecretUpload {
        name: "c".to_owned(),
        cert: Some(UploadedCertificate::Der(der.clone())),
        private: None,
        key: None,
    };
    let (_world, coordinator, alice) = world().await;
    accepted(&coordinator, &alice, vec![upload()]).await;

    let (_world, coordinator, alice) = world_of(|manifest| {
        manifest["Marbles"]["web"]["Parameters"]["Files"]["/key"] = json!("{{current.c.private.pem}}");
    })
    .await;
    let text = refused(&coordinator, &alice, upload()).await;
    assert!(text.starts_with(&format!("{FRAME}web: file /key: ")), "{text}");
    assert!(text.ends_with("tried to parse secret with empty value"), "{text}");
    let whole = SecretUpload { private: Some(SecretBytes::new("upload", b"k".to_vec())), ..upload() };
    accepted(&coordinator, &alice, vec![whole]).await;
}

// S-61: `.Previous.Secrets` is the same map in a dry run
#[tokio::test]
async fn the_previous_value_in_a_dry_run_is_the_uploaded_one() {
    let (_world, coordinator, alice) = world_of(|manifest| {
        manifest["Marbles"]["db"]["Parameters"]["Env"] = json!({ "OLD": "{{previous.unused.whole.text}}" });
    })
    .await;
    accepted(&coordinator, &alice, vec![plain("unused", b"x")]).await;
    let text = refused(&coordinator, &alice, plain("unused", b"\0")).await;
    assert!(
        text.ends_with("env variable OLD: template: data: error calling string: secret contains null bytes"),
        "{text}"
    );
}

// S-55, S-81: addresses are templates too
#[tokio::test]
async fn the_address_of_a_tls_tag_is_judged_as_well() {
    let (world, coordinator, alice) = world_of(|manifest| {
        manifest["TLS"] =
            json!({ "t": { "Outgoing": [{ "Addr": "{{current.unused.whole.text}}", "Port": "1" }] } });
        manifest["Marbles"]["db"]["TLS"] = json!(["t"]);
    })
    .await;
    let text = refused(&coordinator, &alice, plain("unused", b"a\0")).await;
    assert_eq!(
        text,
        format!(
            "{FRAME}db: env variable MARBLE_TTLS_CONFIG: template: data: error calling string: secret contains null bytes"
        )
    );
    rendered(&world);
    accepted(&coordinator, &alice, vec![plain("unused", b"host")]).await;
    assert_eq!(rendered(&world), ["MARBLE_TTLS_CONFIG"]);
}

// policy.md, Limits and failure: what fails once is learnt at the next upload
#[tokio::test]
async fn a_renderer_that_fails_refuses_the_upload_and_the_next_one_is_judged_anew() {
    let (world, coordinator, alice) = world().await;
    world.policies.forgets_a_template.store(true, Ordering::SeqCst);
    let error = coordinator.write_secrets(Some(&alice), vec![plain("a", b"x")]).await.unwrap_err();
    let text = common::message(&error);
    assert!(text.starts_with(FRAME) && text.ends_with(r#"policy "go-template" could not decide"#), "{text}");
    assert!(error.internal().unwrap().contains("wrong number of results"));
    world.policies.forgets_a_template.store(false, Ordering::SeqCst);
    accepted(&coordinator, &alice, vec![plain("a", b"x")]).await;
}
