//! Real collateral of Intel's, as dcap-qvl ships it (host/attest/tests/fixtures/intel/README.md).

use dcap_qvl::QuoteCollateralV3;
use serde_json::Value;

use crate::collateral::Collateral;

/// A moment at which it was valid: 20 June 2025, 00:00 UTC.
pub const NOW: i64 = 1_750_377_600;

/// For `sgx_quote`.
#[must_use]
pub fn sgx() -> Collateral {
    read(include_str!("../../../tests/fixtures/intel/sgx_quote_collateral.json"))
}

/// For `tdx_quote`.
#[must_use]
pub fn tdx() -> Collateral {
    read(include_str!("../../../tests/fixtures/intel/tdx_quote_collateral.json"))
}

fn read(text: &str) -> Collateral {
    let sample: Value = serde_json::from_str(text).unwrap();
    let words = |name: &str| sample.get(name).and_then(Value::as_str).unwrap().to_owned();
    let bytes = |name: &str| hex::decode(words(name)).unwrap();
    Collateral::from_parts(QuoteCollateralV3 {
        pck_crl_issuer_chain: words("pck_crl_issuer_chain"),
        root_ca_crl: bytes("root_ca_crl"),
        pck_crl: bytes("pck_crl"),
        tcb_info_issuer_chain: words("tcb_info_issuer_chain"),
        tcb_info: words("tcb_info"),
        tcb_info_signature: bytes("tcb_info_signature"),
        qe_identity_issuer_chain: words("qe_identity_issuer_chain"),
        qe_identity: words("qe_identity"),
        qe_identity_signature: bytes("qe_identity_signature"),
        pck_certificate_chain: None,
    })
    .unwrap()
}
