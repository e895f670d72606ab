//! G-25, G-26, G-30..G-33, M-90, M-91: what an activation makes of evidence.

use carrara_core::outcome::ActivationRequest;
use carrara_core::ports::Store as _;
use carrara_types::claims::{Claims, Identity, TcbEvaluation, TdxIdentity, Tee};
use serde_json::{Value, json};

use crate::common::{self, World, manifest, request};

/// What is different in the claims.
type Change = fn(&mut Claims);

const INVALID: &str = "marble verification failed: invalid quote: ";

// G-25
#[tokio::test]
async fn what_the_verifier_says_is_told_to_the_marble() {
    let (world, coordinator) = World::with(&manifest()).await;
    world.evidence.fail("the quote's signature is wrong");
    assert_eq!(common::denial(&coordinator).await, format!("{INVALID}the quote's signature is wrong"));
}

// G-25, G-33
#[tokio::test]
async fn an_empty_quote_is_refused_without_asking_the_verifier_unless_simulated() {
    let (world, coordinator) = World::with(&manifest()).await;
    let request = ActivationRequest { quote: Vec::new(), ..request() };
    let error = coordinator.activate(request).await.unwrap_err();
    let text = common::message(&error);
    assert!(text.starts_with(INVALID) && text.contains("does not simulate"), "{text}");
    assert!(world.evidence.verified.lock().unwrap().is_empty());
}

// G-30: the framing is the verifier's
#[tokio::test]
async fn the_verifier_sees_the_quote_as_it_was_sent() {
    let (world, coordinator) = World::with(&manifest()).await;
    common::activate(&coordinator).await;
    assert_eq!(*world.evidence.verified.lock().unwrap(), [b"quote".to_vec()]);
}

// G-25, M-81, M-84..M-87
#[tokio::test]
async fn evidence_of_another_enclave_than_the_package_is_refused() {
    let (world, coordinator) = World::with(&manifest()).await;
    let changes: [(&str, Change); 5] = [
        ("debug", |claims| claims.debug = true),
        ("TCB", |claims| claims.tcb_status = "OutOfDate".to_owned()),
        ("SignerID", |claims| {
            let Identity::Sgx(identity) = &mut claims.identity else { panic!("an enclave") };
            identity.signer_id[31] ^= 1;
        }),
        ("ProductID", |claims| {
            let Identity::Sgx(identity) = &mut claims.identity else { panic!("an enclave") };
            identity.product_id = 8;
        }),
        ("SecurityVersion", |claims| {
            let Identity::Sgx(identity) = &mut claims.identity else { panic!("an enclave") };
            identity.security_version = 2;
        }),
    ];
    for (what, change) in changes {
        world.evidence.claim(change);
        let text = common::denial(&coordinator).await;
        assert!(text.starts_with(INVALID) && text.contains(what), "{what}: {text}");
    }
    world.evidence.claim(|_| {});
    common::activate(&coordinator).await;
}

// G-32, M-83
#[tokio::test]
async fn evidence_counts_only_for_the_certificate_of_its_own_connection() {
    let (_world, coordinator) = World::with(&manifest()).await;
    let other = b"the certificate of another connection".to_vec();
    let stolen = ActivationRequest { peer_certificate: Some(other), ..request() };
    let error = coordinator.activate(stolen).await.unwrap_err();
    assert_eq!(
        common::message(&error),
        format!("{INVALID}report data does not match the certificate's hash")
    );
    common::activate(&coordinator).await;
}

// G-32, M-83: bytes 32..64 are not looked at; fewer than 32 bind nothing
#[tokio::test]
async fn only_the_first_half_of_the_report_data_binds() {
    let (world, coordinator) = World::with(&manifest()).await;
    world.evidence.claim(|claims| claims.report_data[32..].fill(9));
    common::activate(&coordinator).await;
    world.evidence.claim(|claims| claims.report_data.truncate(31));
    assert!(common::denial(&coordinator).await.starts_with(INVALID));
}

fn with_infrastructures(infrastructures: &Value) -> Value {
    let mut manifest = manifest();
    manifest["Infrastructures"] = infrastructures.clone();
    manifest
}

// G-26, M-90, X-4
#[tokio::test]
async fn one_matching_infrastructure_suffices_and_none_is_refused() {
    let entries = json!({ "old": { "QESVN": 1 }, "new": { "QESVN": 2, "PCESVN": 3 } });
    let (world, coordinator) = World::with(&with_infrastructures(&entries)).await;
    common::activate(&coordinator).await;
    world.evidence.claim(|claims| claims.platform.pce_svn = 4);
    assert_eq!(common::denial(&coordinator).await, "marble verification failed: invalid infrastructure");
    world.evidence.claim(|claims| claims.platform.qe_svn = 1);
    common::activate(&coordinator).await;
}

// M-90
#[tokio::test]
async fn without_infrastructures_any_platform_will_do() {
    let (world, coordinator) = World::with(&with_infrastructures(&json!({}))).await;
    world.evidence.claim(|claims| claims.platform.qe_svn = 99);
    common::activate(&coordinator).await;
}

// G-25 before G-26
#[tokio::test]
async fn a_wrong_enclave_on_a_wrong_platform_is_a_wrong_enclave() {
    let (world, coordinator) = World::with(&with_infrastructures(&json!({ "i": { "QESVN": 1 } }))).await;
    world.evidence.claim(|claims| claims.debug = true);
    assert!(common::denial(&coordinator).await.starts_with(INVALID));
}

async fn simulated(manifest: &Value) -> (World, carrara_core::Coordinator) {
    let world = World::simulated().await;
    let coordinator = world.start().await;
    common::set(&coordinator, manifest).await;
    (world, coordinator)
}

// M-91, G-33: the fake verifier panics if it is asked in simulation
#[tokio::test]
async fn simulation_looks_neither_at_quotes_nor_at_infrastructures() {
    let (_world, coordinator) = simulated(&with_infrastructures(&json!({ "i": { "QESVN": 1 } }))).await;
    for quote in [&b""[..], b"garbage"] {
        let request = ActivationRequest { quote: quote.to_vec(), ..request() };
        coordinator.activate(request).await.unwrap();
    }
}

// M-91, G-23, G-27; G-24 cannot happen: a manifest whose package is missing is refused (M-32)
#[tokio::test]
async fn simulation_still_checks_type_and_limit_and_the_peer_certificate() {
    let mut limited = manifest();
    limited["Marbles"]["web"]["MaxActivations"] = json!(1);
    let (_world, coordinator) = simulated(&limited).await;
    let unknown = ActivationRequest { marble_type: "nobody".to_owned(), ..request() };
    let error = coordinator.activate(unknown).await.unwrap_err();
    assert_eq!(common::message(&error), "marble verification failed: unknown marble type requested");
    let bare = ActivationRequest { peer_certificate: None, ..request() };
    let error = coordinator.activate(bare).await.unwrap_err();
    assert_eq!(common::message(&error), "couldn't get marble TLS certificate");
    common::activate(&coordinator).await;
    assert!(common::denial(&coordinator).await.contains("reached max activations count (1)"));
}

fn judged_by(number: u32) -> impl Fn(&mut Claims) {
    move |claims| claims.platform.tcb_evaluation = Some(TcbEvaluation { fmspc: [0xa1; 6], number })
}

// architecture, Trust
#[tokio::test]
async fn evidence_judged_by_older_collateral_than_was_seen_is_refused() {
    let (world, coordinator) = World::with(&manifest()).await;
    let revision = || world.store.snapshot().revision();
    world.evidence.claim(judged_by(17));
    common::activate(&coordinator).await;
    let once = revision();
    common::activate(&coordinator).await;
    assert_eq!(revision(), once, "the same number is written once");
    world.evidence.claim(judged_by(16));
    let text = common::denial(&coordinator).await;
    assert!(text.starts_with(INVALID) && text.contains("TCB evaluation 16"), "{text}");
    assert!(text.contains("has seen 17"), "{text}");
    world.evidence.claim(judged_by(18));
    common::activate(&coordinator).await;
    world.evidence.claim(judged_by(17));
    assert!(common::denial(&coordinator).await.contains("has seen 18"));
}

// architecture, Trust: each kind of platform and of TEE has its own number
#[tokio::test]
async fn the_age_of_collateral_is_compared_for_the_same_kind_of_platform() {
    let (world, coordinator) = World::with(&manifest()).await;
    world.evidence.claim(judged_by(18));
    common::activate(&coordinator).await;
    world.evidence.claim(|claims| {
        claims.platform.tcb_evaluation = Some(TcbEvaluation { fmspc: [0xa2; 6], number: 3 });
    });
    common::activate(&coordinator).await;
    world.evidence.claim(|claims| claims.platform.tcb_evaluation = None);
    common::activate(&coordinator).await;
}

// A refused Marble's collateral counts for nobody.
#[tokio::test]
async fn the_number_of_evidence_that_is_refused_is_not_kept() {
    let (world, coordinator) = World::with(&manifest()).await;
    world.evidence.claim(|claims| {
        judged_by(18)(claims);
        claims.debug = true;
    });
    common::denial(&coordinator).await;
    world.evidence.claim(judged_by(17));
    common::activate(&coordinator).await;
}

fn with_package(package: &Value) -> Value {
    let mut manifest = manifest();
    let name = manifest["Packages"].as_object().unwrap().keys().next().unwrap().clone();
    manifest["Packages"][name] = package.clone();
    manifest
}

// deviations, M-33: of a package for another TEE
#[tokio::test]
async fn a_virtual_machine_is_activated_by_its_own_measurements_and_an_enclave_is_not() {
    let package = json!({ "TDX": { "MRTD": "ab".repeat(48) } });
    let (world, coordinator) = World::with(&with_package(&package)).await;
    let text = common::denial(&coordinator).await;
    assert_eq!(text, format!("{INVALID}the package has no identity for sgx"));
    let machine = |byte: u8| {
        move |claims: &mut Claims| {
            claims.tee = Tee::Tdx;
            claims.identity = Identity::Tdx(TdxIdentity {
                mr_td: [byte; 48],
                rtmrs: [[0; 48]; 4],
                mr_seam: [0; 48],
                mr_config_id: [0; 48],
                mr_owner: [0; 48],
                mr_owner_config: [0; 48],
                tee_tcb_svn: [0; 16],
                xfam: [0; 8],
                td_attributes: [0; 8],
            });
        }
    };
    world.evidence.claim(machine(0xac));
    assert!(common::denial(&coordinator).await.contains("TDX.MRTD is acac"));
    world.evidence.claim(machine(0xab));
    common::activate(&coordinator).await;
}
