//! What verifies the quotes of coordinators: Intel's root, and collateral from where the user says.
//!
//! Unlike a coordinator, a client remembers no evaluation numbers: collateral that is older than what was seen before, but
//! valid, is accepted.

use std::sync::Arc;

use carrara_attest::EvidenceError;
use carrara_attest::collateral::{CollateralCache, Limits, Root, Source};
use carrara_attest::verification::Verification;
use carrara_attest::verify::Verifier;
use carrara_types::claims::Claims;

use super::AttestationError;

/// Verifies quotes: signature, certificate chain, TCB level. What the claims are worth is the policy's.
#[derive(Debug, Clone)]
pub struct QuoteVerifier {
    verification: Verification,
}

impl QuoteVerifier {
    /// Accepts what Intel's root certifies, judged by collateral of this source.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self::with(Verifier::new(), Root::INTEL, source)
    }

    /// Accepts what another root (DER) certifies. In tests only: no released program has this.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn with_root(root: Vec<u8>, source: Source) -> Self {
        let for_collateral = Root::of(&root);
        Self::with(Verifier::with_root(root), for_collateral, source)
    }

    fn with(verifier: Verifier, root: Root, source: Source) -> Self {
        let cache = CollateralCache::new(source, root, Limits::default());
        Self { verification: Verification::with(verifier, Arc::new(cache)) }
    }

    /// What a quote proves as of `now` (Unix seconds). `quote` is framed (G-30) or raw.
    ///
    /// # Errors
    /// It proves nothing, or there is no collateral for it.
    pub async fn verify(&self, quote: &[u8], now: i64) -> Result<Claims, AttestationError> {
        self.verification.verify(quote, now).await.map_err(|error| match error {
            EvidenceError::Collateral(_) if !self.verification.collateral().is_configured() => {
                AttestationError::NoCollateral
            }
            EvidenceError::Collateral(error) => AttestationError::Collateral(error),
            error => AttestationError::Quote(error),
        })
    }
}
