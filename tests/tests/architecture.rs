//! The architecture's promises that a machine can check: arrows between crates, the short list of files that look at
//! secret bytes, file sizes, and what must not be in the tree.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use carrara_tests::{root, succeed};

/// Every allowed arrow between crates of this workspace (host/README.md). Build tools may use anything.
const ARROWS: &[(&str, &[&str])] = &[
    ("carrara-types", &[]),
    ("occlum-dcap", &[]),
    ("carrara-core", &["carrara-types"]),
    ("carrara-store", &["carrara-core", "carrara-types"]),
    ("carrara-wasm", &["carrara-core", "carrara-types"]),
    ("carrara-server", &["carrara-core", "carrara-types"]),
    ("carrara-attest", &["carrara-types", "occlum-dcap"]),
    (
        "carrara-coordinator",
        &[
            "carrara-attest",
            "carrara-core",
            "carrara-server",
            "carrara-store",
            "carrara-types",
            "carrara-wasm",
        ],
    ),
    ("carrara-client", &["carrara-attest", "carrara-types"]),
    ("carrara-author", &["carrara-core", "carrara-types", "carrara-wasm"]),
    ("carrara-cli", &["carrara-author", "carrara-client", "carrara-types", "carrara-wasm"]),
    ("carrara-marble", &["carrara-attest", "carrara-types"]),
    ("carrara-plugin-support", &["carrara-types"]),
    ("carrara-plugin-manifest-rules", &["carrara-plugin-support", "carrara-types"]),
    ("carrara-plugin-rbac", &["carrara-plugin-support", "carrara-types"]),
    ("carrara-plugin-go-template", &["carrara-plugin-support", "carrara-types"]),
    ("carrara-plugin-liquid", &["carrara-plugin-support", "carrara-types"]),
    // What authors copy: it names nothing of this workspace.
    ("carrara-policy", &[]),
    ("carrara-contract", &["carrara-policy"]),
    ("carrara-policy-allowed-sans", &["carrara-policy"]),
    ("carrara-policy-fresh-secrets", &["carrara-policy"]),
    ("carrara-policy-naming-rules", &["carrara-policy"]),
    ("carrara-policy-no-debug-packages", &["carrara-policy"]),
    ("carrara-policy-no-downgrade", &["carrara-policy"]),
    ("carrara-policy-office-hours", &["carrara-policy"]),
    ("carrara-policy-protected-packages", &["carrara-policy"]),
    ("carrara-policy-require-up-to-date", &["carrara-policy"]),
    ("carrara-policy-separation-of-duties", &["carrara-policy"]),
    ("carrara-tests", &["carrara-client", "carrara-marble", "carrara-types"]),
    (
        "carrara-fuzz",
        &[
            "carrara-attest",
            "carrara-client",
            "carrara-core",
            "carrara-plugin-go-template",
            "carrara-plugin-liquid",
            "carrara-plugin-manifest-rules",
            "carrara-plugin-rbac",
            "carrara-plugin-support",
            "carrara-server",
            "carrara-store",
            "carrara-types",
            "carrara-wasm",
        ],
    ),
    ("carrara-quickstart", &["carrara-client", "carrara-marble", "carrara-types"]),
];

/// Files outside tests that may call `SecretBytes::expose`, each with its reason.
const EXPOSE: &[&str] = include!("expose_list.in");

#[test]
fn no_crate_depends_on_another_but_along_the_arrows() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(root());
    let metadata: serde_json::Value = serde_json::from_str(&succeed(&mut metadata)).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        if name == "xtask" {
            continue;
        }
        let (_, allowed) = ARROWS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| {
            panic!("{name} is not in the architecture; add it to ARROWS and to host/README.md")
        });
        for dependency in package["dependencies"].as_array().unwrap() {
            let target = dependency["name"].as_str().unwrap();
            // Unit tests may use the harness's neighbours; the arrow that ships is the one that counts.
            let ships = dependency["kind"].as_str() != Some("dev");
            assert!(
                !ships || !ours.contains(target) || allowed.contains(&target),
                "{name} must not depend on {target}: see host/README.md"
            );
        }
    }
}

#[test]
fn secret_bytes_are_exposed_in_a_short_list_of_files_only() {
    let found: BTreeSet<String> = sources()
        .into_iter()
        .filter(|path| !is_test(path))
        .filter(|path| looks_at_secrets(product_code(&std::fs::read_to_string(root().join(path)).unwrap())))
        .collect();
    let listed: BTreeSet<String> = EXPOSE.iter().map(|path| (*path).to_owned()).collect();
    assert_eq!(found, listed, "left: found, right: listed in tests/tests/expose_list.in");
}

#[test]
fn no_source_file_is_longer_than_600_lines() {
    for path in sources() {
        let lines = std::fs::read_to_string(root().join(&path)).unwrap().lines().count();
        assert!(lines <= 600, "{path} has {lines} lines: does it have one reason to change?");
    }
}

#[test]
fn no_test_is_ignored_sleeps_or_is_left_for_later() {
    // Written in pieces, so that this file does not find itself.
    let forbidden = [
        ["#[ign", "ore"],
        ["thread::sl", "eep"],
        ["time::sl", "eep"],
        ["todo", "!("],
        ["unimplemen", "ted!("],
    ];
    for path in sources() {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        for words in &forbidden {
            let word = words.concat();
            let is_sleep = word.contains("sleep");
            assert!(!text.contains(&word) || (is_sleep && !is_test(&path)), "{path} holds `{word}`");
        }
    }
}

// host/docs/enclave.md: library OSes have little of it
#[test]
fn what_runs_in_an_enclave_starts_no_process_sets_no_timer_and_reads_nothing_below_proc() {
    let crates = ["types", "core", "store", "attest", "occlum-dcap", "wasm", "server", "coordinator"];
    let inside = |path: &str| {
        crates.iter().any(|name| path.starts_with(&format!("host/{name}/src/"))) && !compiled_for_tests(path)
    };
    let inside: Vec<String> = sources().into_iter().filter(|path| inside(path)).collect();
    assert!(inside.len() > 200, "where are they?");
    for path in inside {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        for word in ["\"/proc", "process::Command", "fork(", "setitimer", "timer_create", "timerfd"] {
            assert!(!product_code(&text).contains(word), "{path} holds `{word}`");
        }
    }
}

/// Modules that only tests have.
fn compiled_for_tests(path: &str) -> bool {
    is_test(path) || path.ends_with("host/core/src/test_authority.rs")
}

#[test]
fn the_tree_holds_no_built_files_and_no_paths_of_a_machine() {
    for path in tracked() {
        let extension =
            Path::new(&path).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        assert!(!["wasm", "cwasm", "so", "pyc", "a", "o"].contains(&extension), "{path} is a built file");
    }
    // Written in pieces, so that this file does not find itself.
    let homes = [["/ro", "ot/."], ["/ho", "me/"]].map(|words| words.concat());
    for path in sources() {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        assert!(!homes.iter().any(|home| text.contains(home)), "{path} holds a path of a machine");
    }
}

fn looks_at_secrets(code: &str) -> bool {
    code.contains(".expose()") || code.contains("(SecretBytes::expose)")
}

/// The text before the file's own unit tests.
fn product_code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("tests.rs")
        || path.contains("testing")
}

fn sources() -> Vec<String> {
    tracked().into_iter().filter(|path| path.ends_with(".rs")).collect()
}

/// Files that git tracks and that are there.
fn tracked() -> Vec<String> {
    let listed = succeed(Command::new("git").args(["ls-files", "-z"]).current_dir(root()));
    let there = |path: &&str| !path.is_empty() && root().join(path).is_file();
    listed.split('\0').filter(there).map(str::to_owned).collect()
}
