//! Go's `fmt` for plain values: `Sprint` and `Sprintf`.

mod format;
mod verbs;

use crate::value::Value;

pub(crate) use format::sprintf;

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
