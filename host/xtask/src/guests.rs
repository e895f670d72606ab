//! `cargo xtask guests`: builds the built-in policies.
//!
//! Each plugin becomes `target/guests/<name>.wasm` (a component) and `target/guests/<name>.cwasm` (the same compiled ahead
//! of time for this coordinator). Files are replaced atomically and only when they change, so that what embeds them is
//! built again only when it must be. Nothing here runs a guest.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use carrara_author::build::remapped_paths;
use carrara_wasm::Surroundings;
use sha2::{Digest as _, Sha256};

use crate::cargo::reproducible;

/// The target of guests: no imports but those of the worlds.
const TARGET: &str = "wasm32-unknown-unknown";

/// The built-in policies; each implements one world.
pub(crate) const PLUGINS: [&str; 4] = ["manifest-rules", "rbac", "go-template", "liquid"];

/// The stack of each in bytes, at least four times what its deepest input needs (`host/wasm/tests/stack.rs`). The linker's default is 1 MiB; it is part of the memory that each call has anew, which is
/// cleared where there are no slots for it. It lies below all data: what runs out of it leaves the memory, traps, and overwrites
/// nothing.
fn stack_bytes(plugin: &str) -> u32 {
    match plugin {
        "rbac" => 64 << 10,
        "manifest-rules" => 256 << 10,
        "go-template" => 512 << 10,
        _ => 384 << 10,
    }
}

/// Options of `cargo xtask guests`.
#[derive(Default, clap::Args)]
pub(crate) struct Arguments {
    /// Also compile for a coordinator that runs in an enclave
    #[arg(long)]
    enclave: bool,
    /// Also compile for one in an enclave whose memory cannot be made executable
    #[arg(long)]
    interpreted: bool,
    /// Build only these plugins
    #[arg(value_parser = PLUGINS)]
    plugins: Vec<String>,
}

/// Builds the guests.
///
/// # Errors
/// What failed, with the remedy where there is one.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let plugins: Vec<&str> = if arguments.plugins.is_empty() {
        PLUGINS.to_vec()
    } else {
        arguments.plugins.iter().map(String::as_str).collect()
    };
    let wanted = |surroundings: &Surroundings| match surroundings {
        Surroundings::Process => true,
        Surroundings::Enclave => arguments.enclave,
        Surroundings::Interpreted => arguments.interpreted,
    };
    let surroundings: Vec<Surroundings> = Surroundings::ALL.into_iter().filter(wanted).collect();
    make(&workspace(), &plugins, &surroundings)
}

/// Builds plugins of the sources in `workspace`, and compiles them ahead of time for each of the `surroundings`.
///
/// # Errors
/// What failed, with the remedy where there is one.
pub(crate) fn make(workspace: &Path, plugins: &[&str], surroundings: &[Surroundings]) -> anyhow::Result<()> {
    ensure_target()?;
    let guests = workspace.join("target/guests");
    fs::create_dir_all(&guests).with_context(|| format!("creating {}", guests.display()))?;
    for &plugin in plugins {
        let module = link(workspace, plugin)?;
        finish(plugin, &module, &guests, surroundings)
            .with_context(|| format!("building the policy {plugin}"))?;
    }
    Ok(())
}

/// The workspace's root: this crate lies two folders below.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Installs the target of guests where it is missing.
pub(crate) fn ensure_target() -> anyhow::Result<()> {
    if has_target(TARGET)? {
        return Ok(());
    }
    let status = Command::new("rustup").args(["target", "add", TARGET]).status().with_context(|| {
        format!("the Rust target {TARGET} is missing and rustup is not there to install it: install the target with your toolchain's package")
    })?;
    ensure!(status.success(), "`rustup target add {TARGET}` failed");
    Ok(())
}

/// Whether the toolchain has the standard library of a target.
pub(crate) fn has_target(target: &str) -> anyhow::Result<bool> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().context("running rustc")?;
    let sysroot = String::from_utf8(sysroot.stdout).context("reading rustc's sysroot")?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(target).is_dir())
}

/// Builds packages of the cargo workspace in `place` as core modules. Returns the folder with the modules.
pub(crate) fn build(root: &Path, place: &Path, packages: &[String]) -> anyhow::Result<PathBuf> {
    let (mut cargo, modules) = builder(root, place, "build");
    for package in packages {
        cargo.args(["--package", package]);
    }
    finished(&mut cargo)?;
    Ok(modules)
}

/// Builds a plugin with its stack. Only linking differs: what plugins are built of is shared.
fn link(workspace: &Path, plugin: &str) -> anyhow::Result<PathBuf> {
    let package = format!("carrara-plugin-{plugin}");
    let (mut cargo, modules) = builder(workspace, workspace, "rustc");
    cargo.args(["--package", &package, "--"]);
    cargo.arg(format!("-Clink-arg=-zstack-size={}", stack_bytes(plugin)));
    finished(&mut cargo)?;
    Ok(module(&modules, &package))
}

/// Cargo's command for modules of the workspace in `place`, and the folder where it leaves them: a target folder of their own,
/// so that no other build waits for it or is waited for.
fn builder(root: &Path, place: &Path, command: &str) -> (Command, PathBuf) {
    let target = root.join("target/guests-build");
    let mut cargo = reproducible(root);
    cargo.current_dir(place).args([command, "--quiet", "--lib", "--profile", "guest", "--target", TARGET]);
    cargo.arg("--target-dir").arg(&target);
    // With this machine's paths in panic messages the bytes would depend on who builds.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", remapped_paths(root, "carrara"));
    (cargo, target.join(TARGET).join("guest"))
}

fn finished(cargo: &mut Command) -> anyhow::Result<()> {
    let status = cargo.status().context("running cargo")?;
    ensure!(status.success(), "the guests do not build");
    Ok(())
}

/// Where [`build`] leaves a package's module.
pub(crate) fn module(modules: &Path, package: &str) -> PathBuf {
    modules.join(format!("{}.wasm", package.replace('-', "_")))
}

fn finish(name: &str, module: &Path, guests: &Path, surroundings: &[Surroundings]) -> anyhow::Result<()> {
    let component = component(module)?;
    let worlds = carrara_wasm::Surface::read(&component)?.worlds();
    ensure!(worlds.len() == 1, "it implements {} worlds of carrara:policy instead of one", worlds.len());
    write_if_changed(&guests.join(format!("{name}.wasm")), &component)?;
    for &here in surroundings {
        precompile(&guests.join(format!("{name}.{}", here.ending())), &component, here)?;
    }
    Ok(())
}

/// Makes a component of a core module; the module's custom section carries the world.
pub(crate) fn component(module: &Path) -> anyhow::Result<Vec<u8>> {
    let module = fs::read(module).with_context(|| format!("reading {}", module.display()))?;
    carrara_author::build::component(&module).context("does it call `export!`?")
}

/// Compiles ahead of time unless the file was made of the same component by the same engine; its stamp says so.
fn precompile(path: &Path, component: &[u8], surroundings: Surroundings) -> anyhow::Result<()> {
    let stamp_path = path.with_extension("cwasm.stamp");
    let engine = carrara_wasm::compatibility(surroundings)?;
    let stamp = |compiled: &[u8]| {
        format!(
            "{} {engine} {}\n",
            hex::encode(Sha256::digest(component)),
            hex::encode(Sha256::digest(compiled))
        )
    };
    if let (Ok(compiled), Ok(found)) = (fs::read(path), fs::read_to_string(&stamp_path))
        && found == stamp(&compiled)
    {
        return Ok(());
    }
    let compiled = carrara_wasm::precompile(surroundings, component)?;
    write_if_changed(path, &compiled)?;
    write_if_changed(&stamp_path, stamp(&compiled).as_bytes())
}

/// Replaces a file in one step; leaves it, with its time, where it already holds these bytes.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    let Some(folder) = path.parent() else { bail!("{} has no folder", path.display()) };
    let readable = fs::Permissions::from_mode(0o644);
    let mut file = tempfile::Builder::new()
        .permissions(readable)
        .tempfile_in(folder)
        .with_context(|| format!("writing {}", path.display()))?;
    file.write_all(bytes).with_context(|| format!("writing {}", path.display()))?;
    file.persist(path).with_context(|| format!("replacing {}", path.display()))?;
    Ok(())
}
