//! The functions that templates can call. Those of Go refuse whatever would look into a secret; [`encode`] has those
//! that write one.

mod compare;
mod encode;
mod escape;

use carrara_types::decision::Part;

use crate::exec::World;
use crate::print;
use crate::value::{INSPECTED, Value};
use Arity::{AtLeast, Exactly};

/// How many arguments a function takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arity {
    Exactly(usize),
    AtLeast(usize),
}

/// A function; its error is the cause alone.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) arity: Arity,
    /// `and` and `or` stop at the first value of this truth; their `run` is never called.
    pub(crate) short_circuit: Option<bool>,
    pub(crate) run: Run,
}

type Run = fn(&World<'_, '_>, &[Value]) -> Result<Value, String>;

impl Function {
    const fn new(name: &'static str, arity: Arity, run: Run) -> Self {
        Self { name, arity, short_circuit: None, run }
    }

    const fn logic(name: &'static str, decisive: bool) -> Self {
        Self { name, arity: AtLeast(1), short_circuit: Some(decisive), run: last }
    }
}

/// Those that write secrets first: most templates call no others.
static FUNCTIONS: [Function; 23] = [
    Function::new("hex", Exactly(1), encode::hex),
    Function::new("base64", Exactly(1), encode::base64),
    Function::new("pem", Exactly(1), encode::pem),
    Function::new("raw", Exactly(1), encode::raw),
    Function::new("string", Exactly(1), encode::string),
    Function::logic("and", false),
    Function::logic("or", true),
    Function::new("not", Exactly(1), not),
    Function::new("len", Exactly(1), len),
    Function::new("index", AtLeast(1), index),
    Function::new("slice", AtLeast(1), slice),
    Function::new("print", AtLeast(0), print_values),
    Function::new("println", AtLeast(0), println),
    Function::new("printf", AtLeast(1), printf),
    Function::new("html", AtLeast(0), escape::html),
    Function::new("js", AtLeast(0), escape::js),
    Function::new("urlquery", AtLeast(0), escape::urlquery),
    Function::new("eq", AtLeast(1), compare::eq),
    Function::new("ne", Exactly(2), compare::ne),
    Function::new("lt", Exactly(2), compare::lt),
    Function::new("le", Exactly(2), compare::le),
    Function::new("gt", Exactly(2), compare::gt),
    Function::new("ge", Exactly(2), compare::ge),
];

/// A function that a file's template may call.
pub(crate) fn file_function(name: &[u8]) -> Option<&'static Function> {
    function(name).filter(|function| function.name != "string")
}

/// A function that an environment variable's template may call.
pub(crate) fn env_function(name: &[u8]) -> Option<&'static Function> {
    function(name).filter(|function| function.name != "raw")
}

fn function(name: &[u8]) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name.as_bytes() == name)
}

/// A secret is true when it exists, a part when it is set; nothing else is told about either.
pub(crate) fn truth(world: &World<'_, '_>, value: &Value) -> bool {
    match value {
        Value::Missing | Value::Nil => false,
        Value::Data | Value::Previous | Value::Reserved | Value::Secret(_) => true,
        Value::Place(_) | Value::Fragments(_) => true,
        Value::Secrets(scope) => !world.names(*scope).is_empty(),
        Value::Part(handle, part) => world.has(handle, *part),
        Value::Der(handle) => world.has(handle, Part::Certificate),
        Value::Bool(value) => *value,
        Value::Int(value) => *value != 0,
        Value::Float(value) => *value != 0.0,
        Value::Bytes(value) => !value.is_empty(),
    }
}

/// Refuses arguments that are secrets or lead to them.
fn plain(args: &[Value]) -> Result<(), String> {
    if args.iter().all(Value::is_plain) { Ok(()) } else { Err(INSPECTED.to_owned()) }
}

fn last(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    Ok(args.last().cloned().unwrap_or(Value::Nil))
}

fn not(world: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::Bool(!args.first().is_some_and(|value| truth(world, value))))
}

fn len(world: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    let length = match args.first() {
        Some(Value::Secrets(scope)) => world.names(*scope).len(),
        Some(Value::Bytes(bytes)) => bytes.len(),
        Some(Value::Nil) | None => return Err("len of nil pointer".to_owned()),
        Some(value) if value.is_plain() => return Err(format!("len of type {}", value.type_name())),
        Some(_) => return Err(INSPECTED.to_owned()),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(world: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    let Some((item, keys)) = args.split_first() else {
        return Err("index of untyped nil".to_owned());
    };
    if matches!(item, Value::Nil | Value::Missing) {
        return Err("index of untyped nil".to_owned());
    }
    let mut value = item.clone();
    for key in keys {
        value = match (&value, key) {
            (Value::Secrets(scope), Value::Bytes(name)) => {
                let name = std::str::from_utf8(name).ok();
                name.and_then(|name| world.secret(*scope, name)).unwrap_or(Value::Missing)
            }
            (Value::Secrets(_), Value::Nil) => {
                return Err("value is nil; should be of type string".to_owned());
            }
            (Value::Secrets(_), key) if key.is_plain() => {
                return Err(format!("value has type {}; should be string", key.type_name()));
            }
            (Value::Bytes(bytes), key) if key.is_plain() => {
                let at = position(key, bytes.len())?;
                let byte = bytes.get(at).copied().ok_or("reflect: string index out of range")?;
                Value::Int(i64::from(byte))
            }
            (Value::Missing, _) => return Err("can't index item of type Secret".to_owned()),
            (Value::Data | Value::Previous | Value::Reserved, _) => {
                return Err(format!("can't index item of type {}", value.type_name()));
            }
            (value, _) if value.is_plain() => {
                return Err(format!("can't index item of type {}", value.type_name()));
            }
            _ => return Err(INSPECTED.to_owned()),
        };
    }
    Ok(value)
}

fn slice(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    plain(args)?;
    let bytes = match args.first() {
        Some(Value::Bytes(bytes)) => bytes,
        Some(Value::Nil) | None => return Err("slice of untyped nil".to_owned()),
        Some(value) => return Err(format!("can't slice item of type {}", value.type_name())),
    };
    let keys = args.get(1..).unwrap_or_default();
    if keys.len() > 3 {
        return Err(format!("too many slice indexes: {}", keys.len()));
    }
    if keys.len() == 3 {
        return Err("cannot 3-index slice a string".to_owned());
    }
    let start = keys.first().map_or(Ok(0), |key| position(key, bytes.len()))?;
    let end = keys.get(1).map_or(Ok(bytes.len()), |key| position(key, bytes.len()))?;
    let part = bytes.get(start..end).ok_or_else(|| format!("invalid slice index: {start} > {end}"))?;
    Ok(Value::bytes(part))
}

/// An index that is at most `last`.
fn position(key: &Value, last: usize) -> Result<usize, String> {
    match key {
        Value::Int(value) => usize::try_from(*value)
            .ok()
            .filter(|at| *at <= last)
            .ok_or_else(|| format!("index out of range: {value}")),
        Value::Nil => Err("cannot index slice/array with nil".to_owned()),
        other => Err(format!("cannot index slice/array with type {}", other.type_name())),
    }
}

/// One encoded secret passes unchanged: nobody looks at it.
fn print_values(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    if let [only @ (Value::Place(_) | Value::Fragments(_))] = args {
        return Ok(only.clone());
    }
    plain(args)?;
    Ok(Value::bytes(print::sprint(args)))
}

fn println(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    plain(args)?;
    let words: Vec<Vec<u8>> = args.iter().map(print::display).collect();
    let mut line = words.join(&b' ');
    line.push(b'\n');
    Ok(Value::bytes(line))
}

fn printf(_: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    match args.split_first() {
        Some((Value::Bytes(format), values)) => print::sprintf(format, values),
        _ => Err(INSPECTED.to_owned()),
    }
}
