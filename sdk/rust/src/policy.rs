//! What the macros implement, one trait for each world. No part of the public interface.

use crate::rendering::{Chunk, RenderError, Secrets, Template};
use crate::settings::SettingsError;
use crate::validation::{Finding, Proposal};
use crate::{Decision, admission, authorization};

/// What every policy has.
pub trait Check {
    /// Judges settings.
    fn check(settings: &str) -> Vec<SettingsError>;
}

macro_rules! role {
    ($name:ident, ($($argument:ident: $type:ty),*) -> $answer:ty) => {
        /// A policy of one world.
        pub trait $name {
            /// Answers the question.
            fn decide($($argument: $type),*) -> $answer;
        }
    };
}

role!(Authorizer, (request: &authorization::Request) -> Decision);
role!(Admitter, (request: &admission::Request) -> Decision);
role!(Validator, (proposal: &Proposal) -> Vec<Finding>);
role!(Renderer, (template: &Template, secrets: &Secrets) -> Result<Vec<Chunk>, RenderError>);
