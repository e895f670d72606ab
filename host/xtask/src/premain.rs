//! `cargo xtask premain`: `carrara-premain` as enclaves get it: small, built as what is measured is (`measure`), and in need of
//! no file beside it.
//!
//! Occlum alone starts no static programs (its loader wants an interpreter), hence `--occlum`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::guests;
use crate::measure::plain;

/// The target of the static program.
const MUSL: &str = "x86_64-unknown-linux-musl";
/// That of the system.
const SYSTEM: &str = "x86_64-unknown-linux-gnu";
/// The C compiler for the static program, of Debian's musl-tools.
const COMPILER: &str = "musl-gcc";
/// What the program may have at most.
const LIMIT_BYTES: usize = 10_000_000;

/// Of the ELF specification: the kind of a program header.
const PT_INTERP: usize = 3;

/// Options of `cargo xtask premain`.
#[derive(Default, clap::Args)]
pub(crate) struct Arguments {
    /// Link with the system's C library, as Occlum needs it; build in Occlum's image, so that it is not newer than Occlum's
    #[arg(long)]
    occlum: bool,
}

/// Builds and prints.
///
/// # Errors
/// Something is not installed, the build failed, or the program is not as libOSes need it.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = guests::workspace();
    let (target, place) = if arguments.occlum { (SYSTEM, "occlum") } else { (MUSL, "static") };
    if target == MUSL
        && let Some(install) = missing()
    {
        bail!("the static carrara-premain needs what is not installed; run: {install}");
    }
    let built = build(&root, target)?;
    let program = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    let interpreter = interpreter(&program).with_context(|| format!("reading {}", built.display()))?;
    check(program.len(), interpreter.as_deref(), target)?;
    let to = keep(&root.join("target/premain").join(place), &built)?;
    let linked = interpreter.map_or_else(|| "static".to_owned(), |loader| format!("started by {loader}"));
    println!("{}  {:>10}  {}, {linked}", hex::encode(Sha256::digest(&program)), program.len(), to.display());
    Ok(())
}

/// The command that installs what the static program needs and is not there.
pub(crate) fn missing() -> Option<String> {
    let mut commands = Vec::new();
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join(COMPILER).is_file()) {
        commands.push("apt-get install -y musl-tools".to_owned());
    }
    if !guests::has_target(MUSL).unwrap_or(false) {
        commands.push(format!("rustup target add {MUSL}"));
    }
    (!commands.is_empty()).then(|| commands.join(" && "))
}

fn build(root: &Path, target: &str) -> anyhow::Result<PathBuf> {
    let folder = root.join("target/premain");
    let mut cargo = plain(root);
    cargo.args(["build", "--quiet", "--locked", "--profile", "premain", "--target", target]);
    cargo.args(["--package", "carrara-marble", "--bin", "carrara-premain"]);
    cargo.arg("--target-dir").arg(&folder);
    ensure!(cargo.status().context("running cargo")?.success(), "carrara-premain does not build");
    Ok(folder.join(target).join("premain/carrara-premain"))
}

fn keep(folder: &Path, built: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let to = folder.join("carrara-premain");
    // A program that runs cannot be written to.
    let _ = fs::remove_file(&to);
    fs::copy(built, &to).with_context(|| format!("copying {}", built.display()))?;
    Ok(to)
}

fn check(length: usize, interpreter: Option<&str>, target: &str) -> anyhow::Result<()> {
    ensure!(length < LIMIT_BYTES, "carrara-premain has {length} bytes, and may have {LIMIT_BYTES} at most");
    match (target == MUSL, interpreter) {
        (true, Some(loader)) => bail!("carrara-premain is not static: {loader} is to start it"),
        (false, None) => bail!("carrara-premain is static, and Occlum does not start it"),
        _ => Ok(()),
    }
}

/// What an ELF program of 64 bits names to start it; nothing if it is static.
fn interpreter(program: &[u8]) -> anyhow::Result<Option<String>> {
    ensure!(program.starts_with(b"\x7fELF\x02\x01"), "it is no little-endian ELF file of 64 bits");
    let (first, size, count) = (number(program, 32, 8)?, number(program, 54, 2)?, number(program, 56, 2)?);
    for index in 0..count {
        let at = first.saturating_add(index.saturating_mul(size));
        if number(program, at, 4)? == PT_INTERP {
            let from = number(program, at.saturating_add(8), 8)?;
            let path = part(program, from, number(program, at.saturating_add(32), 8)?)?;
            return Ok(Some(String::from_utf8_lossy(path).trim_end_matches('\0').to_owned()));
        }
    }
    Ok(None)
}

fn part(bytes: &[u8], at: usize, length: usize) -> anyhow::Result<&[u8]> {
    bytes.get(at..at.saturating_add(length)).context("the ELF file is cut off")
}

fn number(bytes: &[u8], at: usize, length: usize) -> anyhow::Result<usize> {
    Ok(part(bytes, at, length)?.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_names_its_interpreter_and_without_that_header_it_has_none() {
        let mut program = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(interpreter(&program).unwrap().unwrap().contains("ld-linux"), "dynamic");
        let (first, size) = (number(&program, 32, 8).unwrap(), number(&program, 54, 2).unwrap());
        let count = number(&program, 56, 2).unwrap();
        let place = (0..count).map(|index| first + index * size);
        let place = place.into_iter().find(|at| number(&program, *at, 4).unwrap() == PT_INTERP).unwrap();
        program[place] = 0;
        assert_eq!(interpreter(&program).unwrap(), None);
        assert!(interpreter(&program[..place]).is_err(), "cut off");
        assert!(interpreter(b"#!/bin/sh").is_err());
    }

    #[test]
    fn what_is_too_large_or_linked_otherwise_than_the_runtime_needs_is_refused() {
        assert!(check(LIMIT_BYTES - 1, None, MUSL).is_ok());
        assert!(check(LIMIT_BYTES, None, MUSL).unwrap_err().to_string().contains("10000000 at most"));
        assert!(check(1, Some("/lib/ld"), MUSL).unwrap_err().to_string().contains("/lib/ld"));
        assert!(check(1, Some("/lib/ld"), SYSTEM).is_ok());
        assert!(check(1, None, SYSTEM).is_err(), "Occlum starts no static programs");
    }
}
