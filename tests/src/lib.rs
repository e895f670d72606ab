//! The harness of the black-box tests: real binaries, real sockets, a real disk, clients that are not ours.
//!
//! Nothing here knows the coordinator's inside. Binaries are taken from `CARRARA_BIN_DIR` (set by `cargo xtask test`)
//! or from beside the test's own folder. No sleeps: a process is ready when it says so.

pub mod api;
pub mod connection;
pub mod constants;
pub mod coordinator;
pub mod curl;
pub mod durable;
pub mod guests;
pub mod hostile;
pub mod manifests;
pub mod marble;
pub mod memory;
pub mod openssl;
pub mod policies;
pub mod secrets;
pub mod skip;
pub mod tls_report;
pub mod users;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The path of a binary of this workspace.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("CARRARA_BIN_DIR").map_or_else(beside_this_test, PathBuf::from);
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built; run `cargo xtask test`, which builds it", path.display());
    path
}

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_owned()
}

/// Runs a command to its end. Private keys that it prints are noted as used.
///
/// # Panics
/// If it cannot be started.
pub fn run(command: &mut Command) -> Output {
    let output =
        command.output().unwrap_or_else(|error| panic!("starting {:?}: {error}", command.get_program()));
    secrets::used_keys_in(&String::from_utf8_lossy(&output.stdout));
    output
}

/// Runs a command that must succeed and gives its standard output.
///
/// # Panics
/// With everything that the command said, if it fails.
pub fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{:?} failed ({}):\n{text}\n{}",
        command.get_program(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Runs a command that must fail and gives its standard error.
///
/// # Panics
/// If it succeeds.
pub fn fail(command: &mut Command) -> String {
    let output = run(command);
    assert!(!output.status.success(), "{:?} succeeded", command.get_program());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `target/debug`, from `target/debug/deps/this-test`.
fn beside_this_test() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    test.ancestors().nth(2).expect("a test lies in target/<profile>/deps").to_owned()
}
