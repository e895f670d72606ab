//! `html`, `js` and `urlquery` on plain values.

use super::plain;
use crate::exec::World;
use crate::print;
use crate::text::{char_at, is_print};
use crate::value::Value;

pub(super) fn html(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    plain(args)?;
    let mut out = Vec::new();
    for byte in shown(args) {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            _ => out.push(byte),
        }
    }
    Ok(Value::bytes(out))
}

pub(super) fn js(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    plain(args)?;
    let bytes = shown(args);
    let mut out = String::new();
    let mut pos = 0;
    while let Some((c, width)) = char_at(&bytes, pos) {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            '\u{7f}' => out.push(c),
            c if is_print(c) => out.push(c),
            c => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
        pos += width;
    }
    Ok(Value::bytes(out))
}

pub(super) fn urlquery(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    plain(args)?;
    let mut out = String::new();
    for byte in shown(args) {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(Value::bytes(out))
}

/// Go's `Sprint`, with `<no value>` for nil.
fn shown(args: &[Value]) -> Vec<u8> {
    let shown =
        |arg: &Value| if matches!(arg, Value::Nil) { Value::bytes("<no value>") } else { arg.clone() };
    print::sprint(&args.iter().map(shown).collect::<Vec<_>>())
}
