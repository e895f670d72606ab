//! The sealed store: sealing above, backends below, so that a backend sees names and ciphertext only.
//!
//! Readers work on immutable snapshots and never wait for the writer, which is one thread that commits every waiting
//! batch in one transaction with one fsync. Losing power at any moment never loses an acknowledged write, never forces a
//! recovery and never makes a set-up coordinator look empty. An old copy of the *whole* directory cannot be told from
//! the newest one: see the threat model.

mod backup;
mod check;
mod error;
mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod key_file;
mod load;
mod mark;
mod medium;
mod memory;
mod merkle;
mod recover;
mod redb;
mod rekey;
mod remedy;
mod reseal;
mod sealed;
mod start;
mod state;
mod step;
mod view;
#[cfg(feature = "failpoints")]
mod watched;
mod write_again;
mod writer;

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod mode_tests;
#[cfg(test)]
mod writer_tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use carrara_core::ports::{
    Backup, Batch, Candidate, CommitError, Committed, Entropy, Found, NewState, Sealing, Snapshot, Store,
    StoreError,
};
use carrara_types::secret::SecretBytes;
pub use check::{Checked, Report, Verdict, check};
pub use error::OpenError;
use tokio::sync::{mpsc, oneshot};

use crate::memory::Memory;
use crate::recover::OpenedState;
use crate::view::View;
use crate::writer::{Command, QUEUE, Waiting, Writer};

/// Where sealed records are kept.
#[derive(Debug, Clone)]
pub enum Backend {
    /// One redb file in a directory.
    Redb {
        /// Made with mode 0700 if it is missing. One process at a time.
        dir: PathBuf,
        /// redb's own cache; the records are in memory anyway, so a few megabytes do.
        cache_bytes: usize,
    },
    /// Nowhere: the state ends with the process. For tests and benches.
    Memory,
}

/// What a store is made of.
#[derive(Clone)]
pub struct Options {
    /// Where to keep the state.
    pub backend: Backend,
    /// Wraps the data key.
    pub sealing: Arc<dyn Sealing>,
    /// For nonces and state ids.
    pub entropy: Arc<dyn Entropy>,
}

/// Opens the store and verifies the state that is there; [`Store::found`] says what it was. Dropping the store waits for
/// the transaction that is being written and closes the backend.
///
/// # Errors
/// [`OpenError`]: there is something, but not a state that could be opened or recovered.
pub async fn open(options: Options) -> Result<Arc<dyn Store>, OpenError> {
    let directory = match &options.backend {
        Backend::Redb { dir, .. } => Some(dir.clone()),
        Backend::Memory => None,
    };
    let path = directory.clone().unwrap_or_default();
    let (commands, queue) = mpsc::channel(QUEUE);
    let (report, started) = oneshot::channel();
    let work = move || match start_writer(options) {
        Ok(writer) => {
            if report.send(Ok(writer.current())).is_ok() {
                writer.run(queue);
            }
        }
        Err(error) => drop(report.send(Err(error))),
    };
    let thread = std::thread::Builder::new().name("store".into()).spawn(work);
    let thread = thread.map_err(|_| OpenError::Stopped { path: path.clone() })?;
    // The channel closes without an answer if the thread panics over a file that redb cannot cope with.
    let current = started.await.map_err(|_| OpenError::Stopped { path })??;
    Ok(Arc::new(SealedStore { current, directory, commands: Some(commands), thread: Some(thread) }))
}

fn start_writer(options: Options) -> Result<Writer, OpenError> {
    let Options { backend, sealing, entropy } = options;
    match backend {
        Backend::Redb { dir, cache_bytes } => {
            let (redb, view) = start::start(&dir, cache_bytes, &*sealing)?;
            reseal::announce(&view);
            Ok(Writer::new(Box::new(redb), view, sealing, entropy))
        }
        Backend::Memory => Ok(Writer::new(Box::new(Memory::default()), View::empty(), sealing, entropy)),
    }
}

/// Of a batch that the writer took and did not answer.
fn ended() -> StoreError {
    StoreError::Unknown(
        "the thread that keeps the state ended; see the log, and restart the coordinator".into(),
    )
}

/// The readers' and callers' side; the writer is a thread.
struct SealedStore {
    current: Arc<ArcSwap<View>>,
    /// Where the state is kept; `None` in memory.
    directory: Option<PathBuf>,
    /// `None` only while dropping.
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl SealedStore {
    async fn send(
        &self,
        batch: Batch,
        command: impl FnOnce(Waiting) -> Command + Send,
    ) -> Result<Committed, CommitError> {
        let (reply, answer) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or(StoreError::Closed)?;
        commands.send(command(Waiting { batch, reply })).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| ended())?
    }
}

#[async_trait]
impl Store for SealedStore {
    fn found(&self) -> Found {
        self.current.load().found
    }

    fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.current.load_full()
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.send(batch, Command::Commit).await
    }

    async fn create(&self, state: NewState, batch: Batch) -> Result<Committed, CommitError> {
        self.send(batch, |waiting| Command::Create(state, waiting)).await
    }

    fn recovery_data(&self) -> Option<Vec<u8>> {
        self.current.load().locked.as_ref()?.recovery_data.clone()
    }

    async fn try_data_key(&self, data_key: &SecretBytes) -> Result<Option<Box<dyn Candidate>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or(StoreError::Closed)?;
        let command = Command::TryDataKey(data_key.duplicate(), reply);
        commands.send(command).await.map_err(|_| StoreError::Closed)?;
        let Some(view) = answer.await.map_err(|_| StoreError::Closed)?? else { return Ok(None) };
        Ok(Some(Box::new(OpenedState::new(view, commands.downgrade()))))
    }

    async fn backup(&self) -> Result<Backup, StoreError> {
        let (view, directory) = (self.current.load_full(), self.directory.clone());
        let work = move || backup::copy(&view, directory.as_deref());
        tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for SealedStore {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the writer was reported by the panic hook, and to every caller as a closed store.
            let _ = thread.join();
        }
    }
}
