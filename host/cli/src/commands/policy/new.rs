//! `policy new NAME`: a project that builds and passes its own cases.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use carrara_author::create::{Blueprint, create};
use carrara_author::project::Language;
use carrara_wasm::World;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::source;
use crate::output::Output;

/// Make a project for a new policy
///
/// A small policy that builds at once and passes its own cases, to go on from: the line to change is marked `edit here`. The
/// project holds a copy of the language's SDK and of the interfaces, so that nothing but the language's own registry is
/// needed to build it. Nothing is overwritten.
///
/// Without --world the name is a world's, and the project has that name.
///
///   carrara policy new no-debug --world manifest-validation --lang rust
///   carrara policy new two-rooms --world role-authorization --lang python --dir policies/two-rooms
///   carrara policy new marble-admission --lang go
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct New {
    /// The policy's name: lower-case letters, digits and hyphens
    name: String,
    /// Which question it answers [default: the world that NAME names]
    #[arg(long, value_parser = source::world(), value_name = "WORLD")]
    world: Option<World>,
    /// What it is written in
    #[arg(long, value_parser = language(), value_name = "LANGUAGE")]
    lang: Language,
    /// Where it goes [default: a folder of its name]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

fn language() -> impl TypedValueParser<Value = Language> {
    PossibleValuesParser::new(Language::ALL.map(Language::name)).try_map(|name| name.parse::<Language>())
}

impl New {
    /// `new role-authorization` needs no further word: the project has the world's name.
    fn world(&self) -> Result<World> {
        let worlds = || World::ALL.map(World::name).join(", ");
        match self.world {
            Some(world) => Ok(world),
            None => self.name.parse().map_err(|_| {
                anyhow!("which question does {} answer? Say --world with one of {}", self.name, worlds())
            }),
        }
    }
}

pub(super) fn run(command: &New, output: &mut Output) -> Result<()> {
    let New { name, lang, dir, .. } = command;
    let world = command.world()?;
    let folder = dir.as_deref().unwrap_or(Path::new(name));
    let project = create(&Blueprint { name, world, language: *lang }, folder)?;
    let place = folder.display();
    output.line(&format!("Made {name} in {place}: a policy for {world}"))?;
    output.line(&format!(
        "Edit {}, at the line marked `edit here`. Next:",
        folder.join(lang.source_file()).display()
    ))?;
    output.line(&format!("  cd {place}"))?;
    output.line("  carrara policy build")?;
    output.line("  carrara policy test")?;
    output.result(&json!({
        "folder": folder, "name": name, "world": world, "language": lang.name(), "sdk": project.sdk,
        "source": folder.join(lang.source_file()), "component": project.component_path(),
    }))
}
