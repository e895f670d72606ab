//! The file that keeps a Marble's UUID over restarts, so that it derives the same secrets again (S-26).
//!
//! The host owns this file: the UUID is an identity only together with the evidence and the Marble's type.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A UUID in its longest accepted form has 45 characters; anything much longer is not a UUID file.
const MAX_FILE_BYTES: u64 = 256;

/// Why there is no UUID.
#[derive(Debug, thiserror::Error)]
pub enum UuidError {
    /// The file exists and cannot be read.
    #[error("reading the UUID file {}; correct its permissions or set EDG_MARBLE_UUID_FILE", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The file does not hold a UUID.
    #[error("the UUID file {} holds no UUID; restore it, or delete it to start as a new Marble", .0.display())]
    Malformed(PathBuf),
    /// The file holds the nil UUID, which coordinators refuse.
    #[error("the UUID file {} holds the nil UUID, which names no Marble; delete it to start as a new one", .0.display())]
    Nil(PathBuf),
    /// The file cannot be made.
    #[error("writing the UUID file {}; make its directory writable or set EDG_MARBLE_UUID_FILE", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
}

/// Reads the UUID, or makes a random one and keeps it (36 characters, no newline, mode 0600).
///
/// # Errors
/// The file exists but holds no UUID, or it can neither be read nor made. A bad file is never replaced: a new UUID
/// would lose the secrets of the old one.
pub fn load_or_create(path: &Path) -> Result<Uuid, UuidError> {
    match read(path) {
        Err(UuidError::Read(_, error)) if error.kind() == ErrorKind::NotFound => create(path),
        other => other,
    }
}

fn read(path: &Path) -> Result<Uuid, UuidError> {
    let failed = |error| UuidError::Read(path.to_owned(), error);
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(failed)?;
    // Editors end files with a newline; our own files have none.
    let uuid = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| Uuid::parse_str(text.trim_end_matches(['\r', '\n'])).ok())
        .ok_or_else(|| UuidError::Malformed(path.to_owned()))?;
    if uuid.is_nil() {
        return Err(UuidError::Nil(path.to_owned()));
    }
    Ok(uuid)
}

fn create(path: &Path) -> Result<Uuid, UuidError> {
    let failed = |error| UuidError::Write(path.to_owned(), error);
    let uuid = Uuid::new_v4();
    let mut file = match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        // Another process of this Marble was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return read(path),
        other => other.map_err(failed)?,
    };
    file.write_all(uuid.hyphenated().to_string().as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    Ok(uuid)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TEXT: &str = "61b0d7bf-0bb5-4a2e-9b1f-1c2d3e4f5a6b";

    fn with_content(content: &[u8]) -> Result<Uuid, UuidError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("uuid");
        std::fs::write(&path, content).unwrap();
        let result = load_or_create(&path);
        assert_eq!(std::fs::read(&path).unwrap(), content, "an existing file is never changed");
        result
    }

    // marble-api.md section 9, step 4
    #[test]
    fn a_missing_file_is_made_with_36_characters_and_mode_0600() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("uuid");
        let uuid = load_or_create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), uuid.to_string());
        assert_eq!(std::fs::read(&path).unwrap().len(), 36);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(uuid.get_version_num(), 4);
        assert_eq!(load_or_create(&path).unwrap(), uuid, "the second start is the same Marble");
    }

    // marble-api.md section 5
    #[test]
    fn every_form_of_a_uuid_is_read() {
        let expected = Uuid::parse_str(TEXT).unwrap();
        for form in [
            TEXT.to_owned(),
            TEXT.to_uppercase(),
            TEXT.replace('-', ""),
            format!("{{{TEXT}}}"),
            format!("urn:uuid:{TEXT}"),
            format!("{TEXT}\n"),
        ] {
            assert_eq!(with_content(form.as_bytes()).unwrap(), expected, "{form}");
        }
    }

    #[test]
    fn a_file_without_a_uuid_is_an_error_and_is_not_replaced() {
        for content in [&b""[..], b"not a uuid", &TEXT.as_bytes()[1..], b"\xff\xfe", &[b'a'; 4096]] {
            assert!(matches!(with_content(content), Err(UuidError::Malformed(_))), "{content:?}");
        }
    }

    //
    #[test]
    fn the_nil_uuid_is_refused() {
        assert!(matches!(with_content(b"00000000-0000-0000-0000-000000000000"), Err(UuidError::Nil(_))));
    }

    #[test]
    fn a_file_that_cannot_be_read_or_made_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(load_or_create(directory.path()), Err(UuidError::Read(..))));
        assert!(matches!(load_or_create(&directory.path().join("missing/uuid")), Err(UuidError::Write(..))));
    }
}
