//! One error per use case.
//!
//! `Display` says what went wrong in the words of the specification, `source` holds the cause; the public message is
//! the chain joined with `: ` (see [`public_message`]). Variants that hold internals ([`StoreError`], policy failures)
//! keep them out of the chain: they are for the log.

mod guarded;
mod recovery;
mod unknown;
mod uploading;

use std::error::Error;

use carrara_types::manifest::{ManifestError, Refusal};

use crate::ports::{EvidenceError, PolicyFailure, StoreError};
pub use guarded::{Lockout, OtherBase};
pub use recovery::{RecoverError, RecoveryPublicKeyError};
pub use unknown::Unknown;
pub(crate) use unknown::told;
use unknown::{not_done, not_stored};
pub use uploading::UploadPolicyError;

/// The text of a wrong state (rest-api.md section 4).
pub const WRONG_STATE: &str = "server is not in expected state";

/// The text for callers who are no users.
pub const UNAUTHORIZED: &str = "unauthorized user: client certificate did not match any MarbleRun users";

/// The text after eight conflicts in a row; 503.
const BUSY: &str = "the state changed too often meanwhile; try again";

/// The error and its causes, joined with `: `.
#[must_use]
pub fn public_message(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// Any cause as text; for causes whose type does not matter to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cause(pub String);

/// The findings that refuse a manifest: the first error's text, with ` (and N more)` where there are more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub Refusal);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use carrara_types::decision::Severity;
        let mut errors = self.0.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let Some(first) = errors.next() else { return f.write_str("refused") };
        write!(f, "{}", first.message)?;
        match errors.count() {
            0 => Ok(()),
            more => write!(f, " (and {more} more)"),
        }
    }
}

impl Error for Refused {}

/// Starting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The sealed state opens but does not make sense.
    #[error("loading the state")]
    State(#[source] Cause),
    /// A TEE is expected and gives no quote.
    #[error("obtaining the coordinator's quote")]
    Quote(#[source] Cause),
    /// The CA could not be made.
    #[error("making the certificate authority")]
    Authority(#[source] Cause),
}

/// Setting a manifest.
#[derive(Debug, thiserror::Error)]
pub enum SetManifestError {
    /// an owner is configured, and the caller is somebody else. 401.
    #[error("{}", Unauthorized)]
    Unauthorized,
    /// Not in state 1 or 2.
    #[error("{WRONG_STATE}")]
    WrongState,
    /// M-1..M-21.
    #[error("unmarshaling manifest")]
    Parse(#[from] ManifestError),
    /// Section 3.
    #[error("checking manifest")]
    Refused(#[source] Refused),
    /// M-78.
    #[error("generating placeholder secrets from manifest")]
    Secrets(#[source] Cause),
    /// M-79.
    #[error("generating recovery encryption key")]
    RecoveryKeys(#[source] Cause),
    /// M-53.
    #[error("generating users from manifest")]
    Users(#[source] Cause),
    /// M-80.
    #[error("running manifest template dry run")]
    DryRun(#[source] Cause),
    /// M-80: the renderer itself failed. Its `Display` is public, its reason is not.
    #[error("running manifest template dry run: {place}: {failure}")]
    DryRunPolicy {
        /// `in Marble M: file F`.
        place: String,
        /// Which, and why.
        failure: PolicyFailure,
    },
    /// A policy trapped or ran out of its limits. Its `Display` is public, its reason is not.
    #[error("checking manifest: {0}")]
    Policy(PolicyFailure),
    /// nobody would have the recovery secrets. Nothing was changed.
    #[error("keeping the recovery secrets; no manifest was set")]
    Keep(#[source] Cause),
    /// The state could not be written; nothing was changed, unless that is not known.
    #[error("{}", not_stored("the manifest", .0))]
    Store(StoreError),
    /// Of a manifest with new recovery secrets.
    #[error(transparent)]
    Unknown(#[from] Unknown),
}

impl SetManifestError {
    /// What the public message keeps back; for the log.
    #[must_use]
    pub fn internal(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.to_string()),
            Self::Unknown(error) => Some(error.cause.to_string()),
            Self::Policy(failure) | Self::DryRunPolicy { failure, .. } => Some(failure.internal()),
            _ => None,
        }
    }
}

/// Setting the manifest that the start names.
#[derive(Debug, thiserror::Error)]
pub enum StartupManifestError {
    ///
    #[error(
        "an owner certificate is configured, and only its holder sets the manifest: remove the startup manifest, and set it \
         over the REST API"
    )]
    Owner,
    /// A manifest is set, and it is another one.
    #[error(
        "the state holds another manifest (fingerprint {0}): remove the startup manifest, or update the manifest over \
         the REST API"
    )]
    Different(String),
    /// The state does not open.
    #[error("the coordinator is in recovery: a startup manifest is never applied there; recover first")]
    Recovery,
    /// Nobody would receive the recovery secrets.
    #[error(
        "the startup manifest has recovery keys: name a file for the recovery secrets, or remove the keys"
    )]
    RecoveryKeys,
    /// The state could not be read.
    #[error("reading the manifest in force")]
    Read(#[from] ManifestReadError),
    /// It is refused.
    #[error("setting the startup manifest")]
    Set(#[from] SetManifestError),
}

/// Reading the manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestReadError {
    /// The state could not be read.
    #[error("the manifest could not be read; see the coordinator's log")]
    Store(StoreError),
}

/// Obtaining a quote.
#[derive(Debug, thiserror::Error)]
pub enum QuoteError {
    /// The TEE gave none.
    #[error("no quote could be obtained; see the coordinator's log")]
    Issue(EvidenceError),
}

/// The certificate of the connection is no user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{UNAUTHORIZED}")]
pub struct Unauthorized;

/// Reading secrets.
#[derive(Debug, thiserror::Error)]
pub enum ReadSecretsError {
    ///
    #[error("{UNAUTHORIZED}")]
    Unauthorized,
    /// Not in state 3.
    #[error("{WRONG_STATE}")]
    WrongState,
    /// R-52; the whole text.
    #[error("{0}")]
    Denied(String),
    /// A policy trapped or ran out of its limits.
    #[error("{0}")]
    Policy(PolicyFailure),
    /// The state could not be read.
    #[error("the secrets could not be read; see the coordinator's log")]
    Store(StoreError),
}

/// Reading the update log.
#[derive(Debug, thiserror::Error)]
pub enum ReadLogError {
    /// Not in state 3.
    #[error("{WRONG_STATE}")]
    WrongState,
    /// The state could not be read.
    #[error("the update log could not be read; see the coordinator's log")]
    Store(StoreError),
}

/// Writing secrets.
#[derive(Debug, thiserror::Error)]
pub enum WriteSecretsError {
    ///
    #[error("{UNAUTHORIZED}")]
    Unauthorized,
    /// S-56, X-11; the whole text.
    #[error("{0}")]
    Denied(String),
    /// A policy trapped or ran out of its limits.
    #[error("{0}")]
    Policy(PolicyFailure),
    /// S-51..S-54.
    #[error("parsing new secrets")]
    Invalid(#[source] Cause),
    /// S-55; the cause starts with `running manifest template dry run: `.
    #[error("updating secrets")]
    DryRun(#[source] SetManifestError),
    /// A line of the update log would be too long.
    #[error("updating secrets")]
    Log(#[source] Cause),
    /// The state could not be read or written; nothing was changed, unless that is not known.
    #[error("{}", not_stored("the secrets", .0))]
    Store(StoreError),
    /// Eight conflicts in a row: 503.
    #[error("{BUSY}")]
    Busy,
}

impl WriteSecretsError {
    /// What the public message keeps back; for the log.
    #[must_use]
    pub fn internal(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.to_string()),
            Self::Policy(failure) => Some(failure.internal()),
            Self::DryRun(error) => error.internal(),
            _ => None,
        }
    }
}

/// Updating the manifest: packages' versions, or the whole (manifest.md section 5).
#[derive(Debug, thiserror::Error)]
pub enum UpdateManifestError {
    ///
    #[error("{UNAUTHORIZED}")]
    Unauthorized,
    /// M-1..M-21. Version 1 says `unmarshaling update manifest`.
    #[error("unmarshaling manifest")]
    Parse(#[from] ManifestError),
    ///
    #[error(
        "update already in progress. Acknowledge the update to apply it, or cancel it to start a new one"
    )]
    Pending,
    /// M-100, M-110; the whole text.
    #[error("{0}")]
    Denied(String),
    /// M-101..M-104, X-35.
    #[error("checking update manifest")]
    Packages(#[source] Cause),
    /// M-110, without `checking manifest: `.
    #[error("invalid manifest")]
    Refused(#[source] Refused),
    /// An authorizer or a validator trapped or ran out of its limits. Its `Display` is public, its reason is not.
    #[error("{0}")]
    Policy(PolicyFailure),
    /// X-30; the text names the endpoint of version 2.
    #[error("{0}")]
    NeedsVersion2(String),
    /// The caller makes sure that the manifest can be updated again, and this one cannot. Nothing was changed.
    #[error(transparent)]
    Lockout(#[from] Lockout),
    /// The caller saw another manifest in force. Nothing was changed.
    #[error(transparent)]
    OtherBase(#[from] OtherBase),
    /// L-55: it could not take effect; nothing was changed, and nothing is pending.
    #[error("applying the manifest update")]
    Apply(#[source] SetManifestError),
    /// A line of the update log would be too long.
    #[error("updating the manifest")]
    Log(#[source] Cause),
    /// The state could not be read or written; nothing was changed, unless that is not known.
    #[error("{}", not_stored("the update", .0))]
    Store(StoreError),
    /// Of a manifest with new recovery secrets.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// Eight conflicts in a row: 503.
    #[error("{BUSY}")]
    Busy,
}

impl UpdateManifestError {
    /// What the public message keeps back; for the log.
    #[must_use]
    pub fn internal(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.to_string()),
            Self::Unknown(error) => Some(error.cause.to_string()),
            Self::Policy(failure) => Some(failure.internal()),
            Self::Apply(error) => error.internal(),
            _ => None,
        }
    }
}

/// Reading, acknowledging or cancelling the pending update (R-58..R-60a).
#[derive(Debug, thiserror::Error)]
pub enum PendingUpdateError {
    ///
    #[error("{UNAUTHORIZED}")]
    Unauthorized,
    /// Nothing is pending: 404.
    #[error("no update in progress")]
    NotFound,
    /// L-53, L-56; the whole text.
    #[error("{0}")]
    Denied(String),
    /// L-53.
    #[error("provided manifest does not match the pending manifest")]
    Different,
    /// A policy trapped or ran out of its limits.
    #[error("{0}")]
    Policy(PolicyFailure),
    /// The acknowledgement would complete an update whose result version 1 cannot carry.
    #[error("{0}")]
    NeedsVersion2(String),
    /// The caller makes sure that the manifest can be updated again, and this one cannot. Nothing was changed.
    #[error(transparent)]
    Lockout(#[from] Lockout),
    /// The caller saw another manifest in force. Nothing was changed.
    #[error(transparent)]
    OtherBase(#[from] OtherBase),
    /// L-55: it could not take effect; nothing was changed, and nothing is pending any more.
    #[error("applying the manifest update")]
    Apply(#[source] SetManifestError),
    /// A line of the update log would be too long.
    #[error("updating the manifest")]
    Log(#[source] Cause),
    /// The state could not be read or written; nothing was changed, unless that is not known.
    #[error("{}", not_stored("the update", .0))]
    Store(StoreError),
    /// Of a manifest with new recovery secrets.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// Eight conflicts in a row: 503.
    #[error("{BUSY}")]
    Busy,
}

impl PendingUpdateError {
    /// What the public message keeps back; for the log.
    #[must_use]
    pub fn internal(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.to_string()),
            Self::Unknown(error) => Some(error.cause.to_string()),
            Self::Policy(failure) => Some(failure.internal()),
            Self::Apply(error) => error.internal(),
            _ => None,
        }
    }
}

/// An endpoint that the manifest does not switch on (M-74): 403.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// Not in the manifest's `FeatureGates`, or no manifest is set.
    #[error("{} feature is not enabled in the manifest", .0.name())]
    Off(crate::outcome::Feature),
    /// The state could not be read.
    #[error("the manifest could not be read; see the coordinator's log")]
    Store(StoreError),
}

/// Signing a quote's TCB status.
#[derive(Debug, thiserror::Error)]
pub enum SignQuoteError {
    /// The quote does not verify.
    #[error("quote verification failed")]
    Verification(#[source] Cause),
    /// The root key did not sign.
    #[error("signing the TCB status")]
    Sign(#[source] Cause),
}

/// Advancing a monotonic counter.
#[derive(Debug, thiserror::Error)]
pub enum CounterError {
    /// 401, also in a wrong state.
    #[error("unauthorized marble")]
    Unauthorized(#[source] Cause),
    /// A new counter, and there are as many as there may be: 507, which RFC 4331 uses for quotas.
    #[error("{0}")]
    TooMany(String),
    /// A name that is too long: 400.
    #[error("{0}")]
    Invalid(String),
    /// The state could not be read or written; nothing was changed, unless that is not known.
    #[error("{}", not_stored("the counter", .0))]
    Store(StoreError),
    /// Eight conflicts in a row: 503.
    #[error("{BUSY}")]
    Busy,
}

/// Asking for the log's signed head.
#[derive(Debug, thiserror::Error)]
pub enum LogHeadError {
    /// Not in state 3.
    #[error("{WRONG_STATE}")]
    WrongState,
    /// The log is shorter than what the caller says to have seen: 400.
    #[error("the update log has {size} lines, fewer than from={from}")]
    TooFar {
        /// As asked.
        from: u64,
        /// The log's.
        size: u64,
    },
    /// The root key did not sign.
    #[error("signing the checkpoint")]
    Sign(#[source] Cause),
    /// The state could not be read.
    #[error("the update log could not be read; see the coordinator's log")]
    Store(StoreError),
}

/// Reading the audit trail.
#[derive(Debug, thiserror::Error)]
pub enum ReadAuditError {
    /// 401.
    #[error("{UNAUTHORIZED}")]
    Unauthorized,
    /// 403; the whole text.
    #[error("{0}")]
    Denied(String),
    /// A policy trapped or ran out of its limits: 403.
    #[error("{0}")]
    Policy(PolicyFailure),
    /// The state could not be read.
    #[error("the audit trail could not be read; see the coordinator's log")]
    Store(StoreError),
}

/// Backing the sealed state up.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// 401.
    #[error("{UNAUTHORIZED}")]
    Unauthorized,
    /// 403; the whole text.
    #[error("{0}")]
    Denied(String),
    /// A policy trapped or ran out of its limits: 403.
    #[error("{0}")]
    Policy(PolicyFailure),
    /// The seal mode keeps the state in memory only.
    #[error(
        "the manifest's SealMode is Disabled: the state is never written, so that there is nothing to back up; change \
         SealMode with an update of the manifest first"
    )]
    NotKept,
    /// The copy could not be made.
    #[error("{}", not_done("the state could not be copied", .0))]
    Store(StoreError),
}

/// Reading what policies decided.
#[derive(Debug, thiserror::Error)]
pub enum ReadDecisionsError {
    /// 401.
    #[error("{UNAUTHORIZED}")]
    Unauthorized,
    /// 403; the whole text.
    #[error("{0}")]
    Denied(String),
    /// A policy trapped or ran out of its limits: 403.
    #[error("{0}")]
    Policy(PolicyFailure),
    /// The state could not be read.
    #[error("the policies' decisions could not be read; see the coordinator's log")]
    Store(StoreError),
}

/// Activating a Marble.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// G-20: FAILED_PRECONDITION.
    #[error("cannot accept marbles in current state")]
    WrongState,
    /// G-21: UNAUTHENTICATED.
    #[error("couldn't get marble TLS certificate")]
    NoCertificate,
    /// G-23..G-27 and admission policies: PERMISSION_DENIED.
    #[error("marble verification failed")]
    Verification(#[source] Cause),
    /// An admission policy itself failed: PERMISSION_DENIED. Its `Display` is public, its reason is not.
    #[error("marble verification failed: {0}")]
    Admission(PolicyFailure),
    /// G-28, X-21: INVALID_ARGUMENT.
    #[error("invalid UUID")]
    InvalidUuid(#[source] Cause),
    /// G-29, section 7 of secrets-and-templates.md: INTERNAL; the whole text is public.
    #[error("{context}")]
    Failed {
        /// What was being done, such as `customizing marble parameters`.
        context: &'static str,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The renderer itself failed: INTERNAL. Its `Display` is public, its reason is not.
    #[error("customizing marble parameters: {place}: {failure}")]
    Rendering {
        /// `parsing secrets for file "F"`.
        place: String,
        /// Which, and why.
        failure: PolicyFailure,
    },
    /// G-22: INTERNAL; the state could not be read or written.
    #[error("{}", not_stored("the activation", .0))]
    Store(StoreError),
    /// Eight conflicts in a row: UNAVAILABLE.
    #[error("{BUSY}")]
    Busy,
}

impl ActivateError {
    /// What the public message keeps back; for the log.
    #[must_use]
    pub fn internal(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.to_string()),
            Self::Admission(failure) | Self::Rendering { failure, .. } => Some(failure.internal()),
            _ => None,
        }
    }
}
