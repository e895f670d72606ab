//! What the tests of the store share: a sealing key, randomness and batches.
#![allow(dead_code, unreachable_pub, reason = "every test uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use carrara_core::ports::{Batch, Entropy, KeyPolicy, NewState, SealMode, Sealing, SealingKind};
use carrara_types::secret::SecretBytes;

/// A sealing key of 32 equal bytes.
pub struct FixedKey(pub SealingKind, pub u8);

impl Sealing for FixedKey {
    fn kind(&self) -> SealingKind {
        self.0
    }

    fn key(&self, policy: KeyPolicy) -> Result<SecretBytes, String> {
        let bound_to = if policy == KeyPolicy::Product { 0 } else { 0x80 };
        Ok(SecretBytes::new("sealing key", vec![self.1 ^ bound_to; 32]))
    }
}

/// The usual sealing key.
pub fn sealing() -> Arc<dyn Sealing> {
    Arc::new(FixedKey(SealingKind::Tee, 1))
}

/// The system's randomness.
pub struct Random;

impl Entropy for Random {
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).unwrap();
    }
}

/// A new state with a data key of its own.
pub fn new_state() -> NewState {
    let mut key = vec![0; 32];
    Random.fill(&mut key);
    NewState {
        data_key: SecretBytes::new("data key", key),
        recovery_data: b"recovery data".to_vec(),
        seal_mode: SealMode::ProductKey,
    }
}

/// A batch that writes one record.
pub fn put(name: &str, value: &str) -> Batch {
    let value = SecretBytes::new(name.to_owned(), value.as_bytes().to_vec());
    Batch { puts: vec![(name.to_owned(), value)], ..Batch::default() }
}

/// A batch that appends lines to the log.
pub fn lines(lines: &[&str]) -> Batch {
    Batch { log_lines: lines.iter().map(|line| (*line).to_owned()).collect(), ..Batch::default() }
}

/// The batch with a dependency.
pub fn depending(mut batch: Batch, name: &str, seen: Option<u64>) -> Batch {
    batch.depends.push((name.to_owned(), seen));
    batch
}

/// A batch that appends entries to the audit trail.
pub fn entries(entries: impl IntoIterator<Item = String>) -> Batch {
    Batch { audit_lines: entries.into_iter().collect(), ..Batch::default() }
}

/// The batch with a new data key and new recovery data.
pub fn rekeying(mut batch: Batch) -> Batch {
    let state = NewState { recovery_data: b"new recovery data".to_vec(), ..new_state() };
    batch.rekey = Some(Box::new(state));
    batch
}

/// Copies a directory as a crash would leave it.
pub fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
