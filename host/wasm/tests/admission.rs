//! What an admission policy sees of verified claims: a component of its own repeats it, word by word.
#![allow(clippy::unwrap_used, clippy::panic)] // also in what the tests share

mod common;

use carrara_core::evidence_facts;
use carrara_core::ports::Policies as _;
use carrara_types::claims::{Claims, Identity, Platform, SgxIdentity, SnpIdentity, SnpTcb, TdxIdentity};
use carrara_types::decision::{AdmissionRequest, Decision, Denial};
use carrara_wasm::{PolicyHost, PolicySource, World};
use common::{MISBEHAVE, component_of, context, wit};

/// Repeats the evidence in its denial; allows where there is none.
fn echo() -> Vec<u8> {
    let prelude = include_str!("../../../tests/hostile/admitter.prelude.wat");
    let asked = prelude.replace("(call $misbehave)", "(call $echo (local.get 0))");
    assert_ne!(asked, prelude);
    component_of(&wit(), "marble-admission", &format!("{asked}{}", include_str!("admission/echo.wat")))
}

fn claims(identity: Identity, debug: bool, advisories: Option<Vec<String>>) -> Claims {
    Claims {
        tee: identity.tee(),
        debug,
        tcb_status: "SWHardeningNeeded".to_owned(),
        advisories,
        report_data: vec![0x5d; 64],
        identity,
        platform: Platform::default(),
    }
}

/// What the policy is told of these claims, or of none: nothing where it allows.
async fn seen(claims: Option<&Claims>) -> Option<Denial> {
    let mut host = PolicyHost::empty().unwrap();
    host.add(PolicySource::new("echo", World::MarbleAdmission, echo())).unwrap();
    let request = AdmissionRequest {
        context: context(MISBEHAVE),
        evidence: claims.map(evidence_facts),
        ..AdmissionRequest::default()
    };
    match host.admit(request).await.unwrap().decision {
        Decision::Allow => None,
        Decision::Deny(denial) => Some(denial),
    }
}

/// `byte` as often as a measurement of `length` bytes has it.
fn hex(byte: &str, length: usize) -> String {
    byte.repeat(length)
}

fn repeated(tee: &str, message: &str, facts: Vec<String>) -> Option<Denial> {
    Some(Denial { code: tee.to_owned(), message: message.to_owned(), hint: None, resources: facts })
}

// P-2: names and kinds of facts are those of wit/marble-admitter.wit and host/docs/evidence.md
#[tokio::test]
async fn a_policy_sees_what_was_measured_of_an_enclave() {
    let identity = SgxIdentity {
        unique_id: [0xa0; 32],
        signer_id: [0xa1; 32],
        product_id: u64::MAX,
        security_version: 3,
    };
    let advisories = vec!["INTEL-SA-00334".to_owned(), "INTEL-SA-00615".to_owned()];
    let claims = claims(Identity::Sgx(identity), true, Some(advisories));
    let facts = vec![
        format!("unique-id={}", hex("a0", 32)),
        format!("signer-id={}", hex("a1", 32)),
        "product-id#18446744073709551615".to_owned(),
        "security-version#3".to_owned(),
    ];
    let expected = repeated("sgx", "SWHardeningNeeded debug#1 INTEL-SA-00334 INTEL-SA-00615", facts);
    assert_eq!(seen(Some(&claims)).await, expected);
}

// P-2
#[tokio::test]
async fn a_policy_sees_what_was_measured_of_a_trust_domain() {
    let identity = TdxIdentity {
        mr_td: [0x10; 48],
        rtmrs: [[0x20; 48], [0x21; 48], [0x22; 48], [0x23; 48]],
        mr_seam: [0x30; 48],
        mr_config_id: [0x31; 48],
        mr_owner: [0x32; 48],
        mr_owner_config: [0x33; 48],
        tee_tcb_svn: [0x40; 16],
        xfam: [0x50; 8],
        td_attributes: [0x60; 8],
    };
    let facts = vec![
        format!("mrtd={}", hex("10", 48)),
        format!("rtmr0={}", hex("20", 48)),
        format!("rtmr1={}", hex("21", 48)),
        format!("rtmr2={}", hex("22", 48)),
        format!("rtmr3={}", hex("23", 48)),
        format!("mrseam={}", hex("30", 48)),
        format!("mrconfigid={}", hex("31", 48)),
        format!("mrowner={}", hex("32", 48)),
        format!("mrownerconfig={}", hex("33", 48)),
        format!("tee-tcb-svn={}", hex("40", 16)),
        format!("xfam={}", hex("50", 8)),
        format!("td-attributes={}", hex("60", 8)),
    ];
    let claims = claims(Identity::Tdx(identity), false, Some(vec!["INTEL-SA-01".to_owned()]));
    assert_eq!(seen(Some(&claims)).await, repeated("tdx", "SWHardeningNeeded debug#0 INTEL-SA-01", facts));
}

// P-2
#[tokio::test]
async fn a_policy_sees_what_was_measured_of_a_guest_of_sev_snp() {
    let identity = SnpIdentity {
        measurement: [0x70; 48],
        host_data: [0x71; 32],
        id_key_digest: [0x72; 48],
        author_key_digest: [0x73; 48],
        family_id: [0x74; 16],
        image_id: [0x75; 16],
        guest_svn: 11,
        policy: 0x3_0000,
        vmpl: 2,
        tcb: SnpTcb { boot_loader: 21, tee: 22, snp: 23, microcode: 24, fmc: 25 },
    };
    let facts = vec![
        format!("measurement={}", hex("70", 48)),
        format!("host-data={}", hex("71", 32)),
        format!("id-key-digest={}", hex("72", 48)),
        format!("author-key-digest={}", hex("73", 48)),
        format!("family-id={}", hex("74", 16)),
        format!("image-id={}", hex("75", 16)),
        "guest-svn#11".to_owned(),
        "policy#196608".to_owned(),
        "vmpl#2".to_owned(),
        "tcb-bootloader#21".to_owned(),
        "tcb-tee#22".to_owned(),
        "tcb-snp#23".to_owned(),
        "tcb-microcode#24".to_owned(),
        "tcb-fmc#25".to_owned(),
    ];
    let claims = claims(Identity::Snp(identity), false, None);
    assert_eq!(seen(Some(&claims)).await, repeated("sev-snp", "SWHardeningNeeded debug#0", facts));
}

// wit/marble-admitter.wit: none in simulation, and only then
#[tokio::test]
async fn without_evidence_a_policy_sees_none() {
    assert_eq!(seen(None).await, None);
}
