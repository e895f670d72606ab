//! `policy build [FOLDER]`: source in, component out.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Error, Result, bail};
use carrara_author::build::{self, BuildError, Built, RUST_TARGET, Reproducible, Task};
use carrara_author::inspect::inspect;
use carrara_author::project::{Language, Project};
use clap::Args;
use serde_json::json;

use super::progress::Steps;
use super::source::size;
use super::surface;
use crate::confirm::{self, Answer};
use crate::exit::{Ending, ExitCode};
use crate::output::Output;

/// Build a policy's component
///
/// Compiles the project in FOLDER with its language's own tools and writes build/NAME.wasm. What a language needs beyond them is
/// installed once into the user's cache, nothing globally; a missing tool is named with the command that installs it. The
/// compiler's messages go to stderr.
///
///   carrara policy build
///   carrara policy build policies/two-rooms --output json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Build {
    /// The project
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Install what rustup can install, such as Rust's WebAssembly target, without asking
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn run(command: &Build, output: &mut Output) -> Result<()> {
    let project = Project::open(&command.folder)?;
    let built = match build_once(&project) {
        Err(BuildError::MissingTarget) => {
            install_target(command.yes)?;
            build_once(&project)
        }
        other => other,
    };
    let built = built.map_err(|error| explain(&project, error))?;
    let shown = inspect(&built.component)?;
    output.line(&format!("{} ({})", built.path.display(), size(shown.size as u64)))?;
    output.line(&format!("  digest        {}", shown.digest))?;
    output.line(&format!("  world         {}", project.world))?;
    output.line(&format!("  imports       {}", surface::in_words(&shown.imports)))?;
    output.line(&format!("  reproducible  {}", reproducible(&project, &built)))?;
    output.result(&json!({
        "file": built.path, "digest": shown.digest, "size": shown.size, "world": project.world,
        "imports": shown.imports, "reproducible": built.reproducible == Reproducible::Yes,
    }))
}

fn build_once(project: &Project) -> Result<Built, BuildError> {
    let steps = Steps::new();
    build::build(&Task { project, cache: build::default_cache(project), progress: &steps })
}

fn reproducible(project: &Project, built: &Built) -> &'static str {
    match (built.reproducible, project.language) {
        (Reproducible::No, _) => "no: the tool does not promise the same bytes",
        (_, Language::Rust) => "yes, with this version of Rust and the versions in Cargo.lock",
        (_, Language::Go) => "yes, with this version of Go",
        _ => "yes, with the versions of the tools that the SDK names",
    }
}

fn explain(project: &Project, error: BuildError) -> Error {
    let source = project.folder.join(project.language.source_file());
    let doing = format!("building {} ({})", project.name, source.display());
    Error::new(error).context(doing)
}

fn install_target(yes: bool) -> Result<()> {
    let question = format!("{}. Install it now?", BuildError::MissingTarget);
    if confirm::ask(&question, yes)? == Answer::No {
        return Err(Ending::new(ExitCode::Error, BuildError::MissingTarget.to_string()).into());
    }
    let status = Command::new("rustup").args(["target", "add", RUST_TARGET]).status();
    let status =
        status.context("running rustup; install the target with your toolchain's package instead")?;
    if !status.success() {
        bail!("`rustup target add {RUST_TARGET}` failed; its messages are above");
    }
    Ok(())
}
