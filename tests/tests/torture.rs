//! A loaded coordinator that is killed again and again keeps every promise, and one that does not is caught: a short form of
//! `cargo xtask torture` (host/docs/testing.md).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use carrara_tests::{binary, root, run, succeed};

fn torture(binaries: &Path, kills: u32, seed: u32) -> Command {
    let mut command = Command::new(binary("xtask"));
    command.current_dir(root()).arg("torture").arg("--debug").env("CARRARA_BIN_DIR", binaries);
    command.args(["--kills", &kills.to_string(), "--seed", &seed.to_string()]);
    command.env_remove("RUST_BACKTRACE");
    command
}

fn binaries() -> std::path::PathBuf {
    binary("xtask").parent().expect("a binary lies in a folder").to_owned()
}

// L-13, L-15, X-6, X-25: 100 kills at starts, when idle, under load, in bursts of commits and during updates
#[test]
fn a_hundred_kills_lose_nothing_that_was_acknowledged() {
    let text = succeed(&mut torture(&binaries(), 100, 1));
    assert!(text.contains("violations: 0"), "{text}");
    let of = |name: &str, column: usize| -> u64 {
        let line = text.lines().find(|line| line.trim_start().starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no line {name}:\n{text}"));
        let number = line.trim_start()[name.len()..].split_whitespace().nth(column);
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number in {line}"))
    };
    assert!(of("in all", 0) >= 100, "{text}");
    for phase in ["start", "idle", "load", "commit burst", "update"] {
        assert!(of(phase, 0) > 0, "{phase}:\n{text}");
    }
    for change in ["upload", "counter", "activation"] {
        assert!(of(change, 0) > 0, "{change}s were acknowledged:\n{text}");
    }
    assert!(of("upload", 1) > 0, "some had no answer yet:\n{text}");
    assert!(of("secrets", 0) >= 50 * 20 && of("counters", 0) >= 20 * 20, "they were looked at:\n{text}");
}

/// A program in place of the coordinator: does something to the state at a start, then is the coordinator.
fn meddler(folder: &Path, deed: &str) {
    let path = folder.join("carrara-coordinator");
    let real = binary("carrara-coordinator");
    let script = format!(
        "#!/bin/sh\nn=$(($(cat ../starts 2>/dev/null || echo 0) + 1))\necho $n > ../starts\n{deed}\nexec '{}' \"$@\"\n",
        real.display()
    );
    fs::write(&path, script).expect("writing the program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("making it a program");
}

fn caught(deed: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    meddler(folder.path(), deed);
    let Output { status, stdout, stderr } = run(&mut torture(folder.path(), 100, 2));
    let (out, text) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr).into_owned());
    assert!(!status.success(), "{deed}: it was not noticed:\n{out}");
    // Everything needed to see it again.
    assert!(text.contains("in round ") && text.contains("with seed 2"), "{text}");
    let kept =
        text.split("the states are in ").nth(1).unwrap_or_else(|| panic!("where are the states? {text}"));
    let kept = Path::new(kept.lines().next().unwrap_or_default().trim());
    assert!(kept.join("carrara-coordinator").exists(), "they are kept: {text}");
    fs::remove_dir_all(kept).expect("removing them");
    text
}

// L-14, L-16, L-37: the tester is worth something
#[test]
fn a_coordinator_that_forgets_is_caught() {
    let rolled_back =
        caught("[ $n = 6 ] && cp -r data ../old; [ $n = 30 ] && rm -r data && cp -r ../old data");
    assert!(rolled_back.contains("lines, fewer than from="), "{rolled_back}");
    let empty = caught("[ $n = 12 ] && rm -r data");
    assert!(empty.contains("starts in state 2"), "{empty}");
    let locked = caught("[ $n = 12 ] && rm data/sealed_key");
    assert!(locked.contains("starts in state 1"), "{locked}");
    let broken = caught("[ $n = 12 ] && exit 3");
    assert!(broken.contains("the server ended with exit status: 3"), "{broken}");
}
