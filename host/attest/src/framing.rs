//! Open Enclave's report framing, in which Marbles and clients exchange SGX quotes (G-30, G-31).
//!
//! Sixteen bytes stand before the quote: version 1 (u32), type 2 (u32), length of the rest (u64), all little-endian.
//! Nothing here judges a quote; a frame says where it begins and ends. SEV-SNP's evidence has its own: [`snp`].

pub mod snp;

const HEADER_BYTES: usize = 16;
const VERSION: u32 = 1;
const SGX_REMOTE: u32 = 2;

/// Why bytes are no framed quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Shorter than a header.
    #[error("the quote is too short: {0} bytes")]
    Short(usize),
    /// Not this framing.
    #[error("the quote has an unknown header: version {version}, type {kind}")]
    Header {
        /// Must be 1.
        version: u32,
        /// Must be 2.
        kind: u32,
    },
    /// Cut off, or followed by something.
    #[error("the quote's header says {stated} bytes, but {actual} follow")]
    Length {
        /// What the header says.
        stated: u64,
        /// What there is.
        actual: usize,
    },
}

/// Puts the header before a quote (G-30).
#[must_use]
pub fn frame(quote: &[u8]) -> Vec<u8> {
    [header(SGX_REMOTE, quote.len()).as_slice(), quote].concat()
}

/// The quote behind the header (G-30).
///
/// # Errors
/// Not this framing, or not exactly as long as it says.
pub fn unframe(framed: &[u8]) -> Result<&[u8], FramingError> {
    match split_header(framed)? {
        (VERSION, SGX_REMOTE, quote) => Ok(quote),
        (version, kind, _) => Err(FramingError::Header { version, kind }),
    }
}

fn header(kind: u32, length: usize) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let fields = [&VERSION.to_le_bytes()[..], &kind.to_le_bytes(), &(length as u64).to_le_bytes()];
    for (byte, field) in header.iter_mut().zip(fields.concat()) {
        *byte = field;
    }
    header
}

/// Version, type, and what is behind the header, which must be as long as it says.
fn split_header(framed: &[u8]) -> Result<(u32, u32, &[u8]), FramingError> {
    let short = FramingError::Short(framed.len());
    let (version, rest) = framed.split_first_chunk::<4>().ok_or(short)?;
    let (kind, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
    let (stated, rest) = rest.split_first_chunk::<8>().ok_or(short)?;
    let (version, kind, stated) =
        (u32::from_le_bytes(*version), u32::from_le_bytes(*kind), u64::from_le_bytes(*stated));
    let known = version == VERSION && [SGX_REMOTE, snp::SNP].contains(&kind);
    if known && stated != rest.len() as u64 {
        return Err(FramingError::Length { stated, actual: rest.len() });
    }
    Ok((version, kind, rest))
}

/// Whether bytes look like an SGX DCAP quote without a header (G-31).
#[must_use]
pub fn is_raw_sgx_quote(bytes: &[u8]) -> bool {
    let Some([v0, v1, k0, k1, r0, r1, r2, r3, qe0, qe1, pce0, pce1, ..]) = bytes.first_chunk::<48>() else {
        return false;
    };
    u16::from_le_bytes([*v0, *v1]) == 3
        && u16::from_le_bytes([*k0, *k1]) <= 3
        && [*r0, *r1, *r2, *r3] == [0; 4]
        && [*qe0, *qe1] != [0; 2]
        && [*pce0, *pce1] != [0; 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw_quote() -> Vec<u8> {
        let mut quote = vec![0; 48];
        quote[0] = 3;
        quote[4..8].fill(0);
        quote[8] = 1;
        quote[11] = 1;
        quote
    }

    // G-30
    #[test]
    fn a_framed_quote_has_version_type_and_length_before_it() {
        let framed = frame(&[0xab, 0xcd]);
        assert_eq!(framed, [1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd]);
        assert_eq!(unframe(&framed), Ok(&[0xab, 0xcd][..]));
        assert_eq!(unframe(&frame(&[])), Ok(&[][..]));
    }

    // G-30
    #[test]
    fn a_frame_that_is_cut_off_continued_or_of_another_kind_is_refused() {
        let framed = frame(&[1, 2]);
        assert_eq!(unframe(&framed[..15]), Err(FramingError::Short(15)));
        assert_eq!(unframe(&framed[..17]), Err(FramingError::Length { stated: 2, actual: 1 }));
        let longer = [&framed[..], &[0]].concat();
        assert_eq!(unframe(&longer), Err(FramingError::Length { stated: 2, actual: 3 }));
        let mut other = framed.clone();
        other[0] = 2;
        assert_eq!(unframe(&other), Err(FramingError::Header { version: 2, kind: 2 }));
        let mut other = framed;
        other[4] = 1;
        assert_eq!(unframe(&other), Err(FramingError::Header { version: 1, kind: 1 }));
        let endless = [&frame(&[])[..8], &[0xff; 8]].concat();
        assert_eq!(unframe(&endless), Err(FramingError::Length { stated: u64::MAX, actual: 0 }));
    }

    // G-31
    #[test]
    fn a_raw_quote_is_recognised() {
        assert!(is_raw_sgx_quote(&raw_quote()));
        let mut kind = raw_quote();
        kind[2] = 3;
        assert!(is_raw_sgx_quote(&kind));
    }

    // G-31
    #[test]
    fn every_condition_of_a_raw_quote_counts() {
        let changes: [(usize, u8); 10] =
            [(0, 2), (0, 4), (1, 1), (2, 4), (4, 1), (5, 1), (6, 1), (7, 1), (8, 0), (11, 0)];
        for (at, value) in changes {
            let mut quote = raw_quote();
            quote[at] = value;
            assert!(!is_raw_sgx_quote(&quote), "byte {at}");
        }
        assert!(!is_raw_sgx_quote(&raw_quote()[..47]));
        assert!(!is_raw_sgx_quote(&frame(&raw_quote())));
    }
}
