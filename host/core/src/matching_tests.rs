//! M-81..M-90 on both sides of each boundary.

use carrara_types::claims::Platform;

use super::*;

const CERTIFICATE: &[u8] = b"der of the marble's certificate";

fn claims() -> Claims {
    let mut report_data = Sha256::digest(CERTIFICATE).to_vec();
    report_data.resize(64, 0);
    Claims {
        tee: Tee::Sgx,
        debug: false,
        tcb_status: "UpToDate".to_owned(),
        advisories: Some(Vec::new()),
        report_data,
        identity: Identity::Sgx(SgxIdentity {
            unique_id: [0xab; 32],
            signer_id: [0xcd; 32],
            product_id: 7,
            security_version: 3,
        }),
        platform: Platform {
            cpu_svn: vec![1; 16],
            qe_svn: 2,
            pce_svn: 3,
            root_ca_sha256: vec![4; 32],
            tcb_evaluation: None,
        },
    }
}

fn package() -> Package {
    Package {
        signer_id: hex::encode([0xcd; 32]),
        product_id: Some(7),
        security_version: Some(3),
        ..Package::default()
    }
}

fn accepts(package: &Package, claims: &Claims) -> bool {
    match_package(package, claims, CERTIFICATE).is_ok()
}

// X-62, M-81
#[test]
fn up_to_date_is_always_accepted_and_other_statuses_only_if_named() {
    let with = |status: &str, accepted: &[&str]| {
        let package = Package {
            accepted_tcb_statuses: accepted.iter().map(|s| (*s).to_owned()).collect(),
            ..package()
        };
        accepts(&package, &Claims { tcb_status: status.to_owned(), ..claims() })
    };
    assert!(with("UpToDate", &["OutOfDate"]));
    assert!(with("SWHardeningNeeded", &[]));
    assert!(!with("OutOfDate", &[]));
    assert!(with("OutOfDate", &["OutOfDate"]));
    assert!(!with("SWHardeningNeeded", &["OutOfDate"]), "a list that omits it refuses it");
    assert!(!with("OutOfDate", &["outofdate"]), "names are case-sensitive");
}

// M-82
#[test]
fn advisories_matter_only_for_sw_hardening_needed_with_a_list() {
    let with = |status: &str, advisories: Option<&[&str]>, accepted: &[&str]| {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let package = Package { accepted_advisories: own(accepted), ..package() };
        accepts(
            &package,
            &Claims { tcb_status: status.to_owned(), advisories: advisories.map(own), ..claims() },
        )
    };
    let hardening = "SWHardeningNeeded";
    assert!(with(hardening, Some(&["INTEL-SA-1"]), &[]));
    assert!(with(hardening, Some(&["INTEL-SA-1"]), &["intel-sa-1"]));
    assert!(!with(hardening, Some(&["INTEL-SA-1", "INTEL-SA-2"]), &["INTEL-SA-1"]));
    assert!(!with(hardening, None, &["INTEL-SA-1"]), "unreadable advisories fail");
    assert!(with(hardening, None, &[]));
    assert!(with("UpToDate", None, &["INTEL-SA-1"]));
}

// M-83, G-32
#[test]
fn the_quote_must_be_bound_to_this_connections_certificate() {
    assert!(match_package(&package(), &claims(), CERTIFICATE).is_ok());
    assert!(match_package(&package(), &claims(), b"another certificate").is_err());
    let mut tail = claims();
    tail.report_data[40] = 1;
    assert!(accepts(&package(), &tail), "bytes 32..64 are not looked at");
    assert!(!accepts(&package(), &Claims { report_data: vec![0; 31], ..claims() }));
}

// X-62, M-84
#[test]
fn debug_must_be_equal_in_both_directions() {
    let debug_package = Package { debug: true, ..Package::default() };
    let debug_claims = Claims { debug: true, ..claims() };
    assert!(accepts(&debug_package, &debug_claims));
    assert!(!accepts(&debug_package, &claims()), "a debug package does not admit a production enclave");
    assert!(!accepts(&package(), &debug_claims));
}

// X-66, M-85
#[test]
fn ids_are_compared_ignoring_case_and_in_full() {
    let unique = |id: String| Package { unique_id: id, ..Package::default() };
    assert!(accepts(&unique(hex::encode([0xab; 32])), &claims()));
    assert!(accepts(&unique(hex::encode_upper([0xab; 32])), &claims()));
    assert!(!accepts(&unique(hex::encode([0xab; 31])), &claims()));
    assert!(!accepts(&Package { signer_id: hex::encode([0xce; 32]), ..package() }, &claims()));
    assert!(!accepts(&Package::default(), &claims()), "no identity matches nothing");
}

// M-86, M-87
#[test]
fn product_id_is_equal_and_security_version_at_least() {
    assert!(!accepts(&Package { product_id: Some(8), ..package() }, &claims()));
    assert!(!accepts(&Package { product_id: Some(0), ..package() }, &claims()), "0 is a set value");
    assert!(accepts(&Package { product_id: None, ..package() }, &claims()));
    assert!(accepts(&Package { security_version: Some(2), ..package() }, &claims()));
    assert!(!accepts(&Package { security_version: Some(4), ..package() }, &claims()));
}

// M-90
#[test]
fn one_matching_infrastructure_suffices_and_none_named_means_any() {
    let entry =
        |qe_svn| Infrastructure { qe_svn: Some(qe_svn), cpu_svn: vec![1; 16], ..Infrastructure::default() };
    assert!(match_infrastructure([].iter(), &claims()));
    assert!(match_infrastructure([entry(9), entry(2)].iter(), &claims()));
    assert!(!match_infrastructure([entry(9)].iter(), &claims()));
    let root = Infrastructure { root_ca: vec![5; 32], ..Infrastructure::default() };
    assert!(!match_infrastructure([root].iter(), &claims()));
}
