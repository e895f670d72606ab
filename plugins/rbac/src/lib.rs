//! The built-in authorizer `rbac`: the manifest's `Roles` decide who may do what (M-60..M-62).
//!
//! The decision ([`authorize`]) and the check of the settings ([`check_settings`]) are plain functions on borrowed
//! words, so that they are tested natively. The glue to `wit/` is compiled for WebAssembly only. Whatever no role
//! allows is refused; nothing but the request is looked at, so equal requests get equal answers.

mod authorize;
#[cfg(target_arch = "wasm32")]
mod guest;

pub use authorize::{Denial, Request, Role, authorize};
