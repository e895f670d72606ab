//! What validators say of a manifest: findings merged with the host's own, warnings, failures.

use std::sync::atomic::Ordering;

use carrara_types::decision::{Change, Severity};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::common::{self, INTERNAL, NOW, World, bytes, finding, manifest};

fn error(code: &str, path: &str, message: &str) -> carrara_types::decision::Finding {
    finding(Severity::Error, code, path, message)
}

// policy.md, Texts
#[tokio::test]
async fn an_error_of_a_validator_refuses_and_changes_nothing() {
    let world = World::new().await;
    let coordinator = world.start().await;
    *world.policies.findings.lock().unwrap() = vec![error("corp-1", "/Marbles/web", "not on a Friday")];
    assert_eq!(common::refusal(&coordinator, &manifest()).await, "checking manifest: not on a Friday");
    assert_eq!((coordinator.status().code, world.revision()), (2, 0));
    world.policies.findings.lock().unwrap().clear();
    common::set(&coordinator, &manifest()).await;
}

// X-71
// policy.md, Texts: merged, each once, in the order of manifest.md section 3, whoever found them
#[tokio::test]
async fn findings_of_host_and_validators_are_one_list_in_the_order_of_the_specification() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let mut wrong = manifest();
    wrong["Marbles"]["web"]["Package"] = json!("nowhere");
    wrong["Config"] = json!({ "SealMode": "Sometimes" });
    let unknown_package = "manifest does not contain marble package nowhere";
    *world.policies.findings.lock().unwrap() = vec![
        error("corp-1", "/Marbles", "the company's rule"),
        error("M-32", "/Marbles/web/Package", unknown_package),
    ];
    // The host finds M-32, too, and M-73.
    assert_eq!(
        common::refusal(&coordinator, &wrong).await,
        format!("checking manifest: {unknown_package} (and 2 more)")
    );
    let first = error("M-30", "/Packages", "no allowed packages defined");
    world.policies.findings.lock().unwrap().push(first);
    assert_eq!(
        common::refusal(&coordinator, &wrong).await,
        "checking manifest: no allowed packages defined (and 3 more)"
    );
}

// policy.md, Texts: one error has no suffix, warnings are not counted
#[tokio::test]
async fn warnings_do_not_count_among_the_errors() {
    let world = World::new().await;
    let coordinator = world.start().await;
    *world.policies.findings.lock().unwrap() = vec![
        finding(Severity::Warning, "M-30", "/Packages", "a warning that comes first"),
        error("corp-1", "/Marbles", "the company's rule"),
    ];
    assert_eq!(common::refusal(&coordinator, &manifest()).await, "checking manifest: the company's rule");
}

// policy.md, Texts; X-9
#[tokio::test]
async fn warnings_of_reader_host_and_validators_are_returned() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let mut odd = manifest();
    odd["Markles"] = json!({});
    odd["Packages"]["unused"] = json!({});
    *world.policies.findings.lock().unwrap() =
        vec![finding(Severity::Warning, "corp-2", "/Marbles/web", "consider a limit")];
    let warnings = common::set(&coordinator, &odd).await.warnings;
    assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning));
    let said = |text: &str| warnings.iter().any(|warning| warning.message.contains(text));
    assert!(said("Markles") && said("package unused") && said("consider a limit"), "{warnings:?}");
}

// policy.md, Limits and failure
#[tokio::test]
async fn a_validator_that_fails_refuses_the_manifest_and_only_its_name_is_told() {
    let world = World::new().await;
    let coordinator = world.start().await;
    world.policies.validator_traps.store(true, Ordering::SeqCst);
    let text = common::refusal(&coordinator, &manifest()).await;
    assert_eq!(text, r#"checking manifest: policy "no-debug" could not decide"#);
    assert!(!text.contains(INTERNAL));
    assert_eq!((coordinator.status().code, world.revision()), (2, 0));
    world.policies.validator_traps.store(false, Ordering::SeqCst);
    common::set(&coordinator, &manifest()).await;
}

// policy.md: validators read normalised JSON, with the hash of the uploaded bytes
#[tokio::test]
async fn validators_see_the_normalised_manifest() {
    let world = World::new().await;
    let coordinator = world.start().await;
    let text = String::from_utf8(bytes(&manifest())).unwrap().replace("\"Packages\"", "\"packages\"");
    coordinator.set_manifest(None, text.as_bytes(), Vec::new()).await.unwrap();
    let proposals = world.policies.proposals.lock().unwrap();
    let [proposal] = proposals.as_slice() else { panic!("asked once") };
    let seen: serde_json::Value = serde_json::from_str(&proposal.manifest).unwrap();
    assert_eq!(seen["Packages"]["app"]["ProductID"], 7);
    assert!(seen.get("packages").is_none());
    assert_eq!(proposal.manifest_sha256[..], Sha256::digest(&text)[..]);
    assert_eq!(proposal.change, Change::Initial);
    assert_eq!(proposal.context.now, u64::try_from(NOW.unix_timestamp()).unwrap());
    assert!(proposal.current.is_none() && proposal.proposer.is_none());
}

// M-1..M-21 first: nobody judges what is no manifest
#[tokio::test]
async fn validators_are_not_asked_about_what_is_no_manifest_or_comes_too_late() {
    let world = World::new().await;
    let coordinator = world.start().await;
    coordinator.set_manifest(None, b"{", Vec::new()).await.unwrap_err();
    assert!(world.policies.proposals.lock().unwrap().is_empty());
    common::set(&coordinator, &manifest()).await;
    common::refusal(&coordinator, &manifest()).await;
    assert_eq!(world.policies.proposals.lock().unwrap().len(), 1);
}
