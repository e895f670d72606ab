//! One byte changed in an accepted quote or its collateral: refused, or the same claims.
//!
//! 500 changes at random places in the tests; `CARRARA_CHANGES=20000 cargo test -p carrara-attest --lib changed_byte` makes
//! more. The place and the byte of each come from its number, so that a failure is found again.

use crate::chain::{Chain, Enclave, Machine, Settings};
use crate::collateral::{Collateral, Tee};
use crate::verify::Verifier;
use dcap_qvl::QuoteCollateralV3;

/// Changes where nobody asks for another number.
const CHANGES: u64 = 500;

/// What is changed, and what verifies it.
struct Evidence {
    verifier: Verifier,
    quote: Vec<u8>,
    parts: QuoteCollateralV3,
    now: i64,
}

fn generated(tee: Tee, version: u16) -> Evidence {
    let settings = Settings { tee, ..Settings::default() };
    let chain = Chain::new(&settings);
    let quote = match tee {
        Tee::Sgx => chain.sgx_quote(&Enclave::default()),
        Tee::Tdx => chain.tdx_quote(&Machine::default(), version),
    };
    let verifier = Verifier::with_root(chain.root());
    Evidence { verifier, quote, parts: chain.parts(), now: settings.now }
}

fn real(quote: &[u8], collateral: &[u8]) -> Evidence {
    let parts: QuoteCollateralV3 = serde_json::from_slice(collateral).unwrap();
    let now = Collateral::from_parts(parts.clone()).unwrap().validity().from;
    Evidence { verifier: Verifier::new(), quote: quote.to_vec(), parts, now }
}

fn all() -> Vec<Evidence> {
    vec![
        generated(Tee::Sgx, 3),
        generated(Tee::Tdx, 4),
        generated(Tee::Tdx, 5),
        real(
            include_bytes!("../../tests/fixtures/intel/sgx_quote"),
            include_bytes!("../../tests/fixtures/intel/sgx_quote_collateral.json"),
        ),
        real(
            include_bytes!("../../tests/fixtures/intel/tdx_quote"),
            include_bytes!("../../tests/fixtures/intel/tdx_quote_collateral.json"),
        ),
        real(
            include_bytes!("../../tests/fixtures/intel/tdx_quote_td15ex"),
            include_bytes!("../../tests/fixtures/intel/tdx_quote_td15ex_collateral.json"),
        ),
    ]
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Another byte at a random place; what is text stays ASCII.
pub(crate) fn change(bytes: &mut [u8], random: &mut u64, text: bool) {
    let at = usize::try_from(next(random)).unwrap() % bytes.len();
    let byte = bytes[at];
    let other = byte.wrapping_add(1 + u8::try_from(next(random) % 255).unwrap());
    bytes[at] = if text { (other & 0x7f) ^ u8::from(other & 0x7f == byte) } else { other };
}

fn change_text(text: &mut String, random: &mut u64) {
    let mut bytes = std::mem::take(text).into_bytes();
    change(&mut bytes, random, true);
    *text = String::from_utf8(bytes).unwrap();
}

fn change_part(parts: &mut QuoteCollateralV3, part: u64, random: &mut u64) {
    match part {
        0 => change_text(&mut parts.pck_crl_issuer_chain, random),
        1 => change(&mut parts.root_ca_crl, random, false),
        2 => change(&mut parts.pck_crl, random, false),
        3 => change_text(&mut parts.tcb_info_issuer_chain, random),
        4 => change_text(&mut parts.tcb_info, random),
        5 => change(&mut parts.tcb_info_signature, random, false),
        6 => change_text(&mut parts.qe_identity_issuer_chain, random),
        7 => change_text(&mut parts.qe_identity, random),
        _ => change(&mut parts.qe_identity_signature, random, false),
    }
}

/// How many changes are asked for.
pub(crate) fn changes() -> u64 {
    std::env::var("CARRARA_CHANGES").map_or(CHANGES, |number| number.parse().unwrap())
}

// G-25
#[test]
fn one_changed_byte_is_refused_or_changes_no_claim() {
    let changes = changes();
    let evidence = all();
    let collateral: Vec<Collateral> =
        evidence.iter().map(|of| Collateral::from_parts(of.parts.clone()).unwrap()).collect();
    let good: Vec<_> = evidence
        .iter()
        .zip(&collateral)
        .map(|(of, collateral)| of.verifier.verify(&of.quote, collateral, of.now).unwrap())
        .collect();
    let (mut refused, mut same) = (0, 0);
    for number in 0..changes {
        let mut random = number;
        let which = usize::try_from(next(&mut random)).unwrap() % evidence.len();
        let (of, good) = (&evidence[which], &good[which]);
        let verdict = match next(&mut random) % 18 {
            part @ 0..9 => {
                let mut parts = of.parts.clone();
                change_part(&mut parts, part, &mut random);
                let Ok(changed) = Collateral::from_parts(parts) else {
                    refused += 1;
                    continue;
                };
                of.verifier.verify(&of.quote, &changed, of.now)
            }
            _ => {
                let mut quote = of.quote.clone();
                change(&mut quote, &mut random, false);
                of.verifier.verify(&quote, &collateral[which], of.now)
            }
        };
        match verdict {
            Ok(claims) => {
                assert_eq!(claims, *good, "change {number}");
                same += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert_eq!(refused + same, changes);
    println!("{refused} refused, {same} without effect");
    assert!(refused > same, "{refused} refused, {same} without effect");
}
