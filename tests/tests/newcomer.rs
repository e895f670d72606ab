//! A newcomer's path in each language, by one script: a new policy, the marked line edited, built, tested, sent, named by a
//! manifest, and a request that is refused with the text that was written.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use carrara_tests::skip::skip;
use carrara_tests::{binary, guests, root, run, succeed};

fn walk(language: &str) {
    // Each keeps a core busy.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(install) = guests::missing(language) {
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
    let tools = guests::tools();
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
    walk("rust");
}

#[test]
fn in_python() {
    walk("python");
}

#[test]
fn in_javascript() {
    walk("js");
}

#[test]
fn in_go() {
    walk("go");
}

#[test]
fn other_languages_are_no_path() {
    let output = run(Command::new(root().join("tests/newcomer/run")).arg("cobol"));
    assert_eq!(output.status.code(), Some(2));
}
