//! Linux's configfs-tsm: how a VM that is a TEE asks for its report (Documentation/ABI/testing/configfs-tsm-report).
//!
//! Each request makes an entry of its own and removes it, so that requests do not meet. The number `generation` of an entry
//! counts the writes to it: it must have grown by our one.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use occlum_dcap::REPORT_DATA_BYTES;

use super::{IssueError, read_at_most, write};
use crate::OpenError;

/// ENXIO, for which `ErrorKind` has no name.
const NO_DRIVER: i32 = rustix::io::Errno::NXIO.raw_os_error();

/// The kernel's own limit for a report or its certificates (TSM_OUTBLOB_MAX) was 32 KiB, and grew.
const MAX_BLOB_BYTES: usize = 64 << 10;
const MAX_WORD_BYTES: usize = 64;
/// Entries of processes that ended before they removed theirs.
const MAX_NAMES: usize = 64;

/// The file system, as the kernel offers it.
pub(super) trait Entries: Send + Sync + fmt::Debug {
    /// Where, for messages.
    fn root(&self) -> &Path;
    /// Makes an entry; the kernel fills it with attributes.
    fn make(&self, name: &str) -> io::Result<()>;
    /// Writes an attribute.
    fn write(&self, name: &str, attribute: &str, value: &[u8]) -> io::Result<()>;
    /// Reads an attribute; one byte more than `limit` where there is more.
    fn read(&self, name: &str, attribute: &str, limit: usize) -> io::Result<Vec<u8>>;
    /// Removes an entry.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// A mounted configfs.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }
}

impl Entries for Folder {
    fn root(&self) -> &Path {
        &self.0
    }

    fn make(&self, name: &str) -> io::Result<()> {
        std::fs::create_dir(self.0.join(name))
    }

    fn write(&self, name: &str, attribute: &str, value: &[u8]) -> io::Result<()> {
        write(&self.0.join(name).join(attribute), value)
    }

    fn read(&self, name: &str, attribute: &str, limit: usize) -> io::Result<Vec<u8>> {
        read_at_most(&self.0.join(name).join(attribute), limit)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_dir(self.0.join(name))
    }
}

/// What the kernel gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) outblob: Vec<u8>,
    /// Empty where there is none.
    pub(super) auxblob: Vec<u8>,
}

/// The name of the TEE's driver; none where the kernel has no such interface or no driver.
///
/// # Errors
/// Whether there is a driver cannot be seen: that is no reason to look for something else.
pub(super) fn provider(entries: &dyn Entries) -> Result<Option<String>, OpenError> {
    let said = Entry::make(entries).and_then(|entry| entry.word("provider"));
    match said {
        Ok(provider) => Ok(Some(provider)),
        Err(IssueError::File { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            Err(OpenError::ReportsDenied)
        }
        // Without a driver no entry can be made (ENXIO); without the kernel's interface it stays empty, or there is no folder for it.
        Err(IssueError::File { source, .. })
            if source.kind() == ErrorKind::NotFound || source.raw_os_error() == Some(NO_DRIVER) =>
        {
            Ok(None)
        }
        Err(error) => Err(OpenError::Reports(error.chain())),
    }
}

/// Asks for a report over the report data.
pub(super) fn report(
    entries: &dyn Entries,
    report_data: &[u8; REPORT_DATA_BYTES],
) -> Result<Report, IssueError> {
    let entry = Entry::make(entries)?;
    let before = entry.generation()?;
    let written = entries.write(&entry.name, "inblob", report_data);
    written.map_err(|source| entry.failed("writing", "inblob", source))?;
    let outblob = entry.blob("outblob")?;
    let auxblob = match entry.blob("auxblob") {
        Err(IssueError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    if before.checked_add(1) != Some(entry.generation()?) {
        return Err(IssueError::Interference);
    }
    Ok(Report { outblob, auxblob })
}

/// The lowest privilege level whose reports may be asked for; SEV-SNP's VMPL. None where the driver knows no levels.
pub(super) fn privilege_floor(entries: &dyn Entries) -> Result<Option<u32>, IssueError> {
    let entry = Entry::make(entries)?;
    match entry.word("privlevel_floor") {
        Ok(word) => word.parse().map(Some).map_err(|_| entry.odd("privlevel_floor", word.len())),
        Err(IssueError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// An entry of ours, which is removed on drop.
struct Entry<'a> {
    entries: &'a dyn Entries,
    name: String,
}

impl<'a> Entry<'a> {
    fn make(entries: &'a dyn Entries) -> Result<Self, IssueError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut tries = 0;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("carrara-{}-{number}", std::process::id());
            tries += 1;
            match entries.make(&name) {
                Ok(()) => return Ok(Self { entries, name }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < MAX_NAMES => {}
                Err(source) => {
                    let path = entries.root().join(name);
                    return Err(IssueError::File { doing: "making", path, source });
                }
            }
        }
    }

    fn failed(&self, doing: &'static str, attribute: &str, source: io::Error) -> IssueError {
        IssueError::File { doing, path: self.path(attribute), source }
    }

    fn odd(&self, attribute: &str, bytes: usize) -> IssueError {
        IssueError::Length { path: self.path(attribute), bytes, expected: "those of what it should hold" }
    }

    fn path(&self, attribute: &str) -> PathBuf {
        self.entries.root().join(&self.name).join(attribute)
    }

    fn read(&self, attribute: &str, limit: usize) -> Result<Vec<u8>, IssueError> {
        let read = self.entries.read(&self.name, attribute, limit);
        let bytes = read.map_err(|source| self.failed("reading", attribute, source))?;
        if bytes.len() > limit { Err(self.odd(attribute, bytes.len())) } else { Ok(bytes) }
    }

    fn blob(&self, attribute: &str) -> Result<Vec<u8>, IssueError> {
        self.read(attribute, MAX_BLOB_BYTES)
    }

    fn word(&self, attribute: &str) -> Result<String, IssueError> {
        let bytes = self.read(attribute, MAX_WORD_BYTES)?;
        let length = bytes.len();
        let word = String::from_utf8(bytes).map_err(|_| self.odd(attribute, length))?;
        Ok(word.trim_end().to_owned())
    }

    fn generation(&self) -> Result<u64, IssueError> {
        let word = self.word("generation")?;
        word.parse().map_err(|_| self.odd("generation", word.len()))
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        // It is empty and ours; one that stays costs the kernel a little memory.
        let _ = self.entries.remove(&self.name);
    }
}

#[cfg(test)]
#[path = "configfs_tests.rs"]
pub(super) mod tests;
