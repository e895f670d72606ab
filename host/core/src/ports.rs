//! The only traits of the trusted side: what the use cases ask of the world.

mod policies;

use std::sync::Arc;

pub use self::policies::{
    BuiltIn, CallOutcome, ComponentInfo, ComponentRefused, Components, FailureKind, OneSet, Policies,
    PolicyCall, PolicyDecision, PolicyEngine, PolicyFailure, PolicyInForce, PolicyObserver, PolicyProblem,
    RenderFailure, SecretCatalog,
};
pub use crate::write_failure::{DiskFault, WriteFailure};
use async_trait::async_trait;
use carrara_types::claims::Claims;
pub use carrara_types::seal_mode::{KeyPolicy, SealMode};
use carrara_types::secret::SecretBytes;
use time::OffsetDateTime;

/// Why the store could not do something. `Display` says what and what to do; it holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The backend failed: disk full, I/O error.
    #[error("writing the state: {0}")]
    Write(WriteFailure),
    /// A write failed, and the disk does not say whether it is there nonetheless. Reads go on; no other write is taken
    /// until the disk answers, and then the change is in force or it is not.
    #[error("writing the state: it is not known whether the change is stored: {0}")]
    Unknown(String),
    /// A record does not open or does not read.
    #[error("reading the state: {0}")]
    Read(String),
    /// There is no open state.
    #[error("the state is not open")]
    NotOpen,
    /// There is no locked state: it was recovered or replaced meanwhile.
    #[error("there is no locked state")]
    NotLocked,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A record that the batch depends on has changed: compute the batch again from a new snapshot.
    #[error("the state has changed meanwhile")]
    Conflict,
    /// It could not be stored; nothing was changed, unless it is [`StoreError::Unknown`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a start found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No state: accepting a manifest (L-14).
    Empty,
    /// A state whose data key does not open: recovery (L-16).
    Locked,
    /// The whole state (L-15).
    Open,
}

/// What one commit changes, in one transaction. Keys are the record names of `records.rs`; values are clear text here
/// and sealed below.
#[derive(Debug, Default)]
pub struct Batch {
    /// Records that the batch was computed from, with the revision seen (`None` = absent).
    pub depends: Vec<(String, Option<u64>)>,
    /// Records to write.
    pub puts: Vec<(String, SecretBytes)>,
    /// Records to delete.
    pub deletes: Vec<String>,
    /// Lines to append to the update log: exact R-60 lines without newline, in order.
    pub log_lines: Vec<String>,
    /// Entries to append to the audit trail, in order; no newline. The store keeps the newest
    /// [`AUDIT_KEPT`] and drops the oldest.
    pub audit_lines: Vec<String>,
    /// When the batch was computed, Unix milliseconds. The state keeps the highest of all batches, so that time never
    /// runs below it, whatever order concurrent batches are committed in.
    pub time_ms: i64,
    /// How the state is kept from this commit on; `None` keeps it as it is. [`Batch::rekey`] says it itself.
    pub seal_mode: Option<SealMode>,
    /// A new data key with new recovery data (L-61): every record is sealed anew in the same transaction. Boxed: rare.
    pub rekey: Option<Box<NewState>>,
}

/// Entries of the audit trail that the state keeps: about 3 MB; at most 60 MB, where users fill it with long refusals.
pub const AUDIT_KEPT: u64 = 10_000;

/// What makes a new state (first manifest or reset), or changes its data key.
#[derive(Debug)]
pub struct NewState {
    /// 32 bytes; wrapped by the sealing key in `sealed_key`.
    pub data_key: SecretBytes,
    /// The clear recovery data (L-40..L-43), bound by the head.
    pub recovery_data: Vec<u8>,
    /// How the state is kept from now on.
    pub seal_mode: SealMode,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The revision of the state that includes the batch.
    pub revision: u64,
}

/// An immutable view of the state. Records stay sealed in it and are opened on use.
pub trait Snapshot: Send + Sync {
    /// 0 while there is no state.
    fn revision(&self) -> u64;
    /// 16 random bytes chosen when the state was made; `None` while there is no state.
    fn state_id(&self) -> Option<[u8; 16]>;
    /// How the state is kept; `None` while there is no state.
    fn seal_mode(&self) -> Option<SealMode>;
    /// The revision that wrote the record, `None` if there is no such record.
    fn record_revision(&self, key: &str) -> Option<u64>;
    /// Opens a record.
    ///
    /// # Errors
    /// [`StoreError::Read`] if the record does not open.
    fn open(&self, key: &str) -> Result<Option<SecretBytes>, StoreError>;
    /// The number of all records.
    fn record_count(&self) -> usize {
        self.keys("").len()
    }
    /// The names of all records that start with `prefix`, in byte order.
    fn keys(&self, prefix: &str) -> Vec<String>;
    /// The number of lines in the update log.
    fn log_size(&self) -> u64;
    /// Up to `limit` lines of the update log, from index `from`.
    ///
    /// # Errors
    /// [`StoreError::Read`] if a line does not open.
    fn log_lines(&self, from: u64, limit: usize) -> Result<Vec<String>, StoreError>;
    /// The RFC 6962 root hash of the update log (section 2.1); that of the empty tree while there are no lines.
    fn log_root(&self) -> [u8; 32];
    /// The RFC 6962 consistency proof (section 2.1.2) from the log's first `from` lines to all of it; empty where `from`
    /// is 0 or the log's size. `None` where the log is shorter than `from`.
    ///
    /// # Errors
    /// [`StoreError::Read`] if a line does not open.
    fn log_consistency(&self, from: u64) -> Result<Option<Vec<[u8; 32]>>, StoreError>;
    /// The indexes of the audit entries that are kept: oldest, and one past the newest. Indexes are never used twice.
    fn audit_range(&self) -> std::ops::Range<u64>;
    /// Up to `limit` audit entries, from index `from` (or the oldest one kept).
    ///
    /// # Errors
    /// [`StoreError::Read`] if an entry does not open.
    fn audit_lines(&self, from: u64, limit: usize) -> Result<Vec<String>, StoreError>;
    /// The highest time of all batches, Unix milliseconds; 0 before the first.
    fn last_time_ms(&self) -> i64;
}

/// A sealed copy of a whole state at one revision, in the form of [`carrara_types::backup`].
pub struct Backup {
    /// The commit that it is a copy of.
    pub revision: u64,
    /// Its bytes.
    pub length: u64,
    /// The bytes. Reading may block.
    pub content: Box<dyn std::io::Read + Send>,
}

/// The sealed state. Readers never wait for writers.
#[async_trait]
pub trait Store: Send + Sync {
    /// What the start found, or what the last `create` or [`Candidate::adopt`] made of it.
    fn found(&self) -> Found;
    /// The newest committed state; an empty one unless [`Found::Open`].
    fn snapshot(&self) -> Arc<dyn Snapshot>;
    /// Applies the batch if all its dependencies are unchanged, together with other waiting batches, with one fsync.
    /// A caller who stops waiting does not undo it.
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError>;
    /// Makes a new state of the batch and archives whatever state there was. Afterwards the store is open.
    /// `CommitError::Conflict` if the store is open already.
    async fn create(&self, state: NewState, batch: Batch) -> Result<Committed, CommitError>;
    /// The clear recovery data of a locked state: unproved until a data key opens the state. `None` if the state is not
    /// locked, or if its recovery data is lost.
    fn recovery_data(&self) -> Option<Vec<u8>>;
    /// Tries a data key on the locked state; `None` if it does not open the state. What it opens is verified as a whole,
    /// as at a start, the clear recovery data included. Wrong keys cost next to nothing. The store stays locked.
    ///
    /// # Errors
    /// [`StoreError::NotLocked`]; or the key is right, but the state is damaged or was sealed by the other kind of key.
    async fn try_data_key(&self, data_key: &SecretBytes) -> Result<Option<Box<dyn Candidate>>, StoreError>;
    /// Copies the newest committed state. Neither readers nor writers wait for it, and it is complete when this returns:
    /// who reads the copy slowly holds nothing but disk space.
    ///
    /// # Errors
    /// [`StoreError::NotOpen`]; or there is no place for the copy.
    async fn backup(&self) -> Result<Backup, StoreError>;
}

/// A locked state that a data key opened and that was verified as a whole. Not in force yet.
#[async_trait]
pub trait Candidate: Send + Sync {
    /// What is in it.
    fn snapshot(&self) -> Arc<dyn Snapshot>;
    /// Wraps the data key with this machine's sealing key, as the state's mode wants it, durably, and opens the store with
    /// the state. A crash anywhere leaves the state locked or open.
    ///
    /// # Errors
    /// [`StoreError::NotLocked`] if the state was recovered or replaced meanwhile; or the key could not be written, and
    /// the state is locked as before.
    async fn adopt(self: Box<Self>) -> Result<(), StoreError>;
}

/// What a sealing key is bound to; marked in every sealed file so that one kind never opens the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealingKind {
    /// A key of the TEE.
    Tee,
    /// Simulation: a constant.
    Simulation,
}

/// The TEE's sealing key.
pub trait Sealing: Send + Sync {
    /// Which kind of key [`Sealing::key`] gives.
    fn kind(&self) -> SealingKind;
    /// 32 bytes that only this code, or code of its signer, on this machine can get.
    ///
    /// # Errors
    /// Text for the log if the TEE gives none.
    fn key(&self, policy: KeyPolicy) -> Result<SecretBytes, String>;
    /// What [`Sealing::key`] is bound to now besides its policy, such as security versions. Not secret: it is kept beside what
    /// the key wraps, to ask for the same key again. At most [`MAX_KEY_BINDING`] bytes; empty where the policy says all.
    ///
    /// # Errors
    /// Text for the log if the TEE does not say.
    fn binding(&self) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }
    /// The key of the time when [`Sealing::binding`] said this: newer code gets the keys of older one, and not the reverse
    /// (L-35).
    ///
    /// # Errors
    /// Text for the log if the TEE does not give it.
    fn bound_key(&self, policy: KeyPolicy, binding: &[u8]) -> Result<SecretBytes, String> {
        if binding.is_empty() {
            self.key(policy)
        } else {
            Err("this TEE's keys are bound to no versions".into())
        }
    }
}

/// What a sealing key may be bound to besides its policy, in bytes: SGX's versions have 20.
pub const MAX_KEY_BINDING: usize = 64;

/// Why evidence was not issued or does not verify. `Display` is the cause for the log and the caller.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EvidenceError(pub String);

/// Issues the coordinator's evidence and verifies the Marbles'.
#[async_trait]
pub trait Evidence: Send + Sync {
    /// Whether evidence is simulated: quotes are empty and Marbles' quotes are not looked at (M-91).
    fn simulated(&self) -> bool;
    /// A quote over 32..64 bytes of report data, in Open Enclave framing; empty in simulation.
    async fn issue(&self, report_data: &[u8]) -> Result<Vec<u8>, EvidenceError>;
    /// Verifies a quote as it came: framed (G-30), or raw (G-31). Never called in simulation. A merely outdated TCB is no
    /// error but a claim.
    async fn verify(&self, quote: &[u8], now: OffsetDateTime) -> Result<Claims, EvidenceError>;
}

/// Host time. The host of an enclave can shift it.
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> OffsetDateTime;
}

/// Randomness for keys, nonces and identifiers.
pub trait Entropy: Send + Sync {
    /// Fills the buffer from a cryptographically secure source.
    fn fill(&self, buffer: &mut [u8]);
}
