//! Admission policies: asked after the host's own checks with what was verified; X-5 whatever they say.

use carrara_core::error::ActivateError;
use carrara_core::outcome::ActivationRequest;
use carrara_types::decision::{Fact, Value};
use serde_json::json;

use crate::common::{self, INTERNAL, NOW, UUID, Verdict, World, csr, manifest, request};

// policy.md, Texts
#[tokio::test]
async fn a_denial_names_the_policy_its_message_and_its_hint() {
    let (world, coordinator) = World::with(&manifest()).await;
    world.policies.admitter(Verdict::Deny("doorman", "not tonight", Some("come tomorrow")));
    let error = coordinator.activate(request()).await.unwrap_err();
    assert!(matches!(error, ActivateError::Verification(_)));
    assert_eq!(
        common::message(&error),
        r#"marble verification failed: policy "doorman": not tonight (come tomorrow)"#
    );
    world.policies.admitter(Verdict::Allow);
    common::activate(&coordinator).await;
}

// policy.md, Limits and failure: the reason is for the log
#[tokio::test]
async fn a_policy_that_fails_denies_and_only_its_name_is_told() {
    let (world, coordinator) = World::with(&manifest()).await;
    world.policies.admitter(Verdict::Fail("doorman"));
    let error = coordinator.activate(request()).await.unwrap_err();
    assert!(matches!(error, ActivateError::Admission(_)));
    assert_eq!(common::message(&error), r#"marble verification failed: policy "doorman" could not decide"#);
    assert!(error.internal().unwrap().contains(INTERNAL));
    world.policies.admitter(Verdict::Allow);
    common::activate(&coordinator).await;
}

// policy.md: a policy sees verified claims, names of the request, the count before this one
#[tokio::test]
async fn the_question_holds_what_was_verified_and_asked_for() {
    let mut limited = manifest();
    limited["Marbles"]["web"]["MaxActivations"] = json!(2);
    let (world, coordinator) = World::with(&limited).await;
    common::activate(&coordinator).await;
    let asked = ActivationRequest {
        uuid: UUID.to_uppercase(),
        csr: csr(&["localhost", "web.example", "10.9.8.7"]),
        ..request()
    };
    coordinator.activate(asked).await.unwrap();

    let questions = world.policies.admissions.lock().unwrap();
    let question = questions.last().unwrap();
    assert_eq!((question.marble_type.as_str(), question.package_name.as_str()), ("web", "app"));
    assert_eq!(question.uuid, UUID, "canonical");
    assert_eq!(question.dns_names, ["localhost", "web.example"]);
    assert_eq!(question.ip_addresses, ["10.9.8.7"]);
    assert_eq!((question.activations, question.max_activations), (Some(1), Some(2)));
    assert_eq!(question.context.now, u64::try_from(NOW.unix_timestamp()).unwrap());
    let evidence = question.evidence.as_ref().unwrap();
    assert_eq!((evidence.tee.as_str(), evidence.debug), ("sgx", false));
    let product = Fact { name: "product-id".to_owned(), value: Value::Number(7) };
    assert!(evidence.identity.contains(&product));
}

#[tokio::test]
async fn where_nothing_is_counted_or_verified_the_question_says_so() {
    let world = World::simulated().await;
    let coordinator = world.start().await;
    common::set(&coordinator, &manifest()).await;
    common::activate(&coordinator).await;
    let questions = world.policies.admissions.lock().unwrap();
    let question = questions.last().unwrap();
    assert_eq!((question.activations, question.max_activations), (None, None));
    assert!(question.evidence.is_none(), "none in simulation, and only then");
}

// G-23..G-28 come first: nobody is asked about a Marble that the host refuses anyway
#[tokio::test]
async fn a_policy_is_not_asked_about_what_the_host_refuses() {
    let (world, coordinator) = World::with(&manifest()).await;
    world.evidence.fail("bad");
    common::denial(&coordinator).await;
    assert!(world.policies.admissions.lock().unwrap().is_empty());
}

// X-5
#[tokio::test]
async fn the_coordinators_own_names_are_refused_whatever_the_policy_allows() {
    let (_world, coordinator) = World::with(&manifest()).await;
    for name in ["coordinator.example", "Coordinator.Example", "*.example"] {
        let error =
            coordinator.activate(ActivationRequest { csr: csr(&[name]), ..request() }).await.unwrap_err();
        assert!(matches!(error, ActivateError::Failed { .. }), "as G-29");
        let text = common::message(&error);
        assert!(text.contains("belongs to the coordinator"), "{text}");
    }
}

// X-5: "localhost, 127.0.0.1 and ::1 stay allowed"; G-43
#[tokio::test]
async fn everybodys_and_other_names_are_allowed() {
    let (_world, coordinator) = World::with(&manifest()).await;
    let names = ["localhost", "127.0.0.1", "::1", "other.example", "10.0.0.1"];
    coordinator.activate(ActivationRequest { csr: csr(&names), ..request() }).await.unwrap();
}
