//! Evidence of real SEV-SNP machines against AMD's roots.
#![allow(clippy::unwrap_used)] // Helpers of tests stop where they cannot go on.

use carrara_attest::framing::snp::{REPORT_BYTES, SnpEvidence};
use carrara_attest::quote::QuoteKind;
use carrara_attest::snp::SnpCollateral;
use carrara_attest::verify::Verifier;
use carrara_types::claims::{Identity, SnpTcb, Tee};

const REPORT: &[u8; REPORT_BYTES] = include_bytes!("fixtures/amd/report_milan");
const VCEK: &[u8] = include_bytes!("fixtures/amd/vcek_milan.der");
const TURIN_VCEK: &[u8] = include_bytes!("fixtures/amd/vcek_turin.der");

/// 1 January 2024; the certificate is of April 2023.
const NOW: i64 = 1_704_067_200;

/// As a host gives it that has the chip's certificate only.
fn evidence(leaf: &[u8]) -> Vec<u8> {
    SnpEvidence { report: REPORT, leaf, intermediate: b"", root: b"" }.frame()
}

// G-25, M-81, M-83, M-84
#[test]
fn a_real_guests_report_verifies_against_amds_root() {
    let evidence = evidence(VCEK);
    assert_eq!(Verifier::new().kind(&evidence), Ok(QuoteKind::Snp));
    let claims = Verifier::new().verify_snp(&evidence, &SnpCollateral::default(), NOW).unwrap();
    assert_eq!((claims.tee, claims.debug, claims.tcb_status.as_str()), (Tee::SevSnp, false, "UpToDate"));
    assert_eq!(claims.report_data, REPORT[0x50..0x90]);
    assert_eq!(claims.platform.tcb_evaluation, None);
    let Identity::Snp(identity) = claims.identity else { panic!("a guest") };
    assert_eq!(identity.measurement[..], REPORT[0x90..0xc0]);
    assert_eq!((identity.policy, identity.vmpl, identity.guest_svn), (0x3_0000, 0, 0));
    assert_eq!(identity.tcb, SnpTcb { boot_loader: 3, tee: 0, snp: 8, microcode: 0x73, fmc: 0 });
}

#[test]
fn a_certificate_in_the_collateral_stands_in_for_one_that_the_host_did_not_give() {
    let certificates = vec![TURIN_VCEK.to_vec(), VCEK.to_vec()];
    let collateral = SnpCollateral { certificates, ..SnpCollateral::default() };
    assert!(Verifier::new().verify_snp(&evidence(b""), &collateral, NOW).is_ok());
    let error = Verifier::new().verify_snp(&evidence(b""), &SnpCollateral::default(), NOW).unwrap_err();
    let missing = "the certificate of the key that signed the report is missing";
    assert!(error.to_string().starts_with(missing), "{error}");
}

#[test]
fn a_real_report_counts_with_its_own_chips_certificate_only_and_in_its_time() {
    let none = SnpCollateral::default();
    let error = Verifier::new().verify_snp(&evidence(TURIN_VCEK), &none, NOW).unwrap_err();
    assert_eq!(error.to_string(), "the report is not signed by its VCEK or VLEK");
    for (now, when) in [(1_650_000_000, "yet"), (1_950_000_000, "any more")] {
        let error = Verifier::new().verify_snp(&evidence(VCEK), &none, now).unwrap_err();
        assert_eq!(error.to_string(), format!("the certificate of the VCEK or VLEK is not valid {when}"));
    }
}
