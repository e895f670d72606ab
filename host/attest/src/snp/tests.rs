//! Every branch of accepting and refusing, on a chain of our own. Evidence of real machines: `tests/real_snp.rs`.

use super::*;
use crate::chain::snp::{SnpChain, SnpDated, SnpLink, SnpSettings, TCB, put};
use crate::framing::snp::REPORT_BYTES;
use crate::verify::changed_bytes::{change, changes, next};

const NOW: i64 = 1_750_000_000;
const GENERATIONS: [Generation; 3] = [Generation::Milan, Generation::Genoa, Generation::Turin];
const POLICY: usize = 0x08;

fn of(generation: Generation) -> SnpSettings {
    SnpSettings { generation, ..SnpSettings::default() }
}

fn judged(chain: &SnpChain, evidence: &[u8]) -> Result<Claims, EvidenceError> {
    SnpVerifier::with_root(chain.root()).verify(evidence, &SnpCollateral::default(), NOW)
}

fn verdict(settings: &SnpSettings) -> Result<Claims, EvidenceError> {
    let chain = SnpChain::new(settings);
    judged(&chain, &chain.evidence(&[0x5d; 64]))
}

fn refusal(settings: &SnpSettings) -> String {
    verdict(settings).unwrap_err().to_string()
}

/// A good report with these bytes in it, signed.
fn with(settings: &SnpSettings, at: usize, bytes: &[u8]) -> Result<Claims, EvidenceError> {
    let chain = SnpChain::new(settings);
    judged(&chain, &chain.framed(&chain.report(|report| put(report, at, bytes))))
}

fn identity(claims: Claims) -> SnpIdentity {
    let Identity::Snp(identity) = claims.identity else { panic!("a guest") };
    identity
}

// G-25, M-81, M-83
#[test]
fn a_good_report_proves_what_is_in_it() {
    let [boot_loader, tee, snp, microcode, fmc] = TCB;
    for generation in GENERATIONS {
        let chain = SnpChain::new(&of(generation));
        let fmc = if generation == Generation::Turin { fmc } else { 0 };
        let expected = Claims {
            tee: Tee::SevSnp,
            debug: false,
            tcb_status: "UpToDate".to_owned(),
            advisories: Some(Vec::new()),
            report_data: vec![0x5d; 64],
            identity: Identity::Snp(SnpIdentity {
                measurement: [0xab; 48],
                host_data: [0x0d; 32],
                id_key_digest: [0x1d; 48],
                author_key_digest: [0xa0; 48],
                family_id: [0xfa; 16],
                image_id: [0x1a; 16],
                guest_svn: 5,
                policy: 0x3_0000,
                vmpl: 1,
                tcb: SnpTcb { boot_loader, tee, snp, microcode, fmc },
            }),
            platform: Platform {
                root_ca_sha256: sha256(&chain.root().certificate).to_vec(),
                ..Platform::default()
            },
        };
        assert_eq!(judged(&chain, &chain.evidence(&[0x5d; 64])), Ok(expected));
    }
}

#[test]
fn a_key_of_a_provider_s_fleet_counts_too() {
    assert!(verdict(&SnpSettings { vlek: true, ..SnpSettings::default() }).is_ok());
    let claims = with(&SnpSettings { vlek: true, ..SnpSettings::default() }, 0x1a0, &[0; 64]);
    assert!(claims.is_ok(), "its certificate is of no chip");
}

#[test]
fn a_report_says_truly_which_kind_of_key_signed_it() {
    let vcek = SnpSettings::default();
    let vlek = SnpSettings { vlek: true, ..vcek.clone() };
    let text = |claims: Result<Claims, EvidenceError>| claims.unwrap_err().to_string();
    assert_eq!(text(with(&vcek, 0x48, &[1 << 2])), "the report's key is said to be a VLEK, and is none");
    assert_eq!(text(with(&vlek, 0x48, &[0])), "the report's key is said to be a VCEK, and is none");
    assert_eq!(text(with(&vcek, 0x48, &[7 << 2])), "the platform does not sign its reports");
    assert!(text(with(&vcek, 0x48, &[2 << 2])).contains("unknown kind of key"));
}

#[test]
fn a_wrong_signature_at_any_link_is_refused() {
    for (link, expected) in [
        (SnpLink::Ask, "the ASK or ASVK is not certified by AMD"),
        (SnpLink::Leaf, "the VCEK or VLEK is not certified by AMD"),
        (SnpLink::Report, "the report is not signed by its VCEK or VLEK"),
    ] {
        for vlek in [false, true] {
            let forged = SnpSettings { forged: Some(link), vlek, ..SnpSettings::default() };
            assert_eq!(refusal(&forged), expected);
        }
    }
    let text = refusal(&SnpSettings { authority: false, ..SnpSettings::default() });
    assert_eq!(text, "the ASK or ASVK may not certify anything");
}

//
#[test]
fn another_root_proves_nothing() {
    let chain = SnpChain::new(&SnpSettings::default());
    let report = chain.report(|_| ());
    let none = SnpCollateral::default();
    let error = SnpVerifier::default().verify(&chain.framed(&report), &none, NOW).unwrap_err();
    assert_eq!(error.to_string(), "the ASK or ASVK is not certified by AMD");
    let [intermediate, leaf] = chain.certificates();
    let foreign = roots::amd().remove(0).certificate;
    let evidence = SnpEvidence { report: &report, leaf: &leaf, intermediate: &intermediate, root: &foreign };
    let text = judged(&chain, &evidence.frame()).unwrap_err().to_string();
    assert_eq!(text, "the ARK of the evidence is not AMD's");
    let text = judged(&chain, &SnpEvidence { root: b"no root", ..evidence }.frame()).unwrap_err().to_string();
    assert_eq!(text, "the certificate of the ARK cannot be read");
    assert!(judged(&chain, &SnpEvidence { root: b"", ..evidence }.frame()).is_ok());
}

#[test]
fn whatever_is_expired_or_not_valid_yet_is_refused() {
    for (dated, name) in
        [(SnpDated::Ark, "ARK"), (SnpDated::Ask, "ASK or ASVK"), (SnpDated::Leaf, "VCEK or VLEK")]
    {
        let expired = refusal(&SnpSettings { expired: Some(dated), ..SnpSettings::default() });
        assert_eq!(expired, format!("the certificate of the {name} is not valid any more"));
        let future = refusal(&SnpSettings { future: Some(dated), ..SnpSettings::default() });
        assert_eq!(future, format!("the certificate of the {name} is not valid yet"));
    }
}

#[test]
fn the_time_of_verification_decides() {
    const YEAR: i64 = 365 * 24 * 3600;
    let chain = SnpChain::new(&SnpSettings::default());
    let (verifier, evidence) = (SnpVerifier::with_root(chain.root()), chain.evidence(&[1; 64]));
    let at = |now| {
        let judged = verifier.verify(&evidence, &SnpCollateral::default(), now);
        judged.map(|_| ()).map_err(|error| error.to_string())
    };
    for now in [NOW - YEAR, NOW + YEAR] {
        assert_eq!(at(now), Ok(()), "{now}");
    }
    for (now, when) in [
        (i64::MIN, "yet"),
        (0, "yet"),
        (NOW - YEAR - 1, "yet"),
        (NOW + YEAR + 1, "any more"),
        (i64::MAX, "any more"),
    ] {
        assert_eq!(at(now), Err(format!("the certificate of the ARK is not valid {when}")), "{now}");
    }
}

#[test]
fn a_key_of_another_chip_is_refused() {
    for generation in GENERATIONS {
        let length = if generation == Generation::Turin { 8 } else { 64 };
        let good = vec![0xc1; length];
        let mut other = good.clone();
        other[length - 1] ^= 1;
        let wrapped = [&[4, u8::try_from(length).unwrap()], &good[..]].concat();
        for hwid in [other, good[1..].to_vec(), [&good[..], &[0xc1]].concat(), Vec::new()] {
            let text = refusal(&SnpSettings { hwid: Some(hwid), ..of(generation) });
            assert_eq!(text, "the VCEK is of another chip than the report");
        }
        assert!(verdict(&SnpSettings { hwid: Some(wrapped), ..of(generation) }).is_ok());
        let hidden = with(&of(generation), 0x1a0, &[0; 64]).unwrap_err().to_string();
        assert_eq!(
            hidden,
            "the report does not name its chip: let the machine's owner switch MASK_CHIP_ID off, or use a VLEK"
        );
    }
    // Something behind a short chip id.
    let longer = with(&of(Generation::Turin), 0x1a8, &[1]).unwrap_err().to_string();
    assert_eq!(longer, "the VCEK is of another chip than the report");
}

// M-81
#[test]
fn a_key_for_another_tcb_is_refused() {
    for generation in GENERATIONS {
        for part in 0..5 {
            let mut certified = TCB;
            certified[part] ^= 1;
            let settings = SnpSettings { certified: Some(certified), ..of(generation) };
            if part == 4 && generation != Generation::Turin {
                assert!(verdict(&settings).is_ok(), "there is no such part");
                continue;
            }
            let text = refusal(&settings);
            assert_eq!(text, "the report's key is certified for another TCB than the report's", "{part}");
        }
    }
}

// M-81
#[test]
fn the_weakest_of_the_platforms_versions_count() {
    for generation in GENERATIONS {
        let settings = of(generation);
        for at in [0x1e0, 0x1f0] {
            let lower = settings.tcb([4, 0, 22, 210, 3]);
            let tcb = identity(with(&settings, at, &lower).unwrap()).tcb;
            assert_eq!((tcb.boot_loader, tcb.tee, tcb.snp, tcb.microcode), (4, 0, 22, 210), "{at:#x}");
            let higher = settings.tcb([9, 9, 99, 255, 9]);
            let tcb = identity(with(&settings, at, &higher).unwrap()).tcb;
            assert_eq!((tcb.boot_loader, tcb.tee, tcb.snp, tcb.microcode), (4, 1, 22, 211), "{at:#x}");
        }
    }
}

// M-84: whether debug is accepted is the package's
#[test]
fn debug_mode_is_a_claim_and_a_guest_that_can_be_migrated_is_refused() {
    let settings = SnpSettings::default();
    assert!(with(&settings, POLICY, &(0x3_0000_u64 | 1 << 19).to_le_bytes()).unwrap().debug);
    assert!(!with(&settings, POLICY, &(0x3_0000_u64 | 1 << 20).to_le_bytes()).unwrap().debug);
    let error = with(&settings, POLICY, &(0x3_0000_u64 | 1 << 18).to_le_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the guest can be migrated by an agent that the host chose");
}

#[test]
fn versions_levels_and_algorithms_of_reports_have_bounds() {
    let settings = SnpSettings::default();
    for version in 2..=5 {
        assert!(with(&settings, 0, &[version]).is_ok(), "{version}");
    }
    for version in [0, 1, 6, 0xff] {
        let error = with(&settings, 0, &[version]).unwrap_err().to_string();
        assert_eq!(
            error, "reading the quote: the SEV-SNP report has a version other than 2 to 5",
            "{version}"
        );
    }
    assert_eq!(identity(with(&settings, 0x30, &[3]).unwrap()).vmpl, 3);
    let error = with(&settings, 0x30, &[0xff; 4]).unwrap_err().to_string();
    assert_eq!(error, "the report was asked for by the host, not by the guest");
    assert_eq!(
        with(&settings, 0x30, &[4]).unwrap_err().to_string(),
        "the report was asked for by the host, not by the guest"
    );
    for algorithm in [0, 2] {
        let error = with(&settings, 0x34, &[algorithm]).unwrap_err().to_string();
        assert_eq!(
            error, "reading the quote: the SEV-SNP report is signed by an unknown algorithm",
            "{algorithm}"
        );
    }
    for at in [0x2a0 + 48, 0x2a0 + 143, REPORT_BYTES - 1] {
        let chain = SnpChain::new(&settings);
        let mut report = chain.report(|_| ());
        put(&mut report, at, &[1]);
        let error = judged(&chain, &chain.framed(&report)).unwrap_err().to_string();
        assert!(error.ends_with("something stands behind the SEV-SNP report's signature"), "{at}: {error}");
    }
}

#[test]
fn certificates_that_the_host_did_not_give_are_the_collaterals() {
    let chain = SnpChain::new(&SnpSettings::default());
    let report = chain.report(|_| ());
    let [ask, vcek] = chain.certificates();
    let evidence = SnpEvidence { report: &report, leaf: b"", intermediate: b"", root: b"" }.frame();
    let with = |certificates: &[&[u8]]| {
        let certificates = certificates.iter().map(|der| der.to_vec()).collect();
        let collateral = SnpCollateral { certificates, ..SnpCollateral::default() };
        SnpVerifier::with_root(chain.root()).verify(&evidence, &collateral, NOW)
    };
    let other = SnpChain::new(&SnpSettings::default()).certificates();
    assert!(with(&[b"unreadable", &other[1], &ask, &vcek]).is_ok());
    let text = |certificates: &[&[u8]]| with(certificates).unwrap_err().to_string();
    assert!(
        text(&[&ask, &other[1]]).starts_with("the certificate of the key that signed the report is missing")
    );
    assert!(text(&[&vcek]).starts_with("the certificate of the ASK or ASVK is missing"));
    let mut root = chain.root();
    root.intermediates.push(ask);
    let collateral = SnpCollateral { certificates: vec![vcek], ..SnpCollateral::default() };
    assert!(SnpVerifier::with_root(root).verify(&evidence, &collateral, NOW).is_ok());
}

#[test]
fn a_revoked_ask_and_lists_that_are_not_right_are_refused() {
    let listed = |settings: SnpSettings| {
        let chain = SnpChain::new(&settings);
        let collateral =
            SnpCollateral { revocation_lists: vec![chain.revocation_list()], ..SnpCollateral::default() };
        SnpVerifier::with_root(chain.root()).verify(&chain.evidence(&[1; 64]), &collateral, NOW)
    };
    let text = |settings| listed(settings).unwrap_err().to_string();
    let good = SnpSettings::default();
    assert!(listed(good.clone()).is_ok());
    let revoked = text(SnpSettings { revoked: true, ..good.clone() });
    assert_eq!(revoked, "the key that certified the report's is revoked");
    let forged = text(SnpSettings { forged: Some(SnpLink::RevocationList), ..good.clone() });
    assert_eq!(forged, "a revocation list of the collateral is not signed by AMD");
    let dated = Some(SnpDated::RevocationList);
    for settings in
        [SnpSettings { expired: dated, ..good.clone() }, SnpSettings { future: dated, ..good.clone() }]
    {
        assert_eq!(text(settings), "a revocation list of the collateral is not valid now");
    }
    let chain = SnpChain::new(&good);
    let broken = SnpCollateral { revocation_lists: vec![b"list".to_vec()], ..SnpCollateral::default() };
    let verifier = SnpVerifier::with_root(chain.root());
    let error = verifier.verify(&chain.evidence(&[1; 64]), &broken, NOW).unwrap_err().to_string();
    assert_eq!(error, "a revocation list of the collateral cannot be read");
}

#[test]
fn evidence_cut_off_anywhere_is_refused() {
    let chain = SnpChain::new(&SnpSettings::default());
    let evidence = chain.evidence(&[0x5d; 64]);
    for length in 0..evidence.len() {
        let error = judged(&chain, &evidence[..length]).unwrap_err();
        assert!(matches!(error, EvidenceError::Framing(_)), "{length}: {error}");
    }
    // Each part for itself, in a frame that is right.
    let report = chain.report(|_| ());
    let [ask, vcek] = chain.certificates();
    let whole = SnpEvidence { report: &report, leaf: &vcek, intermediate: &ask, root: b"" };
    for length in 1..vcek.len() {
        let cut = SnpEvidence { leaf: &vcek[..length], ..whole };
        let text = judged(&chain, &cut.frame()).unwrap_err().to_string();
        assert_eq!(text, "the certificate of the VCEK or VLEK cannot be read", "{length}");
    }
    for length in 1..ask.len() {
        let cut = SnpEvidence { intermediate: &ask[..length], ..whole };
        let text = judged(&chain, &cut.frame()).unwrap_err().to_string();
        assert_eq!(text, "the certificate of the ASK or ASVK cannot be read", "{length}");
    }
}

// G-25. As for quotes of Intel's; `CARRARA_CHANGES=20000` makes more.
#[test]
fn one_changed_byte_is_refused_or_changes_no_claim() {
    let chains = GENERATIONS.map(|generation| SnpChain::new(&of(generation)));
    let evidence = chains.each_ref().map(|chain| chain.evidence(&[0x5d; 64]));
    let good = [0, 1, 2].map(|which| judged(&chains[which], &evidence[which]).unwrap());
    let (mut refused, mut same) = (0, 0);
    for number in 0..changes() {
        let mut random = number;
        let which = usize::try_from(next(&mut random) % 3).unwrap();
        let mut changed = evidence[which].clone();
        change(&mut changed, &mut random, false);
        match judged(&chains[which], &changed) {
            Ok(claims) => {
                assert_eq!(claims, good[which], "change {number}");
                same += 1;
            }
            Err(_) => refused += 1,
        }
    }
    // What is not needed of the root's certificate changes nothing.
    println!("{refused} refused, {same} without effect");
    assert!(refused > same, "{refused} refused, {same} without effect");
}

// G-25. What a bundle adds is signed, too; a list of nobody who is asked for is none.
#[test]
fn one_changed_byte_of_a_bundles_part_is_refused_or_changes_no_claim() {
    let chain = SnpChain::new(&SnpSettings::default());
    let report = chain.report(|_| ());
    let evidence = SnpEvidence { report: &report, leaf: b"", intermediate: b"", root: b"" }.frame();
    let good = SnpCollateral {
        certificates: chain.certificates().to_vec(),
        revocation_lists: vec![chain.revocation_list()],
    };
    let verify = |with: &SnpCollateral| SnpVerifier::with_root(chain.root()).verify(&evidence, with, NOW);
    let claims = verify(&good).unwrap();
    let (mut refused, mut same) = (0, 0);
    for number in 0..changes() {
        let (mut random, mut changed) = (number, good.clone());
        let part = match next(&mut random) % 3 {
            0 => &mut changed.certificates[0],
            1 => &mut changed.certificates[1],
            _ => &mut changed.revocation_lists[0],
        };
        change(part, &mut random, false);
        match verify(&changed) {
            Ok(found) => {
                assert_eq!(found, claims, "change {number}");
                same += 1;
            }
            Err(_) => refused += 1,
        }
    }
    println!("{refused} refused, {same} without effect");
    assert!(refused > same, "{refused} refused, {same} without effect");
}
