//! Formats one plain value by one verb of Go's `fmt`.

use crate::print::display;
use crate::text::{quote, quote_char};
use crate::value::Value;

/// From this exponent on the shortest form of a float is scientific.
const SHORTEST_LIMIT: i32 = 6;

/// Flags, width and precision of a verb.
#[derive(Debug, Default, PartialEq, Eq)]
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
    let formatted = match (verb, value) {
        ('T', Value::Nil) => Some(pad(spec, "<nil>", false)),
        ('T', value) => Some(pad(spec, value.type_name(), false)),
        ('v', Value::Nil) => Some(pad(spec, "<nil>", false)),
        ('v' | 't', Value::Bool(value)) => Some(pad(spec, &value.to_string(), false)),
        (_, Value::Int(value)) => integer(spec, verb, *value),
        (_, Value::Float(value)) => float(spec, verb, *value),
        (_, Value::Bytes(bytes)) => string(spec, verb, bytes),
        _ => None,
    };
    formatted.unwrap_or_else(|| {
        if matches!(value, Value::Nil) {
            return format!("%!{verb}(<nil>)").into_bytes();
        }
        let mut out = format!("%!{verb}({}=", value.type_name()).into_bytes();
        out.extend_from_slice(&display(value));
        out.push(b')');
        out
    })
}

/// Go's `%g`; the shortest digits that mean the same number where no precision is given.
pub(super) fn general(value: f64, precision: Option<usize>) -> String {
    if !value.is_finite() {
        return special(value);
    }
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

fn special(value: f64) -> String {
    match (value.is_nan(), value > 0.0) {
        (true, _) => "NaN".to_owned(),
        (_, true) => "+Inf".to_owned(),
        _ => "-Inf".to_owned(),
    }
}

fn pad(spec: &Spec, text: &str, zeros: bool) -> Vec<u8> {
    pad_bytes(spec, text.as_bytes(), zeros)
}

/// Widths count characters. Zeros go after the sign.
fn pad_bytes(spec: &Spec, text: &[u8], zeros: bool) -> Vec<u8> {
    let length = String::from_utf8_lossy(text).chars().count();
    let missing = spec.width.unwrap_or(0).saturating_sub(length);
    if spec.minus {
        return [text, &b" ".repeat(missing)].concat();
    }
    if !(zeros && spec.zero) {
        return [&b" ".repeat(missing), text].concat();
    }
    match text.split_first() {
        Some((sign @ (b'-' | b'+' | b' '), digits)) => [&[*sign][..], &b"0".repeat(missing), digits].concat(),
        _ => [&b"0".repeat(missing), text].concat(),
    }
}

fn integer(spec: &Spec, verb: char, value: i64) -> Option<Vec<u8>> {
    let magnitude = value.unsigned_abs();
    let (prefix, digits) = match verb {
        'v' | 'd' => ("", magnitude.to_string()),
        'b' => ("0b", format!("{magnitude:b}")),
        'o' => ("0", format!("{magnitude:o}")),
        'O' => ("0o", format!("{magnitude:o}")),
        'x' => ("0x", format!("{magnitude:x}")),
        'X' => ("0X", format!("{magnitude:X}")),
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 's' | 't' => return None,
        'c' | 'q' | 'U' => return Some(character(spec, verb, value)),
        _ => return None,
    };
    let sign = match (value < 0, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let prefix = if spec.sharp || verb == 'O' { prefix } else { "" };
    let digits = match spec.precision {
        Some(0) if value == 0 => return Some(pad(spec, "", false)),
        Some(precision) => format!("{digits:0>precision$}"),
        None => digits,
    };
    let zeros = spec.precision.is_none();
    if zeros && spec.zero && !spec.minus {
        let taken = sign.len() + prefix.len();
        let width = spec.width.unwrap_or(0).saturating_sub(taken);
        return Some(format!("{sign}{prefix}{digits:0>width$}").into_bytes());
    }
    Some(pad(spec, &format!("{sign}{prefix}{digits}"), false))
}

fn character(spec: &Spec, verb: char, value: i64) -> Vec<u8> {
    let c = u32::try_from(value).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    match verb {
        'c' => pad(spec, &c.to_string(), false),
        'q' => pad(spec, &quote_char(c), false),
        _ if spec.sharp => pad(spec, &format!("U+{value:04X} '{c}'"), false),
        _ => pad(spec, &format!("U+{value:04X}"), false),
    }
}

fn float(spec: &Spec, verb: char, value: f64) -> Option<Vec<u8>> {
    let precision = spec.precision.unwrap_or(6);
    let text = match verb {
        _ if !value.is_finite() && matches!(verb, 'v' | 'g' | 'G' | 'e' | 'E' | 'f' | 'F') => special(value),
        'v' | 'g' => general(value, spec.precision),
        'G' => general(value, spec.precision).to_uppercase(),
        'f' | 'F' => format!("{value:.precision$}"),
        'e' | 'E' => {
            let text = format!("{value:.precision$e}");
            let (mantissa, exponent) = text.split_once('e')?;
            let text = format!("{mantissa}e{}", signed_exponent(exponent.parse().ok()?));
            if verb == 'E' { text.to_uppercase() } else { text }
        }
        _ => return None,
    };
    let sign = match (text.starts_with(['-', '+']), spec.plus, spec.space) {
        (false, true, _) => "+",
        (false, _, true) => " ",
        _ => "",
    };
    Some(pad(spec, &format!("{sign}{text}"), value.is_finite()))
}

fn string(spec: &Spec, verb: char, bytes: &[u8]) -> Option<Vec<u8>> {
    let cut = match spec.precision {
        Some(precision) => truncated(bytes, precision),
        None => bytes,
    };
    match verb {
        'v' if spec.sharp => Some(pad(spec, &quote(cut), false)),
        'v' | 's' => Some(pad_bytes(spec, cut, true)),
        'q' if spec.sharp && !cut.contains(&b'`') => {
            Some(pad(spec, &format!("`{}`", String::from_utf8_lossy(cut)), false))
        }
        'q' => Some(pad(spec, &quote(cut), false)),
        'x' | 'X' => Some(pad(spec, &hex(spec, verb, bytes), false)),
        _ => None,
    }
}

/// The first `count` characters.
fn truncated(bytes: &[u8], count: usize) -> &[u8] {
    let mut end = 0;
    for _ in 0..count {
        match crate::text::char_at(bytes, end) {
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
