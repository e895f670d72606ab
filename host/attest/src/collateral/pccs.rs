//! A PCCS, Intel's caching service for collateral, by version 4 of its interface (Intel, "API Documentation: SGX and TDX
//! Provisioning Certification Service").
//!
//! Four requests for one piece of collateral, at the same time, each over a connection of its own: they are rare. Every
//! answer is bounded and nothing is followed (no redirects, no distribution points), so that the one address that was
//! configured is the only one that is asked.

mod http;
mod tls;
mod url;

use ::http::HeaderMap;
use bytes::Bytes;
use dcap_qvl::QuoteCollateralV3;
use serde::Deserialize;
use serde_json::value::RawValue;

pub use tls::{PccsTrust, TrustError};
pub use url::{PccsUrl, UrlError};

use super::facts::{Malformed, malformed};
use super::key::Key;
pub use http::PccsError;
use http::{Asking, Times};

/// Intel's header in which TCB information of either TEE names its issuers, and the one of older services.
const TCB_ISSUERS: [&str; 2] = ["tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"];
const QE_ISSUERS: [&str; 1] = ["sgx-enclave-identity-issuer-chain"];
const CRL_ISSUERS: [&str; 1] = ["sgx-pck-crl-issuer-chain"];

/// A PCCS that can be asked.
#[derive(Debug)]
pub struct Pccs {
    asking: Asking,
}

impl Pccs {
    /// Connects nowhere yet.
    #[must_use]
    pub fn new(url: PccsUrl, trust: PccsTrust) -> Self {
        Self { asking: Asking { url, trust, answer_bytes: http::ANSWER_BYTES, times: Times::default() } }
    }

    /// Takes answers of no more than this.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn with_answer_bytes(mut self, most: usize) -> Self {
        self.asking.answer_bytes = most;
        self
    }

    #[cfg(test)]
    fn with_times(mut self, times: Times) -> Self {
        self.asking.times = times;
        self
    }

    /// Where it is.
    #[must_use]
    pub const fn url(&self) -> &PccsUrl {
        &self.asking.url
    }

    /// Asks for what `key` names. What comes is as the service gave it: unchecked.
    ///
    /// # Errors
    /// The service cannot be reached, refuses, or answers with what is no collateral.
    pub async fn fetch(&self, key: Key) -> Result<QuoteCollateralV3, PccsError> {
        let tee = key.tee.word();
        let tcb = format!("/{tee}/certification/v4/tcb?fmspc={}&update=standard", key.fmspc);
        let qe = format!("/{tee}/certification/v4/qe/identity?update=standard");
        let pck_crl = format!("/sgx/certification/v4/pckcrl?ca={}&encoding=der", key.ca);
        let root_crl = "/sgx/certification/v4/rootcacrl";
        let (tcb, qe, pck_crl, root_crl) = tokio::try_join!(
            self.asking.get(&tcb),
            self.asking.get(&qe),
            self.asking.get(&pck_crl),
            self.asking.get(root_crl)
        )?;
        Ok(assemble(&tcb, &qe, &pck_crl, &root_crl)?)
    }
}

type Answer = (HeaderMap, Bytes);

/// The signature covers the very text of the document, which is why it is kept as it came.
#[derive(Deserialize)]
struct TcbAnswer<'a> {
    #[serde(borrow, rename = "tcbInfo")]
    document: &'a RawValue,
    signature: String,
}

#[derive(Deserialize)]
struct QeAnswer<'a> {
    #[serde(borrow, rename = "enclaveIdentity")]
    document: &'a RawValue,
    signature: String,
}

fn assemble(
    tcb: &Answer,
    qe: &Answer,
    pck_crl: &Answer,
    root_crl: &Answer,
) -> Result<QuoteCollateralV3, Malformed> {
    let (tcb_part, qe_part) = ("TCB information", "quoting enclave's identity");
    let shape = |part| move |_| malformed(part, "is not JSON of the expected form");
    let tcb_answer: TcbAnswer<'_> = serde_json::from_slice(&tcb.1).map_err(shape(tcb_part))?;
    let qe_answer: QeAnswer<'_> = serde_json::from_slice(&qe.1).map_err(shape(qe_part))?;
    Ok(QuoteCollateralV3 {
        pck_crl_issuer_chain: issuers(&pck_crl.0, &CRL_ISSUERS, "PCK revocation list")?,
        root_ca_crl: crl(&root_crl.1, "root's revocation list")?,
        pck_crl: crl(&pck_crl.1, "PCK revocation list")?,
        tcb_info_issuer_chain: issuers(&tcb.0, &TCB_ISSUERS, tcb_part)?,
        tcb_info: tcb_answer.document.get().to_owned(),
        tcb_info_signature: signature(&tcb_answer.signature, tcb_part)?,
        qe_identity_issuer_chain: issuers(&qe.0, &QE_ISSUERS, qe_part)?,
        qe_identity: qe_answer.document.get().to_owned(),
        qe_identity_signature: signature(&qe_answer.signature, qe_part)?,
        pck_certificate_chain: None,
    })
}

fn signature(text: &str, part: &'static str) -> Result<Vec<u8>, Malformed> {
    hex::decode(text).map_err(|_| malformed(part, "has a signature that is not hex"))
}

/// PEM, escaped as in URLs.
fn issuers(headers: &HeaderMap, names: &[&str], part: &'static str) -> Result<String, Malformed> {
    let value = names.iter().find_map(|name| headers.get(*name));
    let value = value.ok_or_else(|| malformed(part, "came without the header that names its issuers"))?;
    let text = unescaped(value.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| malformed(part, "came with a header of issuers that cannot be read"))
}

/// RFC 3986, section 2.1. A plus stays one: it stands in base64.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, more @ ..] = rest {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, more) = more.split_at_checked(2)?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).ok()?;
        bytes.extend(byte);
        rest = more;
    }
    Some(bytes)
}

/// DER; services give lists also as hex of it (Intel's PCCS its root's) or as PEM.
fn crl(body: &[u8], part: &'static str) -> Result<Vec<u8>, Malformed> {
    let unreadable = || malformed(part, "is neither DER nor hex nor PEM");
    if body.first() == Some(&0x30) {
        return Ok(body.to_vec());
    }
    let text = std::str::from_utf8(body).map_err(|_| unreadable())?.trim();
    if text.starts_with("-----BEGIN") {
        return pem::parse(text).map(pem::Pem::into_contents).map_err(|_| unreadable());
    }
    hex::decode(text).map_err(|_| unreadable())
}

#[cfg(test)]
mod tests;
