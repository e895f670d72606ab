//! Cargo, as the tasks call it.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// Cargo in the workspace, with the workspace's own target folder: the tasks look for binaries and guests there.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).env("CARGO_TARGET_DIR", root.join("target")).stdin(Stdio::null());
    command
}

/// Builds; with a progress bar on a terminal, else silently but for warnings and errors.
pub(crate) fn build(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = cargo(root);
    command.arg("build").args(arguments);
    if !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    ensure!(command.status().context("starting cargo")?.success(), "the build failed; see above");
    Ok(())
}
