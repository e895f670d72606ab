//! The table of certificates that a host gives with an SEV-SNP report (GHCB, AMD 56421, MSG_REPORT_REQ).
//!
//! Entries of 24 bytes: GUID, offset (u32), length (u32); a GUID of zeros ends it. The host writes it: nothing of it is
//! trusted, and what does not fit is left out, so that the verifier says what it misses.

use crate::framing::snp::MAX_CERTIFICATE_BYTES;

const ENTRY_BYTES: usize = 24;
/// Eight kinds are known.
const MAX_ENTRIES: usize = 16;

const VCEK: [u8; 16] = hex_guid("63da758de6644564adc5f4b93be8accd");
const VLEK: [u8; 16] = hex_guid("a8074bc2a25a483eaae639c045a0b8a1");
const ASK: [u8; 16] = hex_guid("4ab7b379bbac4fe4a02f05aef327c782");
const ARK: [u8; 16] = hex_guid("c0b406a4a803495297433fb6014cd0ae");

/// DER, or empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Certificates {
    pub(super) leaf: Vec<u8>,
    pub(super) intermediate: Vec<u8>,
    pub(super) root: Vec<u8>,
}

impl Certificates {
    /// Those that the table has. A VCEK is taken before a VLEK.
    pub(super) fn of_table(table: &[u8]) -> Self {
        let find = |guid: &[u8; 16]| find(table, guid).unwrap_or_default();
        let mut leaf = find(&VCEK);
        if leaf.is_empty() {
            leaf = find(&VLEK);
        }
        Self { leaf, intermediate: find(&ASK), root: find(&ARK) }
    }
}

fn find(table: &[u8], wanted: &[u8; 16]) -> Option<Vec<u8>> {
    for entry in table.chunks_exact(ENTRY_BYTES).take(MAX_ENTRIES) {
        let (guid, place) = entry.split_first_chunk::<16>()?;
        if *guid == [0; 16] {
            return None;
        }
        if guid != wanted && *guid != mixed_endian(wanted) {
            continue;
        }
        let (offset, length) = place.split_first_chunk()?;
        let offset = usize::try_from(u32::from_le_bytes(*offset)).ok()?;
        let length = usize::try_from(u32::from_le_bytes(*length.first_chunk()?)).ok()?;
        let bytes = table.get(offset..offset.checked_add(length)?)?;
        return der(bytes).filter(|der| der.len() <= MAX_CERTIFICATE_BYTES);
    }
    None
}

/// Some hosts keep PEM in the table.
fn der(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.starts_with(b"-----BEGIN") {
        return pem::parse(bytes).ok().map(pem::Pem::into_contents);
    }
    Some(bytes.to_vec())
}

/// AMD's tools write a GUID's digits in their order, some hosts its first three fields little-endian.
fn mixed_endian(guid: &[u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *guid;
    let [i, j, k, l, m, n, o, p] = rest;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

/// 32 digits, at compile time.
#[allow(clippy::indexing_slicing)]
const fn hex_guid(digits: &str) -> [u8; 16] {
    const fn digit(byte: u8) -> u8 {
        if byte.is_ascii_digit() { byte - b'0' } else { byte - b'a' + 10 }
    }
    let digits = digits.as_bytes();
    let mut guid = [0; 16];
    let mut at = 0;
    while at < 16 {
        guid[at] = digit(digits[2 * at]) << 4 | digit(digits[2 * at + 1]);
        at += 1;
    }
    guid
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A table as a host makes it.
    pub(in crate::issue) fn table(certificates: &[(&str, &[u8])]) -> Vec<u8> {
        let guid = |name: &str| match name {
            "VCEK" => VCEK,
            "VLEK" => VLEK,
            "ASK" => ASK,
            "ARK" => ARK,
            _ => [9; 16],
        };
        let guids: Vec<_> = certificates.iter().map(|(name, bytes)| (guid(name), *bytes)).collect();
        written(&guids)
    }

    fn written(certificates: &[([u8; 16], &[u8])]) -> Vec<u8> {
        let mut offset = ENTRY_BYTES * (certificates.len() + 1);
        let (mut table, mut bytes) = (Vec::new(), Vec::new());
        for (guid, certificate) in certificates {
            table.extend(guid);
            table.extend(u32::try_from(offset).unwrap().to_le_bytes());
            table.extend(u32::try_from(certificate.len()).unwrap().to_le_bytes());
            bytes.extend(*certificate);
            offset += certificate.len();
        }
        table.extend([0; ENTRY_BYTES]);
        [table, bytes].concat()
    }

    #[test]
    fn certificates_are_found_by_their_guids() {
        let found = Certificates::of_table(&table(&[
            ("other", b"x"),
            ("ARK", b"ark"),
            ("VLEK", b"vlek"),
            ("ASK", b"ask"),
        ]));
        let expected =
            Certificates { leaf: b"vlek".to_vec(), intermediate: b"ask".to_vec(), root: b"ark".to_vec() };
        assert_eq!(found, expected);
        let both = Certificates::of_table(&table(&[("VLEK", b"vlek"), ("VCEK", b"vcek")]));
        assert_eq!(both.leaf, b"vcek");
    }

    #[test]
    fn both_orders_of_a_guid_s_bytes_are_known() {
        assert_eq!(VCEK[..4], [0x63, 0xda, 0x75, 0x8d]);
        let table = written(&[(mixed_endian(&VCEK), b"vcek")]);
        assert_eq!(table[..4], [0x8d, 0x75, 0xda, 0x63]);
        assert_eq!(Certificates::of_table(&table).leaf, b"vcek");
    }

    #[test]
    fn pem_becomes_der() {
        let text = pem::encode(&pem::Pem::new("CERTIFICATE", *b"der"));
        assert_eq!(Certificates::of_table(&table(&[("ASK", text.as_bytes())])).intermediate, b"der");
        let broken = Certificates::of_table(&table(&[("ASK", b"-----BEGIN X")]));
        assert_eq!(broken, Certificates::default());
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_nothing_behind_the_end_is_read() {
        let good = table(&[("VCEK", b"vcek"), ("ASK", b"ask")]);
        for end in 0..good.len() {
            Certificates::of_table(&good[..end]);
        }
        let mut beyond = good.clone();
        beyond[16..20].fill(0xff);
        assert_eq!(Certificates::of_table(&beyond).leaf, b"");
        assert_eq!(Certificates::of_table(&beyond).intermediate, b"ask");
        let mut ended = good;
        ended[..16].fill(0);
        assert_eq!(Certificates::of_table(&ended), Certificates::default());
        let long = vec![1; MAX_CERTIFICATE_BYTES + 1];
        assert_eq!(Certificates::of_table(&table(&[("VCEK", &long)])).leaf, b"");
    }
}
