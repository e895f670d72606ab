//! A state in the place of another one, or none in its place: file by file, and what is to be done when that fails.
//!
//! The key's rename decides, in this process as for a start: whether a replacement that failed is in force is read from
//! the key's file, and what is missing then is made up for.

use carrara_core::ports::StoreError;

use super::{Clear, Redb, backend, builder, open_file, place, read_head, write};
use crate::files::create_private;
use crate::key_file::KeyFile;
use crate::load::Fault;
use crate::mark::{Mark, StateId};
use crate::medium::Birth;
use crate::memory::Memory;
use crate::sealed::Sealed;
use ::redb::Database;

/// A replacement or withdrawal under way.
pub(super) struct Unfinished {
    /// What the key's file holds once it is decided.
    key_file: Vec<u8>,
    /// What is to be stored then.
    head: Sealed,
    /// The new state; `None` for a withdrawal.
    state_id: Option<StateId>,
}

impl Redb {
    pub(super) fn replace_files(&mut self, birth: &Birth) -> Result<(), StoreError> {
        self.database = None;
        let (key_file, head) = (birth.key_file.clone(), birth.change.head.clone());
        self.unfinished = Some(Unfinished { key_file, head, state_id: Some(birth.mark.state_id) });
        let database = self.prepare(birth)?;
        self.take_place()?;
        self.is_replaced(database, birth.mark.state_id, &birth.key_file);
        Ok(())
    }

    fn is_replaced(&mut self, database: Database, state_id: StateId, key_file: &[u8]) {
        self.database = Some(database);
        self.place = place(&self.directory.state()).ok();
        self.previous = Some(state_id);
        self.hold_key(key_file);
        (self.unkept, self.unfinished) = (None, None);
        self.prune();
    }

    pub(super) fn withdraw_files(&mut self, mark: &Mark, head: &Sealed) -> Result<(), StoreError> {
        if self.place.is_some() {
            self.check_files()?;
        }
        if let Some(previous) = self.previous {
            let key_file = KeyFile::withdrawal(mark.kind).encode();
            self.unfinished = Some(Unfinished { key_file, head: head.clone(), state_id: None });
            self.prepare_withdrawal(mark, &previous)?;
            self.finish_withdrawal()?;
        }
        self.is_withdrawn(head);
        Ok(())
    }

    fn is_withdrawn(&mut self, head: &Sealed) {
        (self.previous, self.place, self.held_key, self.unfinished) = (None, None, None, None);
        self.unkept = Some(Memory::holding(head));
        self.prune();
    }

    /// See [`crate::medium::Medium::finish_replacement`].
    pub(super) fn finish_files(&mut self) -> Result<bool, StoreError> {
        let Some(unfinished) = self.unfinished.take() else { return Ok(false) };
        let finished = self.finish_decided(&unfinished);
        if finished.is_err() {
            self.unfinished = Some(unfinished);
        }
        finished
    }

    fn finish_decided(&mut self, unfinished: &Unfinished) -> Result<bool, StoreError> {
        let found = self.directory.read_key().map_err(|error| StoreError::Read(error.to_string()))?;
        // The key's file goes last in a withdrawal.
        let withdrawn = unfinished.state_id.is_none() && found.is_none() && !self.directory.state().exists();
        if found.as_ref() != Some(&unfinished.key_file) && !withdrawn {
            // What stays would be discarded by the next attempt or start.
            let _ = self.directory.discard_new();
            return Ok(false);
        }
        let Some(state_id) = unfinished.state_id else {
            self.database = None;
            self.directory.finish_withdrawal().map_err(|error| self.failed(&error))?;
            self.is_withdrawn(&unfinished.head);
            return Ok(true);
        };
        let moved = if self.directory.new_state().exists() {
            self.directory.finish_archive().and_then(|()| self.directory.rename_state())
        } else {
            self.directory.sync()
        };
        moved.map_err(|error| self.failed(&error))?;
        let database = open_file(&self.directory.state(), self.cache_bytes);
        let database = database.map_err(|error| self.not_done(error))?;
        match read_head(&database) {
            Ok(head) if head == unfinished.head => {}
            Ok(_) => {
                return Err(StoreError::Read("the stored state is not what was written: restart".into()));
            }
            Err(Fault(text)) => return Err(StoreError::Read(text)),
        }
        self.is_replaced(database, state_id, &unfinished.key_file);
        Ok(true)
    }

    /// All that can fail while the old state still counts.
    fn prepare(&mut self, birth: &Birth) -> Result<Database, StoreError> {
        self.directory.discard_new().map_err(|error| self.failed(&error))?;
        let path = self.directory.new_state();
        let file = create_private(&path).map_err(|error| self.failed(&error))?;
        let backend = backend(file).map_err(|error| self.not_done(error))?;
        let database = builder(self.cache_bytes).create_with_backend(backend);
        let database = database.map_err(|error| self.not_done(error))?;
        let clear = Clear { mark: Some(&birth.mark), recovery_data: Some(&birth.recovery_data) };
        write(&database, &birth.change, &clear).map_err(|error| self.not_done(error))?;
        self.reached("create.state-written")?;
        self.directory.write_new_key(&birth.key_file).map_err(|error| self.failed(&error))?;
        self.reached("create.key-written")?;
        if let Some(previous) = &self.previous {
            self.directory.begin_archive(previous).map_err(|error| self.failed(&error))?;
        }
        self.reached("create.archive-begun")?;
        self.directory.rename_key().map_err(|error| self.failed(&error))?;
        Ok(database)
    }

    /// What follows when the key is renamed.
    fn take_place(&mut self) -> Result<(), StoreError> {
        self.reached("create.key-renamed")?;
        self.directory.finish_archive().map_err(|error| self.failed(&error))?;
        self.reached("create.archived")?;
        self.directory.rename_state().map_err(|error| self.failed(&error))?;
        self.reached("create.state-renamed")
    }

    /// All that can fail while the state still is where it was.
    fn prepare_withdrawal(&mut self, mark: &Mark, previous: &StateId) -> Result<(), StoreError> {
        self.directory.discard_new().map_err(|error| self.failed(&error))?;
        self.directory.begin_archive(previous).map_err(|error| self.failed(&error))?;
        self.reached("withdraw.archive-begun")?;
        let key_file = KeyFile::withdrawal(mark.kind).encode();
        self.directory.write_new_key(&key_file).map_err(|error| self.failed(&error))?;
        self.reached("withdraw.key-written")?;
        self.directory.rename_key().map_err(|error| self.failed(&error))
    }

    /// What follows when the key is renamed.
    fn finish_withdrawal(&mut self) -> Result<(), StoreError> {
        self.reached("withdraw.key-renamed")?;
        self.database = None;
        self.directory.finish_archive().map_err(|error| self.failed(&error))?;
        self.reached("withdraw.archived")?;
        self.directory.finish_withdrawal().map_err(|error| self.failed(&error))?;
        self.reached("withdraw.key-removed")
    }

    fn prune(&self) {
        if let Err(error) = self.directory.prune_archive() {
            tracing::warn!(%error, "old archived states could not be removed");
        }
    }
}
