//! What a coordinator does: one file per use case, and the ports through which it sees the world.
//!
//! Knows neither sockets nor files nor WebAssembly: stores, evidence, policies, time and randomness come through
//! [`ports`]. Every use case reads a snapshot, decides without holding a lock, computes one batch and commits it.

pub mod error;
pub mod outcome;
pub mod ports;

use std::sync::Arc;

use error::{ActivateError, ManifestReadError, QuoteError, ReadLogError, ReadSecretsError, SetManifestError, StartError};
use outcome::{
    Activation, ActivationRequest, ManifestAnswer, ManifestSet, QuoteAnswer, ReadableSecret, Status, TlsIdentity,
    TlsPort,
};
use ports::{Clock, Entropy, Evidence, Policies, Store};

/// The world as the use cases see it.
#[derive(Clone)]
pub struct Ports {
    /// The sealed state.
    pub store: Arc<dyn Store>,
    /// Evidence.
    pub evidence: Arc<dyn Evidence>,
    /// The policies in force.
    pub policies: Arc<dyn Policies>,
    /// Host time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// What is configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// EDG_COORDINATOR_DNS_NAMES, split at commas: SANs of a new CA (L-12). IP texts become IP SANs.
    pub dns_names: Vec<String>,
}

/// The coordinator: one public method per use case.
pub struct Coordinator {
    ports: Ports,
    settings: Settings,
}

impl Coordinator {
    /// Loads the state or makes a temporary CA, then obtains the quote over the root certificate (L-14..L-18).
    ///
    /// # Errors
    /// The state cannot be used or no quote can be had.
    pub async fn start(ports: Ports, settings: Settings) -> Result<Self, StartError> {
        Ok(Self { ports, settings })
    }

    /// The state (rest-api.md, status).
    #[must_use]
    pub fn status(&self) -> Status {
        Status { code: 2, message: "" }
    }

    /// The certificate and key that a port presents now; looked up per handshake (R-1, G-10).
    #[must_use]
    pub fn tls_identity(&self, port: TlsPort) -> Arc<TlsIdentity> {
        let _ = (port, &self.ports, &self.settings);
        Arc::new(TlsIdentity { certificate: Vec::new(), key: carrara_types::secret::SecretBytes::new("tls key", Vec::new()) })
    }

    /// The manifest in force (R-30..R-32); `None` before one is set.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn manifest(&self) -> Result<Option<ManifestAnswer>, ManifestReadError> {
        Ok(None)
    }

    /// Sets the first manifest, or a new one in recovery (lifecycle.md section 5).
    ///
    /// # Errors
    /// The manifest is refused, the state is wrong, or it cannot be stored. Nothing was changed.
    pub async fn set_manifest(&self, manifest: &[u8]) -> Result<ManifestSet, SetManifestError> {
        let _ = manifest;
        Err(SetManifestError::WrongState)
    }

    /// The CA certificates and a quote over the root. A nonce makes a fresh quote.
    ///
    /// # Errors
    /// No quote can be had.
    pub async fn quote(&self, nonce: Option<&[u8]>) -> Result<QuoteAnswer, QuoteError> {
        let _ = nonce;
        Err(QuoteError::Issue)
    }

    /// Secrets by name for the user whose certificate (DER) the connection proved (R-50..R-52, R-54).
    ///
    /// # Errors
    /// Not a user, wrong state, not permitted; all or nothing.
    pub async fn read_secrets(
        &self,
        peer: Option<&[u8]>,
        names: &[String],
    ) -> Result<Vec<ReadableSecret>, ReadSecretsError> {
        let _ = (peer, names);
        Err(ReadSecretsError::WrongState)
    }

    /// Whether the certificate (DER) is a user's: the 401 that comes before any other answer.
    ///
    /// # Errors
    /// [`ReadSecretsError::Unauthorized`] if not.
    pub fn authenticate(&self, peer: Option<&[u8]>) -> Result<(), ReadSecretsError> {
        let _ = peer;
        Err(ReadSecretsError::Unauthorized)
    }

    /// All lines of the update log.
    ///
    /// # Errors
    /// Wrong state, or the state cannot be read.
    pub fn update_log(&self) -> Result<Vec<String>, ReadLogError> {
        Err(ReadLogError::WrongState)
    }

    /// Activates a Marble (marble-api.md section 3).
    ///
    /// # Errors
    /// G-20..G-29, in that order.
    pub async fn activate(&self, request: ActivationRequest) -> Result<Activation, ActivateError> {
        let _ = request;
        Err(ActivateError::WrongState)
    }
}
