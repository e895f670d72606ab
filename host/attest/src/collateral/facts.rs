//! Reads what the parts of collateral say of themselves: for what, from when, until when. Judges nothing.

use dcap_qvl::QuoteCollateralV3;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::{Collateral, Fmspc, Key, PckCa, Tee, Validity};

/// Intel's chains have two certificates, a PCK's three.
const MOST_CERTIFICATES: usize = 4;

/// Why a part of collateral cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {part} {what}")]
pub struct Malformed {
    part: &'static str,
    what: &'static str,
}

pub(super) const fn malformed(part: &'static str, what: &'static str) -> Malformed {
    Malformed { part, what }
}

/// What the signed documents have in common.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    id: String,
    issue_date: String,
    next_update: String,
    tcb_evaluation_data_number: u32,
    fmspc: Option<String>,
}

pub(super) fn read(parts: QuoteCollateralV3) -> Result<Collateral, Malformed> {
    let tcb = head("TCB information", &parts.tcb_info)?;
    let qe = head("quoting enclave's identity", &parts.qe_identity)?;
    let tee = match (tcb.id.as_str(), qe.id.as_str()) {
        ("SGX", "QE") => Tee::Sgx,
        ("TDX", "TD_QE") => Tee::Tdx,
        ("SGX" | "TDX", _) => {
            return Err(malformed("quoting enclave's identity", "is not for the TEE of the TCB information"));
        }
        _ => return Err(malformed("TCB information", "is for an unknown TEE")),
    };
    let fmspc: Fmspc = tcb
        .fmspc
        .as_deref()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| malformed("TCB information", "names no FMSPC"))?;
    let (ca, pck_crl) = crl("PCK revocation list", &parts.pck_crl)?;
    let ca = ca.ok_or_else(|| malformed("PCK revocation list", "is not of the processor or platform CA"))?;
    let (_, root_crl) = crl("root's revocation list", &parts.root_ca_crl)?;
    let (issued, tcb_until) = dates("TCB information", &tcb)?;
    let (qe_issued, qe_until) = dates("quoting enclave's identity", &qe)?;
    let all_issued = [issued, qe_issued, pck_crl.from, root_crl.from];
    let mut validity = Validity { from: issued.max(qe_issued), until: tcb_until.min(qe_until) };
    for part in [pck_crl, root_crl] {
        narrow(&mut validity, part);
    }
    for (part, pem) in chains(&parts) {
        for der in chain(part, pem)? {
            let certificate = certificate(part, &der)?;
            let dates = certificate.validity();
            let dates = Validity { from: dates.not_before.timestamp(), until: dates.not_after.timestamp() };
            narrow(&mut validity, dates);
        }
    }
    let tcb_evaluation_data_number = tcb.tcb_evaluation_data_number.min(qe.tcb_evaluation_data_number);
    Ok(Collateral {
        key: Key { tee, fmspc, ca },
        validity,
        issued: all_issued,
        tcb_evaluation_data_number,
        parts,
    })
}

fn narrow(validity: &mut Validity, by: Validity) {
    validity.from = validity.from.max(by.from);
    validity.until = validity.until.min(by.until);
}

/// The issuer chains, each with the name of what it signs.
pub(super) fn chains(parts: &QuoteCollateralV3) -> [(&'static str, &str); 3] {
    [
        ("TCB information's issuer chain", &parts.tcb_info_issuer_chain),
        ("quoting enclave's issuer chain", &parts.qe_identity_issuer_chain),
        ("PCK revocation list's issuer chain", &parts.pck_crl_issuer_chain),
    ]
}

/// The certificates of a chain, DER, the issuer first and the root last.
pub(super) fn chain(part: &'static str, text: &str) -> Result<Vec<Vec<u8>>, Malformed> {
    let blocks = pem::parse_many(text).map_err(|_| malformed(part, "is not PEM"))?;
    if blocks.is_empty() || blocks.len() > MOST_CERTIFICATES {
        return Err(malformed(part, "has no certificates, or too many"));
    }
    Ok(blocks.into_iter().map(pem::Pem::into_contents).collect())
}

pub(super) fn certificate<'a>(part: &'static str, der: &'a [u8]) -> Result<X509Certificate<'a>, Malformed> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(malformed(part, "has a certificate that cannot be read")),
    }
}

pub(super) fn parse_crl<'a>(
    part: &'static str,
    der: &'a [u8],
) -> Result<CertificateRevocationList<'a>, Malformed> {
    match CertificateRevocationList::from_der(der) {
        Ok(([], crl)) => Ok(crl),
        _ => Err(malformed(part, "cannot be read")),
    }
}

/// Of which PCK CA a revocation list is, and when it is valid.
fn crl(part: &'static str, der: &[u8]) -> Result<(Option<PckCa>, Validity), Malformed> {
    let crl = parse_crl(part, der)?;
    let name = crl.issuer().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or_default();
    // As the verifier tells them apart: "Intel SGX PCK Processor CA", "Intel SGX PCK Platform CA".
    let ca = match (name.contains("Processor"), name.contains("Platform")) {
        (true, false) => Some(PckCa::Processor),
        (false, true) => Some(PckCa::Platform),
        _ => None,
    };
    let until = crl.next_update().ok_or_else(|| malformed(part, "does not say when the next one comes"))?;
    Ok((ca, Validity { from: crl.last_update().timestamp(), until: until.timestamp() }))
}

fn head(part: &'static str, text: &str) -> Result<Head, Malformed> {
    serde_json::from_str(text).map_err(|_| malformed(part, "is not JSON of the expected form"))
}

fn dates(part: &'static str, head: &Head) -> Result<(i64, i64), Malformed> {
    let seconds = |text: &str| {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(OffsetDateTime::unix_timestamp)
            .map_err(|_| malformed(part, "has a date that cannot be read"))
    };
    Ok((seconds(&head.issue_date)?, seconds(&head.next_update)?))
}

#[cfg(test)]
mod tests {
    use crate::collateral::mock::samples;

    use super::*;

    // The dates of the samples: issued 19 June 2025, next updates 19 July 2025
    #[test]
    fn real_collateral_says_what_it_is_for_and_when() {
        let sgx = samples::sgx();
        assert_eq!(sgx.key().to_string(), "SGX, FMSPC 00A067110000, processor CA");
        assert_eq!(sgx.tcb_evaluation_data_number(), 17);
        assert_eq!((sgx.issued(), sgx.validity().until), (1_750_330_571, 1_752_919_278));
        let tdx = samples::tdx();
        assert_eq!(tdx.key().to_string(), "TDX, FMSPC B0C06F000000, platform CA");
        for collateral in [sgx, tdx] {
            let Validity { from, until } = collateral.validity();
            assert!(collateral.validity().holds(samples::NOW));
            for (now, holds) in [(from - 1, false), (from, true), (until - 1, true), (until, false)] {
                assert_eq!(collateral.validity().holds(now), holds);
            }
        }
    }

    #[test]
    fn parts_that_do_not_belong_together_or_cannot_be_read_are_named() {
        let (sgx, tdx) = (samples::sgx().parts().clone(), samples::tdx().parts().clone());
        let refused = |parts: QuoteCollateralV3| Collateral::from_parts(parts).unwrap_err().to_string();
        let mixed = QuoteCollateralV3 { qe_identity: tdx.qe_identity.clone(), ..sgx.clone() };
        assert!(refused(mixed).contains("TEE of the TCB information"));
        let no_json = QuoteCollateralV3 { tcb_info: "{".to_owned(), ..sgx.clone() };
        assert!(refused(no_json).starts_with("the TCB information"));
        let other = sgx.tcb_info.replace("\"SGX\"", "\"SGX2\"");
        assert!(refused(QuoteCollateralV3 { tcb_info: other, ..sgx.clone() }).contains("unknown TEE"));
        let none = sgx.tcb_info.replace("00A067110000", "00A0671100");
        assert!(refused(QuoteCollateralV3 { tcb_info: none, ..sgx.clone() }).contains("FMSPC"));
        let date = sgx.qe_identity.replace("2025-06-19T", "2025-26-19T");
        assert!(refused(QuoteCollateralV3 { qe_identity: date, ..sgx.clone() }).contains("date"));
        let root = QuoteCollateralV3 { pck_crl: sgx.root_ca_crl.clone(), ..sgx.clone() };
        assert!(refused(root).contains("processor or platform"));
        for (part, name) in [(Vec::new(), "PCK revocation"), (vec![0x30, 0x80], "PCK revocation")] {
            assert!(refused(QuoteCollateralV3 { pck_crl: part, ..sgx.clone() }).contains(name));
        }
        for chain in [String::new(), "no PEM".to_owned(), sgx.pck_crl_issuer_chain.repeat(3)] {
            let text = refused(QuoteCollateralV3 { pck_crl_issuer_chain: chain, ..sgx.clone() });
            assert!(text.contains("issuer chain"), "{text}");
        }
    }
}
