//! The state of a coordinator of the first release, as a later one finds it: formats of the store, and what is in the records.
//!
//! `fixtures/first` was made once by the test below (in simulation, whose sealing key is public) and is never made again: who
//! changes what a record holds adds a folder beside it.

use std::fs;
use std::path::PathBuf;

use carrara_tests::api;
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::{manifests, root};
use serde_json::{Value, json};

#[path = "../../host/store/tests/common/folded.rs"]
mod folded;

fn fixture() -> PathBuf {
    root().join("tests/fixtures/first")
}

/// What anybody sees of it; of the certificates the root, as the other ones are of the manifest in force.
fn shown(coordinator: &Coordinator) -> Value {
    let data = |path: &str| api::get(coordinator, path).data();
    let chain = data("/api/v2/quote")["cert"].as_str().unwrap().to_owned();
    json!({
        "code": data("/api/v2/status")["code"],
        "manifest": data("/api/v2/manifest"),
        "chain": chain,
        "log": api::log_lines(coordinator),
    })
}

// Set once, by whoever adds a folder of fixtures.
fn make() {
    let launch = Launch::new();
    let mut coordinator = launch.start();
    let mut manifest = manifests::minimal();
    manifest["Secrets"] = json!({
        "key": { "Type": "symmetric-key", "Size": 128, "Shared": true },
        "tls": { "Type": "cert-ecdsa", "Size": 256, "ValidFor": 14, "Shared": true },
    });
    api::set(&coordinator, &manifest);
    let shown = serde_json::to_string_pretty(&shown(&coordinator)).unwrap() + "\n";
    coordinator.kill();
    folded::write_down(&launch.seal_dir(), &fixture());
    fs::write(fixture().join("shown.json"), shown).unwrap();
}

// L-15
#[test]
fn a_coordinator_of_the_first_release_is_the_same_one_after_the_upgrade() {
    if std::env::var_os("CARRARA_WRITE_DOWN").is_some() {
        make();
    }
    let launch = Launch::new();
    folded::unfold(&fixture(), &launch.seal_dir());
    let coordinator = launch.start();
    let before: Value =
        serde_json::from_str(&fs::read_to_string(fixture().join("shown.json")).unwrap()).unwrap();
    assert_eq!(before["code"], 3);
    assert_eq!(shown(&coordinator), before);
}
