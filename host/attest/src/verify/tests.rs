//! Every branch of accepting and refusing, on a chain of our own. Quotes of real machines: `tests/real_quotes.rs`.

use carrara_types::claims::{Identity, SgxIdentity, Tee as Kind};

use super::*;
use crate::chain::{Certified, Chain, Dated, Enclave, Level, Link, Machine, Settings};
use crate::collateral::{Fmspc, Key, PckCa, Tee};
use crate::framing::{FramingError, frame};

const NOW: i64 = 1_750_000_000;
const NOT_INTEL: &str = "the platform's certificate is not Intel's";
const CUT_OFF: &str = "it is no quote of SGX or TDX, or cut off";

fn tdx() -> Settings {
    Settings { tee: Tee::Tdx, ..Settings::default() }
}

/// What the verifier of this chain says of a quote of it.
fn judged(chain: &Chain, quote: &[u8]) -> Result<Claims, EvidenceError> {
    Verifier::with_root(chain.root()).verify(quote, &chain.collateral(), NOW)
}

/// What it says of the quote of the chain's TEE.
fn verdict(settings: &Settings) -> Result<Claims, EvidenceError> {
    let chain = Chain::new(settings);
    let quote = match settings.tee {
        Tee::Sgx => chain.sgx_quote(&Enclave::default()),
        Tee::Tdx => chain.tdx_quote(&Machine::default(), 4),
    };
    judged(&chain, &quote)
}

fn refusal(settings: &Settings) -> String {
    verdict(settings).unwrap_err().to_string()
}

// G-25, M-81, M-83..M-87, X-4
#[test]
fn a_good_quote_of_an_enclave_proves_what_is_in_it() {
    let chain = Chain::new(&Settings::default());
    let claims = judged(&chain, &chain.sgx_quote(&Enclave::default())).unwrap();
    assert_eq!(
        claims,
        Claims {
            tee: Kind::Sgx,
            debug: false,
            tcb_status: "UpToDate".to_owned(),
            advisories: Some(Vec::new()),
            report_data: vec![0x5d; 64],
            identity: Identity::Sgx(SgxIdentity {
                unique_id: [0xab; 32],
                signer_id: [0xcd; 32],
                product_id: 7,
                security_version: 3,
            }),
            platform: Platform {
                cpu_svn: vec![4; 16],
                qe_svn: 8,
                pce_svn: 13,
                root_ca_sha256: sha256(&chain.root()).to_vec(),
                tcb_evaluation: Some(TcbEvaluation { fmspc: [0, 0x90, 0x6e, 0xa1, 0, 0], number: 17 }),
            },
        }
    );
}

// G-25
#[test]
fn a_good_quote_of_a_virtual_machine_proves_what_is_in_it() {
    let chain = Chain::new(&tdx());
    for version in [4, 5] {
        let claims = judged(&chain, &chain.tdx_quote(&Machine::default(), version)).unwrap();
        assert_eq!((claims.tee, claims.debug, claims.tcb_status.as_str()), (Kind::Tdx, false, "UpToDate"));
        assert_eq!(claims.report_data, [0x5d; 64]);
        let Identity::Tdx(identity) = claims.identity else { panic!("a virtual machine") };
        assert_eq!(identity.mr_td, [0xab; 48]);
        assert_eq!(identity.rtmrs, [[0xa0; 48], [0xa1; 48], [0xa2; 48], [0xa3; 48]]);
        assert_eq!((identity.mr_seam, identity.mr_config_id), ([0x5e; 48], [0xc1; 48]));
        assert_eq!((identity.mr_owner, identity.mr_owner_config), ([0xc2; 48], [0xc3; 48]));
        assert_eq!((identity.tee_tcb_svn, identity.xfam), ([4; 16], [0xe7, 0, 6, 0, 0, 0, 0, 0]));
        assert_eq!(identity.td_attributes, Machine::ATTRIBUTES);
    }
}

// G-30, G-31
#[test]
fn a_quote_counts_raw_and_framed() {
    for settings in [Settings::default(), tdx()] {
        let chain = Chain::new(&settings);
        let quote = match settings.tee {
            Tee::Sgx => chain.sgx_quote(&Enclave::default()),
            Tee::Tdx => chain.tdx_quote(&Machine::default(), 5),
        };
        let claims = judged(&chain, &quote).unwrap();
        assert_eq!(judged(&chain, &frame(&quote)).unwrap(), claims);
        // What a device pads with changes nothing; anything else does not belong there.
        assert_eq!(judged(&chain, &[&quote[..], &[0; 100]].concat()).unwrap(), claims);
        let continued = judged(&chain, &[&quote[..], &[0, 1]].concat());
        assert_eq!(
            continued.unwrap_err().to_string(),
            "reading the quote: something stands behind the quote"
        );
    }
}

// M-84: whether debug is accepted is the package's
#[test]
fn debug_mode_is_a_claim_and_no_error() {
    let chain = Chain::new(&Settings::default());
    let quote = chain.sgx_quote(&Enclave { debug: true, ..Enclave::default() });
    assert!(judged(&chain, &quote).unwrap().debug);
    let chain = Chain::new(&tdx());
    for bit in [0x01, 0x10, 0x20, 0x40] {
        let mut attributes = Machine::ATTRIBUTES;
        attributes[0] = bit;
        let quote = chain.tdx_quote(&Machine { attributes, ..Machine::default() }, 4);
        assert!(judged(&chain, &quote).unwrap().debug, "{bit}");
    }
}

// M-81, M-82
#[test]
fn the_level_that_the_platform_meets_is_its_status() {
    let status = |settings: &Settings| {
        let claims = verdict(settings).unwrap();
        (claims.tcb_status, claims.advisories.unwrap())
    };
    let advisories = |list: &[&str]| list.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    for (svn, expected, ids) in [
        (5, "UpToDate", &[][..]),
        (4, "UpToDate", &[]),
        (3, "SWHardeningNeeded", &["INTEL-SA-00334", "INTEL-SA-00615"]),
        (2, "OutOfDate", &["INTEL-SA-00477"]),
    ] {
        let found = status(&Settings { svn, ..Settings::default() });
        assert_eq!(found, (expected.to_owned(), advisories(ids)), "{svn}");
    }
    for named in ["ConfigurationNeeded", "OutOfDateConfigurationNeeded", "ConfigurationAndSWHardeningNeeded"]
    {
        let levels = vec![Level { svn: 1, pce_svn: 1, status: named, advisories: &[] }];
        assert_eq!(status(&Settings { levels, ..Settings::default() }).0, named);
    }
    // The quoting enclave's own.
    assert_eq!(status(&Settings { qe_svn: 6, ..Settings::default() }).0, "OutOfDate");
}

// M-81
#[test]
fn revoked_platforms_and_those_without_a_level_are_refused() {
    for settings in [Settings::default(), tdx()] {
        let revoked = refusal(&Settings { svn: 1, ..settings.clone() });
        assert_eq!(revoked, "TCB status is invalid: Revoked");
        for lower in [Settings { svn: 0, ..settings.clone() }, Settings { pce_svn: 9, ..settings.clone() }] {
            assert_eq!(refusal(&lower), "No matching TCB level found");
        }
        assert!(verdict(&Settings { pce_svn: 10, ..settings.clone() }).is_ok());
        let qe = refusal(&Settings { qe_svn: 5, ..settings });
        assert_eq!(qe, "QE ISVSVN 5 is below minimum required 6 from QE Identity");
    }
}

#[test]
fn a_virtual_machine_is_judged_by_its_module_too() {
    let chain = Chain::new(&tdx());
    let with = |change: fn(&mut Machine), version| {
        let mut machine = Machine::default();
        change(&mut machine);
        judged(&chain, &chain.tdx_quote(&machine, version))
    };
    let status = |svn: u8| {
        let mut machine = Machine::default();
        machine.tee_tcb_svn[0] = svn;
        judged(&chain, &chain.tdx_quote(&machine, 4)).map(|claims| claims.tcb_status)
    };
    assert_eq!(status(4).unwrap(), "UpToDate");
    assert_eq!(status(2).unwrap(), "OutOfDate");
    let too_low = "TDX module TCB level check: TDX module ISVSVN 1 is below minimum required from TDX module TCB levels";
    assert_eq!(status(1).unwrap_err(), EvidenceError::Refused(too_low.to_owned()));
    let refused = |change, version| with(change, version).unwrap_err().to_string();
    // No identity for this module; another module's signer.
    assert_eq!(
        refused(|machine| machine.tee_tcb_svn[1] = 3, 4),
        "TDX module TCB level check: No TDX module identity with id TDX_03 found in TCB Info"
    );
    let signer = refused(|machine| machine.seam_signer[0] = 1, 4);
    assert!(signer.starts_with("TDX module identity check: TDX module MRSIGNER mismatch: "), "{signer}");
    assert_eq!(refused(|machine| machine.service_td[0] = 1, 5), "Invalid MR service TD");
    assert_eq!(refused(|machine| machine.attributes[3] = 0, 4), "SEPT_VE_DISABLE is not enabled");
    assert_eq!(refused(|machine| machine.attributes[3] |= 0x20, 4), "TD migration is enabled");
    assert_eq!(refused(|machine| machine.attributes[1] = 0x80, 4), "Reserved bits in TD attributes are set");
}

// M-81, M-82
#[test]
fn what_a_virtual_machine_runs_on_now_counts_as_what_it_was_started_on() {
    let levels = |status, advisories| {
        let level = |svn, status, advisories| Level { svn, pce_svn: 10, status, advisories };
        vec![
            level(4, "UpToDate", &[][..]),
            level(3, status, advisories),
            level(1, "OutOfDate", &["INTEL-SA-3"]),
        ]
    };
    let judged = |status, started: u8, current: u8| {
        let chain = Chain::new(&Settings { levels: levels(status, &["INTEL-SA-1"]), ..tdx() });
        // The first two bytes are the module's, which has levels of its own.
        let versions = |svn: u8| std::array::from_fn(|at| if at < 2 { 4 } else { svn });
        let machine = Machine {
            tee_tcb_svn: versions(started),
            current_tcb_svn: Some(versions(current)),
            ..Machine::default()
        };
        let claims = judged(&chain, &chain.tdx_quote(&machine, 5)).unwrap();
        (claims.tcb_status, claims.advisories.unwrap().join(","))
    };
    for (status, started, current, expected, advisories) in [
        ("SWHardeningNeeded", 4, 4, "UpToDate", ""),
        ("SWHardeningNeeded", 4, 3, "SWHardeningNeeded", "INTEL-SA-1"),
        ("SWHardeningNeeded", 3, 4, "SWHardeningNeeded", "INTEL-SA-1"),
        ("SWHardeningNeeded", 4, 2, "OutOfDate", "INTEL-SA-3"),
        ("SWHardeningNeeded", 3, 2, "OutOfDate", "INTEL-SA-1,INTEL-SA-3"),
        ("SWHardeningNeeded", 2, 3, "OutOfDate", "INTEL-SA-3,INTEL-SA-1"),
        ("ConfigurationNeeded", 4, 3, "ConfigurationNeeded", "INTEL-SA-1"),
        ("ConfigurationNeeded", 3, 2, "OutOfDateConfigurationNeeded", "INTEL-SA-1,INTEL-SA-3"),
        ("ConfigurationNeeded", 2, 3, "OutOfDateConfigurationNeeded", "INTEL-SA-3,INTEL-SA-1"),
        ("ConfigurationAndSWHardeningNeeded", 4, 3, "ConfigurationAndSWHardeningNeeded", "INTEL-SA-1"),
    ] {
        let found = judged(status, started, current);
        assert_eq!(found, (expected.to_owned(), advisories.to_owned()), "{status} {started} {current}");
    }
}

/// What is refused of a link that somebody else has signed: which one, and why.
fn forgery(link: Link) -> &'static str {
    match link {
        Link::PckCa => {
            "the certificate of the platform's CA: Failed to verify certificate chain: InvalidSignatureForPublicKey"
        }
        Link::Pck => {
            "the platform's certificate: Failed to verify certificate chain: InvalidSignatureForPublicKey"
        }
        Link::TcbSigner => {
            "the certificate of the TCB info's signer: Failed to verify certificate chain: InvalidSignatureForPublicKey"
        }
        Link::TcbInfo => "Signature is invalid for tcb_info in quote_collateral",
        Link::QeIdentity => "Signature is invalid for qe_identity in quote_collateral",
        Link::RootCrl => "Failed to parse root CA CRL: InvalidCrlSignatureForPublicKey",
        Link::PckCrl => {
            "the platform CA's revocation list: Failed to verify certificate chain: InvalidCrlSignatureForPublicKey"
        }
        Link::QeReport => "Signature is invalid for qe_report in quote",
        Link::AttestationKey => "QE report hash mismatch",
        Link::Quote => "ISV enclave report signature is invalid",
    }
}

// M-83: nothing counts that does not lead to the root, and the refusal says at which link
#[test]
fn a_wrong_signature_at_any_link_is_refused() {
    for settings in [Settings::default(), tdx()] {
        for link in Link::ALL {
            let forged = Settings { forged: Some(link), ..settings.clone() };
            let refused = EvidenceError::Refused(forgery(link).to_owned());
            assert_eq!(verdict(&forged).unwrap_err(), refused, "{link:?} {:?}", settings.tee);
        }
        assert!(verdict(&settings).is_ok());
    }
}

#[test]
fn a_revoked_certificate_at_any_link_is_refused() {
    for settings in [Settings::default(), tdx()] {
        for (of, name) in [
            (Certified::PckCa, "the certificate of the platform's CA"),
            (Certified::Pck, "the platform's certificate"),
            (Certified::TcbSigner, "the certificate of the TCB info's signer"),
        ] {
            let text = refusal(&Settings { revoked: Some(of), ..settings.clone() });
            assert_eq!(text, format!("{name}: Failed to verify certificate chain: CertRevoked"), "{of:?}");
        }
    }
}

#[test]
fn whatever_is_expired_or_not_valid_yet_is_refused() {
    for settings in [Settings::default(), tdx()] {
        for of in Dated::ALL {
            let expired = refusal(&Settings { expired: Some(of), ..settings.clone() });
            let future = refusal(&Settings { future: Some(of), ..settings.clone() });
            // The platform's certificate comes with the quote.
            if of == Dated::Certificate(Certified::Pck) {
                let chain = "the platform's certificate: Failed to verify certificate chain";
                assert!(expired.starts_with(&format!("{chain}: CertExpired ")), "{expired}");
                assert!(future.starts_with(&format!("{chain}: CertNotValidYet ")), "{future}");
            } else {
                assert_eq!(expired, "the collateral for the quote is not valid any more", "{of:?}");
                assert_eq!(future, "the collateral for the quote is not valid yet", "{of:?}");
            }
        }
    }
}

#[test]
fn the_time_of_verification_decides() {
    let chain = Chain::new(&Settings::default());
    let quote = chain.sgx_quote(&Enclave::default());
    let verifier = Verifier::with_root(chain.root());
    let collateral = chain.collateral();
    let validity = collateral.validity();
    let at = |now| verifier.verify(&quote, &collateral, now).map(|_| ());
    let refused =
        |when| Err(EvidenceError::Refused(format!("the collateral for the quote is not valid {when}")));
    for now in [validity.from, validity.until - 1] {
        assert_eq!(at(now), Ok(()), "{now}");
    }
    for now in [-1, 0, validity.from - 1] {
        assert_eq!(at(now), refused("yet"), "{now}");
    }
    for now in [validity.until, validity.until + 1, i64::MAX] {
        assert_eq!(at(now), refused("any more"), "{now}");
    }
}

#[test]
fn collateral_of_another_platform_or_tee_is_refused() {
    let another = Settings { tcb_fmspc: Some([1; 6]), ..Settings::default() };
    assert_eq!(refusal(&another), "Fmspc mismatch");
    let another = Settings { tcb_pce_id: [0, 1], ..Settings::default() };
    assert_eq!(refusal(&another), "the collateral is for PCE 0001, the platform has 0000");
    let (sgx, tdx) = (Chain::new(&Settings::default()), Chain::new(&tdx()));
    let verifier = Verifier::with_root(sgx.root());
    let quote = sgx.sgx_quote(&Enclave::default());
    // Of another root, which is found first.
    let refused = EvidenceError::Refused(forgery(Link::RootCrl).to_owned());
    assert_eq!(verifier.verify(&quote, &tdx.collateral(), NOW), Err(refused));
    // An SGX report under a TDX header.
    let header = FramingError::Header { version: 0x2_0003, kind: 0x81 };
    assert_eq!(judged(&tdx, &tdx.sgx_quote(&Enclave::default())), Err(EvidenceError::Framing(header)));
}

#[test]
fn a_wrong_quoting_enclave_is_refused() {
    for settings in [Settings::default(), tdx()] {
        let (wanted, found) = ("51".repeat(32), "52".repeat(32));
        assert_eq!(
            refusal(&Settings { qe_signer: [0x52; 32], ..settings.clone() }),
            format!("QE MRSIGNER mismatch: expected {wanted}, got {found}")
        );
        let product = if settings.tee == Tee::Sgx { 1 } else { 2 };
        assert_eq!(
            refusal(&Settings { qe_product: Some(3), ..settings.clone() }),
            format!("QE ISVPRODID mismatch: expected {product}, got 3")
        );
        let debug = refusal(&Settings { qe_debug: true, ..settings });
        assert_eq!(debug, "QE report validation failed: Debug mode is enabled");
    }
}

//
#[test]
fn another_root_proves_nothing() {
    let (chain, other) = (Chain::new(&Settings::default()), Chain::new(&Settings::default()));
    let quote = chain.sgx_quote(&Enclave::default());
    let refused = |text: &str| EvidenceError::Refused(text.to_owned());
    let (foreign, not_intel) = (refused(forgery(Link::RootCrl)), refused(NOT_INTEL));
    let root = Verifier::with_root(other.root());
    assert_eq!(root.verify(&quote, &chain.collateral(), NOW), Err(foreign.clone()));
    // The collateral is this root's, the platform is not.
    assert_eq!(root.verify(&quote, &other.collateral(), NOW), Err(refused(forgery(Link::PckCa))));
    assert_eq!(root.kind(&quote), Err(not_intel.clone()));
    let root = Verifier::new();
    assert_eq!(root.verify(&quote, &chain.collateral(), NOW), Err(foreign.clone()));
    assert_eq!(root.verify(&quote, &other.collateral(), NOW), Err(foreign));
    assert_eq!(root.kind(&quote), Err(not_intel));
    let none = Verifier::with_root(Vec::new()).verify(&quote, &chain.collateral(), NOW).unwrap_err();
    assert!(none.to_string().starts_with("Failed to load root ca: "), "{none}");
}

// The chain that comes with collateral is not the quote's.
#[test]
fn the_platforms_certificate_is_the_quotes_own() {
    let (chain, other) = (Chain::new(&Settings::default()), Chain::new(&Settings::default()));
    let mut parts = chain.parts();
    parts.pck_certificate_chain = Some(other.parts().pck_crl_issuer_chain);
    let collateral = Collateral::from_parts(parts).unwrap();
    let verifier = Verifier::with_root(chain.root());
    assert!(verifier.verify(&chain.sgx_quote(&Enclave::default()), &collateral, NOW).is_ok());
}

#[test]
fn the_kind_says_whose_collateral_is_needed() {
    let chain = Chain::new(&Settings::default());
    let key = Key { tee: Tee::Sgx, fmspc: Fmspc([0, 0x90, 0x6e, 0xa1, 0, 0]), ca: PckCa::Platform };
    let verifier = Verifier::with_root(chain.root());
    let quote = chain.sgx_quote(&Enclave::default());
    assert_eq!(verifier.kind(&quote), Ok(QuoteKind::Intel(key)));
    assert_eq!(verifier.kind(&frame(&quote)), Ok(QuoteKind::Intel(key)));
    let chain = Chain::new(&tdx());
    let verifier = Verifier::with_root(chain.root());
    for version in [4, 5] {
        let quote = chain.tdx_quote(&Machine::default(), version);
        assert_eq!(verifier.kind(&quote), Ok(QuoteKind::Intel(Key { tee: Tee::Tdx, ..key })));
    }
}

// Nobody's evidence but that of certified platforms makes anybody fetch.
#[test]
fn a_platform_that_nobody_certified_has_no_kind() {
    for link in [Link::Pck, Link::PckCa] {
        let chain = Chain::new(&Settings { forged: Some(link), ..Settings::default() });
        let verifier = Verifier::with_root(chain.root());
        let kind = verifier.kind(&chain.sgx_quote(&Enclave::default()));
        assert_eq!(kind, Err(EvidenceError::Refused(NOT_INTEL.to_owned())), "{link:?}");
    }
}

/// What is said of a raw quote, cut off: below 48 bytes it does not show that it is one, and is read as a frame.
fn cut_off(cut: &[u8]) -> EvidenceError {
    let word = |at| u32::from_le_bytes(std::array::from_fn(|byte| cut[at + byte]));
    match cut.len() {
        length @ ..16 => EvidenceError::Framing(FramingError::Short(length)),
        16..48 => EvidenceError::Framing(FramingError::Header { version: word(0), kind: word(4) }),
        _ => EvidenceError::Malformed(CUT_OFF),
    }
}

#[test]
fn a_quote_cut_off_anywhere_is_refused() {
    let (sgx, tdx) = (Chain::new(&Settings::default()), Chain::new(&tdx()));
    for (chain, quote) in [
        (&sgx, sgx.sgx_quote(&Enclave::default())),
        (&tdx, tdx.tdx_quote(&Machine::default(), 4)),
        (&tdx, tdx.tdx_quote(&Machine::default(), 5)),
    ] {
        let verifier = Verifier::with_root(chain.root());
        let collateral = chain.collateral();
        let framed = EvidenceError::Malformed(CUT_OFF);
        for length in 0..quote.len() {
            let cut = &quote[..length];
            assert_eq!(verifier.verify(cut, &collateral, NOW), Err(cut_off(cut)), "{length}");
            assert_eq!(verifier.kind(cut), Err(cut_off(cut)), "{length}");
            assert_eq!(
                verifier.verify(&frame(cut), &collateral, NOW),
                Err(framed.clone()),
                "{length}, framed"
            );
        }
        assert!(verifier.verify(&quote, &collateral, NOW).is_ok());
    }
}

#[test]
fn what_is_no_quote_or_too_long_is_refused_before_anything_is_computed() {
    let chain = Chain::new(&Settings::default());
    let quote = chain.sgx_quote(&Enclave::default());
    let verifier = Verifier::with_root(chain.root());
    let padded = |length: usize| [&quote[..], &vec![0; length - quote.len()]].concat();
    assert!(verifier.kind(&padded(crate::quote::MAX_QUOTE_BYTES)).is_ok());
    let long = crate::quote::MAX_QUOTE_BYTES + 1;
    assert_eq!(verifier.kind(&padded(long)), Err(EvidenceError::TooLong(long)));
    let header = FramingError::Header { version: u32::MAX, kind: u32::MAX };
    for (bytes, error) in [
        (&b""[..], EvidenceError::Framing(FramingError::Short(0))),
        (b"quote", EvidenceError::Framing(FramingError::Short(5))),
        (&[0xff; 5000], EvidenceError::Framing(header)),
        (&frame(b""), EvidenceError::Malformed(CUT_OFF)),
    ] {
        assert_eq!(verifier.kind(bytes), Err(error));
    }
}

// certificates.trustedservices.intel.com
#[test]
fn intels_root_is_the_published_one() {
    let published = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3";
    assert_eq!(hex::encode(sha256(INTEL_ROOT)), published);
}
