//! Python: the SDK's `build.py` makes a component of CPython, the SDK and the project's modules with componentize-py, which is
//! installed once, into the cache, as the SDK's `requirements.txt` pins it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool::{Tool, run};
use super::{BuildError, Task, installed, read};

const PYTHON: Tool = Tool {
    program: "python3",
    language: "Python",
    install: "apt-get install python3 python3-venv (3.10 or newer)",
};

/// The first version that the SDK's own tests run with.
const NEEDED: &str = "3.10";

pub(super) fn build(task: &Task<'_>) -> Result<Vec<u8>, BuildError> {
    let project = task.project;
    let sdk = project.folder.join("sdk");
    let python = tools(task, &sdk)?;
    task.progress.step("making the component with componentize-py (some 15 seconds)");
    let out = project.folder.join("build").join(format!("{}.python.wasm", project.name));
    let mut command = Command::new(&python);
    command.arg(sdk.join("build.py")).args(["--world", project.world.name()]);
    command.arg("--project").arg(&project.folder).arg("--wit").arg(project.folder.join("wit"));
    command.arg("--out").arg(&out);
    // This Python's bytecode is of no use to the one in the component.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    let built = run(&PYTHON, "componentize-py", &mut command, task.progress).and_then(|_| read(&out));
    let _ = std::fs::remove_file(&out);
    built
}

/// The interpreter of an environment that has what the SDK's `requirements.txt` names.
fn tools(task: &Task<'_>, sdk: &Path) -> Result<PathBuf, BuildError> {
    let requirements = sdk.join("requirements.txt");
    let pinned = read(&requirements)?;
    let version = PYTHON.output(&["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])?;
    PYTHON.at_least(&version, NEEDED)?;
    let key = [version.as_bytes(), b"\n", &pinned].concat();
    let folder = installed(task, &format!("python-{version}"), &key, |folder| {
        task.progress.step("installing componentize-py into the cache (once)");
        let mut venv = Command::new(PYTHON.program);
        run(&PYTHON, "python3 -m venv", venv.args(["-m", "venv"]).arg(folder), task.progress).map_err(
            |error| match error {
                BuildError::Failed { step, .. } => BuildError::Failed {
                    step,
                    what: "Python's module venv is not there; install it: apt-get install python3-venv"
                        .to_owned(),
                },
                other => other,
            },
        )?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
        pip.args(["--require-hashes", "--requirement"]).arg(&requirements);
        run(&PYTHON, "pip install", &mut pip, task.progress).map(drop)
    })?;
    Ok(folder.join("bin/python"))
}
