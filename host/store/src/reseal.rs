//! Commits that change the data key, or how the state is kept: in force, on disk too, when they return.
//!
//! A mode that only wraps the data key with another sealing key costs no more than any commit. Disabled takes the state off
//! the disk, and the way back writes all of it, as a new data key does.

use std::sync::Arc;

use carrara_core::ports::{Batch, CommitError, Committed, SealMode, StoreError};
use carrara_types::secret::SecretBytes;

use crate::key_file::{Binding, KeyFile};
use crate::mark::Mark;
use crate::medium::Rekeying;
use crate::rekey::Rekey;
use crate::sealed::Keyring;
use crate::state::{Change, Draft, State};
use crate::view::{DataKey, OpenState, View};
use crate::writer::{Writer, not_sealed};

impl Writer {
    /// Commits a batch with a new data key or a seal mode, in a transaction of its own.
    pub(crate) fn commit_resealing(&mut self, batch: &Batch) -> Result<Committed, CommitError> {
        self.settle()?;
        let current = self.current.load_full();
        let Some(open) = &current.open else { return Err(StoreError::NotOpen.into()) };
        let mode = batch.rekey.as_ref().map(|new| new.seal_mode).or(batch.seal_mode);
        let mode = mode.unwrap_or(open.state.seal_mode);
        if batch.rekey.is_none() && mode == open.state.seal_mode {
            let result = self.write(&[batch])?.pop();
            return result.unwrap_or(Err(CommitError::Conflict));
        }
        let next = self.resealed(open, mode, batch)?;
        self.store_resealed(open, batch, next.view, next.state, next.change)?;
        Ok(next.committed)
    }

    /// Keeps a data key as the mode wants it.
    pub(crate) fn keep(
        &self,
        mark: Mark,
        mode: SealMode,
        data_key: &SecretBytes,
    ) -> Result<Arc<DataKey>, StoreError> {
        let Some(policy) = mode.key_policy() else {
            return Ok(Arc::new(DataKey::Held(data_key.duplicate())));
        };
        let binding = Binding { kind: mark.kind, policy, state_id: mark.state_id };
        let file = KeyFile::wrap(binding, data_key, &*self.sealing, &*self.entropy);
        Ok(Arc::new(DataKey::Wrapped(file.map_err(|error| StoreError::Write(error.into()))?)))
    }

    /// The data key in the clear, for as long as it is wrapped anew.
    fn data_key(&self, open: &OpenState) -> Result<SecretBytes, StoreError> {
        let file = match &*open.data_key {
            DataKey::Held(data_key) => return Ok(data_key.duplicate()),
            DataKey::Wrapped(file) => file,
        };
        let entries = file.open(&open.state.mark.state_id, &*self.sealing);
        let entries = entries.map_err(|error| StoreError::Write(error.into()))?;
        let first = entries.into_iter().next().map(|entry| entry.data_key);
        first.ok_or_else(|| {
            StoreError::Write("the TEE gives another sealing key than before: restart the coordinator".into())
        })
    }

    /// Computes the state after the batch, in the mode.
    fn resealed(&self, open: &OpenState, mode: SealMode, batch: &Batch) -> Result<Resealed, CommitError> {
        let mark = open.state.mark;
        let (keys, data_key) = match &batch.rekey {
            Some(new) => {
                let keys = Arc::new(Keyring::new(&new.data_key).map_err(not_sealed)?);
                (keys, self.keep(mark, mode, &new.data_key)?)
            }
            None => (Arc::clone(&open.keys), self.keep(mark, mode, &self.data_key(open)?)?),
        };
        let mut state = open.state.clone();
        state.seal_mode = mode;
        let mut draft = Draft::new(state, &open.keys, &*self.entropy);
        let committed = draft.add(batch)?;
        let Some((mut state, mut change)) = draft.finish()? else { return Err(CommitError::Conflict) };
        if let Some(new) = &batch.rekey {
            let (old, recovery_data) = (&*open.keys, new.recovery_data.as_slice());
            let rekey = Rekey { old, new: &keys, recovery_data, entropy: &*self.entropy };
            (state, change) = rekey.apply(state, change)?;
        }
        let view = Arc::new(View::open(state.clone(), keys, change.head.clone(), data_key));
        Ok(Resealed { committed, view, state, change })
    }

    fn store_resealed(
        &mut self,
        open: &OpenState,
        batch: &Batch,
        next: Arc<View>,
        state: State,
        change: Change,
    ) -> Result<(), StoreError> {
        let key_file = next.open.as_ref().and_then(|open| open.data_key.file());
        let stored = match (open.data_key.file(), key_file) {
            (Some(old), Some(new)) => self.medium.rekey(&Rekeying {
                before: old.encode(),
                both: old.with(new).encode(),
                key_file: new.encode(),
                recovery_data: batch.rekey.as_ref().map(|new| new.recovery_data.clone()),
                change,
            }),
            (None, None) => self.medium.apply(&change),
            (None, Some(_)) => {
                let whole = state.whole(change.head);
                return self.replace(next, whole);
            }
            (Some(_), None) => return self.replace(next, change),
        };
        match stored {
            Ok(()) => self.current.store(Arc::clone(&next)),
            Err(error) => self.find_out(Arc::clone(&next), error)?,
        }
        if state.seal_mode != open.state.seal_mode {
            announce(&next);
        }
        Ok(())
    }
}

/// Says how the state is kept from now on: at a start, and when it changes.
pub(crate) fn announce(view: &View) {
    match view.open.as_ref().map(|open| open.state.seal_mode) {
        Some(mode @ (SealMode::ProductKey | SealMode::UniqueKey)) => {
            tracing::info!(seal_mode = %mode, "the state is sealed and kept on disk");
        }
        Some(mode @ SealMode::Disabled) => tracing::warn!(
            seal_mode = %mode,
            "the state is not kept on disk: a restart loses all of it, its root certificate and secrets included"
        ),
        None => {}
    }
}

/// What a batch makes of the state.
struct Resealed {
    committed: Committed,
    view: Arc<View>,
    state: State,
    change: Change,
}
