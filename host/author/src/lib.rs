//! What authors of policies need: projects from templates, building for four languages, looking at a component, asking
//! it one request, tables of cases, properties, figures, comparisons.
//!
//! A library without arguments, colours or exit codes: `carrara policy` is its face. Nothing here talks to a coordinator.

pub mod build;
pub mod project;

mod bench;
mod cases;
mod diff;
mod inspect;
mod properties;
mod replay;
mod run;
