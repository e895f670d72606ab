//! Why the state was not written, for two readers: the log has the whole text, with places; who asked hears the kind of
//! fault and its remedy, which name no place and hold no secret.

use std::fmt;

/// A fault of the disk that holds the state, by what ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// No space.
    Full,
    /// No space for the coordinator's user.
    Quota,
    /// Mounted read-only.
    ReadOnly,
    /// Not writable for the coordinator's user.
    Forbidden,
    /// A limit of the process for the size of files.
    FileSize,
    /// A limit for open files.
    OpenFiles,
    /// What was there has been moved away.
    Missing,
    /// Whatever else a device or a file system reports.
    Io,
}

impl DiskFault {
    const fn public(self) -> &'static str {
        match self {
            Self::Full => "the disk is full; make room and send it again",
            Self::Quota => {
                "the disk quota of the coordinator's user is used up; make room or raise it, and send it again"
            }
            Self::ReadOnly => "the disk is read-only; make it writable and send it again",
            Self::Forbidden => {
                "the coordinator may not write to its state directory; permit it and send it again"
            }
            Self::FileSize => {
                "a file has reached the limit of file sizes (ulimit -f); raise it, restart the coordinator, and send it \
                 again"
            }
            Self::OpenFiles => {
                "the limit of open files (ulimit -n) is reached; send it again later, or raise the limit"
            }
            Self::Missing => {
                "the state directory or a file of it is gone; put it back and send it again; the coordinator's log \
                 names it"
            }
            Self::Io => "the disk failed (I/O error); see the coordinator's log, and check the disk",
        }
    }
}

/// What whoever asked hears.
impl fmt::Display for DiskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.public())
    }
}

/// Why a write failed. `Display` is for the log: it says what and what to do, with places, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFailure {
    text: String,
    fault: Option<DiskFault>,
}

impl WriteFailure {
    /// Of the disk.
    pub fn of_disk(fault: DiskFault, text: impl Into<String>) -> Self {
        Self { text: text.into(), fault: Some(fault) }
    }

    /// The disk's fault, if it is one: all that may be told outside the log.
    #[must_use]
    pub const fn fault(&self) -> Option<DiskFault> {
        self.fault
    }
}

/// One that is for the log alone.
impl<T: Into<String>> From<T> for WriteFailure {
    fn from(text: T) -> Self {
        Self { text: text.into(), fault: None }
    }
}

impl fmt::Display for WriteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_reads_the_whole_text_and_others_the_kind_of_fault_with_its_remedy() {
        let failure = WriteFailure::of_disk(DiskFault::Full, "/secret/place: no space");
        assert_eq!(failure.to_string(), "/secret/place: no space");
        let told = failure.fault().unwrap().to_string();
        assert_eq!(told, "the disk is full; make room and send it again");
        assert_eq!(WriteFailure::from("a record is too long").fault(), None);
    }
}
