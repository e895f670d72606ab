//! An even load of everything at once leaves no error: a short form of `cargo xtask soak` (host/docs/testing.md), which is
//! too short to judge growth.

use std::fs;
use std::process::Command;

use carrara_tests::{binary, root, run, succeed};
use serde_json::Value;

fn soak(minutes: &str) -> Command {
    let xtask = binary("xtask");
    let mut command = Command::new(&xtask);
    command.current_dir(root()).args(["soak", "--debug", "--minutes", minutes]);
    command.env("CARRARA_BIN_DIR", xtask.parent().expect("a binary lies in a folder"));
    command
}

// readers, writers, Marbles, monitors, strangers and updates side by side
#[test]
fn every_kind_of_request_is_answered_as_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("soak.json");
    let text = succeed(soak("0.2").args(["--rate", "100"]).arg("--json").arg(&file));
    assert!(text.contains("too short to say more"), "{text}");
    let document: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let samples = document["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 4, "{text}");
    let sum = |name: &str| samples.iter().map(|sample| sample[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("errors"), 0, "{text}");
    assert!(sum("requests") > 300, "{text}");
    for kind in [
        "status",
        "status-new",
        "read",
        "write",
        "counter",
        "activate",
        "activate-new",
        "head",
        "log",
        "audit",
        "metrics",
        "refused",
        "update",
    ] {
        let timed = |sample: &&Value| sample["times"][kind]["p50_us"].as_f64().is_some_and(|time| time > 0.0);
        assert!(samples.iter().any(|sample| timed(&sample)), "{kind} was never asked:\n{text}");
    }
    let held = &samples[3]["held"];
    for what in ["rss_kib", "most_kib", "anon_kib", "threads", "files"] {
        assert!(held[what].as_u64().unwrap() > 0, "{what}: {held}");
    }
    assert_eq!(document["verdict"][0]["good"], true);
}

#[test]
fn a_run_without_length_is_refused() {
    let output = run(&mut soak("0"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("--minutes 0: at least 0.05"), "{text}");
}
