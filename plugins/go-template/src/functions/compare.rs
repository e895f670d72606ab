//! `eq`, `ne`, `lt`, `le`, `gt` and `ge` on plain values.

use std::cmp::Ordering;

use super::plain;
use crate::exec::World;
use crate::value::Value;

const MISSING: &str = "missing argument for comparison";
const BAD_TYPE: &str = "invalid type for comparison";

/// Whether the first argument equals one of the others.
pub(super) fn eq(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    plain(args)?;
    let Some((first, others)) = args.split_first() else {
        return Err(MISSING.to_owned());
    };
    if others.is_empty() {
        return Err(MISSING.to_owned());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub(super) fn ne(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    plain(args)?;
    match args {
        [first, second] => Ok(Value::Bool(!equal(first, second)?)),
        _ => Err(MISSING.to_owned()),
    }
}

pub(super) fn lt(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    ordered(args, |ordering| ordering == Some(Ordering::Less))
}

pub(super) fn le(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    ordered(args, |ordering| matches!(ordering, Some(Ordering::Less | Ordering::Equal)))
}

pub(super) fn gt(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    // Go: neither less nor equal.
    ordered(args, |ordering| !matches!(ordering, Some(Ordering::Less | Ordering::Equal)))
}

pub(super) fn ge(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    ordered(args, |ordering| ordering != Some(Ordering::Less))
}

fn equal(first: &Value, second: &Value) -> Result<bool, String> {
    match (first, second) {
        (Value::Bool(first), Value::Bool(second)) => Ok(first == second),
        (Value::Int(first), Value::Int(second)) => Ok(first == second),
        (Value::Float(first), Value::Float(second)) => Ok(first == second),
        (Value::Bytes(first), Value::Bytes(second)) => Ok(first == second),
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        _ => Err(incompatible(first, second)),
    }
}

fn incompatible(first: &Value, second: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", first.type_name(), second.type_name())
}

fn ordered(args: &[Value], holds: fn(Option<Ordering>) -> bool) -> Result<Value, String> {
    plain(args)?;
    let ordering = match args {
        [Value::Int(first), Value::Int(second)] => Some(first.cmp(second)),
        [Value::Float(first), Value::Float(second)] => first.partial_cmp(second),
        [Value::Bytes(first), Value::Bytes(second)] => Some(first.cmp(second)),
        [Value::Nil, _] | [_, Value::Nil] | [Value::Bool(_), Value::Bool(_)] => {
            return Err(BAD_TYPE.to_owned());
        }
        [first, second] => return Err(incompatible(first, second)),
        _ => return Err(MISSING.to_owned()),
    };
    Ok(Value::Bool(holds(ordering)))
}
