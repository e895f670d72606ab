//! `policy inspect FILE`: everything that a component shows of itself.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use carrara_author::inspect::{Inspection, Module, Range, inspect};
use carrara_types::policy::Digest;
use carrara_wasm::PolicyHost;
use clap::Args;
use serde_json::json;

use super::source::{Source, size};
use super::surface;
use crate::output::Output;

/// Show what a component is: digest, worlds, imports, exports, makers, memory
///
/// Runs nothing. FILE may be what `carrara policy pull` saved, a project's folder, or the digest of a policy that is built
/// into this program. The names of languages and tools are what their makers wrote; all else is read from the code.
///
///   carrara policy inspect build/two-rooms.wasm
///   carrara policy inspect sha256:41d0... --output json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Inspect {
    /// The component, a project's folder, or the digest of a built-in policy [default: the project here]
    file: Option<PathBuf>,
}

pub(super) fn run(command: &Inspect, output: &mut Output) -> Result<()> {
    let (name, component) = read(command.file.as_deref())?;
    let shown = inspect(&component).with_context(|| name.clone())?;
    output.line(&format!("{name} ({})", size(shown.size as u64)))?;
    output.line(&format!("  digest   {}", shown.digest))?;
    output.line(&format!("  worlds   {}", worlds(&shown)))?;
    surface::show_capabilities(&shown, output)?;
    output.line(&format!("  imports  {}", surface::in_words(&shown.imports)))?;
    output.line(&format!("  exports  {}", surface::in_words(&shown.exports)))?;
    for producer in &shown.producers {
        output.line(&format!("  made by  {}", crate::output::escaped(producer)))?;
    }
    for (number, module) in shown.modules.iter().enumerate() {
        output.line(&format!("  module   {number}: {}", module_in_words(module)))?;
    }
    for section in &shown.custom_sections {
        let name = crate::output::escaped(&section.name);
        output.line(&format!("  section  {name}: {}", size(section.size as u64)))?;
    }
    output.result(&json!({ "file": name, "component": shown }))
}

/// A file's bytes, or those of a built-in policy.
fn read(file: Option<&Path>) -> Result<(String, Vec<u8>)> {
    let digest = file.filter(|path| !path.exists()).and_then(|path| path.to_str()?.parse::<Digest>().ok());
    let Some(digest) = digest else {
        let source = Source::read(file)?;
        return Ok((source.path.display().to_string(), source.component));
    };
    let host = PolicyHost::builtin().context("starting the built-in policies")?;
    let component = host.component(&digest.0).ok_or_else(|| {
        anyhow!("{digest} is no policy of this program; save it with `carrara policy pull {digest} HOST:PORT -o FILE`")
    })?;
    Ok((digest.to_string(), component.to_vec()))
}

fn worlds(shown: &Inspection) -> String {
    let names: Vec<_> = shown.worlds.iter().map(|world| world.name()).collect();
    if names.is_empty() { "none: no policy".to_owned() } else { names.join(", ") }
}

fn module_in_words(module: &Module) -> String {
    let Module { size: bytes, functions, largest_function, memories, tables } = module;
    let mut words = format!(
        "{}, {functions} functions (the largest: {})",
        size(*bytes as u64),
        size(*largest_function as u64)
    );
    for memory in memories {
        words += &format!(", memory {}", range(memory, size));
    }
    for table in tables {
        words += &format!(", table {} elements", range(table, |elements| elements.to_string()));
    }
    words
}

fn range(range: &Range, unit: impl Fn(u64) -> String) -> String {
    match range.maximum {
        Some(maximum) if maximum == range.initial => unit(maximum),
        Some(maximum) => format!("{} to {}", unit(range.initial), unit(maximum)),
        None => format!("{} or more", unit(range.initial)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_policy_is_inspected_by_its_digest() {
        let host = PolicyHost::builtin().unwrap();
        let rbac = host.policies().into_iter().find(|policy| policy.name == "rbac").unwrap();
        let digest = Digest(rbac.digest).to_string();
        let (_, component) = read(Some(Path::new(&digest))).unwrap();
        let shown = inspect(&component).unwrap();
        assert_eq!(shown.digest.to_string(), digest);
        assert_eq!(worlds(&shown), "role-authorization");
        let unknown = read(Some(Path::new(&Digest([0; 32]).to_string()))).unwrap_err().to_string();
        assert!(unknown.contains("carrara policy pull"), "{unknown}");
    }

    #[test]
    fn a_module_is_described_by_its_sizes() {
        let module = Module {
            size: 100,
            functions: 2,
            largest_function: 7,
            memories: vec![Range { initial: 65_536, maximum: None }],
            tables: vec![Range { initial: 1, maximum: Some(4) }],
        };
        let expected =
            "100 bytes, 2 functions (the largest: 7 bytes), memory 64 KiB or more, table 1 to 4 elements";
        assert_eq!(module_in_words(&module), expected);
    }
}
