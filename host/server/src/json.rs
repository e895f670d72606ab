//! JSON as Go writes it (rest-api.md section 2) and, in [`body`], as Go's servers read it.

pub(crate) mod body;

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;
use zeroize::Zeroizing;

/// Serialises like Go's `json.Encoder`: `<`, `>`, `&`, U+2028 and U+2029 are escaped, a newline ends the text.
pub(crate) fn to_vec(value: &impl Serialize, capacity: usize) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::with_capacity(capacity);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, GoStyle))?;
    text.push(b'\n');
    Ok(text)
}

/// Bytes as standard padded base64; none as null. In a buffer that is wiped: the encoder that writes straight into the
/// output leaves a kilobyte of it on the stack.
pub(crate) fn base64<S: Serializer>(
    bytes: &Option<impl AsRef<[u8]>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => serializer.serialize_str(&Zeroizing::new(STANDARD.encode(bytes))),
        None => serializer.serialize_none(),
    }
}

struct GoStyle;

impl Formatter for GoStyle {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, tail) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = tail.chars();
            if let Some(character) = characters.next() {
                write!(writer, "\\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rest-api.md section 2
    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        let text = to_vec(&"a<b>c&d\u{2028}\u{2029}\u{1}\"\\\n\u{7f}é", 0).unwrap();
        let expected = "\"a\\u003cb\\u003ec\\u0026d\\u2028\\u2029\\u0001\\\"\\\\\\n\u{7f}é\"\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn keys_are_escaped_too() {
        let map = std::collections::BTreeMap::from([("<", 1)]);
        assert_eq!(to_vec(&map, 0).unwrap(), b"{\"\\u003c\":1}\n");
    }
}
