//! JSON as Go writes it and as Go's servers read it (rest-api.md section 2, R-24).

use std::io;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::ser::Formatter;

/// Serialises like Go's `json.Encoder`: `<`, `>`, `&`, U+2028 and U+2029 are escaped, a newline ends the text.
pub(crate) fn to_vec(value: &impl Serialize, capacity: usize) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::with_capacity(capacity);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, GoStyle))?;
    text.push(b'\n');
    Ok(text)
}

/// Bytes as standard padded base64; none as null. Written straight into the output, so that no copy stays behind.
pub(crate) fn base64<S: Serializer>(
    bytes: &Option<impl AsRef<[u8]>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => serializer.collect_str(&Base64Display::new(bytes.as_ref(), &STANDARD)),
        None => serializer.serialize_none(),
    }
}

/// A v2 body: the first JSON value of a text, an object or null (R-24).
#[derive(Debug)]
pub(crate) struct Fields(Vec<(String, Value)>);

/// Why a body is not what its endpoint reads. `Display` is public.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Go's word for an empty body.
    #[error("EOF")]
    Empty,
    #[error("the body is not a JSON object: {0}")]
    Syntax(String),
    #[error("field \"{0}\" must be a string of standard base64 with padding")]
    Base64(&'static str),
}

impl Fields {
    /// Reads a body.
    pub(crate) fn read(body: &[u8]) -> Result<Self, BodyError> {
        let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Option<Self>>();
        match values.next() {
            None => Err(BodyError::Empty),
            Some(Ok(fields)) => Ok(fields.unwrap_or(Self(Vec::new()))),
            Some(Err(error)) => Err(BodyError::Syntax(error.to_string())),
        }
    }

    /// A field's bytes. Names are compared ignoring case and the last one counts; missing and null are empty.
    pub(crate) fn bytes(&self, name: &'static str) -> Result<Vec<u8>, BodyError> {
        let bad = || BodyError::Base64(name);
        let found = self.0.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name));
        match found.map(|(_, value)| value) {
            None | Some(Value::Null) => Ok(Vec::new()),
            // Go's decoder skips line breaks.
            Some(Value::String(text)) if text.contains(['\r', '\n']) => {
                STANDARD.decode(text.replace(['\r', '\n'], "")).map_err(|_| bad())
            }
            Some(Value::String(text)) => STANDARD.decode(text).map_err(|_| bad()),
            Some(_) => Err(bad()),
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
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

    // R-24
    #[test]
    fn an_empty_body_is_go_s_eof() {
        for body in ["", "  \n"] {
            assert_eq!(Fields::read(body.as_bytes()).unwrap_err().to_string(), "EOF");
        }
    }

    // R-24
    #[test]
    fn the_first_value_is_read_names_ignore_case_and_the_last_one_counts() {
        let fields = Fields::read(br#"{"x":[1],"manifest":"AA==","MANIFEST":"AQ=="} trailing"#).unwrap();
        assert_eq!(fields.bytes("manifest").unwrap(), [1]);
    }

    // R-24
    #[test]
    fn a_missing_or_null_field_is_empty() {
        for body in ["{}", "null", r#"{"manifest":null}"#, r#"{"manifest":""}"#] {
            assert!(Fields::read(body.as_bytes()).unwrap().bytes("manifest").unwrap().is_empty(), "{body}");
        }
    }

    #[test]
    fn line_breaks_in_base64_are_skipped_as_go_does() {
        assert_eq!(
            Fields::read(b"{\"manifest\":\"AQ\\r\\nI=\"}").unwrap().bytes("manifest").unwrap(),
            [1, 2]
        );
    }

    #[test]
    fn what_is_no_object_or_no_base64_is_refused() {
        for body in ["[]", "1", "\"a\"", "{", "{\"manifest\"}", "\u{feff}{}"] {
            assert!(matches!(Fields::read(body.as_bytes()), Err(BodyError::Syntax(_))), "{body}");
        }
        for body in
            [r#"{"manifest":"A"}"#, r#"{"manifest":1}"#, r#"{"manifest":"AQ"}"#, r#"{"manifest":"-_=="}"#]
        {
            let fields = Fields::read(body.as_bytes()).unwrap();
            assert_eq!(fields.bytes("manifest"), Err(BodyError::Base64("manifest")), "{body}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        let body = format!("{{\"x\":{}", "[".repeat(1 << 20));
        assert!(matches!(Fields::read(body.as_bytes()), Err(BodyError::Syntax(_))));
    }
}
