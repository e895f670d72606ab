//! What evidence is, before anything is proved: its kind, and whose collateral it needs.

use dcap_qvl::intel::{extract_cert_chain, parse_pck_extension_with, pck_ca_with};
use dcap_qvl::quote::Quote;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::EvidenceError;
use crate::collateral::{Fmspc, Key, PckCa, Tee};
use crate::crypto::AwsLc;
use crate::framing;

/// Evidence is a few kilobytes. Whatever is longer is nobody's quote, and reading it would take time.
pub const MAX_QUOTE_BYTES: usize = 64 << 10;

/// The TEE type of a TDX quote's header (Intel TDX DCAP quoting library API, A.3.1).
const TDX: u32 = 0x81;

const NO_CHAIN: EvidenceError = EvidenceError::Malformed("it has no certificate chain of its platform");

/// What evidence is and what verifying it needs. Proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuoteKind {
    /// A quote of Intel's DCAP, of SGX or TDX, which needs this collateral.
    Intel(Key),
    /// Evidence of AMD SEV-SNP, which brings its certificates itself.
    Snp,
}

/// An SGX or TDX quote, without its frame.
pub(crate) struct IntelQuote<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) quote: Quote,
}

impl<'a> IntelQuote<'a> {
    /// Reads a framed (G-30) or raw (G-31) quote: all of it, with nothing but zeros behind.
    pub(crate) fn parse(evidence: &'a [u8]) -> Result<Self, EvidenceError> {
        if evidence.len() > MAX_QUOTE_BYTES {
            return Err(EvidenceError::TooLong(evidence.len()));
        }
        let raw = framing::is_raw_sgx_quote(evidence) || is_raw_tdx(evidence);
        let bytes = if raw { evidence } else { framing::unframe(evidence)? };
        let malformed = || EvidenceError::Malformed("it is no quote of SGX or TDX, or cut off");
        let quote = Quote::parse(bytes).map_err(|_| malformed())?;
        // The length of the signatures and certificates stands behind what is signed.
        let (_, rest) = bytes.split_at_checked(quote.signed_length()).ok_or_else(malformed)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| malformed())?;
        let (_, behind) = rest.split_at_checked(length).ok_or_else(malformed)?;
        if behind.iter().any(|byte| *byte != 0) {
            return Err(EvidenceError::Malformed("something stands behind the quote"));
        }
        Ok(Self { bytes, quote })
    }

    fn tee(&self) -> Tee {
        if self.quote.report.is_sgx() { Tee::Sgx } else { Tee::Tdx }
    }

    /// Whose collateral it needs. Asked before collateral is fetched, so the certificates must be signed by each other
    /// and by `root` already: who is not certified by Intel makes nobody fetch.
    pub(crate) fn kind(&self, root: &[u8]) -> Result<QuoteKind, EvidenceError> {
        let chain = self.certificates()?;
        let [leaf, authority, ..] = chain.as_slice() else { return Err(NO_CHAIN) };
        if !is_signed_by(leaf, authority) || !is_signed_by(authority, root) {
            return Err(EvidenceError::Refused("the platform's certificate is not Intel's".to_owned()));
        }
        let extension = parse_pck_extension_with::<AwsLc>(leaf).map_err(|_| NO_CHAIN)?;
        let ca = match pck_ca_with::<AwsLc>(leaf).map_err(|_| NO_CHAIN)? {
            dcap_qvl::config::PckCa::Processor => PckCa::Processor,
            dcap_qvl::config::PckCa::Platform => PckCa::Platform,
        };
        Ok(QuoteKind::Intel(Key { tee: self.tee(), fmspc: Fmspc(extension.fmspc), ca }))
    }

    /// The certificates that come with it: the platform's, its CA's, the root's.
    pub(crate) fn certificates(&self) -> Result<Vec<Vec<u8>>, EvidenceError> {
        extract_cert_chain(&self.quote).map_err(|_| NO_CHAIN)
    }

    /// The id of the platform's provisioning certification enclave.
    pub(crate) fn pce_id(&self) -> Result<Vec<u8>, EvidenceError> {
        let chain = self.certificates()?;
        let leaf = chain.first().ok_or(NO_CHAIN)?;
        Ok(parse_pck_extension_with::<AwsLc>(leaf).map_err(|_| NO_CHAIN)?.pce_id)
    }
}

/// Version 4 or 5, ECDSA with P-256, TDX.
fn is_raw_tdx(bytes: &[u8]) -> bool {
    let Some([v0, v1, k0, k1, t0, t1, t2, t3, ..]) = bytes.first_chunk::<48>() else { return false };
    matches!(u16::from_le_bytes([*v0, *v1]), 4 | 5)
        && u16::from_le_bytes([*k0, *k1]) == 2
        && u32::from_le_bytes([*t0, *t1, *t2, *t3]) == TDX
}

/// Whether both are certificates, and the one's signature is by the other's key.
pub(crate) fn is_signed_by(certificate: &[u8], authority: &[u8]) -> bool {
    let read = |der| X509Certificate::from_der(der).map(|(_, certificate)| certificate);
    let (Ok(certificate), Ok(authority)) = (read(certificate), read(authority)) else { return false };
    certificate.verify_signature(Some(authority.public_key())).is_ok()
}
