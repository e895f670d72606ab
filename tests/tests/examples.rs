//! The examples run and end well; each checks its own steps.

use std::process::Command;

use carrara_tests::{binary, root, succeed};

// L-51, L-53, L-56, S-42: the walk-through of examples/multi-party
#[test]
fn the_walk_through_of_several_parties_runs_from_beginning_to_end() {
    let folder = binary("carrara").parent().expect("a binary lies in a folder").to_owned();
    let mut command = Command::new(root().join("examples/multi-party/run"));
    let output = succeed(command.env("CARRARA_BIN_DIR", folder));
    assert!(output.ends_with("\nDone.\n"), "{output}");
}
