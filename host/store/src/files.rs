//! The state directory: its lock, its files, and how a new state replaces an old one.
//!
//! Losing power between any two steps leaves either the old state or the new one: new files are complete and durable as
//! `.new` before the key's rename decides; then the old state moves into the archive and the new one into its place,
//! and the next start finishes what is left. A state's file has one name at any time: an archived one never changes with
//! the state that is in use.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use carrara_types::backup::SMALL_FILE_BYTES;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::error::OpenError;
use crate::mark::StateId;
use crate::step;

pub(crate) const KEY: &str = "sealed_key";
pub(crate) const STATE: &str = "state.redb";
pub(crate) const ARCHIVE: &str = "archive";
pub(crate) const LOCK: &str = "lock";
const PROBE: &str = "probe.new";
/// What MarbleRun calls its state.
pub(crate) const OTHER_SYSTEM: &str = "sealed_data";

/// States kept in the archive; the oldest goes first. A reset is rare, and whoever floods the archive must be able to
/// set manifests.
const MAX_ARCHIVED: usize = 8;

/// The directory, locked for this process while the value lives.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory if need be (0700), locks it, and proves that it can be written.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Directory { path: path.to_owned(), source };
        make_durable(path).map_err(unusable)?;
        step::reach("directory.lock").map_err(unusable)?;
        let mut options = OpenOptions::new();
        // Also to read it, as opening a pipe then waits for nobody.
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let lock = open_no_other(&path.join(LOCK), &mut options).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { path: path.to_owned(), holder: holder(path) });
            }
            // Some enclave file systems have no locks; a directory there belongs to one enclave anyway.
            Err(fs::TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(fs::TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let probe = path.join(PROBE);
        step::reach("directory.probe").map_err(unusable)?;
        write_file(&probe, &[]).and_then(|()| fs::remove_file(&probe)).map_err(unusable)?;
        // For the message to whoever comes second; nothing depends on it.
        let _ = lock.set_len(0).and_then(|()| (&lock).write_all(std::process::id().to_string().as_bytes()));
        let other = path.join(OTHER_SYSTEM);
        if other.exists() {
            return Err(OpenError::OtherSystem { path: other });
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path.join(STATE)
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.path.join(KEY)
    }

    /// Where a new state is written before it counts.
    pub(crate) fn new_state(&self) -> PathBuf {
        self.path.join(format!("{STATE}.new"))
    }

    fn new_key(&self) -> PathBuf {
        self.path.join(format!("{KEY}.new"))
    }

    /// The key file's bytes, `None` if there is no such file.
    pub(crate) fn read_key(&self) -> Result<Option<Vec<u8>>, OpenError> {
        match read_small(&self.key()) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(OpenError::Directory { path: self.path.clone(), source }),
        }
    }

    /// Removes what a replacement left that did not come to its deciding step.
    pub(crate) fn discard_new(&self) -> io::Result<()> {
        step::reach("new.discard")?;
        remove_if_there(&self.new_state())?;
        remove_if_there(&self.new_key())?;
        for (_, entry) in self.archived()? {
            if !entry.join(STATE).exists() {
                fs::remove_dir_all(entry)?;
            }
        }
        self.sync()
    }

    /// Writes the new key beside the old one, durably; the new state must be durable already.
    pub(crate) fn write_new_key(&self, bytes: &[u8]) -> io::Result<()> {
        step::reach("key.write")?;
        remove_if_there(&self.new_key())?;
        write_file(&self.new_key(), bytes)?;
        step::reach("key.written")?;
        self.sync()
    }

    /// The deciding step of a replacement: after it, the new state is the state.
    pub(crate) fn rename_key(&self) -> io::Result<()> {
        step::reach("key.rename")?;
        fs::rename(self.new_key(), self.key())
    }

    /// Puts a key file in the place of the one that is there, durably; a loss of power leaves either whole.
    pub(crate) fn replace_key(&self, bytes: &[u8]) -> io::Result<()> {
        self.write_new_key(bytes)?;
        self.rename_key_durably()
    }

    /// The second half of [`Self::replace_key`].
    pub(crate) fn rename_key_durably(&self) -> io::Result<()> {
        self.rename_key()?;
        self.sync()
    }

    /// The last step of a replacement, also taken by a start that finds it missing, after [`Self::finish_archive`].
    pub(crate) fn rename_state(&self) -> io::Result<()> {
        // The key's rename first: after a loss of power a new state must not lie beside an old key.
        self.sync()?;
        step::reach("state.rename")?;
        fs::rename(self.new_state(), self.state())?;
        self.sync()
    }

    /// The last steps of a withdrawal, also taken by a start that finds them missing. Without a key file the directory is
    /// as empty as before the first manifest, so that it goes last.
    pub(crate) fn finish_withdrawal(&self) -> io::Result<()> {
        self.sync()?;
        self.finish_archive()?;
        remove_if_there(&self.new_state())?;
        remove_if_there(&self.new_key())?;
        self.sync()?;
        step::reach("key.remove")?;
        remove_if_there(&self.key())?;
        self.sync()
    }

    /// Makes an entry of the archive, `<state id>-<number>/`, for the state that is going to be replaced or withdrawn.
    /// It holds the key; the state itself follows after the deciding step.
    pub(crate) fn begin_archive(&self, state_id: &StateId) -> io::Result<()> {
        step::reach("archive.make")?;
        let archive = self.path.join(ARCHIVE);
        make_private(&archive)?;
        let last = self.archived()?.last().map_or(0, |(number, _)| *number);
        let number = last.checked_add(1).ok_or_else(|| io::Error::other("the archive has no number left"))?;
        let entry = archive.join(entry_name(state_id, number));
        make_private(&entry)?;
        self.prove_reach(&entry)?;
        if self.key().exists() {
            // Key files are never written in place, so that the two names may share one.
            link_or_copy(&self.key(), &entry.join(KEY))?;
        }
        step::reach("archive.made")?;
        sync_directory(&entry)?;
        sync_directory(&archive)?;
        self.sync()
    }

    /// A rename reaches no other file system. Better now than after the deciding step, when nothing but it is left.
    fn prove_reach(&self, entry: &Path) -> io::Result<()> {
        let (probe, there) = (self.path.join(PROBE), entry.join(PROBE));
        remove_if_there(&probe)?;
        drop(create_private(&probe)?);
        let moved = fs::rename(&probe, &there);
        remove_if_there(if moved.is_ok() { &there } else { &probe })?;
        moved
    }

    /// Moves the state's file, if there is one, to the entry that waits for it.
    pub(crate) fn finish_archive(&self) -> io::Result<()> {
        if !self.state().exists() {
            return Ok(());
        }
        // The key's rename first: before it, the state's place is where it is.
        self.sync()?;
        let waiting = |entries: Vec<(u64, PathBuf)>| {
            entries.into_iter().map(|(_, entry)| entry).find(|entry| !entry.join(STATE).exists())
        };
        let entry = match waiting(self.archived()?) {
            Some(entry) => entry,
            // Somebody has removed it meanwhile.
            None => {
                self.begin_archive(&StateId::default())?;
                let entry = waiting(self.archived()?);
                entry.ok_or_else(|| io::Error::other("the archive has no place for the old state"))?
            }
        };
        step::reach("archive.move")?;
        fs::rename(self.state(), entry.join(STATE))?;
        sync_directory(&entry)?;
        self.sync()
    }

    fn archived(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let archive = self.path.join(ARCHIVE);
        if archive.exists() { archived(&archive) } else { Ok(Vec::new()) }
    }

    /// Removes the oldest archived states beyond the limit.
    pub(crate) fn prune_archive(&self) -> io::Result<()> {
        let entries = self.archived()?;
        let surplus = entries.len().saturating_sub(MAX_ARCHIVED);
        entries.iter().take(surplus).try_for_each(|(_, path)| {
            step::reach("archive.prune")?;
            fs::remove_dir_all(path)
        })
    }

    /// Makes the names in the directory durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        step::reach("directory.sync")?;
        sync_directory(&self.path)
    }
}

/// The process that says it has the directory. Its id is of its own container or enclave.
pub(crate) fn holder(path: &Path) -> Option<u32> {
    let bytes = read_small(&path.join(LOCK)).ok()?;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
}

/// The bytes of a key file or lock. Of a file that is too long to be one, so many that it is damaged.
pub(crate) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(SMALL_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file to read it; refuses what is none, as opening a pipe would wait for whoever writes it.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    open_no_other(path, OpenOptions::new().read(true))
}

/// Opens a file itself: no link, whose target may be anybody's, nothing that others end or hold up.
fn open_no_other(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let refused = |what: &str| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is {what}")))
    };
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    match options.custom_flags(flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => refused("no file"),
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => refused("a link"),
        // What can be opened in no way that waits for nobody.
        Err(_) if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) => refused("no file"),
        Err(error) => Err(error),
    }
}

/// A new empty file that only its owner may read. Refuses an existing one.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Removes a file; that there is none is fine.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    remove_if_there(path)?;
    let mut file = create_private(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn make_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a directory with all that is missing above it, and makes their names durable: losing power must not lose the
/// directory with the state in it. The directories whose names were written are returned, innermost first.
fn make_durable(path: &Path) -> io::Result<Vec<PathBuf>> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !is_directory(path)).collect();
    make_private(path)?;
    let parents = missing.iter().filter_map(|path| path.parent());
    let synced: Vec<PathBuf> = parents.map(|path| named(path).to_owned()).collect();
    synced.iter().try_for_each(|path| sync_directory(path))?;
    Ok(synced)
}

fn is_directory(path: &Path) -> bool {
    named(path).is_dir()
}

/// The parent of a bare name is where the process is.
fn named(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Not every file system of an enclave has hard links.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Entries of the archive, oldest first; what is named otherwise was put there by someone else and stays.
pub(crate) fn archived(archive: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(archive)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(entry_number);
        if let Some(number) = number.filter(|_| entry.path().is_dir()) {
            entries.push((number, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

/// An entry is named for its state, and numbered.
fn entry_name(state_id: &StateId, number: u64) -> String {
    format!("{}-{number:06}", hex::encode(state_id))
}

/// The number in a name that [`entry_name`] makes.
fn entry_number(name: &str) -> Option<u64> {
    let (id, number) = name.split_once('-')?;
    let mut state_id = StateId::default();
    hex::decode_to_slice(id, &mut state_id).ok()?;
    let number = number.parse().ok()?;
    (entry_name(&state_id, number) == name).then_some(number)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some file systems cannot do it; there is nothing else that could be done.
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) => {
            Ok(())
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What a replacement does with the old state.
    fn archive(directory: &Directory, state_id: &StateId) {
        directory.begin_archive(state_id).unwrap();
        directory.finish_archive().unwrap();
    }

    #[test]
    fn the_archive_keeps_the_last_eight_and_what_is_not_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let path = folder.path().join(ARCHIVE);
        for round in 0_u8..MAX_ARCHIVED as u8 + 2 {
            fs::write(directory.state(), [round]).unwrap();
            archive(&directory, &[0xff - round; 16]);
            if round == 0 {
                fs::write(path.join("note.txt"), b"kept").unwrap();
            }
            directory.prune_archive().unwrap();
        }
        let entries = archived(&path).unwrap();
        let numbers: Vec<u64> = entries.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (3..=10).collect::<Vec<u64>>());
        assert!(path.join("note.txt").exists());
        assert_eq!(fs::read(entries[7].1.join(STATE)).unwrap(), [9]);
    }

    // Neither looks like an entry of the archive closely enough to be removed, nor ends a start.
    #[test]
    fn what_others_put_into_the_archive_is_no_entry_whatever_number_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let path = folder.path().join(ARCHIVE);
        let id = "01".repeat(16);
        let foreign = ["before-2024", "x-18446744073709551615", &format!("{id}-7"), &format!("{id}-+00007")];
        for name in foreign {
            fs::create_dir_all(path.join(name)).unwrap();
            fs::write(path.join(name).join("note.txt"), b"kept").unwrap();
        }
        fs::write(path.join(format!("{id}-000008")), b"a file").unwrap();
        for _ in 0..=MAX_ARCHIVED {
            fs::write(directory.state(), b"one").unwrap();
            archive(&directory, &[2; 16]);
            directory.prune_archive().unwrap();
            directory.discard_new().unwrap();
        }
        assert!(foreign.iter().all(|name| path.join(name).join("note.txt").exists()));
        let entries = archived(&path).unwrap();
        let numbers: Vec<u64> = entries.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (2..=9).collect::<Vec<u64>>());
    }

    #[test]
    fn an_archive_on_another_file_system_is_refused_before_anything_is_decided() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let directory = Directory::open(folder.path()).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join(ARCHIVE)).unwrap();
        // Also where there is no key, of which a link would be made.
        for key in [false, true] {
            if key {
                fs::write(directory.key(), b"key").unwrap();
            }
            fs::write(directory.state(), b"one").unwrap();
            let error = directory.begin_archive(&[1; 16]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::CrossesDevices);
            assert!(crate::remedy::remedy(&error).contains("archive"));
            directory.discard_new().unwrap();
            assert!(names(elsewhere.path()).is_empty());
        }
    }

    #[test]
    fn the_same_state_is_archived_twice_without_overwriting() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        fs::write(directory.state(), b"one").unwrap();
        archive(&directory, &[1; 16]);
        assert!(!directory.state().exists());
        fs::write(directory.state(), b"two").unwrap();
        fs::write(directory.key(), b"key").unwrap();
        archive(&directory, &[1; 16]);
        let path = folder.path().join(ARCHIVE);
        let id = "01".repeat(16);
        assert_eq!(names(&path), [format!("{id}-000001"), format!("{id}-000002")]);
        assert_eq!(fs::read(path.join(format!("{id}-000001/{STATE}"))).unwrap(), b"one");
        assert_eq!(names(&path.join(format!("{id}-000002"))), [KEY, STATE]);
    }

    #[test]
    fn an_entry_whose_state_never_came_is_removed_and_a_lost_entry_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        fs::write(directory.state(), b"one").unwrap();
        archive(&directory, &[1; 16]);
        fs::write(directory.state(), b"two").unwrap();
        directory.begin_archive(&[2; 16]).unwrap();
        directory.discard_new().unwrap();
        let path = folder.path().join(ARCHIVE);
        assert_eq!(names(&path), [format!("{}-000001", "01".repeat(16))]);
        directory.finish_archive().unwrap();
        let entry = path.join(format!("{}-000002", "00".repeat(16)));
        assert_eq!(fs::read(entry.join(STATE)).unwrap(), b"two");
    }

    #[test]
    fn the_name_of_every_new_directory_is_made_durable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        assert_eq!(make_durable(&path).unwrap(), [folder.path().join("a"), folder.path().to_owned()]);
        assert!(path.is_dir());
        assert!(make_durable(&path).unwrap().is_empty(), "there is nothing to do");
        // Relative, as the default is.
        assert!(make_durable(Path::new(".")).unwrap().is_empty());
        assert_eq!(named(Path::new("bare").parent().unwrap()), Path::new("."));
    }

    #[test]
    fn who_comes_second_is_told_so_before_it_writes_anything() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Directory::open(folder.path()).unwrap();
        // Where a probe would end otherwise.
        fs::create_dir(folder.path().join(PROBE)).unwrap();
        assert!(matches!(Directory::open(folder.path()), Err(OpenError::InUse { holder: Some(_), .. })));
    }

    // EDG_COORDINATOR_SEAL_DIR: made with 0700
    #[test]
    fn a_missing_directory_is_made_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let directory = Directory::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(names(directory.path()), [LOCK]);
        directory.write_new_key(b"key").unwrap();
        let mode = fs::metadata(directory.new_key()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
