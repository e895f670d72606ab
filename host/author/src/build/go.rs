//! Go: its own compiler makes a module for wasip1. What its runtime wants of a system is answered by the SDK's stub
//! adapter, so that the component imports none.

use std::process::Command;

use super::tool::{Tool, run};
use super::{BuildError, StubAdapter, Task, component_of_world, read};

const GO: Tool = Tool {
    program: "go",
    language: "Go",
    install: "https://go.dev/dl (1.25 or newer; apt-get install golang-go where that is new enough)",
};

/// The first version whose exported functions may be called before `main` has ended.
const NEEDED: &str = "1.25";

/// Where the SDK's copy in a project keeps the adapter, as text.
const ADAPTER: &str = "sdk/adapter.wat";

pub(super) fn build(task: &Task<'_>) -> Result<Vec<u8>, BuildError> {
    let project = task.project;
    let version = GO.output(&["env", "GOVERSION"])?;
    GO.at_least(&version, NEEDED)?;
    task.progress.step("compiling with Go");
    let module = project.folder.join("build").join(format!("{}.core.wasm", project.name));
    super::write(&module, b"")?;
    let mut go = Command::new(GO.program);
    go.current_dir(&project.folder);
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="]);
    go.arg("-o").arg(std::path::absolute(&module).unwrap_or_else(|_| module.clone())).arg(".");
    // The machine's own flags would change the bytes, or build for the machine.
    go.env("GOOS", "wasip1").env("GOARCH", "wasm").env("GOFLAGS", "-mod=readonly").env("GOWORK", "off");
    let built = run(&GO, "go build", &mut go, task.progress).and_then(|_| read(&module));
    // Nothing but the component is of use to anybody.
    let _ = std::fs::remove_file(&module);
    let module = built?;
    task.progress.step("making the component");
    let text = String::from_utf8_lossy(&read(&project.folder.join(ADAPTER))?).into_owned();
    let adapter = StubAdapter { name: "wasi_snapshot_preview1", text: &text };
    component_of_world(&module, project.world, Some(adapter))
}
