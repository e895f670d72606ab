//! The benchmarks run: each row for an instant and with little data, so that they do not rot. Their figures mean nothing
//! here, and no goal is looked at.

use std::collections::BTreeMap;
use std::process::Command;

use carrara_tests::{binary, root, run, succeed};
use serde_json::Value;

/// Rows whose servers end while they are measured: there is no memory to look at.
const KILLED: [&str; 1] = ["kill"];

/// All other rows.
const MEASURED: [&str; 28] = [
    "write-1",
    "write-16",
    "counter-10",
    "counter-1k",
    "counter-10k",
    "log-10",
    "log-10k",
    "start",
    "start-10k",
    "memory-idle",
    "memory-10k",
    "memory-10k-restarted",
    "status-kept",
    "status-new",
    "read",
    "activate-new",
    "activate-kept",
    "read-10",
    "read-1k",
    "read-10k",
    "activate-10",
    "activate-1k",
    "activate-10k",
    "activate-unused-rsa",
    "set-10k",
    "authorize",
    "render",
    "validate",
];

fn bench() -> Command {
    let xtask = binary("xtask");
    let mut command = Command::new(&xtask);
    command.current_dir(root()).args(["bench", "--smoke"]);
    command.env("CARRARA_BIN_DIR", xtask.parent().expect("a binary lies in a folder"));
    command
}

#[test]
fn every_benchmark_runs_and_says_how_often_it_measured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.json");
    succeed(bench().arg("--json").arg(&file));
    let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(document["smoke"], true, "nobody shall take these for figures");
    let rows: BTreeMap<&str, &Value> =
        document["rows"].as_array().unwrap().iter().map(|row| (row["id"].as_str().unwrap(), row)).collect();
    for id in MEASURED {
        let row = rows.get(id).unwrap_or_else(|| panic!("no row {id}"));
        assert_eq!(row["state"], "measured", "{row}");
        assert!(row["figures"]["n"].as_u64().unwrap() > 0, "{row}");
        assert_eq!(row["goals"].as_array().unwrap().len(), 0, "{row}");
        let memory = row["figures"]["rss_kib"].as_u64().unwrap();
        assert!(memory > 1000, "{row}");
        let timed = row["figures"]["latency"]["p50_us"].as_f64();
        assert!(id.starts_with("memory") || timed.unwrap() > 0.0, "{row}");
    }
    for id in KILLED {
        assert_eq!(rows[id]["state"], "measured", "{}", rows[id]);
        assert!(rows[id]["figures"]["n"].as_u64().unwrap() >= 5, "{}", rows[id]);
    }
    assert_eq!(rows.len(), MEASURED.len() + KILLED.len(), "a row is missing in this test");
    assert!(rows["validate"]["figures"]["times_native"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_benchmark_that_does_not_exist_is_refused_with_those_that_do() {
    let output = run(bench().args(["--only", "nothing"]));
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("no row is named so") && text.contains("activate-10k"), "{text}");
}

#[test]
fn a_row_that_cannot_be_measured_fails_the_run_and_is_in_the_json() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("carrara-coordinator");
    std::os::unix::fs::symlink("/bin/false", &broken).unwrap();
    let file = folder.path().join("bench.json");
    let mut command = bench();
    command.args(["--only", "memory-idle"]).arg("--json").arg(&file).env("CARRARA_BIN_DIR", folder.path());
    let output = run(&mut command);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("could not be measured: memory-idle"), "{text}");
    let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(document["rows"][0]["state"], "failed");
}
