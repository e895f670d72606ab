//! Verifying a quote for somebody else and signing its TCB status (rest-api.md, sign-quote).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_types::claims::Tee;

use crate::Coordinator;
use crate::error::{Cause, FeatureError, SignQuoteError};
use crate::outcome::{Feature, SignedQuote};
use crate::ports::StoreError;

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

    /// Verifies a quote, raw (G-31) or in Open Enclave framing, and signs its TCB status. Packages are not looked at. What
    /// the quote is, the verifier sees: it gets the very bytes that are signed.
    ///
    /// # Errors
    /// It does not verify, or is of SEV-SNP, which has no TCB status. A TCB that is merely out of date is no error.
    pub async fn sign_quote(&self, quote: &[u8]) -> Result<SignedQuote, SignQuoteError> {
        let failed = |text: &dyn std::fmt::Display| SignQuoteError::Verification(Cause(text.to_string()));
        let evidence = &self.ports.evidence;
        if evidence.simulated() {
            return Err(failed(&"this coordinator runs in simulation, which verifies no quotes"));
        }
        let live = self.live();
        let view = self.view().map_err(unreadable)?;
        // When the collateral must be valid: never below the last commit, but where there is no state.
        let now = view.as_ref().map_or_else(|| self.ports.clock.now(), |view| self.now(view));
        let claims = evidence.verify(quote, now).await.map_err(|error| failed(&error))?;
        if claims.tee == Tee::SevSnp {
            // What stands in the claims says only that no package wants more.
            return Err(failed(&"nobody publishes a TCB status for SEV-SNP, so that there is none to sign"));
        }
        if let Some(view) = view {
            self.keep_collateral_age(&view, &claims).await.map_err(|refused| match refused.text() {
                Some(text) => failed(&text),
                None => SignQuoteError::Sign(Cause("the state could not be read or written".to_owned())),
            })?;
        }
        let tcb_status = claims.tcb_status;
        let message = [STANDARD.encode(quote).as_str(), &tcb_status].concat();
        // Off the async workers: this signature takes more than a millisecond.
        let signing = move || live.authority.sign_fingerprint(message.as_bytes());
        let signature = tokio::task::spawn_blocking(signing)
            .await
            .map_err(|_| SignQuoteError::Sign(Cause("ended unexpectedly".to_owned())))?
            .map_err(SignQuoteError::Sign)?;
        Ok(SignedQuote { tcb_status, signature })
    }
}

fn unreadable(_: StoreError) -> SignQuoteError {
    SignQuoteError::Sign(Cause("the state could not be read".to_owned()))
}
