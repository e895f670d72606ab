//! Reading and writing files. Whatever is written has mode 0600 and is there whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carrara_types::backup::{KEY, STATE};
use zeroize::Zeroizing;

/// What a running coordinator holds in its state directory.
pub(crate) const LOCK: &str = "lock";

/// No manifest, policy, certificate or key comes near; a wrong path may.
const MAX_INPUT_BYTES: u64 = 64 << 20;

/// Reads a file that the user named. Wiped on drop: it may be a key.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(MAX_INPUT_BYTES + 1).read_to_end(&mut content))
        .with_context(|| format!("reading {}", path.display()))?;
    if content.len() as u64 > MAX_INPUT_BYTES {
        bail!("{} is larger than {} MiB: is it the right file?", path.display(), MAX_INPUT_BYTES >> 20);
    }
    Ok(content)
}

/// Writes a file; an existing one is replaced.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    Place::reserve(path)?.fill(content)
}

/// A file that can be written: it is open already, under another name. Dropped, it leaves nothing behind.
pub(crate) struct Place<'a> {
    path: &'a Path,
    file: File,
    /// Takes the place of `path` when it is filled; none for what cannot be replaced, such as /dev/stdout.
    temporary: Option<PathBuf>,
}

impl<'a> Place<'a> {
    /// Makes sure that the file can be written. One that exists stays as it is until [`Place::fill`].
    pub(crate) fn reserve(path: &'a Path) -> Result<Self> {
        spare_states(path)?;
        let reserved = match std::fs::metadata(path) {
            Ok(found) if !found.is_file() => {
                OpenOptions::new().write(true).open(path).map(|file| (file, None))
            }
            _ => open_beside(path).map(|(file, temporary)| (file, Some(temporary))),
        };
        let (file, temporary) = reserved.with_context(|| cannot_write(path))?;
        Ok(Self { path, file, temporary })
    }

    /// Writes the content.
    pub(crate) fn fill(mut self, content: &[u8]) -> Result<()> {
        self.write(content).with_context(|| cannot_write(self.path))
    }

    /// Where the content is written that [`Place::keep`] gives its name.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// What was written so far, from its beginning.
    pub(crate) fn written(&self) -> std::io::Result<File> {
        File::open(self.temporary.as_deref().ok_or(ErrorKind::Unsupported)?)
    }

    /// Makes what was written durable and gives it its name; without `force` only if no file has it.
    pub(crate) fn keep(mut self, force: bool) -> Result<()> {
        self.name(force).with_context(|| cannot_write(self.path))
    }

    fn name(&mut self, force: bool) -> std::io::Result<()> {
        let temporary = self.temporary.as_deref().ok_or(ErrorKind::Unsupported)?;
        self.file.sync_all()?;
        if force {
            std::fs::rename(temporary, self.path)?;
        } else {
            // A rename would replace a file that somebody made meanwhile.
            std::fs::hard_link(temporary, self.path)?;
            std::fs::remove_file(temporary)?;
        }
        self.temporary = None;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Where it goes.
    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    fn write(&mut self, content: &[u8]) -> std::io::Result<()> {
        self.file.write_all(content)?;
        let Some(temporary) = &self.temporary else { return Ok(()) };
        self.file.sync_all()?;
        std::fs::rename(temporary, self.path)?;
        self.temporary = None;
        Ok(())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Writes a file that must not exist yet, unless `force`.
pub(crate) fn write_new(path: &Path, content: &[u8], force: bool) -> Result<()> {
    if force {
        return write(path, content);
    }
    spare_states(path)?;
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = match created {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} exists already; name another file, or overwrite it with --force", path.display())
        }
        other => other.and_then(|mut file| {
            let whole = file.write_all(content).and_then(|()| file.sync_all());
            whole.inspect_err(|_| drop(std::fs::remove_file(path)))
        }),
    };
    written.with_context(|| cannot_write(path))
}

/// Refuses to write where a coordinator keeps its state: one name further, and the file would take the place of the key or the
/// state, of which there is no other copy.
fn spare_states(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    if let Some(held) = [KEY, STATE, LOCK].into_iter().find(|name| holds(&folder.join(name), name)) {
        bail!(
            "nothing is written to {}: its folder holds {held} and so looks like the state directory of a coordinator, where files of \
             that state would be lost; name a file in another folder",
            path.display()
        );
    }
    Ok(())
}

/// A lock has the number of a process in it, or nothing; others may call a file so, too.
fn holds(path: &Path, name: &str) -> bool {
    let Ok(found) = std::fs::symlink_metadata(path) else { return false };
    name != LOCK
        || found.is_file()
            && found.len() <= 20
            && std::fs::read(path).is_ok_and(|bytes| bytes.trim_ascii().iter().all(u8::is_ascii_digit))
}

/// Makes a folder that only the user can read, with its parents.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("making the folder {}", path.display()))
}

fn cannot_write(path: &Path) -> String {
    format!("writing {}; check the folder and its permissions", path.display())
}

fn open_beside(path: &Path) -> std::io::Result<(File, PathBuf)> {
    let temporary = beside(path)?;
    // What a run that was killed left behind; nobody else uses this name.
    let _ = std::fs::remove_file(&temporary);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    Ok((file, temporary))
}

fn beside(path: &Path) -> std::io::Result<PathBuf> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    Ok(path.with_file_name(format!(".{}.{}.new", name.to_string_lossy(), std::process::id())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    // cli.md section 1
    #[test]
    fn files_have_mode_0600_also_where_an_open_one_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"long old content").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!((read(&path).unwrap().as_slice(), mode(&path)), (&b"new"[..], 0o600));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_replaces_none_without_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        write_new(&path, b"one", false).unwrap();
        assert_eq!(mode(&path), 0o600);
        let error = write_new(&path, b"two", false).unwrap_err();
        assert!(format!("{error:#}").contains("--force"), "{error:#}");
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write_new(&path, b"two", true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn nothing_is_written_where_a_coordinator_keeps_its_state() {
        for (held, content) in [(KEY, "wrapped"), (STATE, ""), (LOCK, ""), (LOCK, "4711")] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(held), content).unwrap();
            for name in [KEY, STATE, "f"] {
                let path = folder.path().join(name);
                for force in [false, true] {
                    let error = write_new(&path, b"lost", force).unwrap_err().to_string();
                    assert!(error.contains("state directory") && error.contains(held), "{error}");
                }
                assert!(Place::reserve(&path).is_err());
            }
            assert_eq!(std::fs::read_to_string(folder.path().join(held)).unwrap(), content);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(LOCK), "of something else").unwrap();
        write(&folder.path().join("f"), b"fine").unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_read_or_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/f");
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("missing/f"));
        assert!(format!("{:#}", write(&path, b"").unwrap_err()).contains("missing/f"));
    }

    #[test]
    fn a_place_that_is_not_filled_leaves_nothing_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        drop(Place::reserve(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        std::fs::write(&path, b"old").unwrap();
        let place = Place::reserve(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        drop(place);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Place::reserve(folder.path()).is_err(), "a folder is no file");
    }

    #[test]
    fn a_device_is_written_to() {
        write(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }
}
