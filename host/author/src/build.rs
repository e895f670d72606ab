//! Building a project: source in, `build/NAME.wasm` out. One file per language; each makes a component's bytes.
//!
//! Nothing is installed globally: what a language needs beyond its own tools goes into the user's cache.

mod component;
mod go;
mod install;
mod js;
mod python;
mod rust;
mod tool;

use std::path::{Path, PathBuf};

use carrara_wasm::{LoadError, Surface, World};

pub use self::component::{StubAdapter, component, component_of_world};
use self::install::installed;
pub use self::tool::{Tool, run};
use crate::project::{Language, Project};

pub use self::rust::{TARGET as RUST_TARGET, remapped_paths, remapped_places};

/// Tells how a build goes on.
pub trait Progress: Sync {
    /// A step begins, such as `installing componentize-py 0.25.1 (once)`.
    fn step(&self, text: &str);
    /// A line that a tool printed: a compiler's errors and warnings.
    fn tool_output(&self, line: &str);
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
    /// Where tools that a build installs are kept for the next one, as [`default_cache`] says.
    pub cache: PathBuf,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

/// A component that was built and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub component: Vec<u8>,
    /// Whether the same sources give the same bytes, with the same tools on any machine.
    pub reproducible: Reproducible,
}

/// What the bytes of a component depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reproducible {
    /// On the sources and the versions of the tools alone: those of the lock file.
    Yes,
    /// Also on what the tool puts into it.
    No,
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
    /// Rust is there, the target of policies is not.
    #[error(
        "the Rust target {RUST_TARGET} is not installed, which policies in Rust are built for; install it: \
         rustup target add {RUST_TARGET}"
    )]
    MissingTarget,
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
    /// What came out is no policy of the project's world.
    #[error("what was built is no policy of the world {world}")]
    Unfit {
        /// The project's.
        world: World,
        /// Names the interface.
        #[source]
        source: LoadError,
    },
}

/// Builds a project and writes its component.
///
/// # Errors
/// [`BuildError`] names the tool and the remedy; what a compiler says of the source went to [`Progress::tool_output`].
pub fn build(task: &Task<'_>) -> Result<Built, BuildError> {
    let (component, reproducible) = match task.project.language {
        Language::Rust => (rust::build(task)?, Reproducible::Yes),
        Language::Go => (go::build(task)?, Reproducible::Yes),
        // QuickJS and CPython draw the seeds of their hash tables while the component is built.
        Language::Python => (python::build(task)?, Reproducible::No),
        Language::JavaScript => (js::build(task)?, Reproducible::No),
    };
    let world = task.project.world;
    let fits = Surface::read(&component).and_then(|surface| surface.fits(world));
    fits.map_err(|source| BuildError::Unfit { world, source })?;
    let component = component::named(task.project, &component)?;
    let path = task.project.component_path();
    write(&path, &component)?;
    Ok(Built { path, component, reproducible })
}

/// `$XDG_CACHE_HOME/carrara`, else `~/.cache/carrara`, else `.cache` in the project.
#[must_use]
pub fn default_cache(project: &Project) -> PathBuf {
    let absolute = |path: &PathBuf| path.is_absolute();
    let configured = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(absolute);
    let home = || std::env::home_dir().filter(absolute).map(|home| home.join(".cache"));
    configured.or_else(home).map_or_else(|| project.folder.join(".cache"), |cache| cache.join("carrara"))
}

/// Writes a file in one step, making its folder.
fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let failed = |source| BuildError::File { action: "writing", path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    written.inspect_err(|_| drop(std::fs::remove_file(&beside))).map_err(failed)
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(|source| BuildError::File {
        action: "reading",
        path: path.to_owned(),
        source,
    })
}
