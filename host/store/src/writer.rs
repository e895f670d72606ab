//! The only one who changes the state: one thread that takes batches from a queue.
//!
//! Every waiting batch whose dependencies are unchanged goes into one transaction with one fsync; a batch in conflict is
//! answered alone. Readers see a change only after it is durable.

use std::sync::Arc;

use arc_swap::ArcSwap;
use carrara_core::ports::{Batch, CommitError, Committed, Entropy, Found, NewState, Sealing, StoreError};
use carrara_types::secret::SecretBytes;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

use crate::mark::Mark;
use crate::medium::{Birth, Medium};
use crate::reseal::announce;
use crate::sealed::{Keyring, SealError};
use crate::state::{Change, Draft, State};
use crate::view::View;

/// Batches that wait while one transaction is written. Callers beyond it wait for a place.
pub(crate) const QUEUE: usize = 256;
/// Batches in one transaction: as many as can wait.
const MAX_GROUP: usize = QUEUE;

/// What the store asks of the writer.
pub(crate) enum Command {
    Commit(Waiting),
    Create(NewState, Waiting),
    TryDataKey(SecretBytes, oneshot::Sender<Result<Option<Arc<View>>, StoreError>>),
    /// With what a tried key opened.
    Adopt(Arc<View>, oneshot::Sender<Result<(), StoreError>>),
}

/// A batch and who waits for it.
pub(crate) struct Waiting {
    pub(crate) batch: Batch,
    pub(crate) reply: oneshot::Sender<Result<Committed, CommitError>>,
}

/// The writer's side of the store.
pub(crate) struct Writer {
    pub(crate) medium: Box<dyn Medium>,
    pub(crate) current: Arc<ArcSwap<View>>,
    pub(crate) sealing: Arc<dyn Sealing>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// What a failed transaction would have made: it may be durable nonetheless.
    uncertain: Option<Arc<View>>,
    /// What a replacement that failed would have made: it may be in force nonetheless.
    unfinished: Option<Arc<View>>,
}

impl Writer {
    pub(crate) fn new(
        medium: Box<dyn Medium>,
        view: View,
        sealing: Arc<dyn Sealing>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let current = Arc::new(ArcSwap::from_pointee(view));
        Self { medium, current, sealing, entropy, uncertain: None, unfinished: None }
    }

    /// Where readers find the newest committed state.
    pub(crate) fn current(&self) -> Arc<ArcSwap<View>> {
        self.current.clone()
    }

    /// Works until the store is dropped.
    pub(crate) fn run(mut self, mut commands: Receiver<Command>) {
        let mut held = None;
        while let Some(command) = held.take().or_else(|| commands.blocking_recv()) {
            match command {
                Command::Create(state, waiting) => {
                    let result = self.create(&state, &waiting.batch);
                    // A caller that went away does not undo its commit.
                    let _ = waiting.reply.send(result);
                }
                Command::TryDataKey(data_key, reply) => drop(reply.send(self.try_data_key(&data_key))),
                Command::Adopt(opened, reply) => drop(reply.send(self.adopt(opened))),
                Command::Commit(first) => {
                    let mut group = vec![first];
                    while group.len() < MAX_GROUP {
                        match commands.try_recv() {
                            Ok(Command::Commit(next)) => group.push(next),
                            Ok(other) => {
                                held = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.commit(group);
                }
            }
        }
    }

    /// Commits a group in its order and answers each of it. A batch with a new data key or a seal mode has a transaction
    /// of its own.
    pub(crate) fn commit(&mut self, group: Vec<Waiting>) {
        let mut usual = Vec::with_capacity(group.len());
        for waiting in group {
            if waiting.batch.rekey.is_none() && waiting.batch.seal_mode.is_none() {
                usual.push(waiting);
                continue;
            }
            self.commit_usual(std::mem::take(&mut usual));
            let result = self.commit_resealing(&waiting.batch);
            let _ = waiting.reply.send(result);
        }
        self.commit_usual(usual);
    }

    fn commit_usual(&mut self, group: Vec<Waiting>) {
        if group.is_empty() {
            return;
        }
        let batches: Vec<&Batch> = group.iter().map(|waiting| &waiting.batch).collect();
        let written = self.settle().and_then(|()| self.write(&batches));
        let results: Vec<_> = match written {
            Ok(results) => results,
            Err(error) => group.iter().map(|_| Err(same(&error).into())).collect(),
        };
        for (waiting, result) in group.into_iter().zip(results) {
            let _ = waiting.reply.send(result);
        }
    }

    /// Makes a new state. The store is open afterwards.
    pub(crate) fn create(&mut self, new: &NewState, batch: &Batch) -> Result<Committed, CommitError> {
        self.settle()?;
        if self.current.load().found == Found::Open {
            return Err(CommitError::Conflict);
        }
        let keys = Arc::new(Keyring::new(&new.data_key).map_err(not_sealed)?);
        let mut state_id = [0; 16];
        self.entropy.fill(&mut state_id);
        let mark = Mark { kind: self.sealing.kind(), state_id };
        let data_key = self.keep(mark, new.seal_mode, &new.data_key)?;

        let empty = State::new(mark, new.seal_mode, &new.recovery_data);
        let mut draft = Draft::new(empty, &keys, &*self.entropy);
        let committed = draft.add(batch)?;
        let Some((state, change)) = draft.finish()? else { return Err(CommitError::Conflict) };
        let view = Arc::new(View::open(state, keys, change.head.clone(), data_key));
        self.replace(view, change)?;
        Ok(committed)
    }

    /// Puts a whole state in the place of whatever there was, or, where nothing is kept of it, nothing.
    pub(crate) fn replace(&mut self, view: Arc<View>, change: Change) -> Result<(), StoreError> {
        let Some(open) = &view.open else { return Err(StoreError::NotOpen) };
        let replaced = match open.data_key.file() {
            Some(file) => {
                let recovery_data = open.state.recovery_data().to_vec();
                let (mark, key_file) = (open.state.mark, file.encode());
                self.medium.replace(&Birth { mark, recovery_data, key_file, change })
            }
            None => self.medium.withdraw(&open.state.mark, &open.head),
        };
        let Err(error) = replaced else {
            announce(&view);
            self.current.store(view);
            return Ok(());
        };
        tracing::error!(%error, "a replacement of the state failed; looking whether it is in force");
        self.unfinished = Some(Arc::clone(&view));
        self.judge(&view, error)
    }

    pub(crate) fn write(
        &mut self,
        batches: &[&Batch],
    ) -> Result<Vec<Result<Committed, CommitError>>, StoreError> {
        let current = self.current.load_full();
        let Some(open) = &current.open else { return Err(StoreError::NotOpen) };
        let mut draft = Draft::new(open.state.clone(), &open.keys, &*self.entropy);
        let results = batches.iter().map(|batch| draft.add(batch)).collect();
        let Some((state, change)) = draft.finish()? else { return Ok(results) };
        let next = View::open(state, open.keys.clone(), change.head.clone(), open.data_key.clone());
        let next = Arc::new(next);
        match self.medium.apply(&change) {
            Ok(()) => self.current.store(next),
            Err(error) => self.find_out(next, error)?,
        }
        Ok(results)
    }

    /// After a failed transaction: `Ok` if it is durable nonetheless.
    ///
    /// # Errors
    /// The transaction's own error if nothing was changed, [`StoreError::Unknown`] if the disk does not say.
    pub(crate) fn find_out(&mut self, next: Arc<View>, error: StoreError) -> Result<(), StoreError> {
        tracing::error!(%error, "a write failed; reading back what is stored");
        self.uncertain = Some(Arc::clone(&next));
        self.judge(&next, error)
    }

    /// `Ok` if what failed is in force nonetheless.
    fn judge(&mut self, next: &Arc<View>, error: StoreError) -> Result<(), StoreError> {
        if let Err(silent) = self.settle() {
            return Err(StoreError::Unknown(format!("{error}; reading it back: {silent}")));
        }
        if Arc::ptr_eq(&self.current.load_full(), next) { Ok(()) } else { Err(error) }
    }

    /// Goes on from what is stored if that is not known; to be called before every write.
    ///
    /// # Errors
    /// The disk does not answer. Nothing was written.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        if let Some(next) = &self.unfinished {
            let in_force = self.medium.finish_replacement()?;
            if in_force {
                announce(next);
                self.current.store(Arc::clone(next));
            }
            self.unfinished = None;
            tracing::warn!(in_force, "the state's files are whole again after a replacement that failed");
        }
        let Some(next) = &self.uncertain else { return Ok(()) };
        let stored = self.medium.stored_head()?;
        let is_stored = |view: &View| view.open.as_ref().is_some_and(|open| open.head.bytes() == stored);
        let committed = is_stored(next);
        if committed {
            self.current.store(Arc::clone(next));
        } else if !is_stored(&self.current.load()) {
            return Err(StoreError::Read("the stored state is not what was written: restart".into()));
        }
        self.uncertain = None;
        tracing::warn!(committed, "the state is readable and writable again after a write that failed");
        Ok(())
    }
}

/// One cause, told to each of a group.
fn same(error: &StoreError) -> StoreError {
    match error {
        StoreError::Write(text) => StoreError::Write(text.clone()),
        StoreError::Unknown(text) => StoreError::Unknown(text.clone()),
        StoreError::Read(text) => StoreError::Read(text.clone()),
        StoreError::NotOpen => StoreError::NotOpen,
        StoreError::NotLocked => StoreError::NotLocked,
        StoreError::Closed => StoreError::Closed,
    }
}

pub(crate) fn not_sealed(_: SealError) -> StoreError {
    StoreError::Write("the data key could not be sealed".into())
}
