//! `html`, `js` and `urlquery` on plain values.

use super::plain;
use crate::exec::World;
use crate::print;
use crate::text::char_at;
use crate::value::Value;

pub(super) fn html(_: &World<'_>, args: &[Value]) -> Result<Value, String> {
    plain(args)?;
    let mut out = Vec::new();
    for byte in print::sprint(args) {
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

pub(super) fn js(_: &World<'_>, args: &[Value]) -> Result<Value, String> {
    plain(args)?;
    let bytes = print::sprint(args);
    let mut out = String::new();
    let mut pos = 0;
    while let Some((c, width)) = char_at(&bytes, pos) {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
        pos += width;
    }
    Ok(Value::bytes(out))
}

pub(super) fn urlquery(_: &World<'_>, args: &[Value]) -> Result<Value, String> {
    plain(args)?;
    let mut out = String::new();
    for byte in print::sprint(args) {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(Value::bytes(out))
}
