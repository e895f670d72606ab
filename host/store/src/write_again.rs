//! After a failed transaction: makes what reads of a file show what is on the disk.
//!
//! When a sync fails, the system may keep pages that it could not write and call them written; reads show them, the next
//! sync says nothing, and a loss of power takes them. Writing everything again and syncing that leaves no such page.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::step;

/// What is read at once.
const CHUNK: usize = 1 << 16;
/// What the system and redb write as a whole.
const PAGE: usize = 4096;

/// Writes every page of the file as it is read, and syncs. Pages of zeros are left alone: redb refers to none, and on a
/// full disk a hole cannot be filled.
pub(crate) fn write_again(path: &Path) -> io::Result<()> {
    step::reach("settle.begin")?;
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let length = match file.read_at(&mut chunk, offset) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for page in chunk.get(..length).unwrap_or_default().chunks(PAGE) {
            if page.iter().any(|byte| *byte != 0) {
                file.write_all_at(page, offset)?;
            }
            offset += page.len() as u64;
        }
    }
    file.sync_all()?;
    step::reach("settle.synced")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_file_stays_the_same_to_the_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for length in [0, 1, PAGE - 1, PAGE, CHUNK, CHUNK + PAGE + 1] {
            let bytes: Vec<u8> = (0..length).map(|index| if index < PAGE { 0 } else { 7 }).collect();
            fs::write(&path, &bytes).unwrap();
            write_again(&path).unwrap();
            assert!(fs::read(&path).unwrap() == bytes, "{length} bytes");
        }
        assert!(write_again(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn holes_stay_holes() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::File::create(&path).unwrap().set_len(1 << 24).unwrap();
        write_again(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().blocks(), 0);
    }
}
