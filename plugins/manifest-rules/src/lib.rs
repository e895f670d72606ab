//! The built-in validator `manifest-rules`: every rule that a manifest must follow to be acceptable.
//!
//! It reads the host's normalised JSON, asks the host's own list (`carrara_types`, so that no rule is written twice
//! and an offline check by this component alone is complete) and adds the rules which that list leaves to validators.
//! The judgement ([`validate`]) is a plain function and tested natively; the glue to `wit/` is compiled for WebAssembly
//! only. It looks at nothing but the proposal: equal proposals get equal findings.

#[cfg(target_arch = "wasm32")]
mod guest;
mod rules;
mod validate;

pub use validate::validate;
