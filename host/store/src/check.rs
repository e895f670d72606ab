//! Verifies a state directory without changing anything: for operators who have a copy, or a doubt.
//!
//! What a start would do is said and not done. With a sealing key every record is opened; without one, or where it opens
//! nothing, only the structure is looked at. Neither a damaged file nor a read-only directory is written to: redb works on a
//! layer in memory above the file.

mod layer;
mod report;

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ::redb::{Database, DatabaseError};
use carrara_core::ports::{Sealing, SealingKind};

use self::layer::Layer;
pub use self::report::{Checked, Report, Verdict};
use crate::error::OpenError;
use crate::files::{ARCHIVE, KEY, LOCK, OTHER_SYSTEM, STATE, archived, holder, open_regular, read_small};
use crate::key_file::KeyFile;
use crate::mark::MarkError;
use crate::redb::{open_over, read_all, read_recovery_data};
use crate::start::StateFile;

/// Checks a state directory. `sealing` is the key of this machine, if there is one.
#[must_use]
pub fn check(directory: &Path, sealing: Option<&dyn Sealing>) -> Report {
    let mut check = Check { report: Report::default(), sealing };
    match lock(directory) {
        Ok(_lock) => check.directory(directory),
        Err(text) => check.report.unknown(text),
    }
    check.report
}

/// Keeps a coordinator from starting meanwhile; also in a directory that cannot be written.
fn lock(directory: &Path) -> Result<Option<File>, String> {
    let failed = |error: io::Error| {
        format!("{} cannot be read ({error}): check the path and its permissions", directory.display())
    };
    if !fs::metadata(directory).map_err(failed)?.is_dir() {
        return Err(format!(
            "{} is no directory: give the coordinator's state directory",
            directory.display()
        ));
    }
    let lock = match open_regular(&directory.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => {
            let process = holder(directory).map_or_else(String::new, |id| format!(" (process {id})"));
            Err(format!(
                "{} is in use by a coordinator{process}: stop it, or check what `carrara backup` and `carrara restore` make \
                 of it while it runs",
                directory.display()
            ))
        }
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Some(lock)),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

struct Check<'a> {
    report: Report,
    sealing: Option<&'a dyn Sealing>,
}

/// How a key file was found.
enum Key {
    Missing,
    Unreadable,
    Good(KeyFile),
}

impl Check<'_> {
    fn directory(&mut self, directory: &Path) {
        self.modes(directory);
        self.names(directory);
        let (key, state) = (directory.join(KEY), directory.join(STATE));
        let new = directory.join(format!("{STATE}.new"));
        let found = self.key(&key);
        if let Key::Good(file) = &found
            && file.withdraws()
        {
            self.report.note(format!(
                "{}: the state was withdrawn (SealMode Disabled); the next start moves what is left into the archive",
                key.display()
            ));
        } else if state.exists() && !is_decided(&new, &found) {
            self.state(&state, &found, true);
        } else if new.exists() && key.exists() {
            self.report.note(format!("{}: the next start puts it in its place", new.display()));
            self.state(&new, &found, true);
        } else if key.exists() {
            self.report.fault(OpenError::KeyAlone { path: key }.to_string());
        } else {
            self.report.note(format!(
                "{}: there is no state; a coordinator starts without a manifest",
                directory.display()
            ));
        }
        if directory.join(ARCHIVE).exists() {
            self.archive(&directory.join(ARCHIVE));
        }
    }

    /// Whoever can write the files can do no more than damage them, and whoever reads them sees ciphertext: a note.
    fn modes(&mut self, directory: &Path) {
        for (path, least) in
            [(directory.to_owned(), 0o700), (directory.join(KEY), 0o600), (directory.join(STATE), 0o600)]
        {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                self.report.note(format!(
                    "{} has mode {mode:o}, so that other users reach it: chmod {least:o} it",
                    path.display()
                ));
            }
        }
    }

    /// Files that are left over, or not the coordinator's.
    fn names(&mut self, directory: &Path) {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                return self.report.unknown(format!("{} cannot be listed ({error})", directory.display()));
            }
        };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            match name.to_string_lossy().as_ref() {
                KEY | STATE if !is_file(&path) => self.report.fault(format!(
                    "{} is no file: put the file itself there, no link, or a copy of it",
                    path.display()
                )),
                KEY | STATE | LOCK | ARCHIVE => {}
                OTHER_SYSTEM => self.report.fault(OpenError::OtherSystem { path }.to_string()),
                name if name.ends_with(".new") => self.report.note(format!(
                    "{}: left by a change that was interrupted; the next start finishes or discards it",
                    path.display()
                )),
                _ => self
                    .report
                    .note(format!("{}: no file of the coordinator's; it is ignored", path.display())),
            }
        }
    }

    fn key(&mut self, path: &Path) -> Key {
        let bytes = match read_small(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Key::Missing,
            Err(error) => {
                self.report
                    .unknown(format!("{} cannot be read ({error}): check its permissions", path.display()));
                return Key::Unreadable;
            }
        };
        match KeyFile::decode(&bytes) {
            Ok(file) => return Key::Good(file),
            Err(MarkError::Newer) => self.report.unknown(OpenError::Newer { path: path.to_owned() }.to_string()),
            Err(MarkError::Malformed) => self.report.fault(format!(
                "{} is damaged: it is no key file. A coordinator starts in recovery: put the file back from a copy of the same \
                 state, or use the recovery keys",
                path.display()
            )),
        }
        Key::Unreadable
    }

    /// A state with its key.
    fn state(&mut self, path: &Path, key: &Key, in_use: bool) {
        // redb panics over some damages.
        let checked = catch_unwind(AssertUnwindSafe(|| self.file(path, key, in_use)));
        if checked.is_err() {
            let fault = "redb cannot read it".to_owned();
            self.report.fault(OpenError::Damaged { path: path.to_owned(), fault }.to_string());
        }
    }

    fn file(&mut self, path: &Path, key: &Key, in_use: bool) {
        let file = match StateFile::of(path.to_owned(), open_layered(path)) {
            Ok(file) => file,
            Err(error @ (OpenError::Newer { .. } | OpenError::InUse { .. })) => {
                return self.report.unknown(error.to_string());
            }
            Err(error) => return self.report.fault(error.to_string()),
        };
        let damaged = |fault: String| OpenError::Damaged { path: path.to_owned(), fault }.to_string();
        let stored = match read_all(&file.database) {
            Ok(stored) => stored,
            Err(fault) => return self.report.fault(damaged(fault.0)),
        };
        if read_recovery_data(&file.database).is_none() {
            return self.report.fault(damaged("its recovery data is missing".to_owned()));
        }
        let mut checked = Checked {
            path: path.to_owned(),
            state_id: file.mark.state_id,
            revision: file.head.revision(),
            records: stored.records.len(),
            log_lines: stored.log.len(),
            audit_entries: stored.audit.len(),
            opened: false,
        };
        drop(stored);
        let Key::Good(key) = key else {
            if matches!(key, Key::Missing) {
                self.report.fault(format!(
                    "{} has no {KEY} beside it, so that a coordinator starts in recovery: put the file back from a copy of the \
                     same state, or use the recovery keys",
                    path.display()
                ));
            }
            return self.report.checked(checked, in_use);
        };
        if !key.names(&file.mark.state_id) {
            self.report.fault(format!(
                "{KEY} belongs to another state than {}, so that a coordinator starts in recovery: put both back from one \
                 copy, or use the recovery keys",
                path.display()
            ));
        } else if let Some(sealing) = self.sealing {
            checked.opened = self.open(path, file, key, sealing);
        }
        self.report.checked(checked, in_use);
    }

    /// Opens every record, if the sealing key does.
    fn open(&mut self, path: &Path, file: StateFile, key: &KeyFile, sealing: &dyn Sealing) -> bool {
        let kind = sealing.kind();
        if file.mark.kind != kind || key.kind != kind {
            self.report.note(other_kind(path, file.mark.kind, kind));
            return false;
        }
        let unlocked = match file.unlock(key, sealing) {
            Ok(Some(unlocked)) => unlocked,
            Ok(None) => {
                self.report.note(format!(
                    "{}: the sealing key of this machine does not open {KEY}, so that a coordinator starts in recovery here",
                    path.display()
                ));
                return false;
            }
            Err(error @ OpenError::SealingKey(_)) => {
                self.report.note(error.to_string());
                return false;
            }
            Err(error) => {
                self.report.fault(error.to_string());
                return true;
            }
        };
        if unlocked.head.kind != kind {
            self.report.fault(other_kind(path, unlocked.head.kind, kind));
        } else if let Err(error) = file.load(unlocked.keys, &unlocked.head, unlocked.key_file) {
            self.report.fault(error.to_string());
        }
        true
    }

    fn archive(&mut self, archive: &Path) {
        let entries = match archived(archive) {
            Ok(entries) => entries,
            Err(error) => {
                return self.report.unknown(format!("{} cannot be listed ({error})", archive.display()));
            }
        };
        for (_, entry) in entries {
            let state = entry.join(STATE);
            if state.exists() {
                let key = match read_small(&entry.join(KEY)).map(|bytes| KeyFile::decode(&bytes)) {
                    Ok(Ok(key)) => Key::Good(key),
                    // Archived in recovery: there was none.
                    _ => Key::Unreadable,
                };
                self.state(&state, &key, false);
            } else {
                self.report.note(format!(
                    "{}: waits for a state that is being replaced; the next start fills or removes it",
                    entry.display()
                ));
            }
        }
    }
}

/// A start follows no links.
fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// Whether the key is the new state's: then the next start puts it in its place, whatever lies there.
fn is_decided(new: &Path, key: &Key) -> bool {
    let Key::Good(key) = key else { return false };
    let mark = catch_unwind(|| Some(StateFile::of(new.to_owned(), open_layered(new)).ok()?.mark));
    mark.ok().flatten().is_some_and(|mark| key.names(&mark.state_id))
}

fn other_kind(path: &Path, found: SealingKind, expected: SealingKind) -> String {
    OpenError::OtherKind { path: path.to_owned(), found, expected }.to_string()
}

/// redb's cache for a check.
const CACHE_BYTES: usize = 8 << 20;

fn open_layered(path: &Path) -> Result<Database, DatabaseError> {
    let damaged = |text: &str| DatabaseError::Storage(::redb::StorageError::Corrupted(text.to_owned()));
    let layer = Layer::over(open_regular(path)?)?;
    if layer.is_empty() {
        // redb would make a new database of it.
        return Err(damaged("it is empty"));
    }
    open_over(layer, CACHE_BYTES)
}
