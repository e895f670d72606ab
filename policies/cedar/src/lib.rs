//! Policies in Cedar: who may do what.
//!
//! The entry's `Settings` are the policies' text, or `{"policies", "schema"}`. Each name of a request is a Cedar request
//! of its own, and all must be permitted. Whatever no policy permits is refused, and so is what a policy fails at: Cedar
//! itself would pass over that policy, which may have been the one that forbids. The time is `context.now`, nothing else
//! tells it, so equal requests get equal answers.

mod cedar;
mod entities;
#[cfg(target_arch = "wasm32")]
mod guest;
#[cfg(test)]
mod tests;

pub use cedar::Cedar;
