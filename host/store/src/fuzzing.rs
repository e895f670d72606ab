//! The decoders of what lies in a state directory, for the fuzz targets; in no other build.
//!
//! Each reads bytes as a start would and answers how this version writes what it read.

use carrara_core::ports::{Entropy, KeyPolicy, Sealing, SealingKind};
use carrara_types::secret::SecretBytes;

use crate::head::Head;
use crate::key_file::KeyFile;
use crate::mark::Mark;
use crate::sealed::{Keyring, Place, Sealed};

const STATE_ID: [u8; 16] = [0x11; 16];
const NAME: &[u8] = b"secret:a";

struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

/// A machine that sealed nothing.
struct Foreign;

impl Sealing for Foreign {
    fn kind(&self) -> SealingKind {
        SealingKind::Tee
    }

    fn key(&self, _policy: KeyPolicy) -> Result<SecretBytes, String> {
        Ok(SecretBytes::new("sealing key", vec![0x33; 32]))
    }
}

fn keyring() -> Option<Keyring> {
    Keyring::new(&SecretBytes::new("data key", vec![0x22; 32])).ok()
}

/// A record of this revision, sealed with the key that [`opens`] tries.
#[must_use]
pub fn sealed(revision: u64, clear: &[u8]) -> Option<Vec<u8>> {
    let place = Place { state_id: &STATE_ID, name: NAME };
    Some(keyring()?.seal(place, revision, clear, &Zeros).ok()?.bytes().to_vec())
}

/// A record's frame as it is written, with its revision.
#[must_use]
pub fn frame(bytes: &[u8]) -> Option<(u64, Vec<u8>)> {
    let record = Sealed::parse(bytes)?;
    Some((record.revision(), record.bytes().to_vec()))
}

/// Whether a record opens to this clear text.
#[must_use]
pub fn opens(bytes: &[u8], clear: &[u8]) -> Option<bool> {
    let place = Place { state_id: &STATE_ID, name: NAME };
    let opened = keyring()?.open(place, &Sealed::parse(bytes)?, "fuzzed").ok()?;
    Some(opened.equals(clear))
}

/// The head of a state.
#[must_use]
pub fn head(bytes: &[u8]) -> Option<Vec<u8>> {
    Head::decode(bytes).map(|head| head.encode())
}

/// The file that holds the wrapped data key.
#[must_use]
pub fn key_file(bytes: &[u8]) -> Option<Vec<u8>> {
    KeyFile::decode(bytes).ok().map(|file| file.encode())
}

/// How many data keys of the key file a sealing key opens that sealed none of them.
#[must_use]
pub fn keys_opened(bytes: &[u8]) -> usize {
    let opened = KeyFile::decode(bytes).ok().and_then(|file| file.open(&STATE_ID, &Foreign).ok());
    opened.map_or(0, |keys| keys.len())
}

/// The clear mark of a state.
#[must_use]
pub fn mark(bytes: &[u8]) -> Option<Vec<u8>> {
    Mark::decode(bytes).ok().map(|mark| mark.encode())
}
