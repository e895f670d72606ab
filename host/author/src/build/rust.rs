//! Rust: cargo makes a module for [`TARGET`], which carries its world.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::tool::{Tool, run};
use super::{BuildError, Task, component, read};

/// No system interface at all.
pub const TARGET: &str = "wasm32-unknown-unknown";

const INSTALL: &str = "https://rustup.rs";
const CARGO: Tool = Tool { program: "cargo", language: "Rust", install: INSTALL };
const RUSTC: Tool = Tool { program: "rustc", language: "Rust", install: INSTALL };

pub(super) fn build(task: &Task<'_>) -> Result<Vec<u8>, BuildError> {
    let folder = &task.project.folder;
    let sysroot = RUSTC.output(&["--print", "sysroot"])?;
    if !Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir() {
        return Err(BuildError::MissingTarget);
    }
    task.progress.step("compiling with cargo");
    let mut cargo = Command::new(CARGO.program);
    cargo.current_dir(folder);
    cargo.args(["build", "--quiet", "--lib", "--release", "--target", TARGET]);
    cargo.arg("--message-format=json-render-diagnostics");
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        cargo.arg("--target-dir").arg(folder.join("target"));
    }
    // Flags for the machine's code mean nothing here; with them, or with this machine's paths in messages of panics, the
    // bytes would depend on who builds.
    let place = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", remapped_paths(&place, "policy"));
    let messages = run(&CARGO, "cargo build", &mut cargo, task.progress)?;
    let module = module(&messages).ok_or_else(|| BuildError::Failed {
        step: "cargo build".to_owned(),
        what: "it made no module; Cargo.toml must say `crate-type = [\"cdylib\"]` under [lib]".to_owned(),
    })?;
    task.progress.step("making the component");
    component(&read(&module)?)
}

/// Where the module of the last package is: that of the project, which is built after all that it needs.
fn module(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    let artifacts = messages.filter(|message| message.reason == "compiler-artifact");
    let modules = artifacts.flat_map(|artifact| artifact.filenames);
    let mut modules = modules.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    modules.next_back()
}

/// A line of what cargo prints as JSON.
#[derive(Deserialize)]
struct Artifact {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Flags of rustc (encoded, as in `CARGO_ENCODED_RUSTFLAGS`) after which messages of panics say `name` for a folder and `cargo`
/// for cargo's own, so that the bytes do not depend on where they are built.
#[must_use]
pub fn remapped_paths(folder: &Path, name: &str) -> String {
    let remap = |(from, to): &(PathBuf, String)| format!("--remap-path-prefix={}={to}", from.display());
    remapped_places(folder, name).iter().map(remap).collect::<Vec<_>>().join("\u{1f}")
}

/// What paths of this machine become in what is built: the folder's (`name`), cargo's (`cargo`), and those of the standard library's
/// sources where they are installed. A later one counts before an earlier one.
#[must_use]
pub fn remapped_places(folder: &Path, name: &str) -> Vec<(PathBuf, String)> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    let mut places = vec![(folder.to_owned(), name.to_owned()), (home.clone(), "cargo".to_owned())];
    places.extend(mirrors(&home));
    places.extend(standard_library(folder));
    places
}

/// Where cargo keeps the sources that came from crates.io itself, below its own folder.
const CRATES_IO: &str = "index.crates.io-1949cf8c6b5b557f";

/// Who has them from a mirror has them in a folder of another name.
fn mirrors(home: &Path) -> Vec<(PathBuf, String)> {
    let registries = std::fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
    let mut mirrors: Vec<_> = registries
        .filter(|registry| registry.file_name() != CRATES_IO)
        .map(|registry| (registry.path(), format!("cargo/registry/src/{CRATES_IO}")))
        .collect();
    mirrors.sort();
    mirrors
}

/// The compiler names the standard library's sources by its own commit, but by their path where rustup has installed them.
fn standard_library(folder: &Path) -> Option<(PathBuf, String)> {
    let rustc = |arguments: &[&str]| {
        let output = Command::new(RUSTC.program).args(arguments).current_dir(folder).output().ok()?;
        String::from_utf8(output.stdout).ok()
    };
    let sources = Path::new(rustc(&["--print", "sysroot"])?.trim()).join("lib/rustlib/src/rust");
    if !sources.is_dir() {
        return None;
    }
    let version = rustc(&["-vV"])?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "))?;
    Some((sources, format!("/rustc/{commit}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_last_wasm_file_that_cargo_names() {
        let messages = r#"{"reason":"compiler-artifact","filenames":["/t/libserde.rlib"]}
{"reason":"build-script-executed"}
{"reason":"compiler-artifact","filenames":["/t/p.wasm","/t/libp.rlib"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(module(messages), Some(PathBuf::from("/t/p.wasm")));
        assert_eq!(module("{\"reason\":\"build-finished\",\"success\":true}\nno json"), None);
    }

    #[test]
    fn a_mirror_of_crates_io_leaves_no_trace() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(mirrors(home.path()), []);
        let registries = home.path().join("registry/src");
        for name in ["mirror.example.org-0123456789abcdef", CRATES_IO] {
            std::fs::create_dir_all(registries.join(name)).unwrap();
        }
        let mirror = registries.join("mirror.example.org-0123456789abcdef");
        assert_eq!(mirrors(home.path()), [(mirror, format!("cargo/registry/src/{CRATES_IO}"))]);
    }

    #[test]
    fn the_folder_and_cargos_own_are_named_instead_of_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let flags = remapped_paths(folder.path(), "policy");
        let mut flags = flags.split('\u{1f}');
        let first = format!("--remap-path-prefix={}=policy", folder.path().display());
        assert_eq!(flags.next(), Some(first.as_str()));
        assert!(flags.next().unwrap().ends_with("=cargo"));
        for more in flags {
            assert!(more.starts_with("--remap-path-prefix=/") && !more.ends_with('='), "{more}");
        }
    }
}
