//! The premain program where nothing answers: it must not start the service, and must say why.

// Helpers of tests may do what tests may.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;
use std::process::{Command, Output};

fn premain(folder: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carrara-premain"));
    command.env_clear().current_dir(folder).envs(variables.iter().copied());
    // What the premain would run if it did not stop.
    std::fs::write(folder.join("marble"), "#!/bin/sh\ntouch started\n").unwrap();
    Command::new("chmod").arg("+x").arg(folder.join("marble")).status().unwrap();
    let output = command.output().unwrap();
    assert!(!folder.join("started").exists());
    assert_eq!(output.status.code(), Some(1));
    output
}

// marble-api.md sections 8 and 9
#[test]
fn without_a_type_nothing_is_written_and_the_variable_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = premain(folder.path(), &[("EDG_MARBLE_TYPE", "")]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("EDG_MARBLE_TYPE") && text.contains("name in the manifest"), "{text}");
    assert!(output.stdout.is_empty());
    assert!(!folder.path().join("uuid").exists());
}

// marble-api.md section 8, EDG_LOG_FORMAT
#[test]
fn logs_are_json_lines_if_asked_for_in_any_case() {
    let folder = tempfile::tempdir().unwrap();
    // Port 0 is never listened on.
    let variables = [
        ("EDG_MARBLE_TYPE", "api"),
        ("EDG_MARBLE_COORDINATOR_ADDR", "127.0.0.1:0"),
        ("EDG_LOG_FORMAT", "JSON"),
    ];
    let text = String::from_utf8(premain(folder.path(), &variables).stderr).unwrap();
    for line in text.lines() {
        assert!(line.starts_with('{') && line.ends_with('}') && line.contains("\"level\""), "{line}");
    }
    assert!(
        text.contains("failed to get quote:") && text.contains("Proceeding in simulation mode"),
        "{text}"
    );
    assert!(text.contains("127.0.0.1:0") && text.contains("EDG_MARBLE_COORDINATOR_ADDR"), "{text}");
    assert_eq!(std::fs::read_to_string(folder.path().join("uuid")).unwrap().len(), 36);
}
