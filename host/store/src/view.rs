//! What readers see: an immutable view of one revision.

use std::ops::Range;
use std::sync::Arc;

use carrara_core::ports::{Found, SealMode, Snapshot, StoreError};
use carrara_types::secret::SecretBytes;
use imbl::Vector;

use crate::key_file::KeyFile;
use crate::mark::Mark;
use crate::merkle::Tree;
use crate::sealed::{Keyring, Sealed};
use crate::state::{State, audit_name, line_name};

/// What was found and, where it is open, the state.
pub(crate) struct View {
    pub(crate) found: Found,
    pub(crate) open: Option<OpenState>,
    /// Where it is locked, what a key is tried on.
    pub(crate) locked: Option<Locked>,
}

/// What is read of a state without its key. None of it is proved yet.
pub(crate) struct Locked {
    pub(crate) mark: Mark,
    pub(crate) head: Sealed,
    /// `None` if it is lost.
    pub(crate) recovery_data: Option<Vec<u8>>,
}

/// A state with its keys, the head that the backend holds, and the data key for when it is wrapped anew.
pub(crate) struct OpenState {
    pub(crate) state: State,
    pub(crate) keys: Arc<Keyring>,
    pub(crate) head: Sealed,
    pub(crate) data_key: Arc<DataKey>,
}

/// Where the data key is.
pub(crate) enum DataKey {
    /// In `sealed_key`.
    Wrapped(KeyFile),
    /// Here and nowhere else, as nothing is written.
    Held(SecretBytes),
}

impl DataKey {
    /// What `sealed_key` says; `None` where nothing is written.
    pub(crate) fn file(&self) -> Option<&KeyFile> {
        match self {
            Self::Wrapped(file) => Some(file),
            Self::Held(_) => None,
        }
    }
}

impl View {
    /// Of a store without a state.
    pub(crate) fn empty() -> Self {
        Self { found: Found::Empty, open: None, locked: None }
    }

    /// Of a state that no key there opens.
    pub(crate) fn locked(locked: Locked) -> Self {
        Self { found: Found::Locked, open: None, locked: Some(locked) }
    }

    /// Of an open state.
    pub(crate) fn open(state: State, keys: Arc<Keyring>, head: Sealed, data_key: Arc<DataKey>) -> Self {
        let open = Some(OpenState { state, keys, head, data_key });
        Self { found: Found::Open, open, locked: None }
    }

    fn state(&self) -> Option<&State> {
        self.open.as_ref().map(|open| &open.state)
    }
}

impl OpenState {
    fn unseal(&self, name: &[u8], record: &Sealed, label: &str) -> Result<SecretBytes, StoreError> {
        let opened = self.keys.open(self.state.place(name), record, label.to_owned());
        opened.map_err(|_| StoreError::Read(format!("the record {label} does not open")))
    }

    /// Opens a line of the update log or of the audit trail.
    fn line(&self, name: &[u8], record: &Sealed, label: &str) -> Result<String, StoreError> {
        let line = self.unseal(name, record, label)?;
        let text = std::str::from_utf8(line.expose());
        text.map(str::to_owned).map_err(|_| StoreError::Read(format!("the record {label} is not text")))
    }
}

impl Snapshot for View {
    fn revision(&self) -> u64 {
        self.state().map_or(0, |state| state.revision)
    }

    fn state_id(&self) -> Option<[u8; 16]> {
        self.state().map(|state| state.mark.state_id)
    }

    fn seal_mode(&self) -> Option<SealMode> {
        self.state().map(|state| state.seal_mode)
    }

    fn record_revision(&self, key: &str) -> Option<u64> {
        self.state()?.record_revision(key)
    }

    fn open(&self, key: &str) -> Result<Option<SecretBytes>, StoreError> {
        let Some(open) = &self.open else { return Ok(None) };
        let record = open.state.records.get(key);
        record.map(|record| open.unseal(key.as_bytes(), record, key)).transpose()
    }

    fn record_count(&self) -> usize {
        self.state().map_or(0, |state| state.records.len())
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        let Some(state) = self.state() else { return Vec::new() };
        let names = state.records.range(Arc::<str>::from(prefix)..).map(|(name, _)| name);
        names.take_while(|name| name.starts_with(prefix)).map(|name| name.to_string()).collect()
    }

    fn log_size(&self) -> u64 {
        self.state().map_or(0, |state| state.tree.size())
    }

    fn log_lines(&self, from: u64, limit: usize) -> Result<Vec<String>, StoreError> {
        let Some(open) = &self.open else { return Ok(Vec::new()) };
        let lines = (from..open.state.tree.size()).take(limit);
        let lines = lines.filter_map(|index| Some((index, nth(&open.state.log, index)?)));
        let label = |index| format!("update log line {index}");
        lines.map(|(index, line)| open.line(&line_name(index), line, &label(index))).collect()
    }

    fn log_root(&self) -> [u8; 32] {
        self.state().map_or_else(|| crate::merkle::sha256(&[]), |state| state.tree.root())
    }

    fn log_consistency(&self, from: u64) -> Result<Option<Vec<[u8; 32]>>, StoreError> {
        Ok(match self.state() {
            Some(state) => state.tree.consistency(from),
            None => Tree::default().consistency(from),
        })
    }

    fn audit_range(&self) -> Range<u64> {
        self.state().map_or(0..0, State::audit_range)
    }

    fn audit_lines(&self, from: u64, limit: usize) -> Result<Vec<String>, StoreError> {
        let Some(open) = &self.open else { return Ok(Vec::new()) };
        let kept = open.state.audit_range();
        let entries = (from.max(kept.start)..kept.end).take(limit);
        let entries = entries.filter_map(|index| Some((index, nth(&open.state.audit, index - kept.start)?)));
        let label = |index| format!("audit entry {index}");
        entries.map(|(index, entry)| open.line(&audit_name(index), entry, &label(index))).collect()
    }

    fn last_time_ms(&self) -> i64 {
        self.state().map_or(0, |state| state.last_time_ms)
    }
}

fn nth(records: &Vector<Sealed>, index: u64) -> Option<&Sealed> {
    records.get(usize::try_from(index).ok()?)
}
