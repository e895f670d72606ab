//! Verifying a quote for somebody else and signing its TCB status (rest-api.md, sign-quote).

use crate::Coordinator;
use crate::error::{Cause, FeatureError, SignQuoteError};
use crate::outcome::{Feature, SignedQuote};

impl Coordinator {
    /// Whether the manifest switches an endpoint on: asked before anything else.
    ///
    /// # Errors
    /// [`FeatureError::Off`] if not, or without a manifest.
    pub fn require_feature(&self, feature: Feature) -> Result<(), FeatureError> {
        let view = self.view().map_err(FeatureError::Store)?.ok_or(FeatureError::Off(feature))?;
        let gates = &view.epoch.manifest.config.feature_gates;
        let on = gates.iter().any(|gate| gate.eq_ignore_ascii_case(feature.name()));
        if on { Ok(()) } else { Err(FeatureError::Off(feature)) }
    }

    /// Verifies a quote, raw (G-31) or in Open Enclave framing, and signs its TCB status. Packages are not looked at.
    ///
    /// # Errors
    /// It does not verify. A TCB that is merely out of date is no error.
    pub async fn sign_quote(&self, _quote: &[u8]) -> Result<SignedQuote, SignQuoteError> {
        Err(SignQuoteError::Verification(Cause("there is no verifier".to_owned())))
    }
}
