//! Between the generated words of `wit/` and this crate's own. For WebAssembly alone.

pub(crate) mod bindings;
pub(crate) mod secrets;
pub(crate) mod words;
mod worlds;
