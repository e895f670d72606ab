//! Hostile input: one function per place where bytes of strangers are read.
//!
//! A target takes any bytes, and must neither panic nor take long nor eat memory; beyond that each asserts what its
//! decoder promises (reading what was written gives the same, what was accepted stays accepted). The tests run every
//! target on its seeds, its regressions and some thousand mutations of them; `cargo xtask fuzz` runs them for hours with
//! libFuzzer. Here is nothing but what reads: the decoders are those of the product.
#![cfg(feature = "targets")]

mod cli;
#[allow(dead_code, missing_docs, reason = "the command-line tool's own file; it uses the rest of it")]
#[path = "../../../host/cli/src/files.rs"]
mod files;
pub mod mutate;
pub mod seeds;
pub mod targets;
mod world;

pub use targets::{TARGETS, Target, find};
