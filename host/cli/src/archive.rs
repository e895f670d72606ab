//! Reads a backup strictly: the four files of `carrara_types::backup` in their order, nothing else, each as its checksum says.
//!
//! Trusts nothing in it: no name of the archive becomes a path, and no length is believed before so many bytes were read.
//! What is in the files is not looked at; that takes the coordinator's sealing key.

use std::io::{self, ErrorKind, Read, Write};

use anyhow::{Context, Error, Result, anyhow, bail};
use carrara_types::backup::{CHECKSUMS, DESCRIPTION, Description, FILES, SMALL_FILE_BYTES, STATE};
use sha2::{Digest, Sha256};
use tar::{Archive, Entries, EntryType};

const CUT_OFF: &str =
    "it is cut off: it ends before its checksums; make the backup again, or use another one";
const DAMAGED: &str = "this is no backup of a coordinator, or it is damaged; use another one";

/// Reads all of a backup. Each file but the description and the checksums goes where `place` says.
///
/// # Errors
/// It is no backup, was written by a later version, is cut off or changed, or what was read cannot be kept. What was kept
/// by then is of no use.
pub(crate) fn read<'p>(
    source: impl Read,
    mut place: impl FnMut(&'static str) -> Result<Box<dyn Write + 'p>>,
) -> Result<Description> {
    let mut archive = Archive::new(source);
    let mut entries = archive.entries().context(DAMAGED)?.raw(true);
    let (mut description, mut sums) = (None, String::new());
    for name in FILES {
        match name {
            DESCRIPTION => {
                let mut text = Vec::new();
                copy(&mut entries, name, &mut text, &mut sums)?;
                description = Some(Description::read(&text)?);
            }
            CHECKSUMS => {
                let mut stated = Vec::new();
                let computed = sums.clone();
                copy(&mut entries, name, &mut stated, &mut sums)?;
                compare(&stated, &computed)?;
            }
            name => {
                let mut file = place(name)?;
                copy(&mut entries, name, &mut file, &mut sums)?;
                file.flush().with_context(|| format!("writing {name}"))?;
            }
        }
    }
    if entries.next().is_some() {
        bail!("{DAMAGED}: it holds more than its files");
    }
    description.ok_or_else(|| anyhow!(DAMAGED))
}

/// Copies the next file, which must have this name, and notes its checksum.
fn copy<R: Read>(
    entries: &mut Entries<'_, R>,
    name: &str,
    sink: &mut dyn Write,
    sums: &mut String,
) -> Result<()> {
    // Before the first file there is nothing that could have been cut off.
    let end = if name == DESCRIPTION { DAMAGED } else { CUT_OFF };
    let entry = entries.next().ok_or_else(|| anyhow!(end))?;
    let mut entry = entry.map_err(|error| if is_end(&error) { anyhow!(end) } else { no_entry(error) })?;
    let (header, length) = (entry.header().clone(), entry.size());
    if entry.path_bytes().as_ref() != name.as_bytes() || header.entry_type() != EntryType::Regular {
        bail!("{DAMAGED}: {name} is missing");
    }
    if name != STATE && length > SMALL_FILE_BYTES {
        bail!("{DAMAGED}: {name} is too long");
    }
    let mut digest = Sha256::new();
    let (mut chunk, mut copied) = (vec![0; 64 << 10], 0);
    loop {
        let read = entry.read(&mut chunk).with_context(|| format!("reading {name} of the backup"))?;
        let Some(piece) = chunk.get(..read).filter(|piece| !piece.is_empty()) else { break };
        digest.update(piece);
        sink.write_all(piece).with_context(|| format!("writing {name}; check that there is room"))?;
        copied += read as u64;
    }
    if copied < length {
        bail!(CUT_OFF);
    }
    sums.push_str(&format!("{}  {name}\n", hex::encode(digest.finalize())));
    Ok(())
}

/// The crate's own words hold pieces of the file, whatever that is; those of the system say what is wrong with the disk.
fn no_entry(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::Other | ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
            anyhow!(DAMAGED)
        }
        _ => anyhow!(error).context("reading the backup"),
    }
}

/// The crate has no kind of its own for an archive that ends too early.
fn is_end(error: &io::Error) -> bool {
    let text = error.to_string();
    text.contains("unexpected EOF") || text.contains("failed to read entire block")
}

fn compare(stated: &[u8], computed: &str) -> Result<()> {
    if stated == computed.as_bytes() {
        return Ok(());
    }
    let stated = String::from_utf8_lossy(stated);
    let changed = computed.lines().find(|line| !stated.lines().any(|stated| stated == *line));
    let name = changed.and_then(|line| line.split_once("  ")).map_or(CHECKSUMS, |(_, name)| name);
    bail!("the checksum of {name} in the backup does not match: it was changed or damaged; use another one")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;

    use carrara_types::backup::KEY;

    use super::*;

    /// A backup with these files, and right checksums of them.
    pub(crate) fn archive_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut sums = String::new();
        for (name, content) in files {
            sums.push_str(&format!("{}  {name}\n", hex::encode(Sha256::digest(content))));
        }
        raw(&[files, &[(CHECKSUMS, sums.as_bytes())]].concat())
    }

    fn raw(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o600);
            builder.append_data(&mut header, name, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    pub(crate) fn description() -> Vec<u8> {
        Description { state_id: [1; 16], revision: 17 }.text().into_bytes()
    }

    /// A state of more than one block, and of more than one chunk.
    pub(crate) fn good() -> Vec<u8> {
        let state = vec![7; 100_001];
        archive_of(&[(DESCRIPTION, &description()), (KEY, b"key"), (STATE, &state)])
    }

    struct Kept<'a>(&'a RefCell<Vec<(&'static str, Vec<u8>)>>);

    impl Write for Kept<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().last_mut().unwrap().1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let kept = RefCell::new(Vec::new());
        let description = read(bytes, |name| {
            kept.borrow_mut().push((name, Vec::new()));
            Ok(Box::new(Kept(&kept)))
        })?;
        assert_eq!(description.revision, 17);
        Ok(kept.into_inner())
    }

    fn refusal(bytes: &[u8]) -> String {
        format!("{:#}", read_all(bytes).unwrap_err())
    }

    #[test]
    fn a_whole_backup_is_read() {
        let kept = read_all(&good()).unwrap();
        assert_eq!(kept, [(KEY, b"key".to_vec()), (STATE, vec![7; 100_001])]);
    }

    #[test]
    fn a_backup_that_ends_anywhere_before_its_end_is_refused() {
        let good = good();
        // The archive's own end, which follows the checksums, may be missing.
        let end = good.len() - 1024 - 512 + 3 * (64 + 2) + "BACKUPsealed_keystate.redb".len() + 3;
        for length in (0..end).step_by(509).chain([511, 512, 513, end - 1]) {
            assert!(read_all(&good[..length]).is_err(), "{length} bytes");
        }
        for length in [600, 50_000, good.len() - 1024 - 512 - 512] {
            assert!(refusal(&good[..length]).contains("cut off"), "{length}: {}", refusal(&good[..length]));
        }
    }

    #[test]
    fn a_flipped_byte_in_a_file_is_found_and_the_file_named() {
        let good = good();
        let find = |word: &[u8]| good.windows(word.len()).rposition(|window| window == word).unwrap();
        for (position, name) in
            [(find(b"key\0"), KEY), (find(&[7; 9]) - 70_000, STATE), (find(b"17\n") + 1, DESCRIPTION)]
        {
            let mut bytes = good.clone();
            bytes[position] ^= 1;
            assert!(refusal(&bytes).contains(name), "{name}: {}", refusal(&bytes));
        }
    }

    #[test]
    fn other_archives_are_no_backups() {
        let other = archive_of(&[("etc/passwd", b"x")]);
        let swapped = archive_of(&[(DESCRIPTION, &description()), (STATE, b"s"), (KEY, b"k")]);
        let long = vec![0; SMALL_FILE_BYTES as usize + 1];
        let too_long = archive_of(&[(DESCRIPTION, &description()), (KEY, &long), (STATE, b"s")]);
        let more = {
            let mut bytes = good();
            bytes.truncate(bytes.len() - 1024);
            bytes.extend(raw(&[("more", b"x")]));
            bytes
        };
        for bytes in [&other, &swapped, &too_long, &more, &b"text".repeat(200).to_vec(), &Vec::new()] {
            assert!(read_all(bytes).is_err());
        }
        assert!(refusal(&swapped).contains("sealed_key is missing"), "{}", refusal(&swapped));
        let later = archive_of(&[(DESCRIPTION, b"carrara backup 2\n"), (KEY, b"k"), (STATE, b"s")]);
        assert!(refusal(&later).contains("newer"), "{}", refusal(&later));
    }

    #[test]
    fn what_is_no_archive_is_told_without_a_piece_of_it() {
        let manifest = br#"{"Packages": {"backend": {"SignerID": "abc"}}}"#.repeat(40);
        let mut headed = good();
        headed[124..136].copy_from_slice(b"private text");
        for bytes in [&manifest[..], &manifest[..100], b"", &headed] {
            assert_eq!(refusal(bytes), DAMAGED);
        }
        // Behind its beginning, too.
        let mut broken = good();
        broken[1024..1536].copy_from_slice(&manifest[..512]);
        assert_eq!(refusal(&broken), DAMAGED);
    }

    #[test]
    fn a_link_is_no_file() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, DESCRIPTION, "/etc/shadow").unwrap();
        assert!(refusal(&builder.into_inner().unwrap()).contains("is missing"));
    }
}
