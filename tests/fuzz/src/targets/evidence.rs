//! Quotes in the framing of Open Enclave and without it, evidence of SEV-SNP, and what a verifier makes of them.

use std::sync::OnceLock;

use carrara_attest::chain::snp::{SnpChain, SnpSettings};
use carrara_attest::chain::{Chain, Enclave, Machine, Settings};
use carrara_attest::collateral::{Collateral, Tee};
use carrara_attest::framing::snp::SnpEvidence;
use carrara_attest::framing::{frame, is_raw_sgx_quote, unframe};
use carrara_attest::snp::SnpCollateral;
use carrara_attest::verify::Verifier;
use carrara_types::claims::Claims;

/// A chain with a good quote, framed, and what it proves.
struct Good {
    verifier: Verifier,
    collateral: Collateral,
    now: i64,
    quote: Vec<u8>,
    claims: Claims,
}

/// The same of SEV-SNP.
struct Guest {
    verifier: Verifier,
    now: i64,
    evidence: Vec<u8>,
    claims: Claims,
}

pub(super) fn run(input: &[u8]) {
    if let Ok(quote) = unframe(input) {
        assert_eq!(frame(quote), input, "a frame says more than its quote");
        assert!(!is_raw_sgx_quote(input), "a frame passes for a quote");
    }
    assert_eq!(unframe(&frame(input)), Ok(input));
    for good in good() {
        let _ = good.verifier.kind(input);
        // Nobody has the keys: whatever verifies says what the good one says.
        if let Ok(claims) = good.verifier.verify(input, &good.collateral, good.now) {
            assert_eq!(claims, good.claims, "another quote verifies");
        }
    }
    if let Ok(evidence) = SnpEvidence::unframe(input) {
        assert_eq!(evidence.frame(), input, "a frame says more than its evidence");
    }
    let guest = guest();
    let _ = guest.verifier.kind(input);
    if let Ok(claims) = guest.verifier.verify_snp(input, &SnpCollateral::default(), guest.now) {
        assert_eq!(claims, guest.claims, "another report verifies");
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut raw = vec![0; 436];
    (raw[0], raw[2], raw[8], raw[11]) = (3, 2, 1, 1);
    let mut seeds = vec![frame(&raw), raw, frame(b""), frame(b"quote"), vec![0; 16]];
    seeds.extend(good().iter().map(|good| good.quote.clone()));
    seeds.push(guest().evidence.clone());
    seeds
}

fn good() -> &'static [Good; 2] {
    static GOOD: OnceLock<[Good; 2]> = OnceLock::new();
    GOOD.get_or_init(|| [Tee::Sgx, Tee::Tdx].map(made))
}

fn guest() -> &'static Guest {
    static GUEST: OnceLock<Guest> = OnceLock::new();
    GUEST.get_or_init(|| {
        let settings = SnpSettings::default();
        let chain = SnpChain::new(&settings);
        let verifier = Verifier::new().with_snp_root(chain.root());
        let evidence = chain.evidence(&[0x5d; 64]);
        let claims = verifier
            .verify_snp(&evidence, &SnpCollateral::default(), settings.now)
            .expect("good evidence verifies");
        Guest { verifier, now: settings.now, evidence, claims }
    })
}

fn made(tee: Tee) -> Good {
    let settings = Settings { tee, ..Settings::default() };
    let chain = Chain::new(&settings);
    let quote = match tee {
        Tee::Sgx => frame(&chain.sgx_quote(&Enclave::default())),
        Tee::Tdx => frame(&chain.tdx_quote(&Machine::default(), 5)),
    };
    let (verifier, collateral) = (Verifier::with_root(chain.root()), chain.collateral());
    let claims = verifier.verify(&quote, &collateral, settings.now).expect("a good quote verifies");
    Good { verifier, collateral, now: settings.now, quote, claims }
}
