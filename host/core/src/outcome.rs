//! What the use cases take and give.

use std::collections::BTreeMap;
use std::sync::Arc;

use carrara_types::decision::Finding;
use carrara_types::decision_record::DecisionRecord;
use carrara_types::policy::{Digest, Mode, World};
use carrara_types::secret::SecretBytes;

use crate::error::Cause;

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

/// Keeps recovery secrets, by recovery key, before the state that they recover is made.
pub type KeepSecrets = Box<dyn FnOnce(&BTreeMap<String, Vec<u8>>) -> Result<(), Cause> + Send>;

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

/// A value that a user uploads for a user-defined secret (S-50). `None` = the field is missing or null.
#[derive(Debug)]
pub struct SecretUpload {
    /// The secret's name.
    pub name: String,
    /// `Cert`.
    pub cert: Option<UploadedCertificate>,
    /// `Private`, PKCS#8 DER by convention.
    pub private: Option<SecretBytes>,
    /// `Key`.
    pub key: Option<SecretBytes>,
}

/// What an upload gives as certificate (S-54b).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadedCertificate {
    /// DER of an X.509 certificate that parses.
    Der(Vec<u8>),
    /// Text that is no base64.
    Unreadable,
}

/// What the caller's protocol can carry back from an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reporting {
    /// Everything.
    Full,
    /// Nothing but success: neither recovery secrets nor missing acknowledgements.
    SuccessOnly,
}

/// What the caller of an update makes sure of. Without any of it an update is made whatever follows from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Guards {
    /// Refuses what nobody, or too few, could update again.
    pub refuse_lockout: bool,
    /// SHA-256 of the manifest that must be in force.
    pub base: Option<[u8; 32]>,
}

/// On which terms an update is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What can be told back.
    pub reporting: Reporting,
    /// What must hold.
    pub guards: Guards,
}

impl From<Reporting> for Terms {
    fn from(reporting: Reporting) -> Self {
        Self { reporting, guards: Guards::default() }
    }
}

/// Where an update stands after a call.
#[derive(Debug, Default)]
pub struct UpdateProgress {
    /// How many acknowledgements are still needed; 0 once it took effect.
    pub missing_acknowledgments: usize,
    /// Who has not acknowledged yet, sorted; `None` once it took effect (L-54).
    pub missing_users: Option<Vec<String>>,
    /// Per recovery key, ciphertext; `None` unless it took effect and the recovery keys changed.
    pub recovery_secrets: Option<BTreeMap<String, Vec<u8>>>,
    /// What readers, the host and the validators remarked.
    pub warnings: Vec<Finding>,
}

/// The update that waits for acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingUpdate {
    /// The proposed manifest's bytes.
    pub manifest: Vec<u8>,
    /// How many acknowledgements are still needed.
    pub missing_acknowledgments: usize,
    /// Who has not acknowledged yet, sorted.
    pub missing_users: Vec<String>,
}

/// A verified quote's TCB status, signed (rest-api.md, sign-quote).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedQuote {
    /// M-81's name.
    pub tcb_status: String,
    /// DER ECDSA by the root key over SHA-256(base64(quote as sent) ++ TCB status).
    pub signature: Vec<u8>,
}

/// The head of the update log with the proof that it continues what the caller saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// A C2SP tlog-checkpoint with its signature.
    pub checkpoint: String,
    /// RFC 6962 consistency proof from the caller's size to the checkpoint's; empty where the caller named none.
    pub consistency: Vec<[u8; 32]>,
}

/// Entries of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The index of the oldest entry that is kept.
    pub first: u64,
    /// The index of the first entry in `lines`.
    pub from: u64,
    /// Where to go on.
    pub next: u64,
    /// One past the newest entry.
    pub end: u64,
    /// JSON objects.
    pub lines: Vec<String>,
}

/// A component that the coordinator has, or that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyListing {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// The worlds that it can answer for; of a component that was not uploaded lately, those that entries use it for.
    pub worlds: Vec<World>,
    /// The built-in policy's name; none for others.
    pub built_in: Option<String>,
    /// Its length in bytes; `None` where it is lost, and should be uploaded again.
    pub size: Option<u64>,
    /// The entries that name it in the manifest in force.
    pub used_by: Vec<String>,
    /// The entries that name it in the pending update.
    pub pending: Vec<String>,
}

/// Which decisions are asked for; all where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Of this policy.
    pub policy: Option<String>,
    /// Of policies of this world.
    pub world: Option<World>,
    /// Of shadows, or of policies that are obeyed.
    pub mode: Option<Mode>,
    /// `allow`, `deny` or `failed`.
    pub verdict: Option<String>,
}

/// Decisions, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionPage {
    /// The number of the oldest decision that is kept, and one past the newest where there is none: what lies between the number that
    /// was asked from and this one is lost.
    pub first: u64,
    /// After which number to go on; also past what the filter held back.
    pub next: u64,
    /// The number of the newest one; 0: there was none yet.
    pub last: u64,
    /// What passed the filter.
    pub records: Vec<Arc<DecisionRecord>>,
}

/// An endpoint that the manifest must switch on (M-74).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// sign-quote.
    SignQuoteEndpoint,
    /// monotonic-counter.
    MonotonicCounter,
}

impl Feature {
    /// As the manifest's `FeatureGates` name it, compared ignoring case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignQuoteEndpoint => "SignQuoteEndpoint",
            Self::MonotonicCounter => "MonotonicCounter",
        }
    }
}

/// A recovery secret as its holder sends it.
#[derive(Debug)]
pub struct RecoveryInput {
    /// 16, 32 or 33 bytes in the clear; any other length is encrypted with the coordinator's recovery public key.
    pub secret: SecretBytes,
    /// RSA PKCS#1 v1.5 with SHA-256 over the secret in the clear. `None` is accepted in simulation only.
    pub signature: Option<Vec<u8>>,
}

/// Where a recovery stands after a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryStep {
    /// How many more secrets are needed; 0 once the state is open.
    pub remaining: usize,
}

impl RecoveryStep {
    /// R-41's text.
    #[must_use]
    pub fn message(self) -> String {
        match self.remaining {
            0 => "Recovery successful.".to_owned(),
            remaining => format!(
                "Secret was processed successfully. Upload the next secret. Remaining secrets: {remaining}"
            ),
        }
    }
}
