//! The built-in policies, embedded in the binary: each component, so that it can be audited, and its code, compiled ahead
//! of time by `cargo xtask guests`, so that a start compiles nothing.
//!
//! The only place that loads code which was not compiled here. The code is part of the binary and so of the enclave's
//! measurement; nothing read from a file or a network ever comes near this module.

use std::borrow::Cow;
use std::sync::Arc;

use carrara_types::policy::Digest;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::clock::Runtime;
use crate::compiler::{Code, Compiled};
use crate::limits::Limits;
use crate::loader::{LoadError, Loaded, digest};
use crate::slots::PoolSize;
use crate::text::clean;
use crate::world::World;

/// The built-in policies with their worlds and limits.
pub(crate) const POLICIES: [(&str, World, Limits); 4] = [
    ("manifest-rules", World::ManifestValidation, Limits::VALIDATION),
    ("rbac", World::RoleAuthorization, Limits::BUILTIN_AUTHORIZATION),
    ("go-template", World::SecretRendering, Limits::RENDERING),
    ("liquid", World::SecretRendering, Limits::RENDERING),
];

/// An embedded policy.
struct Embedded {
    name: &'static str,
    component: &'static [u8],
    code: &'static [u8],
}

macro_rules! embedded {
    ($name:literal) => {
        Embedded {
            name: $name,
            component: include_bytes!(concat!(env!("CARRARA_GUESTS"), "/", $name, ".wasm")),
            code: include_bytes!(concat!(env!("CARRARA_GUESTS"), "/", $name, env!("CARRARA_GUEST_CODE"))),
        }
    };
}

static EMBEDDED: [Embedded; 4] =
    [embedded!("manifest-rules"), embedded!("rbac"), embedded!("go-template"), embedded!("liquid")];

/// Room for all built-in policies.
pub(crate) fn slots() -> PoolSize {
    PoolSize::holding(&POLICIES.map(|(_, _, limits)| limits))
}

/// The engine's words where the system refuses to make memory executable.
const NOT_EXECUTABLE: &str = "unable to make memory executable";

/// Loads the embedded policy of that name.
pub(crate) fn load(engine: &Engine, name: &'static str) -> Result<Loaded, LoadError> {
    let failed = |explanation: String| LoadError::Embedded { name, explanation };
    let embedded = EMBEDDED.iter().find(|embedded| embedded.name == name);
    let embedded = embedded.ok_or_else(|| failed("it is not embedded".to_owned()))?;
    let code = trusted(engine, embedded.code).map_err(|error| {
        let words = format!("{error:#}");
        if words.contains(NOT_EXECUTABLE) { LoadError::NotExecutable } else { failed(clean(&words, 512)) }
    })?;
    // Else the first call makes it, and fails where no file is free for it.
    code.initialize_copy_on_write_image().map_err(|error| failed(clean(&format!("{error:#}"), 512)))?;
    Ok(Loaded::new(code, Cow::Borrowed(embedded.component)))
}

/// The embedded policy of that name for sets, and its component.
pub(crate) fn own(
    runtime: &Arc<Runtime>,
    name: &'static str,
) -> Result<(Compiled, &'static [u8]), LoadError> {
    let loaded = load(runtime.engine(), name)?;
    let bytes = EMBEDDED.iter().find(|embedded| embedded.name == name).map_or(&[][..], |it| it.component);
    let code = Code { component: loaded.code().clone(), runtime: Arc::clone(runtime), surface: None };
    Ok((Compiled::ready(Digest(digest(bytes)), code), bytes))
}

#[allow(unsafe_code)]
fn trusted(engine: &Engine, code: &'static [u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` runs whatever native code it is given. Its argument is `'static` and this function is private
    // to a module whose only caller passes bytes that `include_bytes!` took from the output of this engine's own
    // `precompile`, in the same build; after that they are as trustworthy as the rest of the binary. The engine checks
    // its version and settings against those in the bytes.
    unsafe { Component::deserialize(engine, code) }
}
