//! What a start finds in the state directory, and what it makes of it.
//!
//! Nothing is guessed: a state that a key there opens is verified whole, one without an openable key is locked
//! (recovery), and anything that fits neither ends the start with the remedy.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::redb::{Database, DatabaseError, StorageError};
use carrara_core::ports::{KeyPolicy, Sealing, SealingKind};

use crate::error::OpenError;
use crate::files::Directory;
use crate::head::Head;
use crate::key_file::{KeyFile, OpenedEntry};
use crate::load::{Fault, HeadError, load, open_head};
use crate::mark::{Mark, MarkError};
use crate::redb::{Redb, is_newer, open_file, read_all, read_head, read_mark, read_recovery_data};
use crate::sealed::{Keyring, Sealed};
use crate::step;
use crate::view::{DataKey, Locked, View};

/// Opens the state directory.
pub(crate) fn start(
    path: &Path,
    cache_bytes: usize,
    sealing: &dyn Sealing,
) -> Result<(Redb, View), OpenError> {
    let directory = Directory::open(path)?;
    // Also where nothing is sealed yet: better now than when the first manifest is set.
    drop(sealing.key(KeyPolicy::Product).map_err(OpenError::SealingKey)?);
    let key_file = read_key_file(&directory, sealing.kind())?;
    if key_file.as_ref().is_some_and(KeyFile::withdraws) {
        let unusable = |source| OpenError::Directory { path: path.to_owned(), source };
        directory.finish_withdrawal().map_err(unusable)?;
    }
    finish_replacement(&directory, key_file.as_ref(), cache_bytes)?;
    if !directory.state().exists() {
        if directory.key().exists() {
            return Err(OpenError::KeyAlone { path: directory.key() });
        }
        return Ok((Redb::new(directory, cache_bytes, None, None), View::empty()));
    }
    let file = StateFile::open(directory.state(), cache_bytes)?;
    if file.mark.kind != sealing.kind() {
        return Err(other_kind(file.path, file.mark.kind, sealing.kind()));
    }
    let unlocked = match &key_file {
        Some(key_file) => file.unlock(key_file, sealing)?,
        None => None,
    };
    let Some(Unlocked { keys, head, key_file: own }) = unlocked else {
        let previous = Some(file.mark.state_id);
        let view = View::locked(file.locked());
        return Ok((Redb::new(directory, cache_bytes, None, previous), view));
    };
    if head.kind != sealing.kind() {
        return Err(other_kind(file.path, head.kind, sealing.kind()));
    }
    let (database, view) = file.load(keys, &head, own.clone())?;
    if key_file.is_some_and(|found| found != own) {
        trim(&directory, &own);
    }
    let mut redb = Redb::new(directory, cache_bytes, Some(database), Some(head.state_id));
    redb.hold_key(&own.encode());
    Ok((redb, view))
}

/// Takes the last step of a change of the data key that was interrupted. The state is open with or without it.
fn trim(directory: &Directory, own: &KeyFile) {
    let trimmed = step::reach("start.trim").and_then(|()| directory.replace_key(&own.encode()));
    if let Err(error) = trimmed {
        tracing::warn!(%error, "the old data key could not be removed from sealed_key");
    }
}

/// The key file; `None` if it is missing or so damaged that it opens nothing (recovery).
fn read_key_file(directory: &Directory, expected: SealingKind) -> Result<Option<KeyFile>, OpenError> {
    let Some(bytes) = directory.read_key()? else { return Ok(None) };
    match KeyFile::decode(&bytes) {
        Ok(file) if file.kind == expected => Ok(Some(file)),
        Ok(file) => Err(other_kind(directory.key(), file.kind, expected)),
        Err(MarkError::Newer) => Err(OpenError::Newer { path: directory.key() }),
        Err(MarkError::Malformed) => Ok(None),
    }
}

/// Takes the last step of a replacement whose deciding step (the key's rename) was taken, and discards any other. Whose
/// state it is decides, not whether the key opens here: the deciding step was taken either way.
fn finish_replacement(
    directory: &Directory,
    key: Option<&KeyFile>,
    cache_bytes: usize,
) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Directory { path: directory.path().to_owned(), source };
    let path = directory.new_state();
    if !path.exists() {
        return directory.discard_new().map_err(unusable);
    }
    let decided = match StateFile::open(path.clone(), cache_bytes) {
        Ok(file) => key.is_some_and(|key| key.names(&file.mark.state_id)),
        Err(error @ OpenError::File { .. }) => return Err(error),
        // Incomplete; before the deciding step that is no fault.
        Err(error) if directory.key().exists() && !directory.state().exists() => return Err(error),
        Err(_) => false,
    };
    if decided {
        step::reach("start.finish").map_err(unusable)?;
        return directory.finish_archive().and_then(|()| directory.rename_state()).map_err(unusable);
    }
    if directory.key().exists() && !directory.state().exists() {
        return Err(OpenError::KeyAlone { path: directory.key() });
    }
    directory.discard_new().map_err(unusable)
}

/// An open file whose clear mark was read.
pub(crate) struct StateFile {
    path: PathBuf,
    pub(crate) database: Database,
    pub(crate) mark: Mark,
    pub(crate) head: Sealed,
}

impl StateFile {
    fn open(path: PathBuf, cache_bytes: usize) -> Result<Self, OpenError> {
        let opened = open_file(&path, cache_bytes);
        Self::of(path, opened)
    }

    /// Of a file that was opened.
    pub(crate) fn of(path: PathBuf, opened: Result<Database, DatabaseError>) -> Result<Self, OpenError> {
        let database = match opened {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                let path = path.parent().map_or(path.clone(), Path::to_owned);
                return Err(OpenError::InUse { path, holder: None });
            }
            Err(DatabaseError::UpgradeRequired(_)) => return Err(OpenError::Newer { path }),
            Err(error) => return Err(not_opened(path, error)),
        };
        let mark = match read_mark(&database) {
            Ok(Ok(mark)) => mark,
            Ok(Err(MarkError::Newer)) => return Err(OpenError::Newer { path }),
            Ok(Err(MarkError::Malformed)) => {
                return Err(damaged(&path, Fault::new("its mark does not read")));
            }
            Err(fault) => return Err(damaged(&path, fault)),
        };
        if is_newer(&database) {
            return Err(OpenError::Newer { path });
        }
        let head = read_head(&database).map_err(|fault| damaged(&path, fault))?;
        Ok(Self { path, database, mark, head })
    }

    /// The keys that open the head; `None` if the key file has none for this state that opens, or none that is wrapped
    /// as the head's seal mode wants it (recovery).
    pub(crate) fn unlock(
        &self,
        file: &KeyFile,
        sealing: &dyn Sealing,
    ) -> Result<Option<Unlocked>, OpenError> {
        let entries = file.open(&self.mark.state_id, sealing).map_err(OpenError::SealingKey)?;
        let mut damage = !entries.is_empty();
        for OpenedEntry { policy, data_key, file } in entries {
            let Ok(keys) = Keyring::new(&data_key) else { continue };
            let head = match open_head(&keys, &self.mark, &self.head) {
                Ok(head) => head,
                Err(HeadError::Newer) => return Err(OpenError::Newer { path: self.path.clone() }),
                Err(HeadError::Sealed) => continue,
            };
            if head.seal_mode.key_policy() == Some(policy) {
                return Ok(Some(Unlocked { keys, head, key_file: file }));
            }
            // An older key file, of when the mode was another one: the mode in force does not give the state away.
            damage = false;
        }
        if damage {
            return Err(damaged(&self.path, Fault::new("its head does not open")));
        }
        Ok(None)
    }

    /// What recovery starts from. Closes the file.
    fn locked(self) -> Locked {
        let recovery_data = read_recovery_data(&self.database);
        Locked { mark: self.mark, head: self.head, recovery_data }
    }

    /// Verifies the whole state.
    pub(crate) fn load(
        self,
        keys: Keyring,
        head: &Head,
        key_file: KeyFile,
    ) -> Result<(Database, View), OpenError> {
        let stored = read_all(&self.database);
        let loaded = stored.and_then(|stored| load(&keys, head, stored));
        let state = loaded.map_err(|fault| damaged(&self.path, fault))?;
        Ok((
            self.database,
            View::open(state, Arc::new(keys), self.head, Arc::new(DataKey::Wrapped(key_file))),
        ))
    }
}

/// What opened a state: the keys, the head, and the key file with nothing but the key that did it.
pub(crate) struct Unlocked {
    pub(crate) keys: Keyring,
    pub(crate) head: Head,
    pub(crate) key_file: KeyFile,
}

/// A disk that fails is told apart from a file that is not what was written.
fn not_opened(path: PathBuf, error: DatabaseError) -> OpenError {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error {
        DatabaseError::Storage(StorageError::Io(source))
            if !matches!(source.kind(), InvalidData | InvalidInput | UnexpectedEof) =>
        {
            OpenError::File { path, source }
        }
        error => OpenError::Damaged { path, fault: error.to_string() },
    }
}

fn damaged(path: &Path, fault: Fault) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), fault: fault.0 }
}

fn other_kind(path: PathBuf, found: SealingKind, expected: SealingKind) -> OpenError {
    OpenError::OtherKind { path, found, expected }
}
