//! What authors of policies need: projects from templates, building for four languages, looking at a component, asking
//! it requests, tables of cases, properties, figures, comparisons.
//!
//! A library without arguments, colours or exit codes: `carrara policy` is its face. Nothing here talks to a coordinator.

pub mod build;
pub mod create;
pub mod inspect;
pub mod project;
pub mod question;

mod bench;
mod cases;
mod diff;
mod pack;
mod properties;
mod replay;
