//! G-20..G-29: each refusal of an activation with its text, and their order.

use carrara_core::error::ActivateError;
use carrara_core::outcome::ActivationRequest;
use serde_json::{Value, json};

use crate::common::{self, RENDER_FAULT, Verdict, World, manifest, request};

/// What can be wrong, in the order in which it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    State,
    NoCertificate,
    Type,
    Quote,
    Infrastructure,
    Limit,
    Uuid,
    Request,
    Admission,
    Template,
}

use Wrong::{Admission, Infrastructure, Limit, NoCertificate, Quote, Request, State, Template, Type, Uuid};

const ORDER: [Wrong; 10] =
    [State, NoCertificate, Type, Quote, Infrastructure, Limit, Uuid, Request, Admission, Template];

/// The text of the refusal, and whether the error is of the variant that the server maps to the rule's code.
fn expected(wrong: Wrong, error: &ActivateError) -> (&'static str, bool) {
    let verification = matches!(error, ActivateError::Verification(_));
    let failed = matches!(error, ActivateError::Failed { .. });
    match wrong {
        State => ("cannot accept marbles in current state", matches!(error, ActivateError::WrongState)),
        NoCertificate => {
            ("couldn't get marble TLS certificate", matches!(error, ActivateError::NoCertificate))
        }
        Type => ("marble verification failed: unknown marble type requested", verification),
        Quote => ("marble verification failed: invalid quote: not signed by Intel", verification),
        Infrastructure => ("marble verification failed: invalid infrastructure", verification),
        Limit => (
            r#"marble verification failed: reached max activations count (1) for marble type "web""#,
            verification,
        ),
        Uuid => ("invalid UUID: invalid UUID length: 3", matches!(error, ActivateError::InvalidUuid(_))),
        Request => ("issuing the marble certificate: malformed certificate request", failed),
        Admission => (r#"marble verification failed: policy "doorman": not tonight"#, verification),
        Template => (
            r#"customizing marble parameters: parsing secrets for env variable "E": template: data:1:3: tried to parse secret with empty value"#,
            failed,
        ),
    }
}

/// A Marble with a limit of one, an infrastructure, and a template that fails until its secret is uploaded.
fn base() -> Value {
    let mut manifest = manifest();
    manifest["Infrastructures"] = json!({ "i": { "QESVN": 2 } });
    manifest["Secrets"] = json!({ "u": { "Type": "plain", "UserDefined": true } });
    manifest["Marbles"]["web"]["MaxActivations"] = json!(1);
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{current.u.whole.hex}}" });
    manifest
}

async fn refused_with(wrongs: &[Wrong]) -> ActivateError {
    let world = World::new().await;
    let coordinator = world.start().await;
    if !wrongs.contains(&State) {
        common::set(&coordinator, &base()).await;
        if !wrongs.contains(&Template) {
            world.store.upload("secret:u", b"value").await;
        }
        if wrongs.contains(&Limit) {
            world.store.write("activations:web", &1_u64.to_le_bytes()).await;
        }
    }
    let mut request = request();
    for wrong in wrongs {
        spoil(*wrong, &world, &mut request);
    }
    coordinator.activate(request).await.unwrap_err()
}

fn spoil(wrong: Wrong, world: &World, request: &mut ActivationRequest) {
    match wrong {
        State | Limit | Template => {}
        NoCertificate => request.peer_certificate = None,
        Type => request.marble_type = "nobody".to_owned(),
        Quote => world.evidence.fail("not signed by Intel"),
        Infrastructure => {
            if world.evidence.verdict.lock().unwrap().is_ok() {
                world.evidence.claim(|claims| claims.platform.qe_svn = 3);
            }
        }
        Uuid => request.uuid = "abc".to_owned(),
        Request => request.csr = b"no request".to_vec(),
        Admission => world.policies.admitter(Verdict::Deny("doorman", "not tonight", None)),
    }
}

// G-20, G-21, G-23, G-25..G-29
#[tokio::test]
async fn each_fault_alone_is_refused_with_its_text() {
    for wrong in ORDER {
        let error = refused_with(&[wrong]).await;
        let (text, variant) = expected(wrong, &error);
        assert_eq!(common::message(&error), text, "{wrong:?}");
        assert!(variant, "{wrong:?}: {error:?}");
    }
}

// G-20..G-29: "checks in order"
#[tokio::test]
async fn of_two_faults_the_earlier_one_is_reported() {
    for (index, earlier) in ORDER.iter().enumerate() {
        for later in &ORDER[index + 1..] {
            let error = refused_with(&[*earlier, *later]).await;
            assert_eq!(common::message(&error), expected(*earlier, &error).0, "{earlier:?} and {later:?}");
        }
    }
}

#[tokio::test]
async fn a_marble_without_fault_is_activated() {
    let (world, coordinator) = World::with(&base()).await;
    world.store.upload("secret:u", b"value").await;
    let activation = common::activate(&coordinator).await;
    assert_eq!(common::env(&activation, "E"), hex::encode("value"));
    assert_eq!(activation.argv, ["./web", "-v"]);
}

// G-20
#[tokio::test]
async fn marbles_are_refused_while_the_state_waits_for_recovery() {
    let (world, coordinator) = World::with(&base()).await;
    world.store.locked.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(common::denial(&coordinator).await, "cannot accept marbles in current state");
}

// G-29: a request whose signature is wrong proves nothing
#[tokio::test]
async fn a_request_with_a_broken_signature_is_refused() {
    let (_world, coordinator) = World::with(&manifest()).await;
    let mut request = request();
    *request.csr.last_mut().unwrap() ^= 1;
    let error = coordinator.activate(request).await.unwrap_err();
    assert!(common::message(&error).starts_with("issuing the marble certificate: "), "{error:?}");
}

// G-28, X-21
#[tokio::test]
async fn the_nil_uuid_is_an_invalid_argument_and_any_other_form_is_made_canonical() {
    let (_world, coordinator) = World::with(&manifest()).await;
    let nil = ActivationRequest { uuid: uuid::Uuid::nil().to_string(), ..request() };
    let error = coordinator.activate(nil).await.unwrap_err();
    assert!(matches!(error, ActivateError::InvalidUuid(_)));
    let text = common::message(&error);
    assert!(text.starts_with("invalid UUID: the nil UUID"), "{text}");

    let braces = ActivationRequest { uuid: format!("{{{}}}", common::UUID.to_uppercase()), ..request() };
    coordinator.activate(braces).await.unwrap();
}

// RENDER_FAULT is what the fake renderer says; here so that the constant and the frame are seen together
#[tokio::test]
async fn a_fault_of_a_template_is_refused_when_the_manifest_is_set_and_never_reaches_an_activation() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let mut manifest = manifest();
    manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "E": "{{ fail }}" });
    assert_eq!(
        common::refusal(&coordinator, &manifest).await,
        format!("running manifest template dry run: in Marble web: env variable E: {RENDER_FAULT}")
    );
    assert_eq!(common::denial(&coordinator).await, "cannot accept marbles in current state");
}
