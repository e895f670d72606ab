//! The Python environment of tests that use clients which are not ours: a venv in `target/`, with pinned packages.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// The interpreter of the environment, made if it is not there; `None` where the machine has no Python with `venv`.
pub(crate) fn environment(root: &Path) -> anyhow::Result<Option<PathBuf>> {
    let requirements = root.join("tests/clients/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).context("reading tests/clients/requirements.txt")?;
    let venv = root.join("target/python");
    let (python, stamp) = (venv.join("bin/python"), venv.join("installed"));
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(python));
    }
    let mut probe = Command::new("python3");
    probe.args(["-c", "import venv, ensurepip"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    println!("== Python packages for the tests");
    let made =
        Command::new("python3").args(["-m", "venv"]).arg(&venv).status().context("starting python3")?;
    ensure!(made.success(), "`python3 -m venv {}` failed", venv.display());
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements);
    ensure!(
        pip.status().context("starting pip")?.success(),
        "pip could not install tests/clients/requirements.txt"
    );
    std::fs::write(&stamp, wanted).context("writing the stamp of the Python environment")?;
    Ok(Some(python))
}
