//! Go's `fmt` for plain values: `Sprint` and `Sprintf`.

mod verbs;

use crate::text::char_at;
use crate::value::{INSPECTED, Rope, Value};
use verbs::Spec;

/// Go's bound on widths and precisions.
const MAX_WIDTH: i64 = 1_000_000;

/// Go's `%v` of a plain value; nothing of any other.
pub(crate) fn display(value: &Value) -> Vec<u8> {
    match value {
        Value::Nil => b"<nil>".to_vec(),
        Value::Bool(value) => value.to_string().into_bytes(),
        Value::Int(value) => value.to_string().into_bytes(),
        Value::Float(value) => verbs::general(*value, None).into_bytes(),
        Value::Bytes(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    }
}

/// Go's `Sprint`: spaces between neighbours of which neither is a string.
pub(crate) fn sprint(args: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut after_string = true;
    for (index, arg) in args.iter().enumerate() {
        let is_string = matches!(arg, Value::Bytes(_));
        if index > 0 && !is_string && !after_string {
            out.push(b' ');
        }
        out.extend_from_slice(&display(arg));
        after_string = is_string;
    }
    out
}

/// Go's `Sprintf`. An encoded secret is taken by a bare `%s` or `%v` only.
pub(crate) fn sprintf(format: &[u8], args: &[Value]) -> Result<Value, String> {
    let mut out = Rope::default();
    let mut args = Args { values: args, next: 0 };
    let mut rest = format;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let (text, tail) = rest.split_at(at);
        out.push_bytes(text);
        rest = verb(tail.get(1..).unwrap_or_default(), &mut args, &mut out)?;
    }
    out.push_bytes(rest);
    args.report_extra(&mut out)?;
    Ok(out.into_value())
}

/// The arguments of one call.
struct Args<'a> {
    values: &'a [Value],
    next: usize,
}

impl<'a> Args<'a> {
    fn take(&mut self) -> Option<&'a Value> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        Some(value)
    }

    fn report_extra(&self, out: &mut Rope) -> Result<(), String> {
        let extra = self.values.get(self.next..).unwrap_or_default();
        if extra.is_empty() {
            return Ok(());
        }
        let mut words = Vec::new();
        for value in extra {
            if !value.is_plain() {
                return Err(INSPECTED.to_owned());
            }
            let mut word = match value {
                Value::Nil => Vec::new(),
                _ => format!("{}=", value.type_name()).into_bytes(),
            };
            word.extend_from_slice(&display(value));
            words.push(word);
        }
        out.push_bytes(b"%!(EXTRA ");
        out.push_bytes(&words.join(&b", "[..]));
        out.push_bytes(b")");
        Ok(())
    }
}

/// Formats one verb; `rest` starts after its `%`. Returns what follows it.
fn verb<'f>(rest: &'f [u8], args: &mut Args<'_>, out: &mut Rope) -> Result<&'f [u8], String> {
    let mut spec = Spec::default();
    let rest = flags(rest, &mut spec);
    let (width, rest) = size(rest, args, out, "WIDTH")?;
    if let Some(width) = width {
        spec.minus |= width < 0;
        spec.width = usize::try_from(width.unsigned_abs()).ok();
    }
    let rest = match rest.split_first() {
        Some((b'.', tail)) => {
            let (precision, tail) = size(tail, args, out, "PREC")?;
            spec.precision = usize::try_from(precision.unwrap_or(0)).ok();
            tail
        }
        _ => rest,
    };
    let Some((letter, width)) = char_at(rest, 0) else {
        out.push_bytes(b"%!(NOVERB)");
        return Ok(rest);
    };
    let rest = rest.get(width..).unwrap_or_default();
    if letter == '[' {
        return Err("argument indexes in formats are not supported".to_owned());
    }
    if letter == '%' {
        out.push_bytes(b"%");
        return Ok(rest);
    }
    match args.take() {
        None => out.push_bytes(format!("%!{letter}(MISSING)").as_bytes()),
        Some(Value::Fragments(chunks)) if matches!(letter, 's' | 'v') && spec == Spec::default() => {
            out.push_chunks(chunks);
        }
        Some(value) if value.is_plain() => out.push_bytes(&verbs::format(&spec, letter, value)),
        Some(_) => return Err(INSPECTED.to_owned()),
    }
    Ok(rest)
}

fn flags<'f>(mut rest: &'f [u8], spec: &mut Spec) -> &'f [u8] {
    while let [flag, tail @ ..] = rest {
        match flag {
            b'#' => spec.sharp = true,
            b'0' => spec.zero = true,
            b'+' => spec.plus = true,
            b'-' => spec.minus = true,
            b' ' => spec.space = true,
            _ => break,
        }
        rest = tail;
    }
    rest
}

/// A width or precision: digits or `*`.
fn size<'f>(
    rest: &'f [u8],
    args: &mut Args<'_>,
    out: &mut Rope,
    what: &str,
) -> Result<(Option<i64>, &'f [u8]), String> {
    if let [b'*', tail @ ..] = rest {
        let value = match args.take() {
            Some(Value::Int(value)) if value.abs() <= MAX_WIDTH => Some(*value),
            Some(value) if !value.is_plain() => return Err(INSPECTED.to_owned()),
            _ => {
                out.push_bytes(format!("%!(BAD{what})").as_bytes());
                None
            }
        };
        return Ok((value, tail));
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, tail) = rest.split_at(digits);
    let value = std::str::from_utf8(number).ok().and_then(|text| text.parse::<i64>().ok());
    if value.is_some_and(|value| value > MAX_WIDTH) {
        out.push_bytes(format!("%!(BAD{what})").as_bytes());
        return Ok((None, tail));
    }
    Ok((value, tail))
}
