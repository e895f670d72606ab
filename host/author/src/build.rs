//! Building a project: source in, `build/NAME.wasm` out. One file per language; each makes a component's bytes.
//!
//! Nothing is installed globally: what a language needs beyond its own tools goes into the user's cache.

mod js;
mod python;

use std::path::PathBuf;

use crate::project::Project;

/// Tells how a build goes on.
pub trait Progress {
    /// A step begins, such as `installing componentize-py 0.25.1 (once)`.
    fn step(&self, text: &str);
    /// What a tool printed: a compiler's errors and warnings.
    fn tool_output(&self, text: &str);
}

/// A build that nobody watches.
pub struct Quiet;

impl Progress for Quiet {
    fn step(&self, _: &str) {}

    fn tool_output(&self, _: &str) {}
}

/// What the builders of all languages are given.
pub struct Task<'a> {
    /// What to build.
    pub project: &'a Project,
    /// Where tools that a build installs are kept for the next one: `$XDG_CACHE_HOME/carrara`.
    pub cache: PathBuf,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

/// Why a project does not build.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A language's tool is not there.
    #[error("{tool} is not installed, which policies in {language} are built with; install it: {install}")]
    MissingTool {
        /// The program.
        tool: &'static str,
        /// The language.
        language: &'static str,
        /// A command or a place.
        install: &'static str,
    },
    /// A language's tool is too old.
    #[error("{tool} is {found}, policies in {language} need {needed} or newer; install it: {install}")]
    OldTool {
        /// The program.
        tool: &'static str,
        /// The language.
        language: &'static str,
        /// Its version.
        found: String,
        /// What is needed.
        needed: &'static str,
        /// A command or a place.
        install: &'static str,
    },
    /// A tool ended with an error; its own words were passed on.
    #[error("{step} failed: {what}")]
    Failed {
        /// Such as `cargo build`.
        step: String,
        /// What to look at or do.
        what: String,
    },
    /// A program cannot be started.
    #[error("running {program}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be read or written.
    #[error("{action} {}", .path.display())]
    File {
        /// `reading`, `writing`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The core module is no policy.
    #[error("making a component of the module: {0}")]
    Componentize(String),
}
