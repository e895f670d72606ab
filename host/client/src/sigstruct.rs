//! What a signed SGX enclave's file says of its identity: SIGSTRUCT (Intel SDM volume 3D, "Enclave Signature Structure").
//!
//! Found by its two headers, in the section where Open Enclave or Intel's SDK keeps it, or in a file of its own. Its
//! signature is not verified: the processor does that when the enclave is started, and nobody is to be trusted because of
//! such a file. It only says what to expect.

use std::io::{Read, Seek};

use object::read::elf::ElfFile64;
use object::read::{Object as _, ObjectSection as _, ReadCache};
use sha2::{Digest as _, Sha256};

/// Bytes of a SIGSTRUCT.
pub const SIGSTRUCT_BYTES: usize = 1808;

/// Open Enclave's and EGo's section.
pub const OE_SECTION: &str = ".oeinfo";

/// The section of Intel's SDK, in which Occlum is signed.
pub const SDK_SECTION: &str = ".note.sgxmeta";

/// HEADER, at the beginning.
const HEADER: [u8; 16] = [0x06, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0, 0];
/// HEADER2, behind vendor and date.
const HEADER2: [u8; 16] = [0x01, 0x01, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 0x01, 0, 0, 0];

/// The sections have some kilobytes. A file that says more is damaged.
const MOST_SECTION_BYTES: u64 = 4 << 20;

/// DEBUG of ATTRIBUTES.
const DEBUG: u8 = 2;

/// The identity of an enclave as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sigstruct {
    /// MRENCLAVE.
    pub unique_id: [u8; 32],
    /// MRSIGNER: the SHA-256 of the signing key's modulus.
    pub signer_id: [u8; 32],
    /// ISVPRODID.
    pub product_id: u16,
    /// ISVSVN.
    pub security_version: u16,
    /// Whether it was signed to run in debug mode.
    pub debug: bool,
}

/// Why an ELF file's section cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// Not ELF, not of 64 bits, or damaged.
    #[error("it is no ELF file of 64 bits, or it is damaged")]
    Malformed(#[from] object::read::Error),
    /// Larger than any such section.
    #[error(
        "its section {section} is said to have {bytes} bytes; more than {MOST_SECTION_BYTES} are not read"
    )]
    TooLarge {
        /// Its name.
        section: &'static str,
        /// What the file says.
        bytes: u64,
    },
}

impl Sigstruct {
    /// The first one in these bytes that is whole.
    #[must_use]
    pub fn find(bytes: &[u8]) -> Option<Self> {
        bytes.windows(SIGSTRUCT_BYTES).find_map(Self::read)
    }

    /// Reads one from its beginning; what is behind it is not looked at.
    fn read(bytes: &[u8]) -> Option<Self> {
        let field = |from: usize, length: usize| bytes.get(from..from.checked_add(length)?);
        let array = |from| <[u8; 32]>::try_from(field(from, 32)?).ok();
        let number = |from| Some(u16::from_le_bytes(field(from, 2)?.try_into().ok()?));
        if field(0, 16)? != HEADER || field(24, 16)? != HEADER2 {
            return None;
        }
        Some(Self {
            unique_id: array(960)?,
            signer_id: Sha256::digest(field(128, 384)?).into(),
            product_id: number(1024)?,
            security_version: number(1026)?,
            debug: field(928, 1)?.iter().any(|flags| flags & DEBUG != 0),
        })
    }
}

/// The content of the first of these sections that an ELF file has, and its name. Only what is needed is read: binaries
/// may be large.
///
/// # Errors
/// It is no ELF file, or damaged.
pub fn section(
    file: impl Read + Seek,
    names: &[&'static str],
) -> Result<Option<(&'static str, Vec<u8>)>, ElfError> {
    let cache = ReadCache::new(file);
    let elf = ElfFile64::<object::LittleEndian, _>::parse(&cache)?;
    for name in names {
        let Some(section) = elf.section_by_name_bytes(name.as_bytes()) else { continue };
        if section.size() > MOST_SECTION_BYTES {
            return Err(ElfError::TooLarge { section: name, bytes: section.size() });
        }
        return Ok(Some((name, section.data()?.to_vec())));
    }
    Ok(None)
}

#[cfg(any(test, feature = "testing"))]
pub mod fixtures;
#[cfg(test)]
mod tests;
