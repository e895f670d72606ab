//! A snapshot of the real store that counts which records are opened.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use carrara_core::ports::{SealMode, Snapshot, StoreError};
use carrara_types::secret::SecretBytes;

/// How often each record was opened.
pub type Opened = Arc<Mutex<HashMap<String, usize>>>;

pub struct Counted {
    pub inner: Arc<dyn Snapshot>,
    pub opened: Opened,
    /// Records beside those that are there: a full state without the time that it takes to make one.
    pub more_records: usize,
}

impl Snapshot for Counted {
    fn revision(&self) -> u64 {
        self.inner.revision()
    }

    fn state_id(&self) -> Option<[u8; 16]> {
        self.inner.state_id()
    }

    fn seal_mode(&self) -> Option<SealMode> {
        self.inner.seal_mode()
    }

    fn record_revision(&self, key: &str) -> Option<u64> {
        self.inner.record_revision(key)
    }

    fn open(&self, key: &str) -> Result<Option<SecretBytes>, StoreError> {
        *self.opened.lock().unwrap().entry(key.to_owned()).or_default() += 1;
        self.inner.open(key)
    }

    fn record_count(&self) -> usize {
        self.inner.record_count() + self.more_records
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        self.inner.keys(prefix)
    }

    fn log_size(&self) -> u64 {
        self.inner.log_size()
    }

    fn log_lines(&self, from: u64, limit: usize) -> Result<Vec<String>, StoreError> {
        self.inner.log_lines(from, limit)
    }

    fn log_root(&self) -> [u8; 32] {
        self.inner.log_root()
    }

    fn log_consistency(&self, from: u64) -> Result<Option<Vec<[u8; 32]>>, StoreError> {
        self.inner.log_consistency(from)
    }

    fn audit_range(&self) -> Range<u64> {
        self.inner.audit_range()
    }

    fn audit_lines(&self, from: u64, limit: usize) -> Result<Vec<String>, StoreError> {
        self.inner.audit_lines(from, limit)
    }

    fn last_time_ms(&self) -> i64 {
        self.inner.last_time_ms()
    }
}
