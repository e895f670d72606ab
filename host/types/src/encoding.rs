//! Base64 and hex as the manifest and the API read them (M-9, M-13, R-37, S-50).
//!
//! Standard alphabet with mandatory padding; CR and LF inside are skipped, any other white space is an error. The
//! positions in the errors are those that Go's decoders report, since clients have seen them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Why a text is no base64: where decoding stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("illegal base64 data at input byte {0}")]
pub struct Base64Error(pub usize);

/// Why a text is no hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// A digit is missing.
    #[error("encoding/hex: odd length hex string")]
    OddLength,
    /// Something else than a digit.
    #[error("encoding/hex: invalid byte: U+{:04X} {}", *.0, quoted(*.0))]
    InvalidByte(u8),
}

/// Decodes standard base64.
///
/// # Errors
/// Where the text stops being base64.
pub fn decode_base64(text: &str) -> Result<Vec<u8>, Base64Error> {
    // Nearly all input is well-formed; only the rest needs the slow way.
    match STANDARD.decode(text) {
        Ok(bytes) => Ok(bytes),
        Err(_) => decode_slowly(text.as_bytes()),
    }
}

/// Encodes standard base64 with padding.
#[must_use]
pub fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes hex of either case.
///
/// # Errors
/// The first byte that is no digit, else an odd length.
pub fn decode_hex(text: &str) -> Result<Vec<u8>, HexError> {
    if let Some(wrong) = text.bytes().find(|byte| !byte.is_ascii_hexdigit()) {
        return Err(HexError::InvalidByte(wrong));
    }
    hex::decode(text).map_err(|_| HexError::OddLength)
}

/// A byte as Go's `%#U` shows it.
fn quoted(byte: u8) -> String {
    format!("'{}'", char::from(byte).escape_debug())
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Skips line breaks from `at` on.
fn after_breaks(source: &[u8], mut at: usize) -> usize {
    while matches!(source.get(at), Some(b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Quantum by quantum, with Go's leniency (line breaks, trailing bits) and Go's positions.
fn decode_slowly(source: &[u8]) -> Result<Vec<u8>, Base64Error> {
    let mut out = Vec::with_capacity(source.len() / 4 * 3);
    let mut at = 0;
    loop {
        let (mut bits, mut digits) = (0_u32, 0_usize);
        while digits < 4 {
            let Some(&byte) = source.get(at) else {
                return if digits == 0 { Ok(out) } else { Err(Base64Error(at - digits)) };
            };
            at += 1;
            if let Some(value) = sextet(byte) {
                bits = bits << 6 | u32::from(value);
                digits += 1;
            } else if byte == b'=' {
                padding(source, at, digits)?;
                bits <<= 6 * (4 - digits);
                let [_, first, second, _] = bits.to_be_bytes();
                out.push(first);
                if digits == 3 {
                    out.push(second);
                }
                return Ok(out);
            } else if byte != b'\r' && byte != b'\n' {
                return Err(Base64Error(at - 1));
            }
        }
        let [_, first, second, third] = bits.to_be_bytes();
        out.extend_from_slice(&[first, second, third]);
    }
}

/// Judges the end of the text; `at` is behind the first `=`.
fn padding(source: &[u8], mut at: usize, digits: usize) -> Result<(), Base64Error> {
    match digits {
        0 | 1 => return Err(Base64Error(at - 1)),
        2 => {
            at = after_breaks(source, at);
            match source.get(at) {
                None => return Err(Base64Error(source.len())),
                Some(b'=') => at += 1,
                Some(_) => return Err(Base64Error(at - 1)),
            }
        }
        _ => {}
    }
    at = after_breaks(source, at);
    if at < source.len() { Err(Base64Error(at)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // M-9, M-13
    #[test]
    fn base64_needs_padding_and_skips_line_breaks_only() {
        assert_eq!(decode_base64("AAEC").unwrap(), [0, 1, 2]);
        assert!(decode_base64("").unwrap().is_empty());
        assert!(decode_base64("\n").unwrap().is_empty());
        assert_eq!(decode_base64("AA\r\nEC\n").unwrap(), [0, 1, 2]);
        assert_eq!(decode_base64("AA\n=\n=\n").unwrap(), [0]);
        assert_eq!(decode_base64("AAE=").unwrap(), [0, 1]);
        assert_eq!(decode_base64("AAEC////\nAP8=").unwrap(), [0, 1, 2, 255, 255, 255, 0, 255]);
        assert_eq!(decode_base64("AAE"), Err(Base64Error(0)));
        assert_eq!(decode_base64("AAECAA"), Err(Base64Error(4)));
        assert_eq!(decode_base64("AA="), Err(Base64Error(3)));
        assert_eq!(decode_base64("AA EC"), Err(Base64Error(2)));
        assert_eq!(decode_base64("AA-_"), Err(Base64Error(2)));
        assert_eq!(decode_base64("A==="), Err(Base64Error(1)));
        assert_eq!(decode_base64("AA=A"), Err(Base64Error(2)));
        assert_eq!(decode_base64("AA==AA=="), Err(Base64Error(4)));
    }

    #[test]
    fn base64_ignores_bits_that_no_byte_needs() {
        assert_eq!(decode_base64("AB==").unwrap(), [0]);
    }

    // M-13
    #[test]
    fn hex_is_read_in_either_case_and_must_be_even() {
        assert_eq!(decode_hex("00fFaB").unwrap(), [0, 255, 171]);
        assert!(decode_hex("").unwrap().is_empty());
        assert_eq!(decode_hex("abc").unwrap_err().to_string(), "encoding/hex: odd length hex string");
        assert_eq!(decode_hex("0g").unwrap_err().to_string(), "encoding/hex: invalid byte: U+0067 'g'");
    }
}
