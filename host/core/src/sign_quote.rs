//! Verifying a quote for somebody else and signing its TCB status (rest-api.md, sign-quote).

use std::borrow::Cow;

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

    /// Verifies a quote, raw (G-31) or in Open Enclave framing, and signs its TCB status. Packages are not looked at.
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
        let claims = evidence.verify(&framed(quote), now).await.map_err(|error| failed(&error))?;
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

/// Puts Open Enclave's header (G-30) before a raw SGX DCAP quote and leaves anything else as it is (G-31).
fn framed(quote: &[u8]) -> Cow<'_, [u8]> {
    if !is_raw_sgx(quote) {
        return Cow::Borrowed(quote);
    }
    const VERSION: u32 = 1;
    const SGX_REMOTE: u32 = 2;
    let length = quote.len() as u64;
    Cow::Owned(
        [&VERSION.to_le_bytes(), &SGX_REMOTE.to_le_bytes(), length.to_le_bytes().as_slice(), quote].concat(),
    )
}

/// G-31: version 3, a key type that exists, SGX, and the versions of two enclaves of the platform that are not zero.
fn is_raw_sgx(bytes: &[u8]) -> bool {
    let Some([v0, v1, k0, k1, t0, t1, t2, t3, q0, q1, p0, p1, ..]) = bytes.first_chunk::<48>() else {
        return false;
    };
    u16::from_le_bytes([*v0, *v1]) == 3
        && u16::from_le_bytes([*k0, *k1]) <= 3
        && [*t0, *t1, *t2, *t3] == [0; 4]
        && [*q0, *q1] != [0; 2]
        && [*p0, *p1] != [0; 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least bytes that are recognised.
    fn raw() -> Vec<u8> {
        let mut quote = vec![0; 48];
        quote[0] = 3;
        quote[2] = 3;
        quote[8] = 1;
        quote[11] = 1;
        quote
    }

    // G-31, G-30
    #[test]
    fn a_raw_quote_gets_the_header_and_a_framed_one_keeps_its_own() {
        let quote = raw();
        let once = framed(&quote).into_owned();
        assert_eq!(once[..16], [1, 0, 0, 0, 2, 0, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(once[16..], quote);
        assert_eq!(*framed(&once), once);
    }

    // G-31
    #[test]
    fn every_condition_of_a_raw_quote_counts() {
        let changes: [(usize, u8); 7] = [(0, 2), (1, 1), (2, 4), (4, 1), (7, 1), (8, 0), (11, 0)];
        for (position, value) in changes {
            let mut other = raw();
            other[position] = value;
            assert_eq!(*framed(&other), other, "{position} = {value}");
        }
        assert_eq!(framed(&raw()[..47]).len(), 47);
    }
}
