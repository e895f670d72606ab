//! `cargo xtask policies`: builds the policies of `policies/` to `target/policies/<name>.wasm`.
//!
//! The library's (`policies/<name>/rust`) are members of the workspace, the languages' (`policies/{cedar,rego,cel}`) have one of
//! their own, `policies/languages`: their engines take minutes to build. Cargo builds again only what changed. Nothing here
//! compiles ahead of time or runs a policy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};

use crate::cargo::cargo;
use crate::guests;

/// The policy languages.
const LANGUAGES: [&str; 3] = ["cedar", "cel", "rego"];

/// Options of `cargo xtask policies`.
#[derive(Default, clap::Args)]
pub(crate) struct Arguments {
    /// Build only these, such as `cedar` or `no-debug-packages`
    names: Vec<String>,
}

/// Builds the policies, the library's with one run of cargo and the languages' with another.
///
/// # Errors
/// What failed, with the remedy where there is one.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = guests::workspace();
    let all = policies(&root)?;
    let names: Vec<&str> = if arguments.names.is_empty() {
        all.iter().map(String::as_str).collect()
    } else {
        arguments.names.iter().map(String::as_str).collect()
    };
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|known| known == *name)) {
        bail!("there is no policy {unknown}; there are {}", all.join(", "));
    }
    guests::ensure_target()?;
    let languages = root.join("policies/languages");
    let is_language = |name: &&str| LANGUAGES.contains(name);
    let (of_languages, of_library): (Vec<&str>, Vec<&str>) = names.into_iter().partition(is_language);
    build(&root, &root, &of_library)?;
    build(&root, &languages, &of_languages)
}

/// Cargo in the workspace of the policy languages, whose target folder for the machine's own code is that of all guests.
pub(crate) fn languages(root: &Path, arguments: &[&str]) -> Command {
    let mut command = cargo(root);
    command.current_dir(root.join("policies/languages")).args(arguments);
    command.env("CARGO_TARGET_DIR", root.join("target/guests-build"));
    command
}

/// The names of all policies that are built from Rust, sorted.
fn policies(root: &Path) -> anyhow::Result<Vec<String>> {
    let folder = root.join("policies");
    let mut names: Vec<String> = LANGUAGES.map(ToOwned::to_owned).to_vec();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
        if entry.path().join("rust/Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn build(root: &Path, place: &Path, names: &[&str]) -> anyhow::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let start = Instant::now();
    let package = |name: &str| format!("carrara-policy-{name}");
    let packages: Vec<String> = names.iter().map(|name| package(name)).collect();
    let modules = guests::build(root, place, &packages)?;
    for name in names {
        finish(root, name, &guests::module(&modules, &package(name)))
            .with_context(|| format!("building the policy {name}"))?;
    }
    println!("built {} in {:.0} s", names.join(", "), start.elapsed().as_secs_f64());
    Ok(())
}

/// Makes the component and checks that a coordinator would take it.
fn finish(root: &Path, name: &str, module: &Path) -> anyhow::Result<()> {
    let component = guests::component(module)?;
    let worlds = carrara_wasm::Surface::read(&component)?.worlds();
    ensure!(!worlds.is_empty(), "it implements no world of carrara:policy");
    let folder: PathBuf = root.join("target/policies");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    guests::write_if_changed(&folder.join(format!("{name}.wasm")), &component)
}
