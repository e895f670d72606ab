//! For tests: files as tools make them. Compiled into tests only (feature `testing`).

use super::{HEADER, HEADER2, SIGSTRUCT_BYTES};

/// A SIGSTRUCT whose fields are told apart: MRENCLAVE `ab..`, ISVPRODID 0x0107, ISVSVN 0x0203; the modulus is `11..`.
#[must_use]
pub fn sigstruct() -> Vec<u8> {
    let mut bytes = vec![0; SIGSTRUCT_BYTES];
    let fields: [(usize, &[u8]); 6] = [
        (0, &HEADER),
        (24, &HEADER2),
        (128, &[0x11; 384]),
        (960, &[0xab; 32]),
        (1024, &0x0107_u16.to_le_bytes()),
        (1026, &0x0203_u16.to_le_bytes()),
    ];
    for (from, field) in fields {
        for (byte, value) in bytes.iter_mut().skip(from).zip(field) {
            *byte = *value;
        }
    }
    bytes
}

/// The same for debug mode.
#[must_use]
pub fn debug_sigstruct() -> Vec<u8> {
    let mut bytes = sigstruct();
    if let Some(flags) = bytes.get_mut(928) {
        *flags = 4 | 2;
    }
    bytes
}

/// An ELF file of 64 bits with one section of this name and content, besides that of names.
#[must_use]
pub fn elf(section: &str, content: &[u8]) -> Vec<u8> {
    const HEADER_BYTES: usize = 64;
    const SECTION_BYTES: usize = 64;
    let names = [b"\0.shstrtab\0".as_slice(), section.as_bytes(), b"\0"].concat();
    let names_at = HEADER_BYTES + content.len();
    let table_at = (names_at + names.len()).next_multiple_of(8);
    let word = |value: usize| (value as u64).to_le_bytes();
    let half = |value: u16| value.to_le_bytes();
    let mut file = Vec::new();
    // Identification: 64 bits, little-endian, version 1. Then a shared object for x86-64, version 1.
    file.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 62, 0, 1, 0, 0, 0]);
    file.extend([word(0), word(0), word(table_at)].concat());
    // Flags; sizes of headers; three sections, of which the second one has the names.
    file.extend([0; 4]);
    file.extend([half(64), half(0), half(0), half(64), half(3), half(1)].concat());
    file.extend(content);
    file.extend(&names);
    file.resize(table_at, 0);
    let entry = |name: u32, kind: u32, at: usize, length: usize| {
        let mut entry = [name.to_le_bytes(), kind.to_le_bytes()].concat();
        entry.extend([word(0), word(0), word(at), word(length), word(0), word(1), word(0)].concat());
        entry
    };
    file.extend([0; SECTION_BYTES]);
    file.extend(entry(1, 3, names_at, names.len()));
    file.extend(entry(11, 1, HEADER_BYTES, content.len()));
    file
}
