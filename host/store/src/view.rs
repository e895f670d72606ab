//! What readers see: an immutable view of one revision.

use std::sync::Arc;

use carrara_core::ports::{Found, Snapshot, StoreError};
use carrara_types::secret::SecretBytes;

use crate::sealed::{Keyring, Sealed};
use crate::state::{State, line_name};

/// What was found and, where it is open, the state.
pub(crate) struct View {
    pub(crate) found: Found,
    pub(crate) open: Option<OpenState>,
}

/// A state with its keys and the head that the backend holds.
pub(crate) struct OpenState {
    pub(crate) state: State,
    pub(crate) keys: Arc<Keyring>,
    pub(crate) head: Sealed,
}

impl View {
    /// Of a store without an open state.
    pub(crate) fn closed(found: Found) -> Self {
        Self { found, open: None }
    }

    /// Of an open state.
    pub(crate) fn open(state: State, keys: Arc<Keyring>, head: Sealed) -> Self {
        Self { found: Found::Open, open: Some(OpenState { state, keys, head }) }
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

    fn line(&self, index: u64, record: &Sealed) -> Result<String, StoreError> {
        let label = format!("update log line {index}");
        let line = self.unseal(&line_name(index), record, &label)?;
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

    fn record_revision(&self, key: &str) -> Option<u64> {
        self.state()?.record_revision(key)
    }

    fn open(&self, key: &str) -> Result<Option<SecretBytes>, StoreError> {
        let Some(open) = &self.open else { return Ok(None) };
        let record = open.state.records.get(key);
        record.map(|record| open.unseal(key.as_bytes(), record, key)).transpose()
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
        let records = (from..open.state.tree.size()).take(limit);
        let records =
            records.filter_map(|index| Some((index, open.state.log.get(usize::try_from(index).ok()?)?)));
        records.map(|(index, record)| open.line(index, record)).collect()
    }

    fn log_root(&self) -> [u8; 32] {
        self.state().map_or_else(|| crate::merkle::sha256(&[]), |state| state.tree.root())
    }

    fn log_consistency(&self, _from: u64) -> Result<Option<Vec<[u8; 32]>>, StoreError> {
        Ok(None)
    }

    fn audit_range(&self) -> std::ops::Range<u64> {
        0..0
    }

    fn audit_lines(&self, _from: u64, _limit: usize) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn last_time_ms(&self) -> i64 {
        0
    }
}
