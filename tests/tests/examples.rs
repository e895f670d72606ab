//! The examples run and end well; each checks its own steps.

use std::process::Command;

use carrara_tests::{binary, root, succeed};

/// Runs an example to its end.
fn walk(example: &str) {
    let folder = binary("carrara").parent().expect("a binary lies in a folder").to_owned();
    let mut command = Command::new(root().join("examples").join(example).join("run"));
    let output = succeed(command.env("CARRARA_BIN_DIR", folder));
    assert!(output.ends_with("\nDone.\n"), "{output}");
}

// L-51, L-53, L-56, S-42: the walk-through of examples/multi-party
#[test]
fn the_walk_through_of_several_parties_runs_from_beginning_to_end() {
    walk("multi-party");
}

#[test]
fn a_policy_of_ones_own_goes_from_its_first_line_over_the_shadow_to_a_refusal() {
    walk("custom-policy");
}

#[test]
fn a_third_party_verifies_which_code_rules_down_to_its_sources() {
    walk("verify-policy");
}
