//! Quotes of real machines, with the collateral of their time, against Intel's root.
#![allow(clippy::unwrap_used)] // Helpers of tests stop where they cannot go on.

use carrara_attest::collateral::{Collateral, Tee};
use carrara_attest::framing::frame;
use carrara_attest::quote::QuoteKind;
use carrara_attest::verify::Verifier;
use carrara_types::claims::{Claims, Identity};

struct Sample {
    quote: &'static [u8],
    collateral: &'static [u8],
}

macro_rules! sample {
    ($name:literal) => {
        Sample {
            quote: include_bytes!(concat!("fixtures/intel/", $name)),
            collateral: include_bytes!(concat!("fixtures/intel/", $name, "_collateral.json")),
        }
    };
}

const SGX: Sample = sample!("sgx_quote");
const TDX: Sample = sample!("tdx_quote");
const TDX_OUTDATED: Sample = sample!("tdx_quote_outdated");
const TDX_15: Sample = sample!("tdx_quote_td15ex");

impl Sample {
    fn collateral(&self) -> Collateral {
        Collateral::from_parts(serde_json::from_slice(self.collateral).unwrap()).unwrap()
    }

    /// As of when the last part of the collateral became valid.
    fn claims(&self) -> Claims {
        let collateral = self.collateral();
        Verifier::new().verify(self.quote, &collateral, collateral.validity().from).unwrap()
    }
}

// G-25, M-81, M-82, M-84..M-87
#[test]
fn a_real_enclaves_quote_verifies_at_its_time() {
    let claims = SGX.claims();
    assert_eq!(claims.tcb_status, "ConfigurationAndSWHardeningNeeded");
    assert_eq!(claims.advisories.unwrap(), ["INTEL-SA-00289", "INTEL-SA-00615"]);
    assert!(!claims.debug);
    let Identity::Sgx(identity) = claims.identity else { panic!("an enclave") };
    assert_eq!(identity.unique_id[..], SGX.quote[112..144]);
    assert_eq!(identity.signer_id[..], SGX.quote[176..208]);
    assert_eq!(claims.report_data, SGX.quote[368..432]);
}

// G-25
#[test]
fn real_virtual_machines_quotes_verify_at_their_time() {
    let claims = TDX.claims();
    assert_eq!(claims.tcb_status, "UpToDate");
    let Identity::Tdx(identity) = claims.identity else { panic!("a virtual machine") };
    assert_eq!(identity.mr_td[..], TDX.quote[184..232]);
    assert_eq!(identity.rtmrs[3][..], TDX.quote[520..568]);
    assert_eq!(claims.report_data, TDX.quote[568..632]);
    assert_eq!(TDX_15.claims().tcb_status, "UpToDate");
}

// M-81
#[test]
fn a_real_platform_below_every_level_is_refused() {
    let collateral = TDX_OUTDATED.collateral();
    let verdict = Verifier::new().verify(TDX_OUTDATED.quote, &collateral, collateral.validity().from);
    assert_eq!(verdict.unwrap_err().to_string(), "No matching TCB level found");
}

#[test]
fn real_quotes_say_whose_collateral_they_need() {
    for (sample, tee) in [(SGX, Tee::Sgx), (TDX, Tee::Tdx), (TDX_OUTDATED, Tee::Tdx), (TDX_15, Tee::Tdx)] {
        let key = sample.collateral().key();
        assert_eq!(key.tee, tee);
        assert_eq!(Verifier::new().kind(sample.quote), Ok(QuoteKind::Intel(key)));
        assert_eq!(Verifier::new().kind(&frame(sample.quote)), Ok(QuoteKind::Intel(key)));
    }
}

#[test]
fn real_quotes_verify_in_the_time_of_their_collateral_only() {
    for sample in [SGX, TDX, TDX_15] {
        let collateral = sample.collateral();
        let validity = collateral.validity();
        let at = |now| Verifier::new().verify(sample.quote, &collateral, now).is_ok();
        assert!(at(validity.from) && at(validity.until - 1));
        assert!(!at(validity.from - 1) && !at(validity.until));
    }
}

#[test]
fn a_real_quote_with_the_collateral_of_another_kind_of_platform_is_refused() {
    for (quote, collateral, refused) in [
        (&SGX, &TDX, "Unsupported QE Identity id/version for the quote TEE type: TD_QE "),
        (&TDX, &SGX, "Unsupported QE Identity id/version for the quote TEE type: QE "),
        (&TDX, &TDX_OUTDATED, "Fmspc mismatch"),
        // The platform was certified after that collateral had expired.
        (
            &TDX_OUTDATED,
            &TDX,
            "the platform's certificate: Failed to verify certificate chain: CertNotValidYet ",
        ),
    ] {
        let collateral = collateral.collateral();
        let now = collateral.validity().from;
        let error = Verifier::new().verify(quote.quote, &collateral, now).unwrap_err().to_string();
        assert!(error.starts_with(refused), "{error}");
    }
}

// The list of the other CA says nothing about this one's platforms.
#[test]
fn a_real_quote_with_the_revocation_list_of_the_other_ca_is_refused() {
    for (sample, other) in [(&SGX, &TDX), (&TDX, &SGX)] {
        let (own, other) = (sample.collateral(), other.collateral());
        let mut parts = own.parts().clone();
        parts.pck_crl.clone_from(&other.parts().pck_crl);
        parts.pck_crl_issuer_chain.clone_from(&other.parts().pck_crl_issuer_chain);
        let mixed = Collateral::from_parts(parts).unwrap();
        assert_ne!(mixed.key().ca, own.key().ca);
        // In the time of all parts, so that no other reason refuses it.
        let validity = mixed.validity();
        let now = validity.from.max(own.validity().from);
        assert!(validity.holds(now) && own.validity().holds(now));
        assert!(Verifier::new().verify(sample.quote, &own, now).is_ok());
        let error = Verifier::new().verify(sample.quote, &mixed, now).unwrap_err().to_string();
        assert!(error.contains("RevocationStatus"), "{error}");
    }
}

#[test]
fn a_real_quote_cut_off_anywhere_is_refused() {
    for sample in [SGX, TDX, TDX_15] {
        let (verifier, collateral) = (Verifier::new(), sample.collateral());
        let now = collateral.validity().from;
        // What stands behind it as zeros is nothing.
        let used = sample.quote.iter().rposition(|byte| *byte != 0).unwrap();
        for length in 0..used {
            let cut = &sample.quote[..length];
            assert!(verifier.verify(cut, &collateral, now).is_err(), "{length}");
            let error = verifier.verify(&frame(cut), &collateral, now).unwrap_err().to_string();
            assert_eq!(
                error, "reading the quote: it is no quote of SGX or TDX, or cut off",
                "{length}, framed"
            );
        }
    }
}
