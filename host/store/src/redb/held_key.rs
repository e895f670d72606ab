//! `sealed_key` while the coordinator runs: a write that is answered must not need a recovery after the next start.
//!
//! Before every write one look at the file's place, size and times; only when they changed its content. A file that is
//! gone is written again; one that does not hold the state's key is somebody's, and stays until they decide.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use carrara_core::ports::StoreError;

use super::Redb;
use crate::files::read_small;
use crate::key_file::KeyFile;

/// What the key's file has to hold.
pub(super) struct HeldKey {
    /// Encoded.
    key_file: Vec<u8>,
    /// How the file was when it last held that.
    seen: Option<Seen>,
}

/// Differs whenever the file may have changed.
#[derive(PartialEq, Eq)]
struct Seen {
    file: (u64, u64, u64),
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    fn at(path: &Path) -> Option<Self> {
        let found = std::fs::symlink_metadata(path).ok()?;
        Some(Self {
            file: (found.dev(), found.ino(), found.size()),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

impl Redb {
    /// From now on the key's file has to hold this; whether it does is looked at before the next write.
    pub(crate) fn hold_key(&mut self, key_file: &[u8]) {
        self.held_key = Some(HeldKey { key_file: key_file.to_vec(), seen: None });
    }

    /// Whether a start would find the state's key.
    pub(super) fn check_key(&mut self) -> Result<(), StoreError> {
        let path = self.directory.key();
        let Some(held) = &self.held_key else { return Ok(()) };
        let seen = Seen::at(&path);
        if seen.is_some() && seen == held.seen {
            return Ok(());
        }
        match read_small(&path) {
            Ok(found) if found == held.key_file || KeyFile::holds(&found, &held.key_file) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.directory.replace_key(&held.key_file).map_err(|error| self.failed(&error))?;
                let path = path.display();
                tracing::warn!("{path} was removed while the coordinator runs: it is written again");
                return Ok(());
            }
            found => return Err(not_held(&path, found.err())),
        }
        // As it was before it was read: a change meanwhile is seen the next time.
        if let Some(held) = &mut self.held_key {
            held.seen = seen;
        }
        Ok(())
    }
}

fn not_held(path: &Path, error: Option<std::io::Error>) -> StoreError {
    let path = path.display();
    let cause = error.map_or_else(String::new, |error| format!(" ({error})"));
    let text = format!(
        "{path} was replaced while the coordinator runs and does not hold the state's key{cause}: put the file that was \
         there back, or move away what is there, and the coordinator writes it again"
    );
    StoreError::Write(text.into())
}
