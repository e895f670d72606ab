//! Files that the command line names. Opening a pipe waits for whoever writes it, deaf to SIGTERM, and nobody says how long a device
//! is: what is no file is refused, and so is one that is longer than it can be.

use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Read as _, Result};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Certificates and settings are far shorter.
pub(crate) const SMALL: usize = 1 << 20;

/// All of a file.
///
/// # Errors
/// It is none, is longer than `limit` bytes, or cannot be read.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(Error::new(
            ErrorKind::FileTooLarge,
            format!("it is longer than {limit} bytes: is it the right file?"),
        ));
    }
    Ok(bytes)
}

/// The same of a text.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path, SMALL)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_too_long_is_refused_and_the_limit_itself_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(read(&path, 4).unwrap_err().to_string().contains("longer than 4 bytes"));
        // Neither waits for anything, nor fills the memory.
        for other in [Path::new("/dev/zero"), folder.path()] {
            assert!(read(other, 5).unwrap_err().to_string().contains("is no file"), "{other:?}");
        }
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(read(&pipe, 5).unwrap_err().to_string().contains("is no file"));
        std::fs::write(&path, [0xff]).unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("UTF-8"));
    }
}
