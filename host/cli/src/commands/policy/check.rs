//! `policy check [FILE]`: what a coordinator would say to a component, and what the component may do.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Error, Result};
use carrara_author::inspect::{Inspection, inspect};
use carrara_wasm::{Limits, PolicySource, Surface, Trial, World, limits};
use clap::Args;
use serde_json::json;

use super::source::{self, Source, size};
use super::surface;
use crate::exit::{Ending, ExitCode};
use crate::output::Output;

/// Check that a component fits its world, and show what it may do
///
/// Looks at the component and compiles it as a coordinator would. A refusal names the interface, both versions and what is
/// missing. What a policy may do is read from its imports: there is nothing else. Exit code 5 if a coordinator would refuse
/// the component.
///
///   carrara policy check
///   carrara policy check build/two-rooms.wasm --world role-authorization
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Check {
    /// The component, or a project's folder [default: the project here]
    file: Option<PathBuf>,
    /// Which question it is to answer [default: the project's, or the only one that it can answer]
    #[arg(long, value_parser = source::world(), value_name = "WORLD")]
    world: Option<World>,
}

pub(super) fn run(command: &Check, output: &mut Output) -> Result<()> {
    let source = Source::read(command.file.as_deref())?;
    let refused = |error: Error| {
        Error::new(Ending::new(ExitCode::Findings, format!("{}: {error:#}", source.path.display())))
    };
    let world = Surface::read(&source.component)
        .map_err(Error::from)
        .and_then(|_| source.world(command.world))
        .map_err(refused)?;
    let inspection = inspect(&source.component).map_err(|error| refused(error.into()))?;
    let policy = PolicySource::new(source.name(), world, source.component.clone());
    let allowed = policy.limits;
    let began = Instant::now();
    Trial::load(policy).map_err(|error| refused(error.into()))?;
    let compiled = began.elapsed();

    output.line(&format!(
        "{} fits {world} of carrara:policy@{}",
        source.path.display(),
        carrara_wasm::VERSION
    ))?;
    output.line(&format!("  digest   {}", inspection.digest))?;
    surface::show_capabilities(&inspection, output)?;
    output.line(&format!("  imports  {}", surface::in_words(&inspection.imports)))?;
    output.line(&format!("  exports  {}", surface::in_words(&inspection.exports)))?;
    let kept = kept(&inspection, &allowed);
    for Kept { what, found, limit } in &kept {
        let text = if *what == "modules" {
            format!("  limits   {what}: {found} of {limit}")
        } else {
            format!("  limits   {what}: {} of {}", size(*found), size(*limit))
        };
        output.line(&text)?;
    }
    output.line(&format!("  compiles in {:.1} s", compiled.as_secs_f64()))?;
    output.result(&json!({
        "file": source.path, "world": world, "digest": inspection.digest, "size": inspection.size,
        "imports": inspection.imports, "exports": inspection.exports, "compile-ms": compiled.as_millis() as u64,
        "limits": kept.iter().map(|kept| json!({ "what": kept.what, "found": kept.found, "limit": kept.limit }))
            .collect::<Vec<_>>(),
    }))
}

/// A limit and how much of it the component takes.
struct Kept {
    what: &'static str,
    found: u64,
    limit: u64,
}

/// What is bounded before a call; the loader has refused what is beyond.
fn kept(inspection: &Inspection, allowed: &Limits) -> Vec<Kept> {
    let modules = &inspection.modules;
    let largest = modules.iter().map(|module| module.largest_function).max().unwrap_or_default();
    let memories = modules.iter().flat_map(|module| &module.memories);
    vec![
        Kept { what: "size", found: inspection.size as u64, limit: limits::MAX_COMPONENT_BYTES as u64 },
        Kept { what: "largest function", found: largest as u64, limit: limits::MAX_FUNCTION_BYTES as u64 },
        Kept { what: "modules", found: modules.len() as u64, limit: limits::MAX_NESTED_MODULES as u64 },
        Kept {
            what: "memory at the start",
            found: memories.map(|memory| memory.initial).sum(),
            limit: allowed.memory as u64,
        },
    ]
}
