//! The programs that the long runs start: built as for a release, or those that are there.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::bench::{self, server::Launch};
use crate::guests;

/// Which programs.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Programs {
    /// Use the binaries that are there (target/release or CARRARA_BIN_DIR)
    #[arg(long)]
    no_build: bool,
    /// Use the development build that is there (target/debug or CARRARA_BIN_DIR)
    #[arg(long)]
    debug: bool,
}

impl Programs {
    /// The coordinator. Where it must be built, the command is started again as a release build.
    pub(crate) fn coordinator(&self) -> anyhow::Result<PathBuf> {
        let root = guests::workspace();
        let target = root.join("target");
        if !self.no_build && !self.debug {
            bench::build(&root)?;
            let mut again = Command::new(target.join("release/xtask"));
            again.args(std::env::args_os().skip(1)).arg("--no-build").env_remove("CARRARA_BIN_DIR");
            return Err(again.exec()).context("starting target/release/xtask");
        }
        let profile = if self.debug { "debug" } else { "release" };
        let folder = std::env::var_os("CARRARA_BIN_DIR").map_or_else(|| target.join(profile), PathBuf::from);
        let binary = folder.join("carrara-coordinator");
        binary.canonicalize().with_context(|| {
            format!("there is no {}; leave --no-build and --debug out to build it", binary.display())
        })
    }
}

/// A folder below target/, on a disk and not in memory, with a copy of the program: a build meanwhile changes nothing.
pub(crate) fn stage(
    prefix: &str,
    binary: &Path,
    options: &'static [&'static str],
) -> anyhow::Result<(TempDir, Launch)> {
    let target = guests::workspace().join("target");
    let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(&target);
    let folder = folder.with_context(|| format!("making a folder in {}", target.display()))?;
    let copy = folder.path().join("carrara-coordinator");
    fs::copy(binary, &copy).with_context(|| format!("copying {}", binary.display()))?;
    let launch = Launch { binary: copy, scratch: folder.path().to_owned(), options };
    Ok((folder, launch))
}
