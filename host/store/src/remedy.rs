//! What to do about an I/O error, for messages.

use std::io::{Error, ErrorKind};

use carrara_core::ports::DiskFault;

/// EMFILE and ENFILE have no kind of their own.
const TOO_MANY_FILES: [i32; 2] = [24, 23];

/// The remedy, without the cause.
pub(crate) fn remedy(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull => "free space on its file system",
        ErrorKind::QuotaExceeded => "free space, or raise the quota of the coordinator's user",
        ErrorKind::FileTooLarge => {
            "raise the limit of file sizes (ulimit -f) and start the coordinator again"
        }
        ErrorKind::ReadOnlyFilesystem => "mount its file system writable",
        ErrorKind::PermissionDenied => "make it writable for the coordinator, or choose another one",
        ErrorKind::CrossesDevices => {
            "make its archive a directory in it, on the same file system: no link and no mount"
        }
        // The store's own: the system's has a number.
        ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
            "move away what is no file there, and put the files themselves in its place, no links"
        }
        ErrorKind::NotFound => "put it back where it was",
        _ if too_many_files(error) => {
            "raise the limit of open files (ulimit -n), or wait until connections end"
        }
        _ => "check the disk and the file system, or choose another directory",
    }
}

/// What of it may be told outside the log.
pub(crate) fn fault(error: &Error) -> DiskFault {
    match error.kind() {
        ErrorKind::StorageFull => DiskFault::Full,
        ErrorKind::QuotaExceeded => DiskFault::Quota,
        ErrorKind::FileTooLarge => DiskFault::FileSize,
        ErrorKind::ReadOnlyFilesystem => DiskFault::ReadOnly,
        ErrorKind::PermissionDenied => DiskFault::Forbidden,
        ErrorKind::NotFound => DiskFault::Missing,
        _ if too_many_files(error) => DiskFault::OpenFiles,
        _ => DiskFault::Io,
    }
}

fn too_many_files(error: &Error) -> bool {
    error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_failures_of_a_disk_have_a_remedy_of_their_own() {
        for (code, word) in [
            (28, "free space"),
            (122, "quota"),
            (27, "ulimit -f"),
            (30, "writable"),
            (13, "writable"),
            (2, "put it back"),
            (24, "ulimit -n"),
            (18, "archive"),
            (5, "check the disk"),
        ] {
            let text = remedy(&Error::from_raw_os_error(code));
            assert!(text.contains(word), "{code}: {text}");
        }
    }

    #[test]
    fn whoever_asked_hears_the_kind_of_fault() {
        for (code, kind) in [
            (28, DiskFault::Full),
            (122, DiskFault::Quota),
            (27, DiskFault::FileSize),
            (30, DiskFault::ReadOnly),
            (13, DiskFault::Forbidden),
            (2, DiskFault::Missing),
            (24, DiskFault::OpenFiles),
            (23, DiskFault::OpenFiles),
            (5, DiskFault::Io),
        ] {
            assert_eq!(fault(&Error::from_raw_os_error(code)), kind, "{code}");
        }
    }
}
