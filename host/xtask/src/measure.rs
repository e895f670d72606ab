//! `cargo xtask measure`: the coordinator for release and its built-in policies, built so that the same sources and toolchain give the
//! same bytes in any folder and for anybody, and their digests.
//!
//! What an enclave's measurement adds to that (libraries, configuration, the runtime itself) is examples/occlum's and examples/gramine's.
//! C code is the system's compiler's: the same bytes need the same image as well.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use carrara_author::build::remapped_places;
use carrara_wasm::Surroundings;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::cargo::reproducible;
use crate::guests::{self, PLUGINS};

/// Options of `cargo xtask measure`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Build a second time, from nothing in another folder, and fail if a byte differs
    #[arg(long)]
    twice: bool,
    /// Where the coordinator will run: in an enclave (Occlum, Gramine), in one whose memory cannot be made executable, or as a process (a
    /// VM that is a TEE)
    #[arg(long, default_value = "enclave", value_parser = ["enclave", "interpreted", "process"])]
    surroundings: String,
    /// Only the built-in policies, or only these of them; the coordinator takes many minutes
    #[arg(long, value_name = "POLICY", num_args = 0.., value_parser = PLUGINS)]
    guests: Option<Vec<String>>,
}

/// What is printed.
#[derive(Serialize)]
struct Measured {
    /// `rustc --version`.
    compiler: String,
    surroundings: String,
    /// Whether a second build gave the same.
    twice: bool,
    files: Vec<File>,
}

#[derive(Serialize, PartialEq, Eq)]
struct File {
    name: String,
    sha256: String,
    bytes: usize,
}

/// Builds and prints.
///
/// # Errors
/// A build failed, or a second one gave other bytes.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = guests::workspace();
    let files = build(&root, arguments)?;
    if arguments.twice {
        let copy = copy_of_sources(&root)?;
        let again = build(copy.path(), arguments).context("building a second time")?;
        compare(&files, &again)?;
    }
    let compiler = Command::new("rustc").arg("--version").output().context("running rustc")?;
    let compiler = String::from_utf8_lossy(&compiler.stdout).trim().to_owned();
    let measured =
        Measured { compiler, surroundings: arguments.surroundings.clone(), twice: arguments.twice, files };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&measured)?);
        return Ok(());
    }
    println!("{}, for {}", measured.compiler, measured.surroundings);
    for file in &measured.files {
        println!("{}  {:>10}  {}", file.sha256, file.bytes, file.name);
    }
    if measured.twice {
        println!("built twice, in two folders, with the same result");
    }
    Ok(())
}

/// Builds the sources in `root`, and leaves the coordinator in `target/measure/out`.
fn build(root: &Path, arguments: &Arguments) -> anyhow::Result<Vec<File>> {
    let surroundings = match arguments.surroundings.as_str() {
        "enclave" => Surroundings::Enclave,
        "interpreted" => Surroundings::Interpreted,
        _ => Surroundings::Process,
    };
    let named = arguments.guests.as_deref().unwrap_or_default();
    let plugins: Vec<&str> = PLUGINS
        .into_iter()
        .filter(|plugin| named.is_empty() || named.iter().any(|name| name == plugin))
        .collect();
    guests::make(root, &plugins, &[surroundings])?;
    let code = surroundings.ending();
    let mut files = Vec::new();
    for name in plugins.iter().flat_map(|plugin| [format!("{plugin}.wasm"), format!("{plugin}.{code}")]) {
        files.push(file(&root.join("target/guests").join(&name), format!("guests/{name}"))?);
    }
    if arguments.guests.is_none() {
        files.push(file(&coordinator(root, surroundings)?, "carrara-coordinator".to_owned())?);
    }
    Ok(files)
}

fn file(path: &Path, name: String) -> anyhow::Result<File> {
    let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(File { name, sha256: hex::encode(Sha256::digest(&content)), bytes: content.len() })
}

/// The program of a release build without simulation.
fn coordinator(root: &Path, surroundings: Surroundings) -> anyhow::Result<PathBuf> {
    let target = root.join("target/measure");
    let mut cargo = plain(root);
    cargo.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "carrara-coordinator",
        "--bin",
        "carrara-coordinator",
    ]);
    cargo.arg("--target-dir").arg(&target);
    let feature = match surroundings {
        Surroundings::Process => None,
        Surroundings::Enclave => Some("enclave"),
        Surroundings::Interpreted => Some("interpreted"),
    };
    cargo.args(feature.into_iter().flat_map(|feature| ["--features", feature]));
    ensure!(cargo.status().context("running cargo")?.success(), "the coordinator does not build");
    let out = target.join("out");
    fs::create_dir_all(&out).with_context(|| format!("creating {}", out.display()))?;
    let (from, to) = (target.join("release/carrara-coordinator"), out.join("carrara-coordinator"));
    fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    Ok(to)
}

/// Cargo for everything that the coordinator is made of, also of C.
pub(crate) fn plain(root: &Path) -> Command {
    let mut plain = reproducible(root);
    let places = remapped_places(root, "carrara");
    let rust = places.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    // The linker's note of the build would be over paths, too.
    let rust: Vec<String> = rust.chain(["-Clink-arg=-Wl,--build-id=none".to_owned()]).collect();
    let c: Vec<String> =
        places.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display())).collect();
    plain.env("CARGO_ENCODED_RUSTFLAGS", rust.join("\u{1f}"));
    plain.env("CFLAGS", c.join(" ")).env("CXXFLAGS", c.join(" "));
    // A `config.toml` of cargo comes after the environment.
    for (setting, value) in [
        ("OPT_LEVEL", "3"),
        ("LTO", "false"),
        ("CODEGEN_UNITS", "1"),
        ("DEBUG", "0"),
        ("STRIP", "symbols"),
        ("PANIC", "unwind"),
        ("OVERFLOW_CHECKS", "false"),
        ("DEBUG_ASSERTIONS", "false"),
    ] {
        plain.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    plain
}

/// The sources in another folder, without anything that was built.
fn copy_of_sources(root: &Path) -> anyhow::Result<tempfile::TempDir> {
    let target = root.join("target");
    fs::create_dir_all(&target).with_context(|| format!("creating {}", target.display()))?;
    let copy = tempfile::Builder::new().prefix("measure-").tempdir_in(&target);
    let copy = copy.with_context(|| format!("making a folder in {}", target.display()))?;
    for name in sources(root)? {
        let (from, to) = (root.join(&name), copy.path().join(&name));
        // A file that was removed and is still in the index.
        if !from.is_file() {
            continue;
        }
        let Some(folder) = to.parent() else { bail!("{} has no folder", to.display()) };
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(copy)
}

/// The names of the files that are sources: those that git knows or would take, and all but what tools leave behind where there is no
/// repository (a copy in a container).
fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    if root.join(".git").exists()
        && let Ok(listed) = git.output()
        && listed.status.success()
    {
        let names = listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        return Ok(names.map(|name| PathBuf::from(OsString::from_vec(name.to_vec()))).collect());
    }
    let mut names = Vec::new();
    below(root, Path::new(""), &mut names)?;
    Ok(names)
}

fn below(root: &Path, folder: &Path, names: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let here = root.join(folder);
    for entry in fs::read_dir(&here).with_context(|| format!("reading {}", here.display()))? {
        let entry = entry.with_context(|| format!("reading {}", here.display()))?;
        let name = folder.join(entry.file_name());
        let kind = entry.file_type().with_context(|| format!("reading {}", here.display()))?;
        let left = ["target", ".git", "node_modules", "__pycache__"];
        if kind.is_dir() && !left.iter().any(|left| entry.file_name() == *left) {
            below(root, &name, names)?;
        } else if !kind.is_dir() {
            names.push(name);
        }
    }
    Ok(())
}

fn compare(first: &[File], second: &[File]) -> anyhow::Result<()> {
    let differs = first.iter().zip(second).filter(|(one, other)| one != other);
    let differs: Vec<&str> = differs.map(|(file, _)| file.name.as_str()).collect();
    ensure!(
        first.len() == second.len() && differs.is_empty(),
        "a second build gave other bytes: {}",
        differs.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(command: &Command, name: &str) -> Option<String> {
        let found = command.get_envs().find(|(key, _)| *key == name)?;
        found.1.map(|value| value.to_string_lossy().into_owned())
    }

    #[test]
    fn the_folder_does_not_reach_what_is_built() {
        let command = plain(Path::new("/some/where"));
        let flags = value(&command, "CARGO_ENCODED_RUSTFLAGS").unwrap();
        assert!(
            flags.contains("--remap-path-prefix=/some/where=carrara\u{1f}--remap-path-prefix="),
            "{flags}"
        );
        assert!(flags.ends_with("\u{1f}-Clink-arg=-Wl,--build-id=none"), "{flags}");
        assert!(value(&command, "CFLAGS").unwrap().contains("-ffile-prefix-map=/some/where=carrara"));
        assert_eq!(value(&command, "CARGO_PROFILE_RELEASE_LTO").as_deref(), Some("false"));
    }

    #[test]
    fn where_there_is_no_repository_all_is_a_source_but_what_tools_leave_behind() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "Cargo.toml",
            ".cargo/config.toml",
            "host/a.rs",
            "target/a",
            "host/x/target/b",
            "sdk/node_modules/c",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut names = sources(folder.path()).unwrap();
        names.sort();
        assert_eq!(names, [".cargo/config.toml", "Cargo.toml", "host/a.rs"].map(PathBuf::from));
    }

    #[test]
    fn a_changed_a_missing_and_another_file_are_told() {
        let file =
            |name: &str, sha256: &str| File { name: name.to_owned(), sha256: sha256.to_owned(), bytes: 1 };
        let first = [file("a", "1"), file("b", "2")];
        assert!(compare(&first, &[file("a", "1"), file("b", "2")]).is_ok());
        let error = compare(&first, &[file("a", "1"), file("b", "3")]).unwrap_err().to_string();
        assert!(error.ends_with("other bytes: b"), "{error}");
        assert!(compare(&first, &[file("a", "1")]).is_err());
    }
}
