//! Formats one plain value by one verb of Go's `fmt`.

use crate::text::{char_at, is_print, quote, quote_ascii, quote_char, quote_char_ascii};
use crate::value::Value;

/// From this exponent on the shortest form of a float is scientific.
const SHORTEST_LIMIT: i32 = 6;

/// Flags, width and precision of a verb.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) sharp: bool,
    pub(super) zero: bool,
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) space: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// The value as the verb says; Go's `%!d(string=hi)` where it cannot.
pub(super) fn format(spec: &Spec, verb: char, value: &Value) -> Vec<u8> {
    if !matches!(verb, 'v' | 'w') {
        return formatted(spec, verb, value);
    }
    // With these verbs the flags ask for Go's syntax and for names of fields.
    let bare = Spec { sharp: false, plus: false, ..*spec };
    match value {
        Value::Bytes(bytes) if spec.sharp && verb == 'v' => quoted(&bare, bytes),
        Value::Bytes(bytes) if spec.sharp => [b"%!w(string=", &*quoted(&bare, bytes), b")"].concat(),
        _ => formatted(&bare, verb, value),
    }
}

fn formatted(spec: &Spec, verb: char, value: &Value) -> Vec<u8> {
    let answer = match (verb, value) {
        ('T' | 'v', Value::Nil) => Some(pad(spec, b"<nil>")),
        ('T', value) => Some(pad(spec, truncated(value.type_name().as_bytes(), spec.precision))),
        ('v' | 't', Value::Bool(value)) => Some(pad(spec, value.to_string().as_bytes())),
        (_, Value::Int(value)) => integer(spec, verb, *value),
        (_, Value::Float(value)) => float(spec, verb, *value),
        (_, Value::Bytes(bytes)) => string(spec, verb, bytes),
        _ => None,
    };
    answer.unwrap_or_else(|| match value {
        Value::Nil => format!("%!{verb}(<nil>)").into_bytes(),
        // Every value has a `v`.
        _ if verb == 'v' => Vec::new(),
        _ => {
            let mut out = format!("%!{verb}({}=", value.type_name()).into_bytes();
            out.extend_from_slice(&formatted(spec, 'v', value));
            out.push(b')');
            out
        }
    })
}

/// Go's `%g`; the shortest digits that mean the same number where no precision is given.
pub(super) fn general(value: f64, precision: Option<usize>) -> String {
    let scientific = match precision {
        None => format!("{value:e}"),
        Some(precision) => format!("{value:.*e}", precision.max(1) - 1),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let limit =
        precision.map_or(SHORTEST_LIMIT, |precision| i32::try_from(precision.max(1)).unwrap_or(i32::MAX));
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    if exponent < -4 || exponent >= limit {
        return format!("{mantissa}e{}", signed_exponent(exponent));
    }
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let decimals = i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent;
    format!("{value:.*}", usize::try_from(decimals).unwrap_or(0))
}

fn signed_exponent(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{:02}", exponent.abs())
}

/// Widths count characters. Zeros pad on the left only, and whatever the text is.
fn pad(spec: &Spec, text: &[u8]) -> Vec<u8> {
    let length = String::from_utf8_lossy(text).chars().count();
    let missing = spec.width.unwrap_or(0).saturating_sub(length);
    if spec.minus {
        return [text, &b" ".repeat(missing)].concat();
    }
    let padding: &[u8] = if spec.zero { b"0" } else { b" " };
    [&padding.repeat(missing), text].concat()
}

fn pad_with_spaces(spec: &Spec, text: &str) -> Vec<u8> {
    pad(&Spec { zero: false, ..*spec }, text.as_bytes())
}

fn integer(spec: &Spec, verb: char, value: i64) -> Option<Vec<u8>> {
    let magnitude = value.unsigned_abs();
    let digits = match verb {
        'v' | 'd' => magnitude.to_string(),
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'c' | 'q' | 'U' => return Some(character(spec, verb, value)),
        _ => return None,
    };
    let sign = match (value < 0, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let least = match spec.precision {
        Some(0) if value == 0 => return Some(pad_with_spaces(spec, "")),
        Some(precision) => precision,
        None if spec.zero && !spec.minus => spec.width.unwrap_or(0).saturating_sub(sign.len()),
        None => 0,
    };
    let digits = format!("{digits:0>least$}");
    let base = match verb {
        'b' if spec.sharp => "0b",
        'o' | 'O' if spec.sharp && !digits.starts_with('0') => "0",
        'x' if spec.sharp => "0x",
        'X' if spec.sharp => "0X",
        _ => "",
    };
    let octal = if verb == 'O' { "0o" } else { "" };
    Some(pad_with_spaces(spec, &format!("{sign}{octal}{base}{digits}")))
}

fn character(spec: &Spec, verb: char, value: i64) -> Vec<u8> {
    let known = u32::try_from(value).ok().and_then(char::from_u32);
    let c = known.unwrap_or(char::REPLACEMENT_CHARACTER);
    match verb {
        'c' => pad(spec, c.to_string().as_bytes()),
        'q' if spec.plus => pad(spec, quote_char_ascii(c).as_bytes()),
        'q' => pad(spec, quote_char(c).as_bytes()),
        _ => {
            let digits = spec.precision.unwrap_or(4).max(4);
            let shown = known.filter(|c| spec.sharp && is_print(*c));
            let shown = shown.map(|c| format!(" '{c}'")).unwrap_or_default();
            pad_with_spaces(spec, &format!("U+{value:0digits$X}{shown}"))
        }
    }
}

fn float(spec: &Spec, verb: char, value: f64) -> Option<Vec<u8>> {
    let precision = spec.precision.unwrap_or(6);
    let text = match verb {
        'v' | 'g' | 'G' => general(value, spec.precision),
        'f' | 'F' => format!("{value:.precision$}"),
        'e' | 'E' => {
            let text = format!("{value:.precision$e}");
            let (mantissa, exponent) = text.split_once('e')?;
            format!("{mantissa}e{}", signed_exponent(exponent.parse().ok()?))
        }
        _ => return None,
    };
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest.to_owned()),
        None => ("", text),
    };
    let text = if spec.sharp { with_point(&text, verb, spec.precision) } else { text };
    let text = if matches!(verb, 'G' | 'E') { text.to_uppercase() } else { text };
    let sign = match (negative, spec.plus, spec.space) {
        ("-", ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let missing = spec.width.unwrap_or(0).saturating_sub(sign.len() + text.len());
    if spec.zero && !spec.minus {
        return Some(format!("{sign}{}{text}", "0".repeat(missing)).into_bytes());
    }
    Some(pad(spec, format!("{sign}{text}").as_bytes()))
}

/// The flag `#`: always a point, and with `%g` as many digits as the precision says.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let (number, tail) = match text.find('e') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let significant = number.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
    let wanted = if matches!(verb, 'v' | 'g' | 'G') { precision.unwrap_or(6) } else { 0 };
    let point = if number.contains('.') { "" } else { "." };
    let shown = if number == "0" { 1 } else { significant };
    format!("{number}{point}{}{tail}", "0".repeat(wanted.saturating_sub(shown)))
}

fn string(spec: &Spec, verb: char, bytes: &[u8]) -> Option<Vec<u8>> {
    match verb {
        'v' | 's' => Some(pad(spec, truncated(bytes, spec.precision))),
        'q' => Some(quoted(spec, bytes)),
        'x' | 'X' => Some(pad(spec, hex(spec, verb, bytes).as_bytes())),
        _ => None,
    }
}

fn quoted(spec: &Spec, bytes: &[u8]) -> Vec<u8> {
    let bytes = truncated(bytes, spec.precision);
    let text = std::str::from_utf8(bytes).ok().filter(|text| spec.sharp && can_backquote(text));
    if let Some(text) = text {
        return pad(spec, format!("`{text}`").as_bytes());
    }
    pad(spec, if spec.plus { quote_ascii(bytes) } else { quote(bytes) }.as_bytes())
}

/// Whether a text fits between back quotes unchanged.
fn can_backquote(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || (c >= ' ' && !matches!(c, '`' | '\u{7f}' | '\u{feff}')))
}

/// The first `count` characters.
fn truncated(bytes: &[u8], count: Option<usize>) -> &[u8] {
    let Some(count) = count else { return bytes };
    let mut end = 0;
    for _ in 0..count {
        match char_at(bytes, end) {
            Some((_, width)) => end += width,
            None => break,
        }
    }
    bytes.get(..end).unwrap_or(bytes)
}

fn hex(spec: &Spec, verb: char, bytes: &[u8]) -> String {
    let taken = spec.precision.unwrap_or(bytes.len());
    let prefix = match (spec.sharp, verb) {
        (true, 'X') => "0X",
        (true, _) => "0x",
        _ => "",
    };
    let separator = if spec.space { " " } else { "" };
    let mut out = String::new();
    for (index, byte) in bytes.iter().take(taken).enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        if index == 0 || spec.space {
            out.push_str(prefix);
        }
        out.push_str(&if verb == 'X' { format!("{byte:02X}") } else { format!("{byte:02x}") });
    }
    out
}
