//! Policies in Rego: what is wrong with a manifest, a Marble or a request.
//!
//! The entry's `Settings` are the policy's text, or `{"policy", "data"}`. The rules `deny`, `warn` and `allow` of the
//! text's package answer; the document is `input`. A policy with neither `deny` nor `allow` is refused; `allow` that is
//! not `true`, and a rule that fails, refuse. The engine is built without clock, randomness and network, so equal
//! requests get equal answers.

mod answers;
#[cfg(target_arch = "wasm32")]
mod guest;
mod rego;
#[cfg(test)]
mod tests;

pub use rego::Rego;
