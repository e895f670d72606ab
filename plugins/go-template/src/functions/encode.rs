//! `pem`, `hex`, `base64`, `raw` and `string`: where a secret goes and how it is written (section 5 of the rules on
//! secrets). The results are places, never bytes.

use std::sync::Arc;

use carrara_plugin_support::secrets::AccessError;
use carrara_types::decision::{Encoding, Part, SecretReference};

use crate::exec::World;
use crate::value::{Handle, Value};

const MISSING: &str = "secret does not exist";
const EMPTY: &str = "tried to parse secret with empty value";
const WRONG_TYPE: &str = "invalid secret type";
const NOT_FOR_PEM: &str = "invalid secret type for pem encoding";
const NOT_PLAIN: &str =
    "only secrets of type plain are allowed to use string encoding for environment variables";

/// `.Cert`, `.Public` and `.Private`; a bare certificate secret stands for its certificate.
pub(super) fn pem(world: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    let (handle, part) = match args.first() {
        Some(Value::Secret(handle)) if is_kind(world, handle, |kind| kind.starts_with("cert-")) => {
            (handle, Part::Certificate)
        }
        Some(Value::Part(handle, part)) => (handle, *part),
        Some(Value::Secret(_) | Value::Der(_)) => return Err(NOT_FOR_PEM.to_owned()),
        other => return Err(no_secret(other).to_owned()),
    };
    encoded(world, handle, part, Encoding::Pem)
}

/// Lower-case hex.
pub(super) fn hex(world: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    bytes(world, args, Encoding::Hex)
}

/// Standard, padded.
pub(super) fn base64(world: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    bytes(world, args, Encoding::Base64)
}

/// The bytes; for files.
pub(super) fn raw(world: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    bytes(world, args, Encoding::Raw)
}

/// The bytes of a bare plain secret; for environment variables.
pub(super) fn string(world: &World<'_, '_>, args: &[Value]) -> Result<Value, String> {
    match args.first() {
        Some(Value::Secret(handle)) if is_kind(world, handle, |kind| kind == "plain") => {
            encoded(world, handle, Part::Whole, Encoding::Text)
        }
        None | Some(Value::Missing | Value::Nil) => Err(MISSING.to_owned()),
        Some(_) => Err(NOT_PLAIN.to_owned()),
    }
}

/// A bare secret stands for its public part, which for keys and plain secrets is all they are.
fn bytes(world: &World<'_, '_>, args: &[Value], encoding: Encoding) -> Result<Value, String> {
    match args.first() {
        Some(Value::Secret(handle)) => encoded(world, handle, Part::Public, encoding),
        Some(Value::Part(handle, part)) => encoded(world, handle, *part, encoding),
        Some(Value::Der(handle)) => encoded(world, handle, Part::Certificate, encoding),
        other => Err(no_secret(other).to_owned()),
    }
}

fn is_kind(world: &World<'_, '_>, handle: &Handle, wanted: impl FnOnce(&str) -> bool) -> bool {
    world.info(handle).is_some_and(|info| wanted(&info.kind))
}

fn no_secret(value: Option<&Value>) -> &'static str {
    match value {
        None | Some(Value::Missing | Value::Nil) => MISSING,
        Some(_) => WRONG_TYPE,
    }
}

fn encoded(world: &World<'_, '_>, handle: &Handle, part: Part, encoding: Encoding) -> Result<Value, String> {
    let reference = SecretReference { scope: handle.scope, name: Arc::clone(&handle.name), part, encoding };
    match world.secrets.encode(&reference) {
        Ok(()) => Ok(Value::Place(reference)),
        Err(AccessError::NoSuchSecret) => Err(MISSING.to_owned()),
        Err(AccessError::NoSuchPart | AccessError::Empty) => Err(EMPTY.to_owned()),
        Err(AccessError::WrongKind(why)) => Err(why),
    }
}
