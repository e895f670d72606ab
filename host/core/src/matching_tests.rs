//! M-81..M-90 on both sides of each boundary.

use carrara_types::claims::{Platform, SnpIdentity, SnpTcb, TdxIdentity};
use carrara_types::decision::Value;
use carrara_types::manifest::{SnpPackage, SnpTcbMinimum, TdxPackage};

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

fn tdx() -> Claims {
    let identity = TdxIdentity {
        mr_td: [0x10; 48],
        rtmrs: [[0x20; 48], [0x21; 48], [0x22; 48], [0x23; 48]],
        mr_seam: [0x30; 48],
        mr_config_id: [0x31; 48],
        mr_owner: [0x32; 48],
        mr_owner_config: [0x33; 48],
        tee_tcb_svn: [5; 16],
        xfam: [6; 8],
        td_attributes: [7; 8],
    };
    Claims { tee: Tee::Tdx, identity: Identity::Tdx(identity), ..claims() }
}

fn snp() -> Claims {
    let identity = SnpIdentity {
        measurement: [0x40; 48],
        host_data: [0x41; 32],
        id_key_digest: [0x42; 48],
        author_key_digest: [0x43; 48],
        family_id: [0x44; 16],
        image_id: [0x45; 16],
        guest_svn: 6,
        policy: 0x30000,
        vmpl: 0,
        tcb: SnpTcb { boot_loader: 4, tee: 0, snp: 22, microcode: 211, fmc: 0 },
    };
    Claims {
        tee: Tee::SevSnp,
        identity: Identity::Snp(identity),
        platform: Platform { root_ca_sha256: vec![4; 32], ..Platform::default() },
        ..claims()
    }
}

fn tdx_package(change: impl FnOnce(&mut TdxPackage)) -> Package {
    let mut tdx = TdxPackage { mr_td: Some([0x10; 48]), ..TdxPackage::default() };
    change(&mut tdx);
    Package { tdx: Some(Box::new(tdx)), ..Package::default() }
}

fn snp_package(change: impl FnOnce(&mut SnpPackage)) -> Package {
    let mut snp = SnpPackage { measurement: Some([0x40; 48]), ..SnpPackage::default() };
    change(&mut snp);
    Package { snp: Some(Box::new(snp)), ..Package::default() }
}

// deviations, M-33
#[test]
fn the_tees_kind_is_matched_first() {
    let of_all = Package { tdx: tdx_package(|_| {}).tdx, snp: snp_package(|_| {}).snp, ..package() };
    let refused = |package: &Package, claims: &Claims| {
        // Wrong in every respect: the kind is what is told.
        let claims = Claims { debug: true, tcb_status: "OutOfDate".to_owned(), ..claims.clone() };
        match_package(package, &claims, b"another certificate").unwrap_err()
    };
    for (claims, own) in [(claims(), package()), (tdx(), tdx_package(|_| {})), (snp(), snp_package(|_| {}))] {
        assert!(accepts(&of_all, &claims) && accepts(&own, &claims));
        for other in [package(), tdx_package(|_| {}), snp_package(|_| {}), Package::default()] {
            if other != own {
                let expected = format!("the package has no identity for {}", claims.tee.name());
                assert_eq!(refused(&other, &claims), expected);
            }
        }
    }
}

// M-35
#[test]
fn a_debug_package_needs_no_identity_for_any_tee() {
    for claims in [claims(), tdx(), snp()] {
        let debug = Claims { debug: true, ..claims.clone() };
        assert!(accepts(&Package { debug: true, ..Package::default() }, &debug));
        assert!(accepts(&Package { debug: true, ..package() }, &debug) || claims.tee == Tee::Sgx);
        assert!(!accepts(&Package { debug: true, ..Package::default() }, &claims));
    }
}

// deviations, M-33
#[test]
fn objects_without_what_is_always_measured_are_no_identity() {
    assert!(!accepts(&tdx_package(|tdx| (tdx.mr_td, tdx.rtmrs[1]) = (None, Some([0x21; 48]))), &tdx()));
    assert!(!accepts(&snp_package(|snp| (snp.measurement, snp.guest_svn) = (None, Some(1))), &snp()));
}

// deviations, M-33
#[test]
fn every_measurement_of_a_virtual_machine_that_is_given_is_compared() {
    assert!(accepts(
        &tdx_package(|tdx| {
            tdx.rtmrs = [Some([0x20; 48]), Some([0x21; 48]), Some([0x22; 48]), Some([0x23; 48])];
            (tdx.mr_seam, tdx.mr_config_id) = (Some([0x30; 48]), Some([0x31; 48]));
            (tdx.mr_owner, tdx.mr_owner_config) = (Some([0x32; 48]), Some([0x33; 48]));
        }),
        &tdx()
    ));
    let wrong = Some([0x99; 48]);
    type Change = fn(&mut TdxPackage, Option<[u8; 48]>);
    let changes: [(&str, Change); 9] = [
        ("TDX.MRTD", |tdx, wrong| tdx.mr_td = wrong),
        ("TDX.RTMR0", |tdx, wrong| tdx.rtmrs[0] = wrong),
        ("TDX.RTMR1", |tdx, wrong| tdx.rtmrs[1] = wrong),
        ("TDX.RTMR2", |tdx, wrong| tdx.rtmrs[2] = wrong),
        ("TDX.RTMR3", |tdx, wrong| tdx.rtmrs[3] = wrong),
        ("TDX.MRSEAM", |tdx, wrong| tdx.mr_seam = wrong),
        ("TDX.MRConfigID", |tdx, wrong| tdx.mr_config_id = wrong),
        ("TDX.MROwner", |tdx, wrong| tdx.mr_owner = wrong),
        ("TDX.MROwnerConfig", |tdx, wrong| tdx.mr_owner_config = wrong),
    ];
    for (name, change) in changes {
        let package = tdx_package(|tdx| change(tdx, wrong));
        let text = match_package(&package, &tdx(), CERTIFICATE).unwrap_err();
        assert!(text.starts_with(&format!("{name} is ")) && text.ends_with(&"99".repeat(48)), "{text}");
    }
}

// deviations, M-33
#[test]
fn every_value_of_a_guest_that_is_given_is_compared() {
    assert!(accepts(
        &snp_package(|snp| {
            (snp.host_data, snp.id_key_digest) = (Some([0x41; 32]), Some([0x42; 48]));
            (snp.author_key_digest, snp.guest_svn, snp.vmpl) = (Some([0x43; 48]), Some(6), Some(0));
        }),
        &snp()
    ));
    assert!(!accepts(&snp_package(|snp| snp.measurement = Some([0; 48])), &snp()));
    assert!(!accepts(&snp_package(|snp| snp.host_data = Some([0; 32])), &snp()));
    assert!(!accepts(&snp_package(|snp| snp.id_key_digest = Some([0; 48])), &snp()));
    assert!(!accepts(&snp_package(|snp| snp.author_key_digest = Some([0; 48])), &snp()));
    assert!(!accepts(&snp_package(|snp| snp.guest_svn = Some(7)), &snp()));
    assert!(accepts(&snp_package(|snp| snp.guest_svn = Some(5)), &snp()));
}

// A lower privilege level of the same guest has the same measurement.
#[test]
fn reports_of_less_privileged_levels_count_only_where_the_package_says_so() {
    let mut below = snp();
    let Identity::Snp(identity) = &mut below.identity else { panic!("a guest") };
    identity.vmpl = 2;
    assert!(!accepts(&snp_package(|_| {}), &below));
    assert!(!accepts(&snp_package(|snp| snp.vmpl = Some(1)), &below));
    assert!(accepts(&snp_package(|snp| snp.vmpl = Some(2)), &below));
    assert!(accepts(&snp_package(|snp| snp.vmpl = Some(3)), &below));
}

// M-81
#[test]
fn a_guests_platform_below_the_packages_versions_is_out_of_date() {
    let status = |tcb| tcb_status(&snp_package(|snp| snp.tcb = tcb), &snp());
    let exact =
        SnpTcbMinimum { boot_loader: Some(4), tee: Some(0), snp: Some(22), microcode: Some(211), fmc: None };
    assert_eq!(status(exact), "UpToDate");
    assert_eq!(status(SnpTcbMinimum::default()), "UpToDate");
    for above in [
        SnpTcbMinimum { boot_loader: Some(5), ..exact },
        SnpTcbMinimum { tee: Some(1), ..exact },
        SnpTcbMinimum { snp: Some(23), ..exact },
        SnpTcbMinimum { microcode: Some(212), ..exact },
        SnpTcbMinimum { fmc: Some(1), ..exact },
    ] {
        assert_eq!(status(above), "OutOfDate");
    }
    // Intel's status is Intel's.
    let intel = Claims { tcb_status: "ConfigurationNeeded".to_owned(), ..claims() };
    assert_eq!(tcb_status(&snp_package(|_| {}), &intel), "ConfigurationNeeded");
}

//
#[test]
fn of_an_amd_platform_only_the_root_can_be_checked() {
    let matches = |entry: Infrastructure| match_infrastructure([entry].iter(), &snp());
    assert!(matches(Infrastructure { root_ca: vec![4; 32], ..Infrastructure::default() }));
    assert!(!matches(Infrastructure { root_ca: vec![5; 32], ..Infrastructure::default() }));
    assert!(!matches(Infrastructure { qe_svn: Some(0), ..Infrastructure::default() }));
    assert!(!matches(Infrastructure { pce_svn: Some(0), ..Infrastructure::default() }));
    assert!(!matches(Infrastructure { cpu_svn: vec![0; 16], ..Infrastructure::default() }));
    let entry = Infrastructure { cpu_svn: vec![1; 16], qe_svn: Some(2), ..Infrastructure::default() };
    assert!(match_infrastructure([entry].iter(), &tdx()), "a TDX platform is one of Intel's");
}

// wit/README.md: the names are what policies are written against
#[test]
fn policies_see_what_each_tee_measured() {
    let names = |claims: &Claims| -> Vec<String> {
        evidence_facts(claims).identity.into_iter().map(|fact| fact.name).collect()
    };
    assert_eq!(names(&claims()), ["unique-id", "signer-id", "product-id", "security-version"]);
    let expected =
        "mrtd rtmr0 rtmr1 rtmr2 rtmr3 mrseam mrconfigid mrowner mrownerconfig tee-tcb-svn xfam td-attributes";
    assert_eq!(names(&tdx()).join(" "), expected);
    let expected = "measurement host-data id-key-digest author-key-digest family-id image-id guest-svn policy vmpl \
                    tcb-bootloader tcb-tee tcb-snp tcb-microcode tcb-fmc";
    assert_eq!(names(&snp()).join(" "), expected);
    let facts = evidence_facts(&tdx());
    assert_eq!((facts.tee.as_str(), &facts.identity[3].value), ("tdx", &Value::Bytes(vec![0x22; 48])));
    let facts = evidence_facts(&snp());
    assert_eq!((facts.tee.as_str(), &facts.identity[6].value), ("sev-snp", &Value::Number(6)));
}
