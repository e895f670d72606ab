//! What the use cases take and give.

use std::collections::BTreeMap;

use carrara_types::decision::Finding;
use carrara_types::secret::SecretBytes;

/// The coordinator's state as clients see it (rest-api.md section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// 1 recovery, 2 accepting a manifest, 3 accepting Marbles.
    pub code: u8,
    /// The specified text.
    pub message: &'static str,
}

/// Which listener asks for its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsPort {
    /// REST: the root certificate.
    Rest,
    /// Marbles: the marble root certificate (G-10).
    Mesh,
}

/// A certificate with its key, for TLS.
#[derive(Debug)]
pub struct TlsIdentity {
    /// DER; the only certificate presented.
    pub certificate: Vec<u8>,
    /// PKCS#8 DER.
    pub key: SecretBytes,
}

/// The manifest in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestAnswer {
    /// The uploaded bytes (M-1).
    pub manifest: Vec<u8>,
    /// Lower-case hex SHA-256 of them.
    pub fingerprint: String,
    /// DER ECDSA by the root key.
    pub signature: Vec<u8>,
}

/// A manifest was set.
#[derive(Debug, Default)]
pub struct ManifestSet {
    /// Per recovery key: what its owner decrypts (L-40..L-43). Ciphertext.
    pub recovery_secrets: BTreeMap<String, Vec<u8>>,
    /// What readers, the host and the validators remarked; none of it refuses the manifest.
    pub warnings: Vec<Finding>,
}

/// CA certificates and quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteAnswer {
    /// PEM intermediate followed by PEM root.
    pub certificates: String,
    /// `None` in simulation.
    pub quote: Option<Vec<u8>>,
}

/// A secret as a user reads it (S-1). Certificates: `private` = PKCS#8 DER, `public` = SPKI DER; else both are the
/// key's bytes (S-3). `None` = null.
#[derive(Debug)]
pub struct ReadableSecret {
    /// Its name.
    pub name: String,
    /// `Type`.
    pub kind: String,
    /// `Size`.
    pub size: u64,
    /// `Shared`.
    pub shared: bool,
    /// `UserDefined`.
    pub user_defined: bool,
    /// `ValidFor`.
    pub valid_for: u64,
    /// `Cert`, DER.
    pub cert: Option<Vec<u8>>,
    /// `Private`.
    pub private: Option<SecretBytes>,
    /// `Public`.
    pub public: Option<SecretBytes>,
}

/// What a Marble asks with.
#[derive(Debug, Clone, Default)]
pub struct ActivationRequest {
    /// Evidence; empty only in simulation.
    pub quote: Vec<u8>,
    /// PKCS#10 DER.
    pub csr: Vec<u8>,
    /// The manifest's name for the Marble.
    pub marble_type: String,
    /// Text form (section 5).
    pub uuid: String,
    /// DER of the client certificate of this TLS connection (G-32).
    pub peer_certificate: Option<Vec<u8>>,
}

/// What a Marble receives (marble-api.md section 7).
#[derive(Debug, Default)]
pub struct Activation {
    /// By path.
    pub files: BTreeMap<String, SecretBytes>,
    /// By name.
    pub env: BTreeMap<String, SecretBytes>,
    /// As in the manifest.
    pub argv: Vec<String>,
}
