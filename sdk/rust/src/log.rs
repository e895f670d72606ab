//! Lines for the coordinator's log, tied to the request. The caller never sees them.
//!
//! The coordinator bounds them: by default 32 lines a call, 1024 bytes a line; a policy that writes more lines is ended.

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// For whoever watches.
    Info,
    /// For whoever must act.
    Warn,
}

/// Writes a line that helps to find a fault.
pub fn debug(text: impl AsRef<str>) {
    write(Level::Debug, text.as_ref());
}

/// Writes a line.
pub fn info(text: impl AsRef<str>) {
    write(Level::Info, text.as_ref());
}

/// Writes a line that somebody should look at.
pub fn warn(text: impl AsRef<str>) {
    write(Level::Warn, text.as_ref());
}

#[cfg(target_arch = "wasm32")]
use crate::glue::words::log as write;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::note as write;
