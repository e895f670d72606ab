//! A request's JSON body, read in place: the first value counts, what follows it is ignored.
//!
//! A body may hold secrets, so that nothing of it is copied but what is asked for, and bytes only into buffers that are
//! wiped; no error repeats a value. The text is checked once, as a whole; what walks through it afterwards relies on it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

/// As Go decodes: with padding, whatever the bits are that no byte needs.
const GO_BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// What bytes look like (M-9).
const BYTES: &str = "a string of standard base64 with padding, or a list of integers from 0 to 255";

/// Why a body is not what its endpoint reads. `Display` is public.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Go's word for an empty body.
    #[error("EOF")]
    Empty,
    /// Go's word for a text that ends too early; to version 1 of the API an empty one, too.
    #[error("unexpected end of JSON input")]
    Truncated,
    #[error("the body is not a JSON object: {0}")]
    Syntax(String),
    #[error("the body is longer than the limit of {0} bytes")]
    TooLong(usize),
    #[error("field \"{field}\" must be {expected}")]
    Field { field: &'static str, expected: &'static str },
    /// Of a list that has more elements than its endpoint takes.
    #[error("field \"{field}\" has more than {limit} elements")]
    TooMany { field: &'static str, limit: usize },
    #[error("secret \"{secret}\" must be an object")]
    Secret { secret: String },
    #[error("secret \"{secret}\": {source}")]
    InSecret { secret: String, source: Box<BodyError> },
    #[error("there are more than {limit} secrets in the body; send them in several requests")]
    TooManySecrets { limit: usize },
    /// S-54b, X-24.
    #[error("x509: malformed certificate: field \"Cert\" of secret \"{secret}\"")]
    Certificate { secret: String },
}

/// A well-formed JSON value, as it was sent.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a>(&'a str);

/// An object: of duplicate fields the last one counts.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// Reads a body: its first value is an object, or null for an empty one.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, BodyError> {
        let mut values = serde_json::Deserializer::from_slice(body).into_iter::<IgnoredAny>();
        match values.next() {
            None => return Err(BodyError::Empty),
            Some(Err(error)) if error.is_eof() => return Err(BodyError::Truncated),
            Some(Err(error)) => return Err(BodyError::Syntax(error.to_string())),
            Some(Ok(IgnoredAny)) => {}
        }
        let first = body.get(..values.byte_offset()).and_then(|first| std::str::from_utf8(first).ok());
        let first = first.ok_or_else(|| BodyError::Syntax("it is not UTF-8".to_owned()))?;
        let value = Value(first.trim_matches(SPACE));
        let wrong = || BodyError::Syntax("it is another value".to_owned());
        Ok(value.present().map(|value| value.object().ok_or_else(wrong)).transpose()?.unwrap_or(Self("")))
    }

    /// Names and values, in order.
    pub(crate) fn members(self) -> impl Iterator<Item = Result<(Cow<'a, str>, Value<'a>), BodyError>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let name = next_item(&mut rest)?;
            rest = rest.trim_start_matches(SPACE).strip_prefix(':')?;
            let value = Value(next_item(&mut rest)?);
            Some(unescaped_name(name).map(|name| (name, value)))
        })
    }

    /// A field that is there and not null. Names are compared ignoring case.
    pub(crate) fn field(self, name: &str) -> Result<Option<Value<'a>>, BodyError> {
        let mut found = None;
        for member in self.members() {
            let (key, value) = member?;
            if key.eq_ignore_ascii_case(name) {
                found = value.present();
            }
        }
        Ok(found)
    }

    /// A field's bytes (M-9).
    pub(crate) fn bytes(self, field: &'static str) -> Result<Option<Zeroizing<Vec<u8>>>, BodyError> {
        self.read_field(field, BYTES, Value::bytes)
    }

    /// A field that is a list of bytes (M-9); empty if it is missing.
    pub(crate) fn list_of_bytes(
        self,
        field: &'static str,
        limit: usize,
    ) -> Result<Vec<Zeroizing<Vec<u8>>>, BodyError> {
        const EXPECTED: &str = "a list of strings of standard base64 with padding";
        let Some(items) = self.read_field(field, EXPECTED, Value::items)? else { return Ok(Vec::new()) };
        let wrong = || BodyError::Field { field, expected: EXPECTED };
        let mut list = Vec::new();
        for item in items {
            if list.len() == limit {
                return Err(BodyError::TooMany { field, limit });
            }
            list.push(item.bytes().ok_or_else(wrong)?);
        }
        Ok(list)
    }

    /// A field's text.
    pub(crate) fn text(self, field: &'static str) -> Result<Option<String>, BodyError> {
        self.read_field(field, "a string", Value::text)
    }

    /// A field's number.
    pub(crate) fn number(self, field: &'static str) -> Result<Option<u64>, BodyError> {
        self.read_field(field, "an integer from 0 to 18446744073709551615", Value::number)
    }

    /// A field that is an object itself; empty if it is missing.
    pub(crate) fn object(self, field: &'static str) -> Result<Self, BodyError> {
        Ok(self.read_field(field, "an object", Value::object)?.unwrap_or(Self("")))
    }

    fn read_field<T>(
        self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, BodyError> {
        let wrong = || BodyError::Field { field, expected };
        self.field(field)?.map(|value| read(value).ok_or_else(wrong)).transpose()
    }
}

impl<'a> Value<'a> {
    /// `None` if it is null.
    pub(crate) fn present(self) -> Option<Self> {
        (self.0 != "null").then_some(self)
    }

    /// As an object.
    pub(crate) fn object(self) -> Option<Fields<'a>> {
        self.0.strip_prefix('{')?.strip_suffix('}').map(Fields)
    }

    /// Whether it is a string.
    pub(crate) fn is_string(self) -> bool {
        self.0.starts_with('"')
    }

    /// As bytes (M-9): base64, in which line breaks are skipped, or a list of integers.
    pub(crate) fn bytes(self) -> Option<Zeroizing<Vec<u8>>> {
        match self.inside_string() {
            Some(text) if text.contains('\\') => decoded(&unescaped_base64(text)?),
            Some(text) => decoded(text.as_bytes()),
            None => self.list_of_bytes(),
        }
    }

    fn list_of_bytes(self) -> Option<Zeroizing<Vec<u8>>> {
        let mut rest = self.0.strip_prefix('[')?.strip_suffix(']')?;
        // Two characters for each at least: the buffer never grows.
        let mut bytes = Zeroizing::new(Vec::with_capacity(rest.len().div_ceil(2)));
        while let Some(item) = next_item(&mut rest) {
            bytes.push(serde_json::from_str(item).ok()?);
        }
        Some(bytes)
    }

    /// A list's elements.
    fn items(self) -> Option<impl Iterator<Item = Value<'a>>> {
        let mut rest = self.0.strip_prefix('[')?.strip_suffix(']')?;
        Some(std::iter::from_fn(move || next_item(&mut rest).map(Value)))
    }

    fn text(self) -> Option<String> {
        serde_json::from_str(self.0).ok()
    }

    fn number(self) -> Option<u64> {
        serde_json::from_str(self.0).ok()
    }

    fn inside_string(self) -> Option<&'a str> {
        self.0.strip_prefix('"')?.strip_suffix('"')
    }
}

/// The bytes of a body that is a JSON array of integers from 0 to 255; `None` if it is something else.
pub(crate) fn list_of_bytes(body: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    serde_json::from_slice::<IgnoredAny>(body).ok()?;
    Value(std::str::from_utf8(body).ok()?.trim_matches(SPACE)).list_of_bytes()
}

/// Takes the next name, value or element from what is inside an object or list.
fn next_item<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let start = rest.trim_start_matches(SPACE);
    let start = start.strip_prefix(',').unwrap_or(start).trim_start_matches(SPACE);
    let (item, after) = start.split_at_checked(end_of_item(start.as_bytes()))?;
    *rest = after;
    (!item.is_empty()).then_some(item)
}

/// Where a name or value ends that begins here.
fn end_of_item(text: &[u8]) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' if in_string && depth == 0 => return at + 1,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + depth,
            b'}' | b']' => depth -= 1,
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn unescaped_name(name: &str) -> Result<Cow<'_, str>, BodyError> {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inside) if !inside.contains('\\') => Ok(Cow::Borrowed(inside)),
        _ => serde_json::from_str(name).map(Cow::Owned).map_err(|error| BodyError::Syntax(error.to_string())),
    }
}

/// What a string holds that may be base64, without its line breaks.
fn unescaped_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut characters = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let character = match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b'u' => code_unit(&mut rest)?,
                b'/' => b'/',
                _ => return None,
            },
            other => other,
        };
        if !matches!(character, b'\r' | b'\n') {
            characters.push(character);
        }
    }
    Some(characters)
}

/// The four digits after `\u`, if they stand for ASCII.
fn code_unit(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit << 4 | char::from(rest.next()?).to_digit(16)?;
    }
    u8::try_from(unit).ok().filter(u8::is_ascii)
}

fn decoded(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = GO_BASE64.decode_slice(text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests;
