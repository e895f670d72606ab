//! redb's file in a test build: every write, change of length and sync of it is a step at which tests die or fail.

use std::io;
use std::ops::Bound;

use ::redb::backends::FileBackend;
use ::redb::{BackendError, StorageBackend};

use crate::step;

/// The file, watched.
#[derive(Debug)]
pub(crate) struct Watched(pub(crate) FileBackend);

type At = Bound<u64>;

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        step::reach("file.read")?;
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        step::reach("file.length")?;
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        step::reach("file.sync")?;
        self.0.sync_data()?;
        step::reach("file.synced")
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        step::reach("file.write")?;
        self.0.write(offset, data)?;
        step::reach("file.written")
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: At, end: At) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: At, end: At) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: At, end: At) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: At, end: At) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: At, end: At) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: At, end: At) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}
