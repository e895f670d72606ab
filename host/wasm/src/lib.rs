//! Hosts policies: WebAssembly components behind the worlds of `wit/`.
//!
//! A policy has no ambient authority: no WASI, no clock, no files, no network; it may write bounded lines to the log, and
//! a renderer may place secrets that it cannot see. Every call runs in a fresh instance with bounded time, memory and
//! output. A policy that traps, exceeds a limit or answers nonsense denies that one request and nothing else.

mod engine;

pub use engine::{EngineError, Surroundings, compatibility, precompile};
