//! The words of the coordinator: manifests, claims, decisions and secret bytes.
//!
//! No I/O, no async, no clock and no randomness: everything here is a value or a pure function, so that the trusted
//! host, the command-line tool and a policy guest mean the same thing by the same word.

pub mod claims;
pub mod decision;
pub mod encoding;
pub mod manifest;
pub mod secret;
pub mod seal_mode;
