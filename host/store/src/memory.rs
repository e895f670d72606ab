//! A backend that keeps nothing: for tests and benches, which run the same sealing code above it.

use carrara_core::ports::StoreError;

use crate::load::Stored;
use crate::mark::Mark;
use crate::medium::{Birth, Medium, Rekeying};
use crate::sealed::Sealed;
use crate::state::Change;

/// Records are kept, sealed, by the snapshots above; only the head is kept here.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    head: Vec<u8>,
}

impl Memory {
    /// Of a state that is there already.
    pub(crate) fn holding(head: &Sealed) -> Self {
        Self { head: head.bytes().to_vec() }
    }
}

impl Medium for Memory {
    fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        self.head = change.head.bytes().to_vec();
        Ok(())
    }

    fn rekey(&mut self, rekeying: &Rekeying) -> Result<(), StoreError> {
        self.apply(&rekeying.change)
    }

    fn stored_head(&mut self) -> Result<Vec<u8>, StoreError> {
        Ok(self.head.clone())
    }

    fn replace(&mut self, birth: &Birth) -> Result<(), StoreError> {
        self.apply(&birth.change)
    }

    fn finish_replacement(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn withdraw(&mut self, _mark: &Mark, head: &Sealed) -> Result<(), StoreError> {
        *self = Self::holding(head);
        Ok(())
    }

    /// A state in memory ends with its process, so that none is ever found locked.
    fn read_locked(&mut self, _head: &Sealed) -> Result<Stored, StoreError> {
        Err(StoreError::NotLocked)
    }

    fn adopt(&mut self, _head: &Sealed, _key_file: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::NotLocked)
    }
}
