//! As much DER as the extension of platform certificates needs, and AMD's certificates.

/// Intel's arc 1.2.840.113741.1.13.1 and what comes below it.
const INTEL: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01];

pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match length {
        [0, short] if short < 0x80 => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [head, content.to_vec()].concat()
}

pub(super) fn sequence(items: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &items.concat())
}

pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    element(0x04, content)
}

pub(super) fn enumerated(value: u8) -> Vec<u8> {
    element(0x0a, &[value])
}

/// A number that is not negative.
pub(super) fn integer(value: u16) -> Vec<u8> {
    let bytes = match value.to_be_bytes() {
        [0, low] if low < 0x80 => vec![low],
        [0, low] => vec![0, low],
        [high, low] if high < 0x80 => vec![high, low],
        [high, low] => vec![0, high, low],
    };
    element(0x02, &bytes)
}

/// A value under its identifier, as the extension lists them.
pub(super) fn named(arcs: &[u8], value: Vec<u8>) -> Vec<u8> {
    sequence(&[element(0x06, &[&INTEL[..], arcs].concat()), value])
}
