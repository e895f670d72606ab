//! Builds the contract policies, each once for its sources.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use carrara_author::build::{
    Progress, RUST_TARGET, StubAdapter, Task, build, component as component_of_module, component_of_world,
    remapped_paths,
};
use carrara_author::project::{Language, PROJECT_FILE, Project};
use carrara_tests::{guests, root, succeed};
use carrara_wasm::World;

/// The contract policy of a world in a language.
pub(crate) fn component(language: Language, world: World) -> Vec<u8> {
    let name = language.name();
    let path = root().join("target/sdk").join(format!("{name}-{}.wasm", world.name()));
    let sources =
        [root().join("sdk").join(name), root().join("sdk/contract").join(name), root().join("Cargo.lock")];
    guests::kept(&path, &sources.each_ref().map(PathBuf::as_path), || match language {
        Language::Rust => rust(world),
        Language::Go => go(world),
        Language::Python | Language::JavaScript => project(language, world),
    })
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
    cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", remapped_paths(&root(), "carrara"));
    succeed(&mut cargo);
    let module = target.join(RUST_TARGET).join("guest/examples").join(format!("{}.wasm", short(world)));
    component_of_module(&fs::read(module).unwrap()).unwrap()
}

/// As `carrara policy build` does.
fn go(world: World) -> Vec<u8> {
    let module = root().join("target/sdk").join(format!("go-{}.core.wasm", world.name()));
    let mut go = Command::new("go");
    go.current_dir(root().join("sdk/contract/go"));
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="]);
    go.arg("-o").arg(&module).arg(format!("./{}", short(world)));
    go.env("GOOS", "wasip1").env("GOARCH", "wasm").env("GOFLAGS", "-mod=readonly").env("GOWORK", "off");
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
    guests::copy(&root().join("sdk/contract").join(language.name()), &folder);
    guests::copy(&root().join("sdk").join(language.name()), &folder.join("sdk"));
    guests::copy(&root().join("wit"), &folder.join("wit"));
    let source = folder.join(language.source_file());
    let ending = source.extension().unwrap().to_string_lossy().into_owned();
    fs::rename(folder.join(format!("{}.{ending}", short(world))), &source).unwrap();
    let (name, version) = ("contract".to_owned(), "0.1.0".to_owned());
    let project = Project { folder, name, sdk: version.clone(), version, world, language };
    fs::write(project.folder.join(PROJECT_FILE), project.file_text()).unwrap();
    let built = build(&Task { project: &project, cache: guests::tools(), progress: &Shown });
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
