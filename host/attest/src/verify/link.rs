//! Which link of the chain it was that Intel's library refused: it says "certificate chain" of all of them.
//!
//! Only names what was refused already. It decides nothing, and knows no name rather than a wrong one.

use dcap_qvl::QuoteCollateralV3;
use x509_parser::pem::Pem;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use crate::quote::{IntelQuote, is_signed_by};

/// How the library begins where it does not say which certificate it means.
const UNNAMED: &str = "Failed to verify certificate chain";

const SIGNER: &str = "the certificate of the TCB info's signer";
const AUTHORITY: &str = "the certificate of the platform's CA";
const PLATFORM: &str = "the platform's certificate";
const LIST: &str = "the platform CA's revocation list";

/// The link that the library's text is about, where the text does not name it; asked in the library's order.
pub(super) fn broken(
    text: &str,
    quote: &IntelQuote<'_>,
    collateral: &QuoteCollateralV3,
    root: &[u8],
) -> Option<&'static str> {
    if !text.starts_with(UNNAMED) {
        return None;
    }
    let signer = Pem::iter_from_buffer(collateral.tcb_info_issuer_chain.as_bytes()).next()?.ok()?.contents;
    let chain = quote.certificates().ok()?;
    let [platform, authority, ..] = chain.as_slice() else { return None };
    let is_bad = |certificate: &[u8], by: &[u8], list: &[u8]| {
        !is_signed_by(certificate, by) || is_listed(certificate, list) == Some(true)
    };
    if is_bad(&signer, root, &collateral.root_ca_crl) {
        return Some(SIGNER);
    }
    if is_bad(authority, root, &collateral.root_ca_crl) {
        return Some(AUTHORITY);
    }
    if text.contains("Crl") {
        return Some(LIST);
    }
    // The collateral's own times were looked at before, and the CA is the collateral's.
    (is_bad(platform, authority, &collateral.pck_crl)
        || text.contains("CertExpired")
        || text.contains("CertNotValidYet"))
    .then_some(PLATFORM)
}

/// Whether the revocation list names the certificate.
fn is_listed(certificate: &[u8], list: &[u8]) -> Option<bool> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let (_, list) = CertificateRevocationList::from_der(list).ok()?;
    Some(list.iter_revoked_certificates().any(|revoked| revoked.raw_serial() == certificate.raw_serial()))
}
