//! A new data key for a state: everything is sealed anew, so that who knew the old key reads nothing of what follows.
//!
//! Records keep their revisions, which other batches depend on; the state keeps its id. Costs what the state is large.

use std::sync::Arc;

use carrara_core::ports::{Entropy, StoreError};

use crate::head::Multiset;
use crate::sealed::{Keyring, SealError, Sealed};
use crate::state::{Change, State, audit_name, line_name};

/// The old keys, and what takes their place.
pub(crate) struct Rekey<'a> {
    pub(crate) old: &'a Keyring,
    pub(crate) new: &'a Keyring,
    /// Clear.
    pub(crate) recovery_data: &'a [u8],
    pub(crate) entropy: &'a dyn Entropy,
}

impl Rekey<'_> {
    /// Seals the whole state anew. `change` is what its last batch did, for what that deletes.
    ///
    /// # Errors
    /// A record does not open.
    pub(crate) fn apply(&self, mut state: State, mut change: Change) -> Result<(State, Change), StoreError> {
        let place = state.clone();
        let mut sum = Multiset::default();
        let mut anew = |name: &[u8], record: &Sealed| {
            let record = self.old.reseal(place.place(name), record, self.new, self.entropy)?;
            sum.add(&self.new.summand(name, &record));
            Ok(record)
        };
        for (name, record) in &place.records {
            let record = anew(name.as_bytes(), record).map_err(|_| not_resealed(name))?;
            state.records.insert(Arc::clone(name), record.clone());
            change.records.insert(Arc::clone(name), Some(record));
        }
        let lines = (0..).zip(&place.log).map(|(index, line)| anew(&line_name(index), line));
        state.log = lines.collect::<Result<_, SealError>>().map_err(|_| not_resealed("update log"))?;
        let entries = (place.audit_first..).zip(&place.audit);
        let entries = entries.map(|(index, entry)| anew(&audit_name(index), entry));
        state.audit = entries.collect::<Result<_, SealError>>().map_err(|_| not_resealed("audit trail"))?;
        change.log = (0..).zip(state.log.iter().cloned()).collect();
        change.audit.extend((state.audit_first..).zip(state.audit.iter().cloned().map(Some)));
        state.sum = sum;
        state.set_recovery_data(self.recovery_data);
        change.head = state.seal_head(self.new, self.entropy).map_err(|_| not_resealed("head"))?;
        Ok((state, change))
    }
}

fn not_resealed(what: &str) -> StoreError {
    StoreError::Read(format!("the record {what} could not be sealed with the new key"))
}
