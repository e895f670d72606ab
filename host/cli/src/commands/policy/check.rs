//! `policy check [FILE]`: what a coordinator would say to a component, and what the component may do.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Error, Result};
use carrara_author::inspect::{Inspection, inspect};
use carrara_wasm::{Limits, PolicySource, Surface, Taken, Trial, World, limits};
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
    let surface = Surface::read(&source.component).map_err(|error| refused(error.into()))?;
    surface.compiles_within(limits::COMPILING).map_err(|error| refused(error.into()))?;
    let world = source.world(command.world).map_err(refused)?;
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
    let taken = taken(&inspection, &surface, &allowed);
    for Taken { what, found, limit } in &taken {
        let text = if SIZES.contains(what) {
            format!("  limits   {what}: {} of {}", size(*found), size(*limit))
        } else {
            format!("  limits   {what}: {found} of {limit}")
        };
        output.line(&text)?;
    }
    output.line(&format!("  compiles in {:.1} s", compiled.as_secs_f64()))?;
    output.result(&json!({
        "file": source.path, "world": world, "digest": inspection.digest, "size": inspection.size,
        "imports": inspection.imports, "exports": inspection.exports, "compile-ms": compiled.as_millis() as u64,
        "limits": taken.iter().map(|taken| json!({ "what": taken.what, "found": taken.found, "limit": taken.limit }))
            .collect::<Vec<_>>(),
    }))
}

/// Limits in bytes, which are shown in the unit that people read.
const SIZES: [&str; 3] = ["size", "memory at the start", "memory to compile"];

/// What a coordinator bounds before a call; the loader has refused what is beyond.
fn taken(inspection: &Inspection, surface: &Surface, allowed: &Limits) -> Vec<Taken> {
    let memories = inspection.modules.iter().flat_map(|module| &module.memories);
    let memory = memories.map(|memory| memory.initial).sum();
    let size = inspection.size as u64;
    let mut taken = vec![
        Taken { what: "size", found: size, limit: limits::MAX_COMPONENT_BYTES as u64 },
        Taken { what: "memory at the start", found: memory, limit: allowed.memory as u64 },
    ];
    taken.extend(&surface.taken);
    taken.push(Taken { what: "memory to compile", found: surface.footprint, limit: limits::COMPILING });
    taken
}
