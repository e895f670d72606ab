//! Machine-made hostile components do no harm: a short form of `cargo xtask hostile` (host/docs/testing.md).

use std::fs;
use std::process::Command;

use carrara_tests::{binary, root, succeed};
use serde_json::Value;

// P-28, P-29
#[test]
fn machine_made_components_are_refused_or_fail_and_harm_nobody() {
    let xtask = binary("xtask");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.json");
    let mut command = Command::new(&xtask);
    command.current_dir(root()).env("CARRARA_BIN_DIR", xtask.parent().expect("a binary lies in a folder"));
    command.args(["hostile", "--debug", "--smoke", "--count", "60", "--given", "6"]);
    let report = succeed(command.arg("--json").arg(&file));
    let figures: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    // The command itself has judged; this is what it must have judged by.
    let made = &figures["machine_made"];
    assert_eq!((&made["offered"], &made["deaths"]), (&Value::from(60), &Value::from(0)), "{report}");
    assert!(made["ran"].as_u64().unwrap() >= 20, "{report}");
    assert!(made["calls"].as_u64().unwrap() >= 80, "{report}");
    for kind in ["mutant", "rbac", "module", "component", "bytes"] {
        assert!(made["kinds"][kind].is_object(), "{kind}: {report}");
    }
    let given = &figures["coordinator"];
    assert!(given["policies"].as_u64().unwrap() >= 25, "{report}");
    assert!(given["status_meanwhile"]["n"].as_u64().unwrap() > 0, "{report}");
    for end in ["refused when sent", "refused by the update", "failed"] {
        assert!(given["ends"][end].as_u64().unwrap_or_default() > 0, "{end}: {report}");
    }
}

#[test]
fn what_machines_made_is_not_kept_beside_the_texts() {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["ls-files", "tests/hostile"]);
    for file in succeed(&mut git).lines() {
        let is_source =
            [".wat", ".md", ".rs", "Cargo.toml", "Cargo.lock"].iter().any(|end| file.ends_with(end));
        assert!(is_source, "{file}: `cargo xtask hostile` makes components anew, from a seed");
    }
}
