//! Attestation by a real TEE: quotes and keys of this process's platform, off the async workers, and the verification of
//! others' quotes.

use std::sync::Arc;

use carrara_types::claims::Claims;
use carrara_types::seal_mode::KeyPolicy;
use carrara_types::secret::SecretBytes;

use tokio::sync::Semaphore;

use crate::EvidenceError;
use crate::issue::{IssueError, Places, Platform};
use crate::verification::Verification;

/// Quotes that are asked for at once; others wait. The host's quoting service may be slow, anybody may ask for a quote over a
/// nonce, and an enclave has few threads that may block.
const AT_ONCE: usize = 2;

/// The TEE that this process runs in.
#[derive(Debug, Clone)]
pub struct RealTee {
    platform: Arc<Platform>,
    turns: Arc<Semaphore>,
    verification: Option<Verification>,
}

impl RealTee {
    /// Of a platform that was found.
    #[must_use]
    pub fn new(platform: Platform) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Self { platform: Arc::new(platform), turns, verification: None }
    }

    /// The same, and verifies the quotes of others.
    #[must_use]
    pub fn verifying(self, verification: Verification) -> Self {
        Self { verification: Some(verification), ..self }
    }

    pub(crate) async fn verify(&self, quote: &[u8], now: i64) -> Result<Claims, EvidenceError> {
        self.verification.as_ref().ok_or(EvidenceError::NoVerification)?.verify(quote, now).await
    }

    pub(crate) fn find(places: &Places) -> Result<Self, crate::OpenError> {
        Platform::detect(places).map(Self::new)
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.platform
    }

    /// A quote; the host's quoting service may take a while.
    pub(crate) async fn issue(&self, report_data: &[u8]) -> Result<Vec<u8>, EvidenceError> {
        let too_long = |_| EvidenceError::ReportData(report_data.len());
        let report_data = occlum_dcap::report_data(report_data).map_err(too_long)?;
        let name = self.platform.name();
        let failed = |cause: String| EvidenceError::NotIssued { name, cause };
        let turn =
            Arc::clone(&self.turns).acquire_owned().await.map_err(|closed| failed(closed.to_string()))?;
        let platform = Arc::clone(&self.platform);
        // Who stops waiting keeps the turn until the TEE has answered.
        let issuing = tokio::task::spawn_blocking(move || {
            let issued = platform.issue(&report_data);
            drop(turn);
            issued
        });
        match issuing.await {
            Ok(issued) => issued.map_err(|error| failed(error.chain())),
            Err(_) => Err(failed("the thread that asked ended".to_owned())),
        }
    }

    pub(crate) fn key_binding(&self) -> Result<Vec<u8>, EvidenceError> {
        self.platform.key_binding().map_err(|error| self.no_key(&error))
    }

    pub(crate) fn sealing_key(
        &self,
        policy: KeyPolicy,
        binding: &[u8],
    ) -> Result<SecretBytes, EvidenceError> {
        self.platform.sealing_key(policy, binding).map_err(|error| self.no_key(&error))
    }

    fn no_key(&self, error: &IssueError) -> EvidenceError {
        EvidenceError::NoSealingKey { name: self.platform.name(), cause: error.chain() }
    }
}
