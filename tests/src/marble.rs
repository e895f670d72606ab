//! `carrara-premain` as a process, with a program that says what it got.

use std::path::Path;
use std::process::Command;

use crate::binary;
use crate::coordinator::Coordinator;

/// `carrara-premain` in `folder`, ready to run: the given type, the UUID file in the folder, the coordinator's address.
#[must_use]
pub fn premain(coordinator: &Coordinator, folder: &Path, marble_type: &str) -> Command {
    let mut command = Command::new(binary("carrara-premain"));
    command.current_dir(folder);
    command.env("EDG_MARBLE_COORDINATOR_ADDR", coordinator.mesh.to_string());
    command.env("EDG_MARBLE_TYPE", marble_type);
    command.env("EDG_MARBLE_UUID_FILE", folder.join("uuid"));
    command
}
