//! Verifying quotes as they come: collateral from the cache, the computing off the async workers.
//!
//! Who waits for collateral holds nothing that others need, so that one slow quote delays no other.

use std::sync::Arc;

use carrara_types::claims::Claims;
use tokio::sync::Semaphore;

use crate::EvidenceError;
use crate::collateral::CollateralCache;
use crate::quote::QuoteKind;
use crate::verify::Verifier;

/// Quotes that are computed on at once. Each takes some milliseconds; more at once would only take them from who serves.
const AT_ONCE: usize = 4;

/// Verifies quotes of all TEEs, wherever this process runs itself.
#[derive(Debug, Clone)]
pub struct Verification {
    verifier: Arc<Verifier>,
    collateral: Arc<CollateralCache>,
    turns: Arc<Semaphore>,
}

impl Verification {
    /// Accepts what Intel's and AMD's roots certify, judged by what is in this cache.
    #[must_use]
    pub fn new(collateral: Arc<CollateralCache>) -> Self {
        Self::with(Verifier::new(), collateral)
    }

    /// As [`Verification::new`], with another verifier: for tests with chains of their own.
    #[must_use]
    pub fn with(verifier: Verifier, collateral: Arc<CollateralCache>) -> Self {
        Self { verifier: Arc::new(verifier), collateral, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The cache, for who refreshes it.
    #[must_use]
    pub fn collateral(&self) -> &Arc<CollateralCache> {
        &self.collateral
    }

    /// What evidence proves as of `now` (Unix seconds).
    ///
    /// # Errors
    /// It proves nothing, or there is no collateral for it.
    pub async fn verify(&self, evidence: &[u8], now: i64) -> Result<Claims, EvidenceError> {
        let evidence: Arc<[u8]> = evidence.into();
        let read = Arc::clone(&evidence);
        match self.compute(move |verifier| verifier.kind(&read)).await? {
            QuoteKind::Intel(key) => {
                let collateral = self.collateral.get(key.fmspc, key.ca, key.tee, now).await?;
                self.compute(move |verifier| verifier.verify(&evidence, &collateral, now)).await
            }
            QuoteKind::Snp => {
                let collateral = self.collateral.snp().await.map_err(EvidenceError::Bundle)?;
                self.compute(move |verifier| verifier.verify_snp(&evidence, &collateral, now)).await
            }
        }
    }

    /// A few at once, on threads that may be busy. Who stops waiting keeps its turn until the computing is over.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Verifier) -> Result<T, EvidenceError> + Send + 'static,
    ) -> Result<T, EvidenceError> {
        let ended = |_| EvidenceError::Refused("the verification ended unexpectedly".to_owned());
        let turn =
            Arc::clone(&self.turns).acquire_owned().await.map_err(|closed| ended(closed.to_string()))?;
        let verifier = Arc::clone(&self.verifier);
        let computing = tokio::task::spawn_blocking(move || {
            let outcome = work(&verifier);
            drop(turn);
            outcome
        });
        computing.await.map_err(|error| ended(error.to_string()))?
    }
}

#[cfg(test)]
mod tests;
