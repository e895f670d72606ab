//! What authors of policies need: projects from templates, building for four languages, looking at a component, asking
//! it requests, tables of cases, properties, figures, comparisons.
//!
//! A library without arguments, colours or exit codes: `carrara policy` is its face. Nothing here talks to a coordinator.

pub mod asked;
pub mod bench;
pub mod build;
pub mod cases;
pub mod corpus;
pub mod create;
pub mod diff;
pub mod inspect;
pub mod project;
pub mod properties;
pub mod question;
pub mod replay;
pub mod words;

mod pack;

#[cfg(test)]
mod fake;
