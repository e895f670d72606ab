//! A newcomer's path in Rust, JavaScript and Go, by one script: a new policy, the marked line edited, built, tested, sent, named by a
//! manifest, and a request that is refused with the text that was written.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use carrara_tests::skip::skip;
use carrara_tests::{binary, root, run, succeed};

/// `program` must be there; if not, `install` says how.
fn walk(language: &str, program: &str, install: &str) {
    // Each keeps a core busy.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if Command::new(program).arg("version").output().is_err() {
        return skip(&format!("a newcomer's path in {language}"), install);
    }
    let mut command = Command::new(root().join("tests/newcomer/run"));
    command.arg(language).env("CARRARA_BIN_DIR", binary("carrara").parent().unwrap());
    // Go keeps its own cache where it was.
    if language == "go" {
        command.env("GOCACHE", succeed(Command::new("go").args(["env", "GOCACHE"])).trim());
    }
    let output = succeed(command.env("XDG_CACHE_HOME", cache()));
    assert!(output.ends_with("\nDone.\n"), "{output}");
}

/// A user's cache, whose tools are those of all tests.
fn cache() -> PathBuf {
    let tools = root().join("target/policy-tools");
    let cache = root().join("target/newcomer");
    std::fs::create_dir_all(&tools).unwrap();
    std::fs::create_dir_all(&cache).unwrap();
    let link = cache.join("carrara");
    if !link.exists() {
        std::os::unix::fs::symlink(tools, link).unwrap();
    }
    cache
}

#[test]
fn in_rust() {
    walk("rust", "cargo", "https://rustup.rs");
}

#[test]
fn in_javascript() {
    walk("js", "npm", "apt-get install nodejs npm");
}

#[test]
fn in_go() {
    walk("go", "go", "https://go.dev/dl (1.25 or newer)");
}

#[test]
fn other_languages_are_no_path() {
    let output = run(Command::new(root().join("tests/newcomer/run")).arg("cobol"));
    assert_eq!(output.status.code(), Some(2));
}
