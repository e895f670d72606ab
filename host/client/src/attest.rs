//! Is this server a coordinator whose TEE we accept (cli.md section 2, C-1..C-4)?
//!
//! The certificates and the quote are fetched from whoever answers; the quote, once verified, says which root
//! certificate is the TEE's. What follows must trust that root and nothing else ([`Trust::Root`]).

mod policy;
mod verifier;

use carrara_attest::EvidenceError;
use carrara_attest::collateral::CollateralError;
use sha2::{Digest, Sha256};

pub use policy::{AttestationPolicy, PolicyFileError};
pub use verifier::QuoteVerifier;

use crate::chain::{Chain, ChainError};
use crate::error::ClientError;
use crate::transport::Client;
use crate::trust::Trust;

/// Why a coordinator is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// Fetching.
    #[error("fetching the coordinator's certificates and quote")]
    Fetch(#[source] ClientError),
    /// The certificates.
    #[error("the coordinator's certificate chain is unusable")]
    Chain(#[from] ChainError),
    /// No quote.
    #[error("the coordinator has no quote: it runs in simulation; use --insecure to accept that")]
    NoQuote,
    /// The quote proves nothing.
    #[error("verifying the coordinator's quote")]
    Quote(#[source] EvidenceError),
    /// Nobody said where collateral is.
    #[error(
        "verifying the coordinator's quote needs Intel's collateral: name a PCCS with --pccs-url URL, or a file of \
         `carrara collateral fetch` with --collateral FILE"
    )]
    NoCollateral,
    /// What was named has none that is valid.
    #[error(
        "there is nothing to judge the coordinator's quote by: fetch collateral anew (`carrara collateral fetch`), or \
         name a PCCS that has it with --pccs-url URL"
    )]
    Collateral(#[source] CollateralError),
    /// The quote is for another certificate or nonce (C-2).
    #[error(
        "the quote does not belong to the coordinator's root certificate and the nonce; do not trust this server"
    )]
    ReportData,
    /// The policy would accept too much (C-3).
    #[error("the attestation policy is incomplete: {0}")]
    Policy(&'static str),
    /// A TEE of which the policy says nothing.
    #[error(
        "the coordinator runs in {found}, of which the attestation policy says nothing; add {field} to accept that"
    )]
    Tee {
        /// In the quote: `sgx`, `tdx` or `sev-snp`.
        found: &'static str,
        /// What the policy would need.
        field: &'static str,
    },
    /// Another enclave or machine (C-3).
    #[error("the coordinator is not the expected one: {what} is {found}, expected {expected}")]
    Identity {
        /// What differs.
        what: &'static str,
        /// In the quote.
        found: String,
        /// In the policy.
        expected: String,
    },
    /// Debug mode (C-3).
    #[error(
        "the coordinator's TEE is in debug mode, which protects nothing; the attestation policy must allow that"
    )]
    Debug,
    /// TCB (C-4).
    #[error(
        "the TCB status {0} of the coordinator's platform is not accepted; update it, or accept it explicitly"
    )]
    Tcb(String),
    /// Advisories (C-4).
    #[error(
        "the coordinator's platform is affected by {0}, which is not accepted; update it, or accept it explicitly"
    )]
    Advisory(String),
}

/// An accepted coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// Its certificates.
    pub chain: Chain,
    /// Its quote; `None` in simulation.
    pub quote: Option<Vec<u8>>,
    /// Whom to trust from now on.
    pub trust: Trust,
    /// What was not compared although it should be.
    pub warnings: Vec<&'static str>,
}

/// Fetches without verifying: for simulation (`--insecure`). Later requests accept anybody, too.
///
/// # Errors
/// The server does not answer or has no usable certificates.
pub async fn attest_insecure(client: &Client, nonce: &[u8]) -> Result<Attested, AttestationError> {
    let (chain, quote) = fetch(client, nonce).await?;
    Ok(Attested { chain, quote, trust: Trust::Insecure, warnings: Vec::new() })
}

/// Fetches certificates and quote (C-1) and verifies them (C-2..C-4) as of `now` (Unix seconds). `client` may trust
/// anybody (C-6).
///
/// # Errors
/// The coordinator is not accepted.
pub async fn attest(
    client: &Client,
    policy: &AttestationPolicy,
    verifier: &QuoteVerifier,
    nonce: &[u8],
    now: i64,
) -> Result<Attested, AttestationError> {
    policy.check()?;
    let (chain, quote) = fetch(client, nonce).await?;
    let quote = quote.ok_or(AttestationError::NoQuote)?;
    let claims = verifier.verify(&quote, now).await?;
    let expected = Sha256::new().chain_update(chain.root()).chain_update(nonce).finalize();
    if claims.report_data.get(..expected.len()) != Some(expected.as_slice()) {
        return Err(AttestationError::ReportData);
    }
    policy.accept(&claims)?;
    let trust = Trust::Root(chain.root().clone());
    Ok(Attested { chain, quote: Some(quote), trust, warnings: policy.warnings(&claims.identity) })
}

async fn fetch(client: &Client, nonce: &[u8]) -> Result<(Chain, Option<Vec<u8>>), AttestationError> {
    let answer = client.quote(Some(nonce)).await.map_err(AttestationError::Fetch)?;
    Ok((Chain::from_pem(answer.certificates.as_bytes())?, answer.quote))
}

#[cfg(test)]
#[path = "attest_tests.rs"]
mod tests;
