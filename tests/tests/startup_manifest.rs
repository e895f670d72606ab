//! The startup manifest on the real binary (L-20 as X-26): once, never over another state, never without its recovery secrets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api;
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::manifests;
use carrara_tests::policies::{ALLOW, admitter, digest};
use carrara_tests::users::RecoveryKey;
use serde_json::{Value, json};

/// A launch with a startup manifest, which has a recovery key if one is given, and perhaps a file for its recovery secrets.
fn launch(folder: &Path, key: Option<&RecoveryKey>, recovery_file: Option<&Path>) -> Launch {
    let mut manifest = manifests::minimal();
    if let Some(key) = key {
        manifest["RecoveryKeys"] = json!({ "vault": key.public });
    }
    let file = folder.join("manifest.json");
    std::fs::write(&file, manifest.to_string()).unwrap();
    let launch = Launch::new().argument("--startup-manifest").argument(file.to_str().unwrap());
    match recovery_file {
        Some(path) => launch.environment("EDG_STARTUP_RECOVERY_FILE", path.to_str().unwrap()),
        None => launch,
    }
}

fn code(coordinator: &Coordinator) -> Value {
    api::get(coordinator, "/api/v2/status").data()["code"].clone()
}

fn refusal(launch: &Launch) -> String {
    let output = launch.start_and_end();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

fn no_state(launch: &Launch) -> bool {
    !launch.seal_dir().join("state.redb").exists()
}

// X-26, L-41: 0600, once, and what is in it recovers
#[test]
fn its_recovery_secrets_are_in_the_named_file_and_recover_the_state() {
    let folder = tempfile::tempdir().unwrap();
    let key = RecoveryKey::new(folder.path(), "vault");
    let file = folder.path().join("recovery.json");
    let launch = launch(folder.path(), Some(&key), Some(&file));
    let mut coordinator = launch.start();
    assert_eq!(code(&coordinator), 3);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read(&file).unwrap();
    // The same manifest at the next start is in force already, and the file stays as it is.
    coordinator.kill();
    let mut coordinator = launch.start();
    coordinator.wait_for_log(|line| line.contains("in force already"));
    assert_eq!((code(&coordinator), std::fs::read(&file).unwrap()), (json!(3), kept.clone()));
    let before = api::get(&coordinator, "/api/v2/quote").data();

    coordinator.kill();
    std::fs::remove_file(launch.seal_dir().join("sealed_key")).unwrap();
    // never applied in recovery.
    let text = refusal(&launch);
    assert!(text.contains("never applied there; recover first"), "{text}");
    assert_eq!(std::fs::read(&file).unwrap(), kept);
    let plain = recover(&launch);
    let data: Value = serde_json::from_slice(&kept).unwrap();
    let blob = STANDARD.decode(data["RecoverySecrets"]["vault"].as_str().unwrap()).unwrap();
    let secret = key.decrypt(&blob);
    let body = json!({
        "recoverySecret": STANDARD.encode(&secret), "recoverySecretSignature": STANDARD.encode(key.sign(&secret)),
    });
    assert_eq!(api::post(&plain, "/api/v2/recover", body.to_string()).status, 200);
    assert_eq!(api::get(&plain, "/api/v2/quote").data(), before);
}

/// The same directory without the startup manifest.
fn recover(launch: &Launch) -> Coordinator {
    let path = launch.seal_dir();
    Launch::new().argument("--seal-dir").argument(path.to_str().unwrap()).start()
}

//
#[test]
fn recovery_keys_without_a_file_for_the_secrets_end_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let key = RecoveryKey::new(folder.path(), "vault");
    let launch = launch(folder.path(), Some(&key), None);
    let text = refusal(&launch);
    assert!(text.contains("has recovery keys: name a file"), "{text}");
    assert!(no_state(&launch));
}

// nothing is overwritten, and no state is made whose secrets could not be kept
#[test]
fn a_file_that_cannot_be_made_ends_the_start_before_there_is_a_state() {
    let folder = tempfile::tempdir().unwrap();
    let key = RecoveryKey::new(folder.path(), "vault");
    let taken = folder.path().join("recovery.json");
    std::fs::write(&taken, "of another state").unwrap();
    let missing: PathBuf = folder.path().join("missing/recovery.json");
    for (file, why) in [(&taken, "must not exist yet"), (&missing, "No such file")] {
        let launch = launch(folder.path(), Some(&key), Some(file));
        let text = refusal(&launch);
        assert!(text.contains(why) && text.contains(file.to_str().unwrap()), "{text}");
        assert!(no_state(&launch));
    }
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "of another state");
}

//
#[test]
fn another_manifest_than_the_one_in_force_ends_the_start_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let launch = launch(folder.path(), None, None);
    launch.start().kill();
    let state = std::fs::read(launch.seal_dir().join("state.redb")).unwrap();
    std::fs::write(folder.path().join("manifest.json"), format!("{} ", manifests::minimal())).unwrap();
    let text = refusal(&launch);
    assert!(text.contains("another manifest (fingerprint "), "{text}");
    assert_eq!(std::fs::read(launch.seal_dir().join("state.redb")).unwrap().len(), state.len());
}

// a manifest that is refused leaves no file behind
#[test]
fn a_refused_one_ends_the_start_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recovery.json");
    let launch = launch(folder.path(), None, Some(&file));
    std::fs::write(folder.path().join("manifest.json"), "{}").unwrap();
    let text = refusal(&launch);
    assert!(text.contains("checking manifest"), "{text}");
    assert!(no_state(&launch) && !file.exists());
}

// with the components of its policies, and without them not at all
#[test]
fn its_policies_are_made_of_the_components_in_the_named_directory() {
    let folder = tempfile::tempdir().unwrap();
    let door = admitter("", ALLOW);
    let mut manifest = manifests::minimal();
    manifest["Policies"]["door"] = json!({ "World": "marble-admission", "Component": digest(&door) });
    let file = folder.path().join("manifest.json");
    std::fs::write(&file, manifest.to_string()).unwrap();
    let components = folder.path().join("components");
    std::fs::create_dir(&components).unwrap();
    std::fs::write(components.join("other.wasm"), admitter("no", "(call $deny)")).unwrap();
    let launch = Launch::new().argument("--startup-manifest").argument(file.to_str().unwrap());
    let text = refusal(&launch);
    assert!(text.contains(&digest(&door)) && text.contains("name it with startup-policies"), "{text}");
    let launch = launch.environment("EDG_STARTUP_POLICIES", components.to_str().unwrap());
    let text = refusal(&launch);
    assert!(text.contains(&digest(&door)) && text.contains("put their files into"), "{text}");
    assert!(no_state(&launch));

    std::fs::write(components.join("door.wasm"), &door).unwrap();
    let coordinator = launch.start();
    assert_eq!(code(&coordinator), 3);
    let listed = api::get(&coordinator, "/api/v2/policies").data();
    let named = |policy: &Value| policy["digest"] == digest(&door) && policy["usedBy"] == json!(["door"]);
    assert!(listed["policies"].as_array().unwrap().iter().any(named), "{listed}");
}
