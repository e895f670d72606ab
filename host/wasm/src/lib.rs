//! Hosts policies: WebAssembly components behind the worlds of `wit/`.
//!
//! A policy has no ambient authority: no WASI, no clock, no files, no network; it may write bounded lines to the log, and
//! a renderer may place secrets that it cannot see. Every call runs in a fresh instance with bounded time, memory and
//! output. A policy that traps, exceeds a limit or answers nonsense denies that one request and nothing else.
//!
//! The request's path: `set` (which policies) -> `member` (is it there?) -> `pool` (on which thread) -> `policies` (which
//! function) -> `call` (a fresh instance with its limits) -> `worlds` (words in, words out) -> `watch` (records). Before
//! that, once per manifest: `sets`; once per component: `compiler` with `inspect` and `loader`. Shadow policies are asked
//! from the queue of `shadow`. Tools without a coordinator use `host` (several policies) and `trial` (one).

mod engine;
mod world;

#[cfg(feature = "host")]
mod bounds;
#[cfg(feature = "builtin")]
mod builtin;
#[cfg(feature = "host")]
mod call;
#[cfg(feature = "host")]
mod clock;
#[cfg(feature = "host")]
mod compiler;
#[cfg(feature = "host")]
mod data;
#[cfg(feature = "host")]
mod effort;
#[cfg(feature = "host")]
mod footprint;
#[cfg(feature = "host")]
mod host;
#[cfg(feature = "host")]
mod initializers;
#[cfg(feature = "host")]
mod inspect;
#[cfg(feature = "host")]
pub mod limits;
#[cfg(feature = "host")]
mod loader;
#[cfg(feature = "host")]
mod member;
#[cfg(feature = "host")]
mod policies;
#[cfg(feature = "host")]
mod pool;
#[cfg(feature = "host")]
mod set;
#[cfg(feature = "host")]
mod sets;
#[cfg(feature = "host")]
mod shadow;
#[cfg(feature = "host")]
mod shape;
#[cfg(feature = "host")]
mod slots;
#[cfg(feature = "host")]
mod templates;
#[cfg(feature = "host")]
mod text;
#[cfg(feature = "host")]
mod trial;
#[cfg(feature = "host")]
mod watch;
#[cfg(feature = "host")]
mod weight;
#[cfg(feature = "host")]
mod worlds;

pub use engine::{EngineError, Surroundings, compatibility, precompile};
pub use world::{UnknownWorld, VERSION, World};

#[cfg(feature = "host")]
pub use bounds::Taken;
#[cfg(feature = "host")]
pub use call::{CallReport, Called, LogLine};
#[cfg(feature = "host")]
pub use host::{HostError, PolicyHost, PolicyInfo, PolicySource};
#[cfg(feature = "host")]
pub use inspect::Surface;
#[cfg(feature = "host")]
pub use limits::{EngineLimits, Limits};
#[cfg(feature = "host")]
pub use loader::{LoadError, digest};
#[cfg(feature = "host")]
pub use sets::Engine;
#[cfg(feature = "host")]
pub use templates::TemplateFault;
#[cfg(feature = "host")]
pub use trial::Trial;
#[cfg(feature = "host")]
pub use worlds::configuration::SettingsError;
