//! JavaScript and TypeScript: the SDK's `build.mjs` bundles the project's module with the SDK (rolldown) and makes a component
//! of it (componentize-qjs). Both are installed once, into the cache, as the SDK's `package-lock.json` pins them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool::{Tool, run};
use super::{BuildError, Task, installed, read};
use crate::project::Language;

const INSTALL: &str =
    "https://nodejs.org (20.19 or newer; apt-get install nodejs npm where that is new enough)";
const NODE: Tool = Tool { program: "node", language: "JavaScript", install: INSTALL };
const NPM: Tool = Tool { program: "npm", language: "JavaScript", install: INSTALL };

/// What rolldown needs.
const NEEDED: &str = "20.19";

pub(super) fn build(task: &Task<'_>) -> Result<Vec<u8>, BuildError> {
    let project = task.project;
    let sdk = project.folder.join("sdk");
    let version = NODE.output(&["--version"])?;
    NODE.at_least(&version, NEEDED)?;
    let tools = tools(task, &sdk)?;
    task.progress.step("making the component with rolldown and componentize-qjs");
    let out = project.folder.join("build").join(format!("{}.js.wasm", project.name));
    let mut command = Command::new(NODE.program);
    command.arg(sdk.join("build.mjs")).args(["--world", project.world.name()]);
    command.arg("--source").arg(source(&project.folder)).arg("--wit").arg(project.folder.join("wit"));
    command.arg("--tools").arg(&tools).arg("--out").arg(&out);
    let built = run(&NODE, "componentize-qjs", &mut command, task.progress).and_then(|_| read(&out));
    let _ = std::fs::remove_file(&out);
    built
}

/// `policy.ts`, or `policy.js` where that is what there is.
fn source(folder: &Path) -> PathBuf {
    let (typed, plain) = (folder.join(Language::JavaScript.source_file()), folder.join("policy.js"));
    if !typed.is_file() && plain.is_file() { plain } else { typed }
}

/// A folder whose node_modules has what the SDK's lock file names.
fn tools(task: &Task<'_>, sdk: &Path) -> Result<PathBuf, BuildError> {
    let (package, lock) = (read(&sdk.join("package.json"))?, read(&sdk.join("package-lock.json"))?);
    let key = [package.as_slice(), &lock].concat();
    installed(task, "js", &key, |folder| {
        task.progress.step("installing rolldown and componentize-qjs into the cache (once)");
        super::write(&folder.join("package.json"), &package)?;
        super::write(&folder.join("package-lock.json"), &lock)?;
        let mut npm = Command::new(NPM.program);
        // The lock file names the packages of Linux; other systems take theirs in the same versions. `npm ci` wants those of
        // all systems to be named.
        npm.args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(folder);
        run(&NPM, "npm", &mut npm, task.progress).map(drop)
    })
}
