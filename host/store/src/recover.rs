//! Recovery: a data key from outside is tried on the locked state, and what it opened becomes the state.
//!
//! A wrong key costs one record's decryption in memory. A right one is followed by the same verification as a start
//! makes; whether the state may be used is the caller's to judge before it is adopted.

use std::sync::Arc;

use async_trait::async_trait;
use carrara_core::ports::{Candidate, Snapshot, StoreError};
use carrara_types::secret::SecretBytes;
use tokio::sync::mpsc::WeakSender;
use tokio::sync::oneshot;

use crate::load::{Fault, HeadError, load, open_head};
use crate::mark::kind_name;
use crate::reseal::announce;
use crate::sealed::Keyring;
use crate::view::View;
use crate::writer::{Command, Writer};

/// The locked state as a key opened it.
pub(crate) struct OpenedState {
    view: Arc<View>,
    /// Weak: a store that is dropped does not wait for those who would recover it.
    commands: WeakSender<Command>,
}

impl OpenedState {
    pub(crate) fn new(view: Arc<View>, commands: WeakSender<Command>) -> Self {
        Self { view, commands }
    }
}

#[async_trait]
impl Candidate for OpenedState {
    fn snapshot(&self) -> Arc<dyn Snapshot> {
        Arc::<View>::clone(&self.view)
    }

    async fn adopt(self: Box<Self>) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let commands = self.commands.upgrade().ok_or(StoreError::Closed)?;
        commands.send(Command::Adopt(self.view, reply)).await.map_err(|_| StoreError::Closed)?;
        drop(commands);
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Writer {
    /// Opens the locked state with the key and verifies all of it. Changes nothing.
    pub(crate) fn try_data_key(&mut self, data_key: &SecretBytes) -> Result<Option<Arc<View>>, StoreError> {
        let current = self.current.load_full();
        let Some(locked) = &current.locked else { return Err(StoreError::NotLocked) };
        // Of a wrong length, it is a wrong key.
        let Ok(keys) = Keyring::new(data_key) else { return Ok(None) };
        let head = match open_head(&keys, &locked.mark, &locked.head) {
            Ok(head) => head,
            Err(HeadError::Sealed) => return Ok(None),
            Err(HeadError::Newer) => {
                let text = "a later version wrote it, which this one cannot read: start that version, or a newer one";
                return Err(StoreError::Read(text.to_owned()));
            }
        };
        let kind = self.sealing.kind();
        // The start could see the clear mark alone, which anyone can change.
        if head.kind != kind {
            let (was, is) = (kind_name(head.kind), kind_name(kind));
            let text =
                format!("it was sealed by {was}, and this coordinator seals by {is}: start it the other way");
            return Err(StoreError::Read(text));
        }
        let stored = self.medium.read_locked(&locked.head)?;
        let state = load(&keys, &head, stored);
        let state = state.map_err(|Fault(fault)| {
            StoreError::Read(format!(
                "it is damaged ({fault}): restore it from a copy, or set a new manifest"
            ))
        })?;
        let data_key = self.keep(state.mark, state.seal_mode, data_key)?;
        Ok(Some(Arc::new(View::open(state, Arc::new(keys), locked.head.clone(), data_key))))
    }

    /// Makes the state of what a key opened. The store is open afterwards.
    pub(crate) fn adopt(&mut self, opened: Arc<View>) -> Result<(), StoreError> {
        self.settle()?;
        let current = self.current.load_full();
        let (Some(_), Some(open)) = (&current.locked, &opened.open) else {
            return Err(StoreError::NotLocked);
        };
        let Some(key_file) = open.data_key.file() else {
            return Err(StoreError::Read("its head says that it is kept nowhere".into()));
        };
        self.medium.adopt(&open.head, &key_file.encode())?;
        announce(&opened);
        self.current.store(opened);
        Ok(())
    }
}
