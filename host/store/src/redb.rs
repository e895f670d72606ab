//! The default backend: one redb file, with sealed records, log lines and audit entries, the sealed head and the clear mark and
//! recovery data.

mod held_key;
mod replace;

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use ::redb::backends::FileBackend;
use ::redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use carrara_core::ports::{StoreError, WriteFailure};

use crate::files::{Directory, open_regular};
use crate::load::{Fault, Stored};
use crate::mark::{Mark, MarkError, StateId};
use crate::medium::{Birth, Medium, Rekeying};
use crate::memory::Memory;
use crate::redb::held_key::HeldKey;
use crate::redb::replace::Unfinished;
use crate::remedy::{fault, remedy};
use crate::sealed::Sealed;
use crate::state::Change;
use crate::step;
use crate::view::OpenState;
use crate::write_again::write_again;

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const MARK: &str = "mark";
const HEAD: &str = "head";
const RECOVERY: &str = "recovery";

/// Twice what 255 recovery keys need, the most that a manifest names: the hash of each secret in hexadecimal digits.
const MAX_RECOVERY_BYTES: usize = 64 << 10;

/// The state's file in its directory.
pub(crate) struct Redb {
    directory: Directory,
    cache_bytes: usize,
    /// `None` before there is a state, while it is locked, and after a failed transaction.
    database: Option<Database>,
    /// Device and inode of the file that is open.
    place: Option<(u64, u64)>,
    /// What the key's file has to hold; `None` before there is a state and while it is locked.
    held_key: Option<HeldKey>,
    /// Whose files lie in the directory, for their place in the archive.
    previous: Option<StateId>,
    /// Where the seal mode is Disabled: all that is kept, and not in the directory.
    unkept: Option<Memory>,
    /// What failed halfway.
    unfinished: Option<Unfinished>,
    #[cfg(test)]
    pub(crate) observer: Option<Box<dyn FnMut(&'static str) + Send>>,
}

impl Redb {
    /// `database` is the open state; `previous` the id of a state that does not open.
    pub(crate) fn new(
        directory: Directory,
        cache_bytes: usize,
        database: Option<Database>,
        previous: Option<StateId>,
    ) -> Self {
        let place = database.as_ref().and_then(|_| place(&directory.state()).ok());
        Self {
            directory,
            cache_bytes,
            database,
            place,
            held_key: None,
            previous,
            unkept: None,
            unfinished: None,
            #[cfg(test)]
            observer: None,
        }
    }

    /// One transaction. After a failure the database is closed: redb refuses all further writes until the file is opened
    /// anew.
    fn transact(&mut self, change: &Change, clear: &Clear<'_>) -> Result<(), StoreError> {
        self.reached("commit.begin")?;
        self.check_files()?;
        let Some(database) = self.database.take() else { return Err(StoreError::NotOpen) };
        write(&database, change, clear).map_err(|error| self.not_done(error))?;
        self.reached("commit.end")?;
        self.database = Some(database);
        Ok(())
    }

    /// Whether a start would find what the coordinator goes on with.
    fn check_files(&mut self) -> Result<(), StoreError> {
        self.check_place()?;
        self.check_key()
    }

    /// Whether the file that is open is the one that a start would find: what is written to a removed file is lost.
    fn check_place(&self) -> Result<(), StoreError> {
        let path = self.directory.state();
        let found = place(&path).map_err(|error| self.failed(&error))?;
        if self.place.is_none_or(|place| place == found) {
            return Ok(());
        }
        let path = path.display();
        Err(StoreError::Write(
            format!(
                "{path} was replaced while the coordinator runs: put the file that was there back, or restart the \
                 coordinator to go on with the other one"
            )
            .into(),
        ))
    }

    fn not_done(&self, error: impl Into<::redb::Error>) -> StoreError {
        match error.into() {
            ::redb::Error::Io(error) => self.failed(&error),
            error => not_written(error),
        }
    }

    fn failed(&self, error: &io::Error) -> StoreError {
        let path = self.directory.path().display();
        let text = format!("the state directory {path}: {error}: {}", remedy(error));
        StoreError::Write(WriteFailure::of_disk(fault(error), text))
    }

    /// The last step of a change of the data key.
    fn trim_key(&mut self, key_file: &[u8]) -> Result<(), StoreError> {
        self.directory.write_new_key(key_file).map_err(|error| self.failed(&error))?;
        self.reached("rekey.new-written")?;
        self.directory.rename_key_durably().map_err(|error| self.failed(&error))?;
        self.reached("rekey.new-renamed")
    }

    /// The file of a locked state, which is closed while it is locked.
    fn open_locked(&self, head: &Sealed) -> Result<Database, StoreError> {
        let database = open_file(&self.directory.state(), self.cache_bytes)
            .map_err(|error| StoreError::Read(error.to_string()))?;
        match read_head(&database) {
            Ok(stored) if stored == *head => Ok(database),
            Ok(_) => Err(StoreError::Read("the locked state was changed meanwhile: restart".into())),
            Err(Fault(text)) => Err(StoreError::Read(text)),
        }
    }

    /// A step between two others: tests look at the files here, die or fail.
    fn reached(&mut self, step: &'static str) -> Result<(), StoreError> {
        #[cfg(test)]
        if let Some(observer) = &mut self.observer {
            observer(step);
        }
        step::reach(step).map_err(|error| self.failed(&error))
    }
}

impl Medium for Redb {
    fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        if let Some(unkept) = &mut self.unkept {
            return unkept.apply(change);
        }
        self.transact(change, &Clear::default())
    }

    fn rekey(&mut self, rekeying: &Rekeying) -> Result<(), StoreError> {
        // Before the key's file is written, too: it may be the other state's, and hold its only key.
        self.check_files()?;
        self.hold_key(&rekeying.before);
        self.directory.write_new_key(&rekeying.both).map_err(|error| self.failed(&error))?;
        self.reached("rekey.both-written")?;
        self.directory.rename_key_durably().map_err(|error| self.failed(&error))?;
        self.hold_key(&rekeying.both);
        self.reached("rekey.both-renamed")?;
        let clear = Clear { recovery_data: rekeying.recovery_data.as_deref(), ..Clear::default() };
        self.transact(&rekeying.change, &clear)?;
        self.hold_key(&rekeying.key_file);
        self.reached("rekey.state-written")?;
        if let Err(error) = self.trim_key(&rekeying.key_file) {
            // The old key opens nothing any more; the next start removes it.
            tracing::warn!(%error, "the old data key could not be removed from sealed_key");
        }
        Ok(())
    }

    fn stored_head(&mut self) -> Result<Vec<u8>, StoreError> {
        if let Some(unkept) = &mut self.unkept {
            return unkept.stored_head();
        }
        let database = match self.database.take() {
            // Nothing of a transaction was tried, or all of it came through.
            Some(database) => database,
            None => {
                self.check_place()?;
                write_again(&self.directory.state()).map_err(|error| self.failed(&error))?;
                open_file(&self.directory.state(), self.cache_bytes).map_err(|error| self.not_done(error))?
            }
        };
        let database = self.database.insert(database);
        read_meta(database, HEAD).map_err(|Fault(text)| StoreError::Read(text))
    }

    fn replace(&mut self, birth: &Birth) -> Result<(), StoreError> {
        self.replace_files(birth)
    }

    fn withdraw(&mut self, mark: &Mark, head: &Sealed) -> Result<(), StoreError> {
        self.withdraw_files(mark, head)
    }

    fn finish_replacement(&mut self) -> Result<bool, StoreError> {
        self.finish_files()
    }

    fn read_locked(&mut self, head: &Sealed) -> Result<Stored, StoreError> {
        let database = self.open_locked(head)?;
        read_all(&database).map_err(|Fault(text)| StoreError::Read(text))
    }

    fn adopt(&mut self, head: &Sealed, key_file: &[u8]) -> Result<(), StoreError> {
        let database = self.open_locked(head)?;
        self.directory.write_new_key(key_file).map_err(|error| self.failed(&error))?;
        self.reached("adopt.key-written")?;
        self.directory.rename_key_durably().map_err(|error| self.failed(&error))?;
        self.reached("adopt.key-renamed")?;
        self.hold_key(key_file);
        self.database = Some(database);
        self.place = place(&self.directory.state()).ok();
        Ok(())
    }
}

/// Opens an existing file and checks it; never makes one of an empty or missing file.
pub(crate) fn open_file(path: &Path, cache_bytes: usize) -> Result<Database, DatabaseError> {
    let mut builder = builder(cache_bytes);
    builder.set_check_integrity_on_open(true);
    // redb would follow a link, and wait for a pipe.
    drop(open_regular(path)?);
    #[cfg(feature = "failpoints")]
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0) {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
        return builder.create_with_backend(backend(file)?);
    }
    builder.open(path)
}

/// What redb writes a file through.
fn backend(file: File) -> Result<impl StorageBackend, DatabaseError> {
    let backend = FileBackend::new(file)?;
    #[cfg(feature = "failpoints")]
    let backend = crate::watched::Watched(backend);
    Ok(backend)
}

/// Which file lies there.
fn place(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Opens an existing state in anything but a file, and checks it as [`open_file`] does.
pub(crate) fn open_over(storage: impl StorageBackend, cache_bytes: usize) -> Result<Database, DatabaseError> {
    builder(cache_bytes).set_check_integrity_on_open(true).create_with_backend(storage)
}

/// The clear mark of an open file.
pub(crate) fn read_mark(database: &Database) -> Result<Result<Mark, MarkError>, Fault> {
    Ok(Mark::decode(&read_meta(database, MARK)?))
}

/// The sealed head of an open file.
pub(crate) fn read_head(database: &Database) -> Result<Sealed, Fault> {
    Sealed::parse(&read_meta(database, HEAD)?).ok_or_else(|| Fault::new("its head is no sealed record"))
}

/// Whether a later version sealed the head of an open file.
pub(crate) fn is_newer(database: &Database) -> bool {
    read_meta(database, HEAD).is_ok_and(|head| Sealed::is_newer(&head))
}

/// The clear recovery data of an open file; `None` if there is none.
pub(crate) fn read_recovery_data(database: &Database) -> Option<Vec<u8>> {
    recovery_data(database).ok()
}

/// Everything else in an open file.
pub(crate) fn read_all(database: &Database) -> Result<Stored, Fault> {
    let recovery_data = recovery_data(database)?;
    let read = database.begin_read().map_err(unreadable)?;
    let mut records = Vec::new();
    for entry in read.open_table(RECORDS).map_err(unreadable)?.iter().map_err(unreadable)? {
        let (name, record) = entry.map_err(unreadable)?;
        let name = name.value().to_owned();
        let Some(record) = Sealed::parse(record.value()) else {
            return Err(Fault(format!("the record {name:?} is no sealed record")));
        };
        records.push((name, record));
    }
    let mut audit = Vec::new();
    for entry in read.open_table(AUDIT).map_err(unreadable)?.iter().map_err(unreadable)? {
        let (index, record) = entry.map_err(unreadable)?;
        let index = index.value();
        let Some(record) = Sealed::parse(record.value()) else {
            return Err(Fault(format!("entry {index} of the audit trail is no sealed record")));
        };
        audit.push((index, record));
    }
    let mut log = Vec::new();
    for (expected, entry) in (0..).zip(read.open_table(LOG).map_err(unreadable)?.iter().map_err(unreadable)?)
    {
        let (index, record) = entry.map_err(unreadable)?;
        let record = Sealed::parse(record.value()).filter(|_| index.value() == expected);
        log.push(record.ok_or_else(|| Fault(format!("line {expected} of the update log is missing")))?);
    }
    Ok(Stored { recovery_data, records, log, audit })
}

fn builder(cache_bytes: usize) -> ::redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    builder
}

/// What a transaction writes in the clear.
#[derive(Default)]
struct Clear<'a> {
    mark: Option<&'a Mark>,
    recovery_data: Option<&'a [u8]>,
}

/// One transaction, durable when it returns.
fn write(database: &Database, change: &Change, clear: &Clear<'_>) -> Result<(), ::redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut records = transaction.open_table(RECORDS)?;
        for (name, record) in &change.records {
            match record {
                Some(record) => records.insert(&**name, record.bytes())?,
                None => records.remove(&**name)?,
            };
        }
        // Opening a table costs a commit time, so that only a new state opens all, which makes them.
        if clear.mark.is_some() || !change.log.is_empty() {
            let mut log = transaction.open_table(LOG)?;
            for (index, record) in &change.log {
                log.insert(index, record.bytes())?;
            }
        }
        if clear.mark.is_some() || !change.audit.is_empty() {
            let mut audit = transaction.open_table(AUDIT)?;
            for (index, entry) in &change.audit {
                match entry {
                    Some(entry) => audit.insert(index, entry.bytes())?,
                    None => audit.remove(index)?,
                };
            }
        }
        let mut meta = transaction.open_table(META)?;
        meta.insert(HEAD, change.head.bytes())?;
        if let Some(mark) = clear.mark {
            meta.insert(MARK, mark.encode().as_slice())?;
        }
        if let Some(recovery_data) = clear.recovery_data {
            meta.insert(RECOVERY, recovery_data)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Writes a whole state into an empty file.
pub(crate) fn write_copy(
    file: impl StorageBackend,
    cache_bytes: usize,
    open: &OpenState,
) -> Result<(), ::redb::Error> {
    let OpenState { state, head, .. } = open;
    let database = builder(cache_bytes).create_with_backend(file)?;
    let change = state.whole(head.clone());
    let clear = Clear { mark: Some(&state.mark), recovery_data: Some(state.recovery_data()) };
    write(&database, &change, &clear)
}

/// Nothing authenticates it before the state is open, so that it is not taken at any length.
fn recovery_data(database: &Database) -> Result<Vec<u8>, Fault> {
    let data = read_meta(database, RECOVERY)?;
    if data.len() > MAX_RECOVERY_BYTES {
        return Err(Fault(format!("its recovery data has {} bytes and is none", data.len())));
    }
    Ok(data)
}

fn read_meta(database: &Database, name: &str) -> Result<Vec<u8>, Fault> {
    let read = database.begin_read().map_err(unreadable)?;
    let table = read.open_table(META).map_err(unreadable)?;
    let value = table.get(name).map_err(unreadable)?;
    value.map(|value| value.value().to_vec()).ok_or_else(|| Fault(format!("its {name} is missing")))
}

fn unreadable(error: impl std::fmt::Display) -> Fault {
    Fault(error.to_string())
}

fn not_written(error: impl std::fmt::Display) -> StoreError {
    StoreError::Write(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use carrara_core::ports::SealingKind;

    use super::*;

    fn sealed(byte: u8) -> Sealed {
        let mut bytes = vec![byte; 64];
        bytes[0] = 1;
        Sealed::parse(&bytes).unwrap()
    }

    fn change(byte: u8) -> Change {
        let records = BTreeMap::from([(Arc::from("a"), Some(sealed(byte)))]);
        let audit = BTreeMap::from([(7, Some(sealed(byte)))]);
        Change { records, log: vec![(u64::from(byte), sealed(byte))], audit, head: sealed(byte) }
    }

    fn made(folder: &Path) -> Redb {
        let mut redb = Redb::new(Directory::open(folder).unwrap(), 1 << 20, None, None);
        let mark = Mark { kind: SealingKind::Tee, state_id: [1; 16] };
        let birth = Birth { mark, recovery_data: vec![2], key_file: vec![3], change: change(0) };
        redb.replace(&birth).unwrap();
        redb
    }

    #[test]
    fn after_a_failed_transaction_the_file_is_opened_anew_and_writes_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut redb = made(folder.path());
        // What `apply` leaves behind when it fails.
        redb.database = None;
        assert!(matches!(redb.apply(&change(1)), Err(StoreError::NotOpen)));
        assert_eq!(redb.stored_head().unwrap(), sealed(0).bytes());
        redb.apply(&change(1)).unwrap();
        assert_eq!(redb.stored_head().unwrap(), sealed(1).bytes());
        let stored = read_all(redb.database.as_ref().unwrap()).unwrap();
        assert_eq!(stored.records, [("a".to_owned(), sealed(1))]);
        assert_eq!((stored.log, stored.recovery_data), (vec![sealed(0), sealed(1)], vec![2]));
        assert_eq!(stored.audit, [(7, sealed(1))]);
    }

    #[test]
    fn a_new_state_is_never_made_where_one_is_expected() {
        let folder = tempfile::tempdir().unwrap();
        let mut redb = made(folder.path());
        redb.database = None;
        for bytes in [None, Some(&[][..]), Some(&b"other"[..])] {
            let path = folder.path().join("state.redb");
            std::fs::remove_file(&path).unwrap();
            if let Some(bytes) = bytes {
                std::fs::write(&path, bytes).unwrap();
            }
            assert!(redb.stored_head().is_err());
            std::fs::write(&path, b"").unwrap();
        }
    }
}
