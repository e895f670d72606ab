//! SIGSTRUCT, where tools put it (cli.md section 3, `package-info`).

use std::io::Cursor;

use super::fixtures::{debug_sigstruct, elf, sigstruct};
use super::*;

fn expected() -> Sigstruct {
    Sigstruct {
        unique_id: [0xab; 32],
        signer_id: Sha256::digest([0x11; 384]).into(),
        product_id: 0x0107,
        security_version: 0x0203,
        debug: false,
    }
}

#[test]
fn a_sigstruct_is_found_wherever_it_begins() {
    assert_eq!(Sigstruct::find(&sigstruct()), Some(expected()));
    let within = [&[0x06; 37][..], &sigstruct(), &[0xff; 5]].concat();
    assert_eq!(Sigstruct::find(&within), Some(expected()));
    assert_eq!(Sigstruct::find(&debug_sigstruct()), Some(Sigstruct { debug: true, ..expected() }));
}

#[test]
fn a_header_alone_or_a_sigstruct_that_is_cut_off_is_none() {
    for length in [0, 16, 1028, SIGSTRUCT_BYTES - 1] {
        assert_eq!(Sigstruct::find(&sigstruct()[..length]), None, "{length}");
    }
    for byte in (0..16).chain(24..40) {
        let mut other = sigstruct();
        other[byte] ^= 1;
        assert_eq!(Sigstruct::find(&other), None, "byte {byte}");
    }
}

#[test]
fn a_header_without_the_second_one_does_not_hide_what_follows() {
    let mut false_start = sigstruct();
    false_start[24] = 0;
    assert_eq!(Sigstruct::find(&[false_start, sigstruct()].concat()), Some(expected()));
}

#[test]
fn a_section_is_read_by_its_name() {
    for name in [OE_SECTION, SDK_SECTION] {
        let file = elf(name, b"content");
        let found = section(Cursor::new(&file), &[OE_SECTION, SDK_SECTION]).unwrap();
        assert_eq!(found, Some((name, b"content".to_vec())));
    }
    assert!(section(Cursor::new(&elf(".other", b"content")), &[OE_SECTION]).unwrap().is_none());
}

#[test]
fn files_that_are_none_or_damaged_are_refused_and_end_nothing() {
    let file = elf(OE_SECTION, &sigstruct());
    assert!(section(Cursor::new(b"text"), &[OE_SECTION]).is_err());
    for length in 0..file.len() {
        assert!(section(Cursor::new(&file[..length]), &[OE_SECTION]).is_err(), "{length}");
    }
    for byte in 0..file.len() {
        let mut changed = file.clone();
        changed[byte] ^= 0xff;
        let _ = section(Cursor::new(&changed), &[OE_SECTION]);
    }
    // The size of the third section.
    let mut large = file.clone();
    let size = file.len() - 64 + 32;
    large[size..size + 8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    let error = section(Cursor::new(&large), &[OE_SECTION]).unwrap_err();
    assert!(matches!(error, ElfError::TooLarge { .. }), "{error}");
}
