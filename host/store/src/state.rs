//! A state in memory: persistent maps of sealed records, and what a batch makes of them.
//!
//! A copy costs the same for any size, so that every commit has its own immutable state. Clear text is never kept.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use carrara_core::ports::{AUDIT_KEPT, Batch, CommitError, Committed, Entropy, SealMode, StoreError};
use imbl::{OrdMap, Vector};

use crate::head::{HEAD_NAME, Head, Multiset};
use crate::mark::Mark;
use crate::merkle::{Hash, Tree, sha256};
use crate::sealed::{Keyring, Place, SealError, Sealed};

/// Names come from manifests, whose size the server limits; a longer one is a fault of the caller.
const MAX_NAME_BYTES: usize = 64 << 10;
/// The largest things kept are policies' components (tens of megabytes).
const MAX_VALUE_BYTES: usize = 128 << 20;

/// The records of one revision.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) mark: Mark,
    pub(crate) revision: u64,
    pub(crate) records: OrdMap<Arc<str>, Sealed>,
    pub(crate) log: Vector<Sealed>,
    pub(crate) tree: Tree,
    /// The entries of the audit trail that are kept.
    pub(crate) audit: Vector<Sealed>,
    /// The index of the first of them.
    pub(crate) audit_first: u64,
    pub(crate) last_time_ms: i64,
    pub(crate) sum: Multiset,
    pub(crate) seal_mode: SealMode,
    /// Clear. The head holds its hash.
    recovery_data: Arc<[u8]>,
    recovery_hash: Hash,
}

impl State {
    /// A state before its first batch.
    pub(crate) fn new(mark: Mark, seal_mode: SealMode, recovery_data: &[u8]) -> Self {
        Self {
            mark,
            revision: 0,
            records: OrdMap::new(),
            log: Vector::new(),
            tree: Tree::default(),
            audit: Vector::new(),
            audit_first: 0,
            last_time_ms: 0,
            sum: Multiset::default(),
            seal_mode,
            recovery_data: recovery_data.into(),
            recovery_hash: sha256(recovery_data),
        }
    }

    /// The clear recovery data.
    pub(crate) fn recovery_data(&self) -> &[u8] {
        &self.recovery_data
    }

    pub(crate) fn set_recovery_data(&mut self, recovery_data: &[u8]) {
        self.recovery_data = recovery_data.into();
        self.recovery_hash = sha256(recovery_data);
    }

    /// The revision that wrote a record.
    pub(crate) fn record_revision(&self, name: &str) -> Option<u64> {
        self.records.get(name).map(Sealed::revision)
    }

    /// The indexes of the audit entries that are kept.
    pub(crate) fn audit_range(&self) -> Range<u64> {
        self.audit_first..self.audit_first + self.audit.len() as u64
    }

    /// What the head says of this state.
    pub(crate) fn head(&self) -> Head {
        let audit = self.audit_range();
        Head {
            kind: self.mark.kind,
            seal_mode: self.seal_mode,
            state_id: self.mark.state_id,
            revision: self.revision,
            records: (self.records.len() as u64) + (self.log.len() as u64) + (self.audit.len() as u64),
            sum: self.sum,
            log_size: self.tree.size(),
            log_root: self.tree.root(),
            audit_first: audit.start,
            audit_end: audit.end,
            last_time_ms: self.last_time_ms,
            recovery_hash: self.recovery_hash,
        }
    }

    /// The head, sealed.
    pub(crate) fn seal_head(&self, keys: &Keyring, entropy: &dyn Entropy) -> Result<Sealed, SealError> {
        keys.seal(self.place(HEAD_NAME), self.revision, &self.head().encode(), entropy)
    }

    /// All of the state, as it is written into an empty backend.
    pub(crate) fn whole(&self, head: Sealed) -> Change {
        let record = |(name, record): (&Arc<str>, &Sealed)| (Arc::clone(name), Some(record.clone()));
        Change {
            records: self.records.iter().map(record).collect(),
            log: (0..).zip(self.log.iter().cloned()).collect(),
            audit: (self.audit_first..).zip(self.audit.iter().cloned().map(Some)).collect(),
            head,
        }
    }

    /// Where a record of this state belongs.
    pub(crate) fn place<'a>(&'a self, name: &'a [u8]) -> Place<'a> {
        Place { state_id: &self.mark.state_id, name }
    }
}

/// The record name of a line of the update log.
pub(crate) fn line_name(index: u64) -> Vec<u8> {
    [b"\0log".as_slice(), &index.to_be_bytes()].concat()
}

/// The record name of an entry of the audit trail.
pub(crate) fn audit_name(index: u64) -> Vec<u8> {
    [b"\0audit".as_slice(), &index.to_be_bytes()].concat()
}

/// What one transaction changes in the backend.
#[derive(Debug)]
pub(crate) struct Change {
    /// `None` deletes.
    pub(crate) records: BTreeMap<Arc<str>, Option<Sealed>>,
    /// New lines with their indexes.
    pub(crate) log: Vec<(u64, Sealed)>,
    /// Entries of the audit trail by index. `None` deletes.
    pub(crate) audit: BTreeMap<u64, Option<Sealed>>,
    /// The new head.
    pub(crate) head: Sealed,
}

/// The parts of a batch.
struct SealedBatch {
    records: Vec<(Arc<str>, Sealed)>,
    lines: Vec<Sealed>,
    audit: Vec<Sealed>,
}

/// Batches on their way into one transaction. Each is applied wholly or not at all.
pub(crate) struct Draft<'a> {
    keys: &'a Keyring,
    entropy: &'a dyn Entropy,
    state: State,
    records: BTreeMap<Arc<str>, Option<Sealed>>,
    log: Vec<(u64, Sealed)>,
    audit: BTreeMap<u64, Option<Sealed>>,
    accepted: bool,
}

impl<'a> Draft<'a> {
    /// Starts from a committed state.
    pub(crate) fn new(state: State, keys: &'a Keyring, entropy: &'a dyn Entropy) -> Self {
        let (records, log, audit) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { keys, entropy, state, records, log, audit, accepted: false }
    }

    /// Applies a batch if what it depends on is unchanged, also by the batches before it in this draft. What it says of
    /// a new data key is the caller's to do.
    pub(crate) fn add(&mut self, batch: &Batch) -> Result<Committed, CommitError> {
        if batch.depends.iter().any(|(name, seen)| self.state.record_revision(name) != *seen) {
            return Err(CommitError::Conflict);
        }
        check(batch)?;
        let revision = self.state.revision + 1;
        let sealed = self.seal(batch, revision).map_err(not_sealed)?;
        // From here on nothing can fail.
        self.state.revision = revision;
        self.state.last_time_ms = self.state.last_time_ms.max(batch.time_ms);
        self.accepted = true;
        for name in &batch.deletes {
            self.set(Arc::from(name.as_str()), None);
        }
        for (name, record) in sealed.records {
            self.set(name, Some(record));
        }
        for (line, record) in batch.log_lines.iter().zip(sealed.lines) {
            self.append(line, record);
        }
        for entry in sealed.audit {
            self.append_audit(entry);
        }
        Ok(Committed { revision })
    }

    /// The state after all accepted batches and what must be written; `None` if none was accepted.
    pub(crate) fn finish(self) -> Result<Option<(State, Change)>, StoreError> {
        if !self.accepted {
            return Ok(None);
        }
        let head = self.state.seal_head(self.keys, self.entropy).map_err(not_sealed)?;
        let change = Change { records: self.records, log: self.log, audit: self.audit, head };
        Ok(Some((self.state, change)))
    }

    fn seal(&self, batch: &Batch, revision: u64) -> Result<SealedBatch, SealError> {
        let seal =
            |name: &[u8], clear: &[u8]| self.keys.seal(self.state.place(name), revision, clear, self.entropy);
        let records = batch
            .puts
            .iter()
            .map(|(name, value)| Ok((Arc::from(name.as_str()), seal(name.as_bytes(), value.expose())?)));
        let lines = (self.state.tree.size()..).zip(&batch.log_lines);
        let lines = lines.map(|(index, line)| seal(&line_name(index), line.as_bytes()));
        let audit = (self.state.audit_range().end..).zip(&batch.audit_lines);
        let audit = audit.map(|(index, line)| seal(&audit_name(index), line.as_bytes()));
        Ok(SealedBatch {
            records: records.collect::<Result<_, SealError>>()?,
            lines: lines.collect::<Result<_, SealError>>()?,
            audit: audit.collect::<Result<_, SealError>>()?,
        })
    }

    fn set(&mut self, name: Arc<str>, record: Option<Sealed>) {
        let old = match &record {
            Some(record) => {
                self.state.sum.add(&self.keys.summand(name.as_bytes(), record));
                self.state.records.insert(name.clone(), record.clone())
            }
            None => self.state.records.remove(&name),
        };
        if let Some(old) = &old {
            self.state.sum.remove(&self.keys.summand(name.as_bytes(), old));
        }
        if old.is_some() || record.is_some() {
            self.records.insert(name, record);
        }
    }

    fn append(&mut self, line: &str, record: Sealed) {
        let index = self.state.tree.size();
        self.state.sum.add(&self.keys.summand(&line_name(index), &record));
        self.state.tree.append(line.as_bytes());
        self.state.log.push_back(record.clone());
        self.log.push((index, record));
    }

    /// Appends an entry of the audit trail and drops the oldest one beyond the limit.
    fn append_audit(&mut self, entry: Sealed) {
        let Range { start: first, end: index } = self.state.audit_range();
        self.state.sum.add(&self.keys.summand(&audit_name(index), &entry));
        self.state.audit.push_back(entry.clone());
        self.audit.insert(index, Some(entry));
        if index - first < AUDIT_KEPT {
            return;
        }
        if let Some(oldest) = self.state.audit.pop_front() {
            self.state.sum.remove(&self.keys.summand(&audit_name(first), &oldest));
            self.state.audit_first = first + 1;
            self.audit.insert(first, None);
        }
    }
}

/// Refuses what the format cannot hold. Names that begin with NUL are the store's own.
fn check(batch: &Batch) -> Result<(), StoreError> {
    let names = batch.puts.iter().map(|(name, _)| name).chain(&batch.deletes);
    for name in names {
        if name.is_empty() || name.starts_with('\0') || name.len() > MAX_NAME_BYTES {
            return Err(StoreError::Write("a record's name is empty, too long or begins with NUL".into()));
        }
    }
    if batch.puts.iter().any(|(_, value)| value.len() > MAX_VALUE_BYTES) {
        return Err(StoreError::Write("a record is too long".into()));
    }
    let no_line = |line: &String| line.contains('\n') || line.len() > MAX_VALUE_BYTES;
    if batch.log_lines.iter().any(no_line) {
        return Err(StoreError::Write("a line of the update log is too long or holds a line break".into()));
    }
    if batch.audit_lines.iter().any(no_line) {
        return Err(StoreError::Write("an audit entry is too long or holds a line break".into()));
    }
    Ok(())
}

fn not_sealed(_: SealError) -> StoreError {
    StoreError::Write("a record could not be sealed".into())
}
