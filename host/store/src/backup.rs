//! A sealed copy of an open state, made while readers and writers go on.
//!
//! A view is one revision and never changes, so nothing is locked. The copy is a tar archive in a file without a name
//! beside the state: it costs disk space and no memory, is there whole before its first byte is read, and is gone when it
//! was read or the process ends. It holds ciphertext and the wrapped data key, nothing that the disk does not hold anyway.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use ::redb::StorageBackend;
use aws_lc_rs::digest::{Context, SHA256};
use carrara_core::ports::{Backup, StoreError, WriteFailure};
use carrara_types::backup::{CHECKSUMS, DESCRIPTION, Description, KEY, STATE};
use rustix::fs::{MemfdFlags, memfd_create};
use tar::{EntryType, Header};

use crate::files::{create_private, remove_if_there};
use crate::key_file::KeyFile;
use crate::redb::write_copy;
use crate::remedy::fault;
use crate::view::{OpenState, View};

/// A tar archive is made of blocks; every file in it begins at one.
const BLOCK: u64 = 512;
/// At the archive's end: two empty blocks.
const END: [u8; 1024] = [0; 1024];

/// Seen only if the process ends between two system calls.
const NAME: &str = "backup.new";

/// redb's cache while a copy is written.
const CACHE_BYTES: usize = 4 << 20;

/// Copies the state of a view. `directory` is where the copy lies until it was read; `None` is for tests: in memory.
pub(crate) fn copy(view: &View, directory: Option<&Path>) -> Result<Backup, StoreError> {
    let Some(open) = &view.open else { return Err(StoreError::NotOpen) };
    // Where nothing is written, nothing wraps the data key.
    let Some(key_file) = open.data_key.file() else { return Err(StoreError::NotOpen) };
    let made = nameless(directory).and_then(|file| write(open, key_file, file));
    let (file, length) = made.map_err(|error| {
        let place = directory.map_or_else(|| "memory".into(), |path| path.display().to_string());
        let text = format!(
            "making a copy of the state in {place}: {error}; a backup needs room for a second copy of the state there"
        );
        StoreError::Write(WriteFailure::of_disk(fault(&error), text))
    })?;
    Ok(Backup { revision: open.state.revision, length, content: Box::new(BufReader::new(file)) })
}

/// Writes the archive; gives back its file, at its beginning, and its length.
fn write(open: &OpenState, key_file: &KeyFile, file: File) -> io::Result<(File, u64)> {
    let description = Description { state_id: open.state.mark.state_id, revision: open.state.revision };
    let mut archive = Archive { file, sums: String::new() };
    archive.append(DESCRIPTION, description.text().as_bytes())?;
    archive.append(KEY, &key_file.encode())?;
    archive.append_state(open)?;
    let sums = std::mem::take(&mut archive.sums);
    archive.append(CHECKSUMS, sums.as_bytes())?;
    let mut file = archive.file;
    file.write_all(&END)?;
    let length = file.stream_position()?;
    file.rewind()?;
    Ok((file, length))
}

/// A new file that is gone as soon as nobody has it open.
fn nameless(directory: Option<&Path>) -> io::Result<File> {
    let Some(directory) = directory else {
        return Ok(memfd_create("backup", MemfdFlags::CLOEXEC)?.into());
    };
    let path = directory.join(NAME);
    // What a process left that ended just here; or somebody's who has it open and needs no name any more.
    remove_if_there(&path)?;
    let file = create_private(&path)?;
    remove_if_there(&path)?;
    Ok(file)
}

/// An archive on its way.
struct Archive {
    /// At its end.
    file: File,
    /// A line for each file in it.
    sums: String,
}

impl Archive {
    fn append(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.file.write_all(header(name, content.len() as u64)?.as_bytes())?;
        self.file.write_all(content)?;
        let mut digest = Context::new(&SHA256);
        digest.update(content);
        self.close(name, digest)
    }

    /// redb writes its file where the archive wants it.
    fn append_state(&mut self, open: &OpenState) -> io::Result<()> {
        let start = self.file.stream_position()?;
        let begin = start + BLOCK;
        write_copy(Window { file: self.file.try_clone()?, begin }, CACHE_BYTES, open).map_err(|error| {
            match error {
                ::redb::Error::Io(error) => error,
                error => io::Error::other(error.to_string()),
            }
        })?;
        let length = self.file.seek(SeekFrom::End(0))? - begin;
        self.file.write_all_at(header(STATE, length)?.as_bytes(), start)?;
        self.file.seek(SeekFrom::Start(begin))?;
        let mut digest = Context::new(&SHA256);
        let mut chunk = vec![0; 64 << 10];
        loop {
            match self.file.read(&mut chunk)? {
                0 => break self.close(STATE, digest),
                read => digest.update(chunk.get(..read).unwrap_or_default()),
            }
        }
    }

    /// Fills the last block and notes the checksum.
    fn close(&mut self, name: &str, digest: Context) -> io::Result<()> {
        let end = self.file.stream_position()?.next_multiple_of(BLOCK);
        self.file.set_len(end)?;
        self.file.seek(SeekFrom::Start(end))?;
        self.sums.push_str(&format!("{}  {name}\n", hex::encode(digest.finish())));
        Ok(())
    }
}

fn header(name: &str, length: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(length);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

/// A file from an offset on, as redb sees it. Never durable: whoever restores it makes it so.
#[derive(Debug)]
struct Window {
    file: File,
    begin: u64,
}

impl StorageBackend for Window {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len().saturating_sub(self.begin))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, self.begin + offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(self.begin + len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, self.begin + offset)
    }
}
