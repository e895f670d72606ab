//! Writes the files of an activation (marble-api.md section 9, step 9).
//!
//! Parents are made with mode 0700, files have mode 0600 whatever they had before. A reader of an existing file sees
//! the old or the new content, never a part: the content goes to a new file beside it, which then takes its name.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use carrara_types::secret::SecretBytes;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The manifest's path names no file.
    #[error("the manifest's file path {0:?} names no file: correct Parameters.Files in the manifest")]
    Path(String),
    /// The directory.
    #[error("making the directory {}; check who may write there", .0.display())]
    Directory(PathBuf, #[source] std::io::Error),
    /// The file.
    #[error("writing the file {}; check who may write there and the free space", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
    /// A key of an encrypted mount.
    #[error(
        "writing the key {}; Gramine's manifest must have an encrypted mount with this key_name", .0.display()
    )]
    Key(PathBuf, #[source] std::io::Error),
}

/// Writes the keys of Gramine's encrypted mounts, `keys/*` and then `protected_files_key` in its folder, to files that are
/// there, and takes them from the list: other files may lie in such mounts.
///
/// # Errors
/// The first key that could not be written; the service must not start.
pub fn write_keys(files: &mut BTreeMap<String, SecretBytes>, attestation: &Path) -> Result<(), FileError> {
    let keys = attestation.join("keys");
    let is_named = |path: &Path| {
        // No `..`: that would be a file elsewhere.
        path.strip_prefix(&keys).is_ok_and(|name| {
            let mut parts = name.components();
            matches!(parts.next(), Some(Component::Normal(_)))
                && parts.all(|part| matches!(part, Component::Normal(_)))
        })
    };
    let is_default = |path: &Path| path == attestation.join("protected_files_key");
    let chosen: [&dyn Fn(&Path) -> bool; 2] = [&is_named, &is_default];
    for choose in chosen {
        let names: Vec<String> = files.keys().filter(|name| choose(Path::new(name))).cloned().collect();
        for name in names {
            let Some(content) = files.remove(&name) else { continue };
            let path = PathBuf::from(name);
            write_in_place(&path, &content).map_err(|error| FileError::Key(path, error))?;
        }
    }
    Ok(())
}

/// Writes all files; relative paths are below the working directory.
///
/// # Errors
/// The first file that could not be written; earlier ones stay written, so the service must not start.
pub fn write_all(files: &BTreeMap<String, SecretBytes>) -> Result<(), FileError> {
    for (path, content) in files {
        write(path, content)?;
    }
    Ok(())
}

fn write(text: &str, content: &SecretBytes) -> Result<(), FileError> {
    let path = Path::new(text);
    if path.file_name().is_none() || text.ends_with('/') || text.contains('\0') {
        return Err(FileError::Path(text.to_owned()));
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|error| FileError::Directory(parent.to_owned(), error))?;
    }
    let written = match std::fs::symlink_metadata(path) {
        // Devices and pipes cannot be replaced, only written to.
        Ok(found) if !found.is_file() && !found.is_symlink() => write_in_place(path, content),
        _ => replace(path, content),
    };
    written.map_err(|error| FileError::Write(path.to_owned(), error))
}

fn write_in_place(path: &Path, content: &SecretBytes) -> std::io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(content.expose())
}

fn replace(path: &Path, content: &SecretBytes) -> std::io::Result<()> {
    let temporary = path.with_file_name(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    let result = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content.expose()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    if result.is_err() {
        // The first error counts; this only tidies up.
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn one(path: &Path, content: &[u8]) -> Result<(), FileError> {
        write(path.to_str().unwrap(), &SecretBytes::new("file", content.to_vec()))
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    // marble-api.md section 9, step 9
    #[test]
    fn parents_have_mode_0700_and_files_0600() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/c");
        one(&path, b"\x00\xffcontent").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"\x00\xffcontent");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&directory.path().join("a")), 0o700);
    }

    #[test]
    fn an_existing_file_is_replaced_with_its_mode_and_nothing_is_left_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        std::fs::write(&path, b"something longer than the new content").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        one(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_replaced_and_its_target_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (directory.path().join("target"), directory.path().join("link"));
        std::fs::write(&target, b"old").unwrap();
        symlink(&target, &link).unwrap();
        one(&link, b"secret").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        assert_eq!(std::fs::read(&link).unwrap(), b"secret");
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        one(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }

    fn with(names: &[PathBuf]) -> BTreeMap<String, SecretBytes> {
        let file = |path: &PathBuf| {
            let name = path.to_str().unwrap().to_owned();
            (name.clone(), SecretBytes::new(name, b"sixteen bytes...".to_vec()))
        };
        names.iter().map(file).collect()
    }

    // marble-api.md section 9, Gramine
    #[test]
    fn keys_are_written_to_files_that_are_there_and_leave_the_list() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("keys")).unwrap();
        for name in ["keys/default", "keys/other", "protected_files_key"] {
            std::fs::write(at(name), b"").unwrap();
        }
        let outside = [at("keys"), at("keys/../x"), at("user_report_data"), PathBuf::from("keys/default")];
        let mut files = with(
            &[&[at("keys/default"), at("keys/other"), at("protected_files_key")], &outside[..]].concat(),
        );
        write_keys(&mut files, directory.path()).unwrap();
        for name in ["keys/default", "keys/other", "protected_files_key"] {
            assert_eq!(std::fs::read(at(name)).unwrap(), b"sixteen bytes...");
        }
        let mut left: Vec<_> = outside.iter().map(|path| path.to_str().unwrap()).collect();
        left.sort_unstable();
        assert_eq!(files.keys().collect::<Vec<_>>(), left);
    }

    // marble-api.md section 9, Gramine: open existing, no create of parents
    #[test]
    fn a_key_that_no_mount_has_is_an_error_before_the_default_key_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("protected_files_key"), b"").unwrap();
        for made in [false, true] {
            let error = write_keys(&mut with(&[at("keys/zz"), at("protected_files_key")]), directory.path())
                .unwrap_err();
            assert!(matches!(&error, FileError::Key(path, _) if *path == at("keys/zz")), "{error}");
            assert!(error.to_string().contains("key_name"), "{error}");
            assert_eq!(at("keys").exists(), made);
            assert!(!at("keys/zz").exists());
            std::fs::create_dir_all(at("keys")).unwrap();
        }
        assert_eq!(std::fs::read(at("protected_files_key")).unwrap(), b"");
    }

    #[test]
    fn a_path_that_names_no_file_is_refused() {
        for path in ["", "/", "..", "a/..", "directory/", "nul\0"] {
            let error = write(path, &SecretBytes::new("file", Vec::new())).unwrap_err();
            assert!(matches!(error, FileError::Path(_)), "{path:?}: {error}");
        }
    }

    #[test]
    fn a_parent_that_is_a_file_or_a_target_that_is_a_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), b"").unwrap();
        assert!(matches!(one(&directory.path().join("file/x"), b""), Err(FileError::Directory(..))));
        assert!(matches!(one(directory.path(), b""), Err(FileError::Write(..))));
    }
}
