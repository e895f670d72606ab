//! Is this server a coordinator whose enclave we accept (cli.md section 2, C-1..C-4)?
//!
//! The certificates and the quote are fetched from whoever answers; the quote, once verified, says which root
//! certificate is the enclave's. What follows must trust that root and nothing else ([`Trust::Root`]).

use std::error::Error;

use carrara_types::claims::{Claims, Identity, Tee};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::answer::take_field;
use crate::chain::{Chain, ChainError};
use crate::error::ClientError;
use crate::transport::Client;
use crate::trust::Trust;

/// Always accepted (M-81).
const UP_TO_DATE: &str = "UpToDate";
/// The only status whose advisories are looked at (M-82).
const SW_HARDENING_NEEDED: &str = "SWHardeningNeeded";

/// Verifies quotes: signature, certificate chain, TCB level. A port, since what verifies depends on the TEE.
pub trait QuoteVerifier: Send + Sync {
    /// What the quote proves. `quote` is in the framing of G-30.
    ///
    /// # Errors
    /// The quote proves nothing.
    fn verify(&self, quote: &[u8]) -> Result<Claims, Box<dyn Error + Send + Sync>>;
}

/// Which coordinators are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttestationPolicy {
    /// Lowest ISVSVN; 0 = not compared.
    pub security_version: u64,
    /// ISVPRODID; 0 = not compared.
    pub product_id: u64,
    /// MRSIGNER, hex; empty = not compared.
    pub signer_id: String,
    /// MRENCLAVE, hex; empty = not compared.
    pub unique_id: String,
    /// Whether debug enclaves are accepted, too.
    pub debug: bool,
    /// Beside `UpToDate`.
    pub accepted_tcb_statuses: Vec<String>,
    /// Empty = all; counts for `SWHardeningNeeded`.
    pub accepted_advisories: Vec<String>,
}

/// Why a coordinator is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// There is nothing that verifies quotes.
    #[error("quote verification is not available in this version; use --insecure in simulation")]
    Unavailable,
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
    Quote(#[source] Box<dyn Error + Send + Sync>),
    /// The quote is for another certificate or nonce (C-2).
    #[error(
        "the quote does not belong to the coordinator's root certificate and the nonce; do not trust this server"
    )]
    ReportData,
    /// The policy would accept too much (C-3).
    #[error("the attestation policy is incomplete: {0}")]
    Policy(&'static str),
    /// Another enclave (C-3).
    #[error("the coordinator's enclave is not the expected one: {what} is {found}, expected {expected}")]
    Identity {
        /// What differs.
        what: &'static str,
        /// In the quote.
        found: String,
        /// In the policy.
        expected: String,
    },
    /// A debug enclave (C-3).
    #[error(
        "the coordinator runs in a debug enclave, which protects nothing; the attestation policy must allow that"
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

/// Fetches certificates and quote (C-1) and verifies them (C-2..C-4). `client` may trust anybody (C-6).
///
/// # Errors
/// The coordinator is not accepted, or `verifier` is none.
pub async fn attest(
    client: &Client,
    policy: &AttestationPolicy,
    verifier: Option<&dyn QuoteVerifier>,
    nonce: &[u8],
) -> Result<Attested, AttestationError> {
    let verifier = verifier.ok_or(AttestationError::Unavailable)?;
    policy.check()?;
    let (chain, quote) = fetch(client, nonce).await?;
    let quote = quote.ok_or(AttestationError::NoQuote)?;
    let claims = verifier.verify(&quote).map_err(AttestationError::Quote)?;
    let expected = Sha256::new().chain_update(chain.root()).chain_update(nonce).finalize();
    if claims.report_data.get(..expected.len()) != Some(expected.as_slice()) {
        return Err(AttestationError::ReportData);
    }
    policy.accept(&claims)?;
    let trust = Trust::Root(chain.root().clone());
    Ok(Attested { chain, quote: Some(quote), trust, warnings: policy.warnings() })
}

async fn fetch(client: &Client, nonce: &[u8]) -> Result<(Chain, Option<Vec<u8>>), AttestationError> {
    let answer = client.quote(Some(nonce)).await.map_err(AttestationError::Fetch)?;
    Ok((Chain::from_pem(answer.certificates.as_bytes())?, answer.quote))
}

impl AttestationPolicy {
    /// Reads a policy file (cli.md section 2): field names in any case, unknown fields ignored.
    ///
    /// # Errors
    /// Not a JSON object, or a field of another type.
    pub fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        let mut map: Map<String, Value> = serde_json::from_slice(text)?;
        let mut field = |name: &str| take_field(&mut map, name);
        Ok(Self {
            security_version: parse(field("SecurityVersion"))?,
            product_id: parse(field("ProductID"))?,
            signer_id: parse(field("SignerID"))?,
            unique_id: parse(field("UniqueID"))?,
            debug: parse(field("Debug"))?,
            accepted_tcb_statuses: parse(field("AcceptedTCBStatuses"))?,
            accepted_advisories: parse(field("AcceptedAdvisories"))?,
        })
    }

    /// C-3: without a UniqueID, any version of any product would do.
    fn check(&self) -> Result<(), AttestationError> {
        if !self.unique_id.is_empty() {
            return Ok(());
        }
        if self.security_version == 0 {
            return Err(AttestationError::Policy(
                "without UniqueID it must have a SecurityVersion other than 0",
            ));
        }
        if self.product_id == 0 {
            return Err(AttestationError::Policy("without UniqueID it must have a ProductID other than 0"));
        }
        Ok(())
    }

    fn warnings(&self) -> Vec<&'static str> {
        if self.unique_id.is_empty() && self.signer_id.is_empty() {
            return vec![
                "the attestation policy has neither UniqueID nor SignerID: anybody's enclave is accepted",
            ];
        }
        Vec::new()
    }

    /// C-3, C-4.
    fn accept(&self, claims: &Claims) -> Result<(), AttestationError> {
        self.accept_identity(&claims.identity)?;
        if claims.debug && !self.debug {
            return Err(AttestationError::Debug);
        }
        self.accept_tcb(claims)
    }

    fn accept_identity(&self, identity: &Identity) -> Result<(), AttestationError> {
        let Identity::Sgx(sgx) = identity else {
            return Err(different("TEE", identity.tee().name().to_owned(), Tee::Sgx.name().to_owned()));
        };
        let ids =
            [("UniqueID", sgx.unique_id, &self.unique_id), ("SignerID", sgx.signer_id, &self.signer_id)];
        for (what, found, expected) in ids {
            let found = hex::encode(found);
            if !expected.is_empty() && !found.eq_ignore_ascii_case(expected) {
                return Err(different(what, found, expected.clone()));
            }
        }
        if self.security_version != 0 && sgx.security_version < self.security_version {
            let expected = format!("at least {}", self.security_version);
            return Err(different("SecurityVersion", sgx.security_version.to_string(), expected));
        }
        if self.product_id != 0 && sgx.product_id & 0xffff != self.product_id {
            return Err(different("ProductID", sgx.product_id.to_string(), self.product_id.to_string()));
        }
        Ok(())
    }

    fn accept_tcb(&self, claims: &Claims) -> Result<(), AttestationError> {
        let status = &claims.tcb_status;
        if status != UP_TO_DATE && !self.accepted_tcb_statuses.contains(status) {
            return Err(AttestationError::Tcb(status.clone()));
        }
        if status != SW_HARDENING_NEEDED || self.accepted_advisories.is_empty() {
            return Ok(());
        }
        let Some(advisories) = &claims.advisories else {
            return Err(AttestationError::Advisory("advisories that cannot be read".to_owned()));
        };
        let accepted =
            |id: &String| self.accepted_advisories.iter().any(|known| known.eq_ignore_ascii_case(id));
        match advisories.iter().find(|id| !accepted(id)) {
            Some(id) => Err(AttestationError::Advisory(id.clone())),
            None => Ok(()),
        }
    }
}

fn parse<T: serde::de::DeserializeOwned + Default>(value: Option<Value>) -> Result<T, serde_json::Error> {
    value.map_or_else(|| Ok(T::default()), serde_json::from_value)
}

fn different(what: &'static str, found: String, expected: String) -> AttestationError {
    AttestationError::Identity { what, found, expected }
}

#[cfg(test)]
#[path = "attest_tests.rs"]
mod tests;
