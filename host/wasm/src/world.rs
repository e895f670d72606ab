//! The four kinds of policies.

pub use carrara_types::policy::{UnknownWorld, World};

/// The version of the package that this host offers.
pub const VERSION: &str = "1.0.0";
