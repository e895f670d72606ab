//! `carrara-premain` as a process, with a program that says what it got.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::coordinator::Coordinator;
use crate::users::User;
use crate::{binary, secrets, succeed};

/// `carrara-premain` in `folder`, ready to run: the given type, the UUID file in the folder, the coordinator's address.
#[must_use]
pub fn premain(coordinator: &Coordinator, folder: &Path, marble_type: &str) -> Command {
    premain_at(&binary("carrara-premain"), coordinator, folder, marble_type)
}

/// The same with another build of it.
#[must_use]
pub fn premain_at(program: &Path, coordinator: &Coordinator, folder: &Path, marble_type: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    command.env("EDG_MARBLE_COORDINATOR_ADDR", coordinator.mesh.to_string());
    command.env("EDG_MARBLE_TYPE", marble_type);
    command.env("EDG_MARBLE_UUID_FILE", folder.join("uuid"));
    command
}

/// The arguments of a Marble that leaves its identity in its folder, for [`activate`].
#[must_use]
pub fn identity_writer() -> Value {
    let script = "printf %s \"$MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN\" > chain.pem; \
        printf %s \"$MARBLE_PREDEFINED_PRIVATE_KEY\" > key.pem; \
        printf %s \"$MARBLE_PREDEFINED_ROOT_CA\" > marble-root.pem";
    json!(["/bin/sh", "-c", script])
}

/// Activates a Marble whose arguments are [`identity_writer`]'s; gives its certificate chain and key. The same folder is
/// the same Marble: its UUID stays.
///
/// # Panics
/// If it is refused.
#[must_use]
pub fn activate(coordinator: &Coordinator, folder: &Path, marble_type: &str) -> User {
    std::fs::create_dir_all(folder).expect("making the Marble's folder");
    succeed(&mut premain(coordinator, folder, marble_type));
    let (certificate_file, key_file) = (folder.join("chain.pem"), folder.join("key.pem"));
    let certificate = std::fs::read_to_string(&certificate_file).expect("reading the chain");
    secrets::used_keys_in(&std::fs::read_to_string(&key_file).expect("reading the key"));
    User { certificate, certificate_file, key_file }
}
