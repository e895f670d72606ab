//! Policies for Carrara, the coordinator for confidential computing.
//!
//! A policy is a WebAssembly component that answers one question. With this crate it is one function and one macro:
//!
//! | World | Asked | Module | Macro |
//! |---|---|---|---|
//! | `role-authorization` | may this user do this? | [`authorization`] | [`authorizer!`] |
//! | `marble-admission` | may this Marble be activated? | [`admission`] | [`admitter!`] |
//! | `manifest-validation` | is this manifest acceptable? | [`validation`] | [`validator!`] |
//! | `secret-rendering` | where do secrets go in this file? | [`rendering`] | [`renderer!`] |
//!
//! Each module's page holds one complete policy. [`settings`] reads the entry's `Settings` of the manifest, [`mod@log`] writes
//! to the coordinator's log, [`testing`] is for the policy's own tests, which run natively.
//!
//! # What a policy may do
//! Answer, and write bounded lines to the log. There is no clock but [`Context::now`], no randomness, no network, no file.
//! Every call runs in a fresh instance: what a policy keeps in memory is gone at the next one.
//!
//! # When a policy fails
//! A function may return a [`Result`]: an error denies with the code `policy-error`. A panic ends the call, and the
//! coordinator denies with `policy "NAME" could not decide`. The text of either is in the coordinator's log; the caller
//! does not see it.
//!
//! # Building
//! The policy's crate is a `cdylib` for the target `wasm32-unknown-unknown`; `carrara policy build` makes a component of it.

pub mod admission;
pub mod authorization;
pub mod log;
pub mod rendering;
pub mod settings;
pub mod testing;
pub mod validation;

mod decision;
#[cfg(target_arch = "wasm32")]
mod glue;
mod macros;
mod policy;
mod words;

pub use decision::{Decision, Denial, IntoDecision, POLICY_ERROR, allow, deny};
pub use words::{Context, Fact, Principal, Role, Value};

/// For the macros alone.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::glue::bindings::{admission, authorization, configured, rendering, validation};
    pub use crate::policy::{Admitter, Authorizer, Check, Renderer, Validator};
}
