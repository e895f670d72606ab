//! The only one who changes the state: one thread that takes batches from a queue.
//!
//! Every waiting batch whose dependencies are unchanged goes into one transaction with one fsync; a batch in conflict is
//! answered alone. Readers see a change only after it is durable.

use std::sync::Arc;

use arc_swap::ArcSwap;
use carrara_core::ports::{Batch, CommitError, Committed, Entropy, Found, KeyPolicy, NewState, Sealing, StoreError};
use carrara_types::secret::SecretBytes;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

use crate::key_file::KeyFile;
use crate::medium::{Birth, Medium, Rekeying, ReplaceError};
use crate::rekey::Rekey;
use crate::sealed::{Keyring, SealError};
use crate::state::{Draft, State};
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
    /// A replacement ended halfway: only a new start can tell what is stored.
    pub(crate) broken: bool,
}

impl Writer {
    pub(crate) fn new(
        medium: Box<dyn Medium>,
        view: View,
        sealing: Arc<dyn Sealing>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let current = Arc::new(ArcSwap::from_pointee(view));
        Self { medium, current, sealing, entropy, uncertain: None, broken: false }
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

    /// Commits a group in its order and answers each of it. A batch with a new data key has a transaction of its own.
    pub(crate) fn commit(&mut self, group: Vec<Waiting>) {
        let mut usual = Vec::with_capacity(group.len());
        for waiting in group {
            let Some(new) = &waiting.batch.rekey else {
                usual.push(waiting);
                continue;
            };
            self.commit_usual(std::mem::take(&mut usual));
            let result = self.rekey(new, &waiting.batch);
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
        if self.broken {
            return Err(halfway().into());
        }
        if self.current.load().found == Found::Open {
            return Err(CommitError::Conflict);
        }
        let sealing_key = self.sealing.key(KeyPolicy::Product).map_err(StoreError::Write)?;
        let keys = Arc::new(Keyring::new(&new.data_key).map_err(not_sealed)?);
        let mut state_id = [0; 16];
        self.entropy.fill(&mut state_id);
        let kind = self.sealing.kind();
        let key_file = KeyFile::wrap(kind, state_id, &new.data_key, &sealing_key, &*self.entropy);
        let key_file = key_file.map_err(not_sealed)?;

        let empty = State::new(kind, state_id, &new.recovery_data);
        let mut draft = Draft::new(empty, &keys, &*self.entropy);
        let committed = draft.add(batch)?;
        let Some((state, change)) = draft.finish()? else { return Err(CommitError::Conflict) };
        let head = change.head.clone();
        let recovery_data = new.recovery_data.clone();
        let birth = Birth { mark: state.mark, recovery_data, key_file: key_file.encode(), change };
        match self.medium.replace(&birth) {
            Ok(()) => {}
            Err(ReplaceError::Unchanged(error)) => return Err(error.into()),
            Err(ReplaceError::Unknown(error)) => {
                self.broken = true;
                return Err(error.into());
            }
        }
        self.current.store(Arc::new(View::open(state, keys, head, Arc::new(key_file))));
        Ok(committed)
    }

    /// Commits a batch and seals the whole state with a new data key, in one transaction.
    fn rekey(&mut self, new: &NewState, batch: &Batch) -> Result<Committed, CommitError> {
        self.settle()?;
        let current = self.current.load_full();
        let Some(open) = &current.open else { return Err(StoreError::NotOpen.into()) };
        let sealing_key = self.sealing.key(KeyPolicy::Product).map_err(StoreError::Write)?;
        let keys = Arc::new(Keyring::new(&new.data_key).map_err(not_sealed)?);
        let mark = open.state.mark;
        let key_file = KeyFile::wrap(mark.kind, mark.state_id, &new.data_key, &sealing_key, &*self.entropy);
        let key_file = key_file.map_err(not_sealed)?;

        let mut draft = Draft::new(open.state.clone(), &open.keys, &*self.entropy);
        let committed = draft.add(batch)?;
        let Some((state, change)) = draft.finish()? else { return Err(CommitError::Conflict) };
        let rekey = Rekey {
            old: &open.keys,
            new: &keys,
            recovery_data: &new.recovery_data,
            entropy: &*self.entropy,
        };
        let (state, change) = rekey.apply(state, change)?;
        let head = change.head.clone();
        let rekeying = Rekeying {
            both: open.key_file.with(&key_file).encode(),
            key_file: key_file.encode(),
            recovery_data: new.recovery_data.clone(),
            change,
        };
        let next = Arc::new(View::open(state, keys, head, Arc::new(key_file)));
        match self.medium.rekey(&rekeying) {
            Ok(()) => self.current.store(next),
            Err(error) => self.find_out(next, error)?,
        }
        Ok(committed)
    }

    fn write(&mut self, batches: &[&Batch]) -> Result<Vec<Result<Committed, CommitError>>, StoreError> {
        let current = self.current.load_full();
        let Some(open) = &current.open else { return Err(StoreError::NotOpen) };
        let mut draft = Draft::new(open.state.clone(), &open.keys, &*self.entropy);
        let results = batches.iter().map(|batch| draft.add(batch)).collect();
        let Some((state, change)) = draft.finish()? else { return Ok(results) };
        let next = View::open(state, open.keys.clone(), change.head.clone(), open.key_file.clone());
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
    fn find_out(&mut self, next: Arc<View>, error: StoreError) -> Result<(), StoreError> {
        tracing::error!(%error, "a write failed; reading back what is stored");
        self.uncertain = Some(Arc::clone(&next));
        if let Err(unreadable) = self.settle() {
            return Err(StoreError::Unknown(format!("{error}; reading it back: {unreadable}")));
        }
        if Arc::ptr_eq(&self.current.load_full(), &next) { Ok(()) } else { Err(error) }
    }

    /// Goes on from what is stored if that is not known; to be called before every write.
    ///
    /// # Errors
    /// The disk does not answer. Nothing was written.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
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

pub(crate) fn halfway() -> StoreError {
    StoreError::Write("an earlier change of the state's files ended halfway: restart the coordinator".into())
}

pub(crate) fn not_sealed(_: SealError) -> StoreError {
    StoreError::Write("the data key could not be sealed".into())
}
