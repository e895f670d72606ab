//! Builds the contract policies, each once for its sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use carrara_author::build::{
    Progress, RUST_TARGET, StubAdapter, Task, build, component as component_of_module, component_of_world,
};
use carrara_author::project::{Language, PROJECT_FILE, Project};
use carrara_tests::{root, succeed};
use carrara_wasm::World;
use sha2::{Digest as _, Sha256};

/// The contract policy of a world in a language.
pub(crate) fn component(language: Language, world: World) -> Vec<u8> {
    let kept = root().join("target/sdk");
    let path = kept.join(format!("{}-{}.wasm", language.name(), world.name()));
    let stamp = path.with_extension("sources");
    let sources = digest_of_sources(language);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == sources)
        && let Ok(component) = fs::read(&path)
    {
        return component;
    }
    fs::create_dir_all(&kept).unwrap();
    let component = match language {
        Language::Rust => rust(world),
        Language::Go => go(world),
        Language::Python | Language::JavaScript => project(language, world),
    };
    fs::write(&path, &component).unwrap();
    fs::write(&stamp, sources).unwrap();
    component
}

/// What a language's tools are installed with, where they are not there.
pub(crate) fn missing(language: Language) -> Option<&'static str> {
    let (program, probe, install) = match language {
        Language::Rust => return None,
        Language::Go => ("go", "version", "https://go.dev/dl (1.25 or newer)"),
        Language::Python => ("python3", "--version", "apt-get install python3 python3-venv"),
        Language::JavaScript => ("node", "--version", "apt-get install nodejs npm"),
    };
    let found = Command::new(program).arg(probe).output().is_ok_and(|output| output.status.success());
    (!found).then_some(install)
}

/// One word for a world, as the guests' files are called.
fn short(world: World) -> &'static str {
    match world {
        World::ManifestValidation => "validation",
        World::RoleAuthorization => "authorization",
        World::MarbleAdmission => "admission",
        World::SecretRendering => "rendering",
    }
}

/// In the folder and with the flags of the built-in policies, whose dependencies are there already.
fn rust(world: World) -> Vec<u8> {
    let target = root().join("target/guests-build");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo.args(["build", "--quiet", "--package", "carrara-contract", "--profile", "guest"]);
    cargo.args(["--example", short(world), "--target", RUST_TARGET, "--target-dir"]).arg(&target);
    cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", remapped_paths());
    succeed(&mut cargo);
    let module = target.join(RUST_TARGET).join("guest/examples").join(format!("{}.wasm", short(world)));
    component_of_module(&fs::read(module).unwrap()).unwrap()
}

fn remapped_paths() -> String {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    [remap(&root(), "carrara"), remap(&home, "cargo")].join("\u{1f}")
}

/// As `carrara policy build` does.
fn go(world: World) -> Vec<u8> {
    let module = root().join("target/sdk").join(format!("go-{}.core.wasm", world.name()));
    let mut go = Command::new("go");
    go.current_dir(root().join("sdk/contract/go"));
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="]);
    go.arg("-o").arg(&module).arg(format!("./{}", short(world)));
    go.env("GOOS", "wasip1").env("GOARCH", "wasm").env("GOFLAGS", "-mod=mod").env("GOWORK", "off");
    succeed(&mut go);
    let text = fs::read_to_string(root().join("sdk/go/adapter.wat")).unwrap();
    let adapter = StubAdapter { name: "wasi_snapshot_preview1", text: &text };
    let component = component_of_world(&fs::read(&module).unwrap(), world, Some(adapter));
    fs::remove_file(&module).unwrap();
    component.unwrap()
}

/// As an author's project with a copy of the SDK: the world's file is the one that an author edits.
fn project(language: Language, world: World) -> Vec<u8> {
    // Each keeps a core busy, and the first one installs the tools.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = root().join("target/sdk").join(format!("{}-{}", language.name(), world.name()));
    let _ = fs::remove_dir_all(&folder);
    copy(&root().join("sdk/contract").join(language.name()), &folder);
    copy(&root().join("sdk").join(language.name()), &folder.join("sdk"));
    copy(&root().join("wit"), &folder.join("wit"));
    let source = folder.join(language.source_file());
    let ending = source.extension().unwrap().to_string_lossy().into_owned();
    fs::rename(folder.join(format!("{}.{ending}", short(world))), &source).unwrap();
    let (name, version) = ("contract".to_owned(), "0.1.0".to_owned());
    let project = Project { folder, name, sdk: version.clone(), version, world, language };
    fs::write(project.folder.join(PROJECT_FILE), project.file_text()).unwrap();
    // The tools of all tests, not those of whoever runs them.
    let cache = root().join("target/policy-tools");
    let built = build(&Task { project: &project, cache, progress: &Shown });
    built.unwrap_or_else(|error| panic!("{}, {world}: {error}", language.name())).component
}

/// What the tools say, where a failing test shows it.
struct Shown;

impl Progress for Shown {
    fn step(&self, text: &str) {
        eprintln!("{text}");
    }

    fn tool_output(&self, line: &str) {
        eprintln!("{line}");
    }
}

fn copy(from: &Path, to: &Path) {
    let mut files = Vec::new();
    collect(from, &mut files);
    for file in files {
        let to = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, to).unwrap();
    }
}

/// Of the SDK and its contract policies.
fn digest_of_sources(language: Language) -> String {
    let mut files = Vec::new();
    for folder in
        [root().join("sdk").join(language.name()), root().join("sdk/contract").join(language.name())]
    {
        collect(&folder, &mut files);
    }
    files.push(root().join("Cargo.lock"));
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.to_string_lossy().as_bytes());
        digest.update(Sha256::digest(fs::read(&file).unwrap()));
    }
    hex::encode(digest.finalize())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What tools leave behind is no source.
        if ["node_modules", "__pycache__", "target", "build"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
