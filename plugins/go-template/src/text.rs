//! Bytes, characters, quoting and numbers as Go writes and reads them.

use std::borrow::Cow;

/// Go's white space in templates.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Whether a character may be part of a name.
pub(crate) fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The text that bytes are, with U+FFFD for what is not UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    // Nearly always it is UTF-8, which is found out faster than pieces that are.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The character at `pos` and its width; U+FFFD of width 1 where the bytes are not UTF-8.
pub(crate) fn char_at(bytes: &[u8], pos: usize) -> Option<(char, usize)> {
    let rest = bytes.get(pos..)?;
    let first = *rest.first()?;
    if first.is_ascii() {
        return Some((char::from(first), 1));
    }
    for width in 2..=4 {
        let text = rest.get(..width).and_then(|head| std::str::from_utf8(head).ok());
        if let Some(c) = text.and_then(|text| text.chars().next()) {
            return Some((c, width));
        }
    }
    Some((char::REPLACEMENT_CHARACTER, 1))
}

/// Whether Go prints a character as it is: letters, marks, numbers, punctuation, symbols and the space.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    // The standard library escapes by the same classes, and leaves marks as they are behind another character.
    let mut text = String::from("a");
    text.push(c);
    text.escape_debug().eq(text.chars())
}

/// Go's `%#U`: `U+002D '-'`.
pub(crate) fn describe_char(c: char) -> String {
    if is_print(c) { format!("U+{:04X} '{c}'", u32::from(c)) } else { format!("U+{:04X}", u32::from(c)) }
}

/// Go's `%q` of a string.
pub(crate) fn quote(bytes: &[u8]) -> String {
    quote_with(bytes, is_print)
}

/// Go's `%+q` of a string.
pub(crate) fn quote_ascii(bytes: &[u8]) -> String {
    quote_with(bytes, |c| c.is_ascii() && is_print(c))
}

fn quote_with(bytes: &[u8], shown: fn(char) -> bool) -> String {
    let mut out = String::from("\"");
    let mut pos = 0;
    while let Some((c, width)) = char_at(bytes, pos) {
        match (c, bytes.get(pos)) {
            (char::REPLACEMENT_CHARACTER, Some(byte)) if width == 1 => {
                out.push_str(&format!("\\x{byte:02x}"))
            }
            _ => push_escaped(&mut out, c, '"', shown),
        }
        pos += width;
    }
    out.push('"');
    out
}

/// Go's `%q` of a character.
pub(crate) fn quote_char(c: char) -> String {
    quote_char_with(c, is_print)
}

/// Go's `%+q` of a character.
pub(crate) fn quote_char_ascii(c: char) -> String {
    quote_char_with(c, |c| c.is_ascii() && is_print(c))
}

fn quote_char_with(c: char, shown: fn(char) -> bool) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, c, '\'', shown);
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, c: char, delimiter: char, shown: fn(char) -> bool) {
    match c {
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        '\\' => out.push_str("\\\\"),
        c if c == delimiter => {
            out.push('\\');
            out.push(c);
        }
        c if shown(c) => out.push(c),
        c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
    }
}

/// What a quoted Go string means; `None` where it is malformed. `literal` includes its quotes.
pub(crate) fn unquote(literal: &[u8]) -> Option<Vec<u8>> {
    let body = literal.get(1..literal.len().checked_sub(1)?)?;
    if literal.first() == Some(&b'`') {
        return Some(body.iter().copied().filter(|byte| *byte != b'\r').collect());
    }
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let [first, tail @ ..] = rest {
        if *first != b'\\' {
            out.push(*first);
            rest = tail;
            continue;
        }
        rest = unescape(tail, b'"', &mut out)?;
    }
    Some(out)
}

/// The character of a Go character constant such as `'a'` or `'\n'`.
pub(crate) fn unquote_char(literal: &[u8]) -> Option<u32> {
    let body = literal.get(1..literal.len().checked_sub(1)?)?;
    if body.first() == Some(&b'\\') {
        let mut out = Vec::new();
        let rest = unescape(body.get(1..)?, b'\'', &mut out)?;
        let value = match std::str::from_utf8(&out).ok().and_then(|text| text.chars().next()) {
            Some(c) => u32::from(c),
            None => u32::from(*out.first()?),
        };
        return rest.is_empty().then_some(value);
    }
    let (c, width) = char_at(body, 0)?;
    (width == body.len()).then_some(u32::from(c))
}

/// Reads one escape after its backslash, and returns what follows it.
fn unescape<'a>(rest: &'a [u8], delimiter: u8, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (first, tail) = rest.split_first()?;
    let digits = match first {
        b'x' => 2,
        b'u' => 4,
        b'U' => 8,
        b'0'..=b'7' => return octal(rest, out),
        _ => {
            out.push(match first {
                b'a' => 7,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 11,
                b'\\' => b'\\',
                quote if *quote == delimiter => *quote,
                _ => return None,
            });
            return Some(tail);
        }
    };
    let text = std::str::from_utf8(tail.get(..digits)?).ok()?;
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let value = u32::from_str_radix(text, 16).ok()?;
    if digits == 2 {
        out.push(u8::try_from(value).ok()?);
    } else {
        out.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
    }
    tail.get(digits..)
}

fn octal<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let text = std::str::from_utf8(rest.get(..3)?).ok()?;
    out.push(u8::from_str_radix(text, 8).ok()?);
    rest.get(3..)
}

/// A number literal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
    /// A whole number that fits 64 bits only without a sign.
    Overflow,
    /// A whole number that does not fit 64 bits.
    TooLarge,
}

/// Reads a Go number literal; `None` where it is malformed.
pub(crate) fn number(literal: &str) -> Option<Number> {
    let (negative, digits) = match literal.as_bytes().first()? {
        b'-' => (true, literal.get(1..)?),
        b'+' => (false, literal.get(1..)?),
        _ => (false, literal),
    };
    let lower = digits.to_ascii_lowercase();
    if digits.contains('_') && !underscores_are_between_digits(&lower) {
        return None;
    }
    let plain = lower.replace('_', "");
    let (radix, body) = match plain.get(..2) {
        Some("0x") => (16, plain.get(2..)?),
        Some("0o") => (8, plain.get(2..)?),
        Some("0b") => (2, plain.get(2..)?),
        _ if plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|b| b.is_ascii_digit()) => {
            (8, plain.get(1..)?)
        }
        _ => (10, plain.as_str()),
    };
    if !body.is_empty() && body.chars().all(|c| c.is_digit(radix)) {
        return Some(integer(negative, body, radix));
    }
    let float = match radix {
        10 => body.bytes().any(|byte| byte.is_ascii_digit()).then(|| body.parse().ok()).flatten(),
        16 => hex_float(body),
        _ => None,
    };
    float
        .filter(|value: &f64| value.is_finite())
        .map(|value| Number::Float(if negative { -value } else { value }))
}

fn integer(negative: bool, body: &str, radix: u32) -> Number {
    let signed = i128::from_str_radix(body, radix).map(|value| if negative { -value } else { value });
    match signed {
        Ok(value) => match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => Number::Int(value),
            (_, Ok(_)) => Number::Overflow,
            _ => Number::TooLarge,
        },
        Err(_) => Number::TooLarge,
    }
}

fn underscores_are_between_digits(lower: &str) -> bool {
    let prefixed = lower.starts_with("0x") || lower.starts_with("0o") || lower.starts_with("0b");
    // Go allows underscores only where a base prefix makes the literal unambiguous or in base 10.
    let body = if prefixed { lower.get(2..).unwrap_or_default().trim_start_matches('_') } else { lower };
    !body.starts_with('_') && !body.ends_with('_') && !body.contains("__")
}

/// `1.8p3`: hexadecimal digits and a power of two.
fn hex_float(body: &str) -> Option<f64> {
    let (mantissa, exponent) = body.split_once('p')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0;
    for c in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    // In two steps: the whole power may be too small for a float although the number is not.
    let half = shift / 2;
    Some(value * 2f64.powi(half) * 2f64.powi(shift - half))
}

#[cfg(test)]
mod tests {
    use super::*;

    // S-71a
    #[test]
    fn number_literals_are_read_as_go_reads_them() {
        for (literal, expected) in [
            ("12", Some(Number::Int(12))),
            ("-0x1F", Some(Number::Int(-31))),
            ("0b101", Some(Number::Int(5))),
            ("017", Some(Number::Int(15))),
            ("1_000", Some(Number::Int(1000))),
            ("1__0", None),
            ("1.5", Some(Number::Float(1.5))),
            ("1e3", Some(Number::Float(1000.0))),
            ("0x1.8p1", Some(Number::Float(3.0))),
            ("9223372036854775807", Some(Number::Int(i64::MAX))),
            ("9223372036854775808", Some(Number::Overflow)),
            ("0x", None),
            ("09", None),
            ("-", None),
            (".", None),
        ] {
            assert_eq!(number(literal), expected, "{literal}");
        }
    }

    // S-71a
    #[test]
    fn strings_are_unquoted_as_go_does() {
        assert_eq!(unquote(br#""a\n\x41\101\u00e9\"""#).as_deref(), Some("a\nAA\u{e9}\"".as_bytes()));
        assert_eq!(unquote(b"`a\\n\r`").as_deref(), Some(&b"a\\n"[..]));
        assert_eq!(unquote(br#""\q""#), None);
        assert_eq!(unquote(br#""\'""#), None);
    }

    // S-71a
    #[test]
    fn character_constants_are_numbers() {
        assert_eq!(unquote_char(b"'a'"), Some(97));
        assert_eq!(unquote_char(br"'\n'"), Some(10));
        assert_eq!(unquote_char("'\u{e9}'".as_bytes()), Some(0xe9));
        assert_eq!(unquote_char(b"'ab'"), None);
        assert_eq!(unquote_char(b"''"), None);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_quoted_as_escapes() {
        assert_eq!(quote(b"a\xff\"\n"), r#""a\xff\"\n""#);
    }
}
