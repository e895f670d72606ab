//! C-3 and C-4 by claims alone, and how policy files are read.

use carrara_types::claims::{Platform, SnpIdentity, SnpTcb, Tee};
use carrara_types::manifest::SnpTcbMinimum;

use super::*;

fn claims() -> Claims {
    let identity =
        SgxIdentity { unique_id: [0xab; 32], signer_id: [0xcd; 32], product_id: 7, security_version: 3 };
    Claims {
        tee: Tee::Sgx,
        debug: false,
        tcb_status: "UpToDate".to_owned(),
        advisories: Some(Vec::new()),
        report_data: Vec::new(),
        identity: Identity::Sgx(identity),
        platform: Platform::default(),
    }
}

/// Of the enclave and platform of most tests.
pub(in crate::attest) fn policy() -> AttestationPolicy {
    AttestationPolicy {
        security_version: 3,
        product_id: 7,
        signer_id: "CD".repeat(32),
        accepted_tcb_statuses: vec!["UpToDate".to_owned(), "SWHardeningNeeded".to_owned()],
        ..AttestationPolicy::default()
    }
}

fn snp_claims() -> Claims {
    let identity = SnpIdentity {
        measurement: [0xab; 48],
        host_data: [1; 32],
        id_key_digest: [2; 48],
        author_key_digest: [3; 48],
        family_id: [0; 16],
        image_id: [0; 16],
        guest_svn: 3,
        policy: 0,
        vmpl: 0,
        tcb: SnpTcb { boot_loader: 4, snp: 22, microcode: 211, ..SnpTcb::default() },
    };
    Claims { tee: Tee::SevSnp, identity: Identity::Snp(identity), ..claims() }
}

fn snp_policy(change: impl FnOnce(&mut SnpPackage)) -> AttestationPolicy {
    let mut snp = SnpPackage { measurement: Some([0xab; 48]), ..SnpPackage::default() };
    change(&mut snp);
    AttestationPolicy { snp: Some(Box::new(snp)), ..AttestationPolicy::default() }
}

// C-3
#[test]
fn without_a_unique_id_version_and_product_are_required() {
    let refused = |policy: AttestationPolicy| policy.check().unwrap_err().to_string();
    assert!(refused(AttestationPolicy { security_version: 0, ..policy() }).contains("SecurityVersion"));
    assert!(refused(AttestationPolicy { product_id: 0, ..policy() }).contains("ProductID"));
    assert!(refused(AttestationPolicy::default()).contains("SecurityVersion"));
    AttestationPolicy { unique_id: "ab".repeat(32), ..AttestationPolicy::default() }.check().unwrap();
    let sgx = claims().identity;
    assert!(policy().warnings(&sgx).is_empty());
    assert_eq!(AttestationPolicy { signer_id: String::new(), ..policy() }.warnings(&sgx).len(), 1);
}

// C-3
#[test]
fn virtual_machines_need_a_measurement_and_nothing_of_enclaves() {
    let refused = |policy: AttestationPolicy| policy.check().unwrap_err().to_string();
    let tdx = AttestationPolicy { tdx: Some(Box::default()), ..AttestationPolicy::default() };
    assert!(refused(tdx).contains("MRTD"));
    assert!(refused(snp_policy(|snp| snp.measurement = None)).contains("Measurement"));
    snp_policy(|_| ()).check().unwrap();
    // Said for enclaves as well, it must be complete for them, too.
    assert!(refused(AttestationPolicy { product_id: 7, ..snp_policy(|_| ()) }).contains("SecurityVersion"));
}

// C-3
#[test]
fn the_identity_is_compared_field_by_field() {
    let claims = claims();
    policy().accept(&claims).unwrap();
    AttestationPolicy { unique_id: "aB".repeat(32), ..policy() }.accept(&claims).unwrap();
    AttestationPolicy { security_version: 2, ..policy() }.accept(&claims).unwrap();
    AttestationPolicy { product_id: 0, ..policy() }.accept(&claims).unwrap();
    let what = |policy: AttestationPolicy| match policy.accept(&claims) {
        Err(AttestationError::Identity { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what(AttestationPolicy { unique_id: "00".repeat(32), ..policy() }), "UniqueID");
    assert_eq!(what(AttestationPolicy { signer_id: "00".repeat(32), ..policy() }), "SignerID");
    assert_eq!(what(AttestationPolicy { security_version: 4, ..policy() }), "SecurityVersion");
    assert_eq!(what(AttestationPolicy { product_id: 8, ..policy() }), "ProductID");
}

// C-3
#[test]
fn a_guest_is_compared_field_by_field() {
    let claims = snp_claims();
    snp_policy(|snp| (snp.guest_svn, snp.host_data) = (Some(3), Some([1; 32]))).accept(&claims).unwrap();
    let what = |change: fn(&mut SnpPackage)| match snp_policy(change).accept(&claims) {
        Err(AttestationError::Identity { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what(|snp| snp.measurement = Some([0; 48])), "SNP.Measurement");
    assert_eq!(what(|snp| snp.host_data = Some([0; 32])), "SNP.HostData");
    assert_eq!(what(|snp| snp.id_key_digest = Some([0; 48])), "SNP.IDKeyDigest");
    assert_eq!(what(|snp| snp.author_key_digest = Some([0; 48])), "SNP.AuthorKeyDigest");
    assert_eq!(what(|snp| snp.guest_svn = Some(4)), "SNP.GuestSVN");
    let error = policy().accept(&claims).unwrap_err().to_string();
    assert!(error.contains("runs in sev-snp") && error.contains("add SNP"), "{error}");
}

// C-3: less privileged software has the same measurement.
#[test]
fn a_report_of_a_less_privileged_level_is_refused_unless_the_policy_allows_it() {
    let mut claims = snp_claims();
    let Identity::Snp(identity) = &mut claims.identity else { panic!() };
    identity.vmpl = 1;
    let error = snp_policy(|_| ()).accept(&claims).unwrap_err().to_string();
    assert!(error.contains("SNP.VMPL is 1, expected at most 0"), "{error}");
    snp_policy(|snp| snp.vmpl = Some(1)).accept(&claims).unwrap();
}

// C-4
#[test]
fn a_platform_below_the_policys_versions_is_out_of_date() {
    let claims = snp_claims();
    let with = |microcode| {
        snp_policy(|snp| snp.tcb = SnpTcbMinimum { microcode: Some(microcode), ..SnpTcbMinimum::default() })
    };
    with(211).accept(&claims).unwrap();
    assert!(with(211).warnings(&claims.identity).is_empty());
    assert_eq!(snp_policy(|_| ()).warnings(&claims.identity).len(), 1);
    assert!(matches!(with(212).accept(&claims), Err(AttestationError::Tcb(status)) if status == "OutOfDate"));
    let lax = AttestationPolicy { accepted_tcb_statuses: vec!["OutOfDate".to_owned()], ..with(212) };
    lax.accept(&claims).unwrap();
}

// C-3
#[test]
fn a_debug_enclave_is_accepted_only_if_the_policy_says_so() {
    let debug = Claims { debug: true, ..claims() };
    assert!(matches!(policy().accept(&debug), Err(AttestationError::Debug)));
    AttestationPolicy { debug: true, ..policy() }.accept(&debug).unwrap();
    AttestationPolicy { debug: true, ..policy() }.accept(&claims()).unwrap();
}

// C-4 as M-81, M-82
#[test]
fn tcb_status_and_advisories_are_judged() {
    let with = |status: &str, advisories: Option<&[&str]>| Claims {
        tcb_status: status.to_owned(),
        advisories: advisories.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()),
        ..claims()
    };
    let none = AttestationPolicy { accepted_tcb_statuses: Vec::new(), ..policy() };
    none.accept(&with("UpToDate", None)).unwrap();
    assert!(matches!(none.accept(&with("SWHardeningNeeded", None)), Err(AttestationError::Tcb(_))));
    assert!(matches!(policy().accept(&with("OutOfDate", None)), Err(AttestationError::Tcb(_))));
    policy().accept(&with("SWHardeningNeeded", None)).unwrap();

    let strict = AttestationPolicy { accepted_advisories: vec!["intel-sa-1".to_owned()], ..policy() };
    strict.accept(&with("SWHardeningNeeded", Some(&["INTEL-SA-1"]))).unwrap();
    strict.accept(&with("UpToDate", Some(&["INTEL-SA-2"]))).unwrap();
    let refused = |claims| strict.accept(&claims).unwrap_err().to_string();
    assert!(refused(with("SWHardeningNeeded", Some(&["INTEL-SA-1", "INTEL-SA-2"]))).contains("INTEL-SA-2"));
    assert!(refused(with("SWHardeningNeeded", None)).contains("cannot be read"));
}

// cli.md section 2
#[test]
fn a_policy_file_is_read_whatever_the_case_of_its_fields() {
    let text =
        br#"{"securityversion":3,"ProductID":7,"SignerID":"cd","UNIQUEID":"","Debug":true,"Other":[1]}"#;
    let read = AttestationPolicy::from_json(text).unwrap();
    assert_eq!((read.security_version, read.product_id, read.debug), (3, 7, true));
    assert_eq!((read.signer_id.as_str(), read.tdx, read.snp), ("cd", None, None));
    assert!(AttestationPolicy::from_json(b"[]").is_err());
    assert!(AttestationPolicy::from_json(br#"{"ProductID":"7"}"#).is_err());
}

#[test]
fn virtual_machines_are_read_as_in_manifests() {
    let ab = "ab".repeat(48);
    let text = format!(
        r#"{{"tdx":{{"mrtd":"{ab}","RTMR1":"{ab}"}},"SNP":{{"Measurement":"{ab}","GuestSVN":2,"TCB":{{"SNP":22}}}}}}"#
    );
    let read = AttestationPolicy::from_json(text.as_bytes()).unwrap();
    let (tdx, snp) = (read.tdx.unwrap(), read.snp.unwrap());
    assert_eq!((tdx.mr_td, tdx.rtmrs[1], tdx.rtmrs[0]), (Some([0xab; 48]), Some([0xab; 48]), None));
    assert_eq!((snp.measurement, snp.guest_svn, snp.tcb.snp), (Some([0xab; 48]), Some(2), Some(22)));
    assert_eq!(AttestationPolicy::from_json(br#"{"TDX":null}"#).unwrap(), AttestationPolicy::default());
}

#[test]
fn what_would_not_be_compared_is_refused_with_its_place() {
    let refused = |text: &str| AttestationPolicy::from_json(text.as_bytes()).unwrap_err().to_string();
    let short = refused(r#"{"TDX":{"MRTD":"abcd"}}"#);
    assert_eq!(short, "TDX/MRTD: expected 96 hex digits (48 bytes), found 4");
    let unknown = refused(r#"{"TDX":{"RTRM1":"00"}}"#);
    assert!(unknown.contains("unknown field RTRM1") && unknown.contains("RTMR1"), "{unknown}");
    assert!(refused(r#"{"SNP":{"VMPL":4}}"#).starts_with("SNP/VMPL: "));
    assert!(refused(r#"{"SNP":[]}"#).starts_with("SNP: "));
}
