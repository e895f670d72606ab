//! Writes PEM (RFC 7468) as Go and OpenSSL write it: 64 columns, a line feed after every line.
//!
//! Private keys pass through here: the text is wiped on drop, is allocated once at its final length, and no part of it
//! is kept elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Bytes in a full line.
const LINE_BYTES: usize = 48;
/// Columns of a full line.
const COLUMNS: usize = 64;

/// One block.
pub(crate) fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let frame = 2 * ("-----BEGIN -----\n".len() + label.len());
    let lines = der.len().div_ceil(LINE_BYTES);
    let mut text = Zeroizing::new(String::with_capacity(frame + lines * (COLUMNS + 1)));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut line = Zeroizing::new([0; COLUMNS]);
    for bytes in der.chunks(LINE_BYTES) {
        let written = STANDARD.encode_slice(bytes, line.as_mut_slice()).unwrap_or_default();
        // Base64 is ASCII, and a line of it always fits.
        text.push_str(std::str::from_utf8(line.get(..written).unwrap_or_default()).unwrap_or_default());
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // The encoder of another crate, at lengths around a line's and the padding's boundaries.
    #[test]
    fn the_text_is_what_another_encoder_writes_and_never_grows() {
        let config = ::pem::EncodeConfig::new().set_line_ending(::pem::LineEnding::LF);
        for length in [0_usize, 1, 2, 3, 47, 48, 49, 95, 96, 97, 185, 1200] {
            let der: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let text = pem("PRIVATE KEY", &der);
            let expected = ::pem::encode_config(&::pem::Pem::new("PRIVATE KEY", der), config);
            assert_eq!(*text, expected, "{length} bytes");
            let fits = 2 * ("-----BEGIN -----\n".len() + 11) + length.div_ceil(48) * 65;
            assert_eq!(text.capacity(), fits, "{length} bytes: growing leaves copies behind");
        }
    }
}
