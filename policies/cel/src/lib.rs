//! Policies in CEL: one expression that is true where something is allowed.
//!
//! The entry's `Settings` are the expression, or `{"expression", "message", "code", "hint"}`. The same component answers
//! for manifests, for users and for Marbles. Only `true` allows: `false` denies with the message, and whatever else the
//! expression comes to - an error, a number, a missing field - denies as a policy that failed. The expression sees the
//! document alone: no clock, no randomness, so equal requests get equal answers.

mod cel;
#[cfg(target_arch = "wasm32")]
mod guest;
mod names;
#[cfg(test)]
mod tests;

pub use cel::Cel;
