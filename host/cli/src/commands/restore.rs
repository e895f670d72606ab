//! `restore FILE --seal-dir DIR`: puts a backup where a coordinator finds it. Needs no coordinator and no key.
//!
//! The state directory's own protocol (host/docs/decisions/0005): both files are written whole beside their places, then
//! renamed, the key first. A loss of power leaves nothing, or what the coordinator's start finishes.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carrara_types::backup::{Description, KEY, STATE};
use clap::Args;
use rustix::fs::OFlags;
use serde_json::json;

use crate::archive;
use crate::files::LOCK;
use crate::output::{Output, complain};

/// Put a backup into an empty directory, for a coordinator to start from
///
/// Stop the coordinator that the backup was made of first, and do not start it again from its own directory: two of them
/// would hand out the same counters and certificates. What was changed after the backup is lost; whoever kept the update
/// log's checkpoint sees that the state was rolled back.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// What `carrara backup` saved
    file: PathBuf,
    /// The coordinator's state directory: empty, or not there yet
    #[arg(long, value_name = "DIRECTORY")]
    seal_dir: PathBuf,
}

pub(crate) fn run(command: &Restore, output: &mut Output) -> Result<()> {
    let Restore { file, seal_dir } = command;
    let source = open(file).with_context(|| format!("reading the backup {}", file.display()))?;
    let target = Target::open(seal_dir)?;
    let restored = target.fill(source);
    let copy =
        restored.with_context(|| format!("restoring {} into {}", file.display(), seal_dir.display()))?;
    let state = hex::encode(copy.state_id);
    output.line(&format!(
        "Restored {} into {}: it claims to be revision {} of the state {state}; the coordinator verifies the state when it starts",
        file.display(),
        seal_dir.display(),
        copy.revision
    ))?;
    complain("Note: changes made after the backup are lost, and counters go on from where they were");
    open_to_others(seal_dir).iter().for_each(|warning| complain(warning));
    output.result(&json!({ "sealDir": seal_dir, "revision": copy.revision, "state": state }))
}

/// Opening a pipe would wait for whoever writes it.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK)).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(no_file("it")) }
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

fn no_file(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, format!("{what} is no file"))
}

/// A directory that was there keeps its mode, which may be meant; the coordinator makes its own with 0700.
fn open_to_others(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let path = path.display();
        format!(
            "Warning: {path} is open to other users (mode {mode:03o}); unless that is meant: chmod 700 {path}"
        )
    })
}

/// An empty state directory, locked. What was made there goes when it is dropped, unless all was well.
struct Target<'a> {
    path: &'a Path,
    lock: File,
    /// Whether the lock was no one's before.
    made_lock: bool,
    /// Directories that were missing, innermost first.
    made: Vec<&'a Path>,
    /// Whether it is locked and found empty.
    mine: bool,
    kept: bool,
}

impl<'a> Target<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let unusable = || format!("using the directory {}; check it and its permissions", path.display());
        let made = make_durable(path).with_context(unusable)?;
        let (lock, made_lock) = open_lock(&path.join(LOCK)).with_context(unusable)?;
        let mut target = Self { path, lock, made_lock: false, made, mine: false, kept: false };
        match target.lock.try_lock() {
            Ok(()) => target.made_lock = made_lock,
            Err(TryLockError::WouldBlock) => {
                bail!("{} is in use by a coordinator: stop it, or choose another directory", path.display())
            }
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(error).with_context(unusable),
        }
        for entry in fs::read_dir(path).with_context(unusable)? {
            let name = entry.with_context(unusable)?.file_name();
            if name != OsStr::new(LOCK) && !is_left_over(&name, path) {
                bail!(
                    "{} is not empty: it holds {}; choose an empty directory, or move what is there away",
                    path.display(),
                    name.to_string_lossy()
                );
            }
        }
        target.mine = true;
        Ok(target)
    }

    fn fill(mut self, source: File) -> Result<Description> {
        let copy = archive::read(BufReader::new(source), |name| {
            let path = self.beside(name);
            remove_if_there(&path)
                .and_then(|()| Durable::create(&path))
                .map(|file| Box::new(file) as Box<dyn Write>)
                .with_context(|| format!("making {}", path.display()))
        })?;
        self.rename().context("putting the files in their places")?;
        self.kept = true;
        Ok(copy)
    }

    /// The key first: it decides.
    fn rename(&self) -> io::Result<()> {
        self.sync()?;
        fs::rename(self.beside(KEY), self.path.join(KEY))?;
        self.sync()?;
        fs::rename(self.beside(STATE), self.path.join(STATE))?;
        self.sync()
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.new"))
    }

    fn sync(&self) -> io::Result<()> {
        sync_directory(self.path)
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        let decided = self.mine && self.path.join(KEY).exists();
        if self.kept || decided {
            return;
        }
        if self.mine {
            for name in [KEY, STATE] {
                let _ = remove_if_there(&self.beside(name));
            }
        }
        if self.made_lock {
            let _ = remove_if_there(&self.path.join(LOCK));
        }
        // Only empty ones can be removed.
        let _ = self.made.iter().try_for_each(fs::remove_dir);
    }
}

/// The lock, and whether it was made now. A link leads to what is nobody's to lock.
fn open_lock(path: &Path) -> io::Result<(File, bool)> {
    let options = |new: bool| {
        let mut options = OpenOptions::new();
        let flags = flags(OFlags::NONBLOCK | OFlags::NOFOLLOW);
        options.write(true).create_new(new).mode(0o600).custom_flags(flags);
        options
    };
    match options(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => return made.map(|file| (file, true)),
    }
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(no_file(LOCK));
    }
    options(false).open(path).map(|file| (file, false))
}

/// What a restore left that was cut off before its deciding step; the coordinator's start would discard it, too.
fn is_left_over(name: &OsStr, path: &Path) -> bool {
    let is_new = [KEY, STATE].iter().any(|file| name == OsStr::new(&format!("{file}.new")));
    is_new && !path.join(KEY).exists()
}

/// A file that is durable when it was flushed.
struct Durable(File);

impl Durable {
    fn create(path: &Path) -> io::Result<Self> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(Self)
    }
}

impl Write for Durable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Makes the directory with what is missing above it, and their names durable. Those that were missing are returned.
fn make_durable(path: &Path) -> io::Result<Vec<&Path>> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !named(path).is_dir()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    missing.iter().filter_map(|path| path.parent()).try_for_each(|path| sync_directory(named(path)))?;
    Ok(missing)
}

/// The parent of a bare name is where the process is.
fn named(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some file systems cannot do it; there is nothing else that could be done.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => Ok(()),
        result => result,
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::good;
    use crate::output::Format;

    fn restore(backup: &[u8], seal_dir: &Path) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("backup.tar");
        fs::write(&file, backup).unwrap();
        let command = Restore { file, seal_dir: seal_dir.to_owned() };
        run(&command, &mut Output::to(Format::Json, Box::new(io::sink())))
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_backup_lands_in_a_new_directory_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        restore(&good(), &dir).unwrap();
        assert_eq!(names(&dir), ["lock", "sealed_key", "state.redb"]);
        assert_eq!((mode(&dir), mode(&dir.join(KEY)), mode(&dir.join(STATE))), (0o700, 0o600, 0o600));
        assert_eq!(
            (fs::read(dir.join(KEY)).unwrap(), fs::read(dir.join(STATE)).unwrap().len()),
            (b"key".to_vec(), 100_001)
        );
        // An empty one, which a coordinator has looked at.
        let empty = folder.path().join("c");
        fs::create_dir(&empty).unwrap();
        fs::write(empty.join(LOCK), b"").unwrap();
        restore(&good(), &empty).unwrap();
    }

    #[test]
    fn a_directory_with_anything_in_it_is_refused_and_stays_as_it_is() {
        for held in ["state.redb", "sealed_key", "archive", "sealed_data", "notes"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(held), b"mine").unwrap();
            let error = format!("{:#}", restore(&good(), folder.path()).unwrap_err());
            assert!(error.contains("not empty") && error.contains(held), "{error}");
            assert_eq!(fs::read(folder.path().join(held)).unwrap(), b"mine");
            assert_eq!(names(folder.path()), [held]);
        }
    }

    #[test]
    fn a_backup_that_is_cut_off_or_changed_leaves_nothing() {
        let good = good();
        let mut changed = good.clone();
        changed[60_000] ^= 1;
        for bad in [&good[..good.len() / 2], &changed] {
            let folder = tempfile::tempdir().unwrap();
            restore(bad, folder.path()).unwrap_err();
            assert!(names(folder.path()).is_empty());
            let new = folder.path().join("a/b");
            restore(bad, &new).unwrap_err();
            assert!(names(folder.path()).is_empty(), "nor the directories");
            // And the good one may follow.
            restore(&good, folder.path()).unwrap();
        }
    }

    #[test]
    fn what_an_interrupted_restore_left_is_replaced_but_not_what_was_decided() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["sealed_key.new", "state.redb.new"] {
            fs::write(folder.path().join(name), b"half").unwrap();
        }
        restore(&good(), folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join(KEY)).unwrap(), b"key");

        let decided = tempfile::tempdir().unwrap();
        for name in ["sealed_key", "state.redb.new"] {
            fs::write(decided.path().join(name), b"whole").unwrap();
        }
        restore(&good(), decided.path()).unwrap_err();
        assert_eq!(fs::read(decided.path().join("state.redb.new")).unwrap(), b"whole");
    }

    #[test]
    fn a_directory_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let lock = File::create(folder.path().join(LOCK)).unwrap();
        lock.try_lock().unwrap();
        let error = format!("{:#}", restore(&good(), folder.path()).unwrap_err());
        assert!(error.contains("in use by a coordinator"), "{error}");
    }

    #[test]
    fn what_others_made_stays_when_a_restore_fails() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(LOCK), b"4711").unwrap();
        restore(b"nonsense", &dir).unwrap_err();
        assert_eq!(fs::read(dir.join(LOCK)).unwrap(), b"4711");
    }

    #[test]
    fn a_pipe_is_neither_a_backup_nor_a_lock_and_a_lock_is_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, dir) = (folder.path().join("pipe"), folder.path().join("data"));
        let make =
            |path: &Path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        make(&pipe);
        let command = Restore { file: pipe, seal_dir: dir.clone() };
        let mut output = Output::to(Format::Json, Box::new(io::sink()));
        let error = format!("{:#}", run(&command, &mut output).unwrap_err());
        assert!(error.contains("is no file") && !dir.exists(), "{error}");
        fs::create_dir(&dir).unwrap();
        make(&dir.join(LOCK));
        let error = format!("{:#}", restore(&good(), &dir).unwrap_err());
        assert!(error.contains("lock is no file"), "{error}");
        fs::remove_file(dir.join(LOCK)).unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, b"mine").unwrap();
        std::os::unix::fs::symlink(&victim, dir.join(LOCK)).unwrap();
        assert!(format!("{:#}", restore(&good(), &dir).unwrap_err()).contains("lock is no file"));
    }

    #[test]
    fn a_directory_that_others_can_open_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, told) in [(0o700, false), (0o755, true), (0o710, true)] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            let warning = open_to_others(folder.path());
            assert_eq!(warning.is_some_and(|text| text.contains(&format!("mode {mode:o}"))), told);
        }
    }

    #[test]
    fn a_backup_that_is_not_there_makes_no_directory() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        let command = Restore { file: folder.path().join("none.tar"), seal_dir: dir.clone() };
        let mut output = Output::to(Format::Json, Box::new(io::sink()));
        assert!(format!("{:#}", run(&command, &mut output).unwrap_err()).contains("none.tar"));
        assert!(!dir.exists());
    }
}
