//! The words of the coordinator: backups, manifests, claims, decisions, policies, seal modes and secret bytes.
//!
//! No I/O, no async, no clock and no randomness: everything here is a value or a pure function, so that the trusted
//! host, the command-line tool and a policy guest mean the same thing by the same word.

pub mod backup;
pub mod claims;
pub mod decision;
#[cfg(feature = "host")]
pub mod decision_record;
pub mod encoding;
#[cfg(feature = "host")]
pub mod host_port;
pub mod manifest;
pub mod policy;
pub mod seal_mode;
pub mod secret;
