//! What anyone may ask: the state, the manifest, the quote, the update log.

use sha2::{Digest, Sha256};

use crate::Coordinator;
use crate::certificate::certificate_pem;
use crate::error::{ManifestReadError, QuoteError, ReadLogError};
use crate::outcome::{ManifestAnswer, QuoteAnswer, Status};
use crate::phase::Phase;
use crate::ports::{Evidence, EvidenceError};

impl Coordinator {
    /// The state (rest-api.md, status).
    #[must_use]
    pub fn status(&self) -> Status {
        Phase::of(self.ports.store.found()).status()
    }

    /// The manifest in force (R-30..R-32); `None` before one is set.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn manifest(&self) -> Result<Option<std::sync::Arc<ManifestAnswer>>, ManifestReadError> {
        let view = self.view().map_err(ManifestReadError::Store)?;
        Ok(view.map(|view| std::sync::Arc::clone(&view.epoch.answer)))
    }

    /// Whether the manifest in force names this Marble type; for metrics, whose labels come from the manifest only.
    #[must_use]
    pub fn has_marble(&self, marble_type: &str) -> bool {
        matches!(self.view(), Ok(Some(view)) if view.epoch.manifest.marbles.contains_key(marble_type))
    }

    /// The CA certificates and a quote over the root. A nonce that is not empty makes a fresh quote.
    ///
    /// # Errors
    /// No quote can be had.
    pub async fn quote(&self, nonce: Option<&[u8]>) -> Result<QuoteAnswer, QuoteError> {
        let live = self.live();
        let root = live.authority.root_der();
        let certificates = certificate_pem(live.authority.intermediate_der()) + &certificate_pem(root);
        let kept = self.quote.load_full();
        let evidence = self.ports.evidence.as_ref();
        let quote = match nonce.filter(|nonce| !nonce.is_empty()) {
            None if kept.root == root => kept.quote.clone(),
            nonce => issue(evidence, root, nonce.unwrap_or_default()).await.map_err(QuoteError::Issue)?,
        };
        Ok(QuoteAnswer { certificates, quote: (!evidence.simulated()).then_some(quote) })
    }

    /// Lines of the update log from index `from` on; all of them without a limit.
    ///
    /// # Errors
    /// Wrong state, or the state cannot be read.
    pub fn update_log(&self, from: u64, limit: Option<usize>) -> Result<Vec<String>, ReadLogError> {
        let view = self.view().map_err(ReadLogError::Store)?.ok_or(ReadLogError::WrongState)?;
        view.snapshot.log_lines(from, limit.unwrap_or(usize::MAX)).map_err(ReadLogError::Store)
    }
}

/// A quote over SHA-256(DER root certificate ++ nonce); empty in simulation.
pub(crate) async fn issue(
    evidence: &dyn Evidence,
    root: &[u8],
    nonce: &[u8],
) -> Result<Vec<u8>, EvidenceError> {
    let digest = Sha256::new().chain_update(root).chain_update(nonce).finalize();
    evidence.issue(&digest).await
}
