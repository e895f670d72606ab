//! Seal modes on the real binary, over REST and restarts (L-30..L-37, X-34), and who may use a seal directory.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api::{self, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::manifests;
use carrara_tests::users::{RecoveryKey, User};
use serde_json::{Value, json};
use tempfile::TempDir;

const MODES: [&str; 3] = ["ProductKey", "UniqueKey", "Disabled"];

/// Where `sealed_key` says which sealing key wraps its first data key: after magic, format, kind and number.
const POLICY: usize = b"carrara key".len() + 3;

/// Alice may update the manifest and read the secret `key`.
struct Stage {
    folder: TempDir,
    launch: Launch,
    alice: User,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let alice = User::new(folder.path(), "alice");
        Self { folder, launch: Launch::new(), alice }
    }

    fn manifest(&self, mode: &str) -> Value {
        let mut manifest = manifests::with_updaters(&[("alice", &self.alice)], 1, 0);
        manifests::grant(&mut manifest, "alice", "reader", "Secrets", &["key"], &["ReadSecret"]);
        manifest["Secrets"] = json!({ "key": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
        manifest["Config"]["SealMode"] = json!(mode);
        manifest
    }

    fn start_with(&self, mode: &str) -> Coordinator {
        let coordinator = self.launch.start();
        api::set(&coordinator, &self.manifest(mode));
        coordinator
    }

    fn update(&self, coordinator: &Coordinator, manifest: &Value) -> Value {
        let answer = api::update(coordinator, Version::V2, &self.alice, manifest);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.data()
    }

    /// What clients know a coordinator and its state by.
    fn shown(&self, coordinator: &Coordinator) -> Value {
        json!([
            api::get(coordinator, "/api/v2/quote").data()["cert"],
            api::manifest(coordinator).0,
            api::secret(coordinator, &self.alice, "key"),
            api::log_lines(coordinator),
        ])
    }

    /// The coordinator after a kill: it must show the same where the mode keeps the state, and nothing where not.
    fn restarted(&self, mut coordinator: Coordinator, mode: &str) -> Coordinator {
        let before = self.shown(&coordinator);
        coordinator.kill();
        let coordinator = self.launch.start();
        if mode == "Disabled" {
            assert_eq!(code(&coordinator), 2);
            assert_ne!(api::get(&coordinator, "/api/v2/quote").data()["cert"], before[0], "a new CA");
        } else {
            assert_eq!(code(&coordinator), 3);
            assert_eq!(self.shown(&coordinator), before);
            assert!(log_says(&coordinator, mode), "{}", coordinator.log());
        }
        coordinator
    }

    /// What lies in the directory is what the mode says, at once.
    fn assert_sealed(&self, mode: &str) {
        let directory = self.launch.seal_dir();
        let names = names(&directory);
        if mode == "Disabled" {
            assert!(names.is_subset(&["archive", "lock"].map(str::to_owned).into()), "{names:?}");
            return;
        }
        assert!(names.is_superset(&["sealed_key", "state.redb"].map(str::to_owned).into()), "{names:?}");
        let key = std::fs::read(directory.join("sealed_key")).unwrap();
        assert_eq!(key[POLICY], u8::from(mode == "UniqueKey"), "{mode}");
    }
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn code(coordinator: &Coordinator) -> Value {
    api::get(coordinator, "/api/v2/status").data()["code"].clone()
}

/// Of what is shown: an update renews the intermediate certificate before it.
fn root(shown: &Value) -> &str {
    shown[0].as_str().unwrap().rsplit("-----BEGIN").next().unwrap()
}

/// The log names the mode; where nothing is kept, it warns of that.
fn log_says(coordinator: &Coordinator, mode: &str) -> bool {
    let warning = if mode == "Disabled" { "a restart loses all of it" } else { "kept on disk" };
    coordinator.log().lines().any(|line| line.contains(mode) && line.contains(warning))
}

// L-35, M-73: each mode with the first manifest, and a restart.
#[test]
fn the_first_manifest_says_how_the_state_is_kept() {
    for mode in MODES {
        let stage = Stage::new();
        let coordinator = stage.start_with(mode);
        coordinator.wait_for_log(|line| line.contains(mode));
        assert!(log_says(&coordinator, mode), "{}", coordinator.log());
        stage.assert_sealed(mode);
        let coordinator = stage.restarted(coordinator, mode);
        if mode == "Disabled" {
            // It can begin again, in another mode.
            api::set(&coordinator, &stage.manifest("ProductKey"));
            stage.restarted(coordinator, "ProductKey");
        }
    }
}

// X-34, L-36, L-30: each change by an update that changes nothing else; in force on disk when it is answered.
#[test]
fn a_changed_seal_mode_is_in_force_with_its_update() {
    for from in MODES {
        for into in MODES.into_iter().filter(|into| *into != from) {
            let stage = Stage::new();
            let coordinator = stage.start_with(from);
            let before = stage.shown(&coordinator);
            stage.update(&coordinator, &stage.manifest(into));
            stage.assert_sealed(into);
            coordinator.wait_for_log(|line| line.contains(into));
            assert!(log_says(&coordinator, into), "{}", coordinator.log());
            // The same coordinator goes on: root certificate and secrets are the old ones.
            let after = stage.shown(&coordinator);
            assert_eq!((root(&after), &after[2]), (root(&before), &before[2]), "{from} to {into}");
            let coordinator = stage.restarted(coordinator, into);
            assert_eq!(code(&coordinator), if into == "Disabled" { 2 } else { 3 });
        }
    }
}

// L-35: MarbleRun would load the old files again at the next start.
#[test]
fn a_state_from_before_disabled_is_archived_and_never_loaded_again_by_itself() {
    let stage = Stage::new();
    let coordinator = stage.start_with("ProductKey");
    let sealed = stage.shown(&coordinator);
    stage.update(&coordinator, &stage.manifest("Disabled"));
    let coordinator = stage.restarted(coordinator, "Disabled");
    drop(coordinator);
    // Whoever wants it back puts it back.
    let archive = stage.launch.seal_dir().join("archive");
    let entry = archive.join(names(&archive).into_iter().next().unwrap());
    for name in ["sealed_key", "state.redb"] {
        std::fs::rename(entry.join(name), stage.launch.seal_dir().join(name)).unwrap();
    }
    let coordinator = stage.launch.start();
    assert_eq!(stage.shown(&coordinator), sealed);
}

/// A manifest with one recovery key.
fn with_recovery(mut manifest: Value, key: &RecoveryKey) -> Value {
    manifest["RecoveryKeys"] = json!({ "holder": key.public });
    manifest
}

fn recover(coordinator: &Coordinator, key: &RecoveryKey, secrets: &Value) {
    let blob = STANDARD.decode(secrets["holder"].as_str().unwrap()).unwrap();
    let secret = key.decrypt(&blob);
    let body = json!({
        "recoverySecret": STANDARD.encode(&secret),
        "recoverySecretSignature": STANDARD.encode(key.sign(&secret)),
    });
    let answer = api::post(coordinator, "/api/v2/recover", body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.body);
}

// L-36, L-49a: a recovered state is sealed as its manifest says, and the secrets outlive a change of the mode.
#[test]
fn a_recovered_state_keeps_its_seal_mode() {
    for (first, mode) in [
        ("ProductKey", "UniqueKey"),
        ("UniqueKey", "ProductKey"),
        ("Disabled", "UniqueKey"),
        ("UniqueKey", "UniqueKey"),
    ] {
        let stage = Stage::new();
        let key = RecoveryKey::new(stage.folder.path(), "holder");
        let mut coordinator = stage.launch.start();
        let manifest = with_recovery(stage.manifest(first), &key);
        let set = api::post(&coordinator, "/manifest", manifest.to_string());
        let secrets = set.data()["RecoverySecrets"].clone();
        if first != mode {
            stage.update(&coordinator, &with_recovery(stage.manifest(mode), &key));
        }
        let before = stage.shown(&coordinator);
        coordinator.kill();
        std::fs::remove_file(stage.launch.seal_dir().join("sealed_key")).unwrap();
        let coordinator = stage.launch.start();
        assert_eq!(code(&coordinator), 1);
        recover(&coordinator, &key, &secrets);
        assert_eq!(stage.shown(&coordinator), before);
        stage.assert_sealed(mode);
        stage.restarted(coordinator, mode);
    }
}

// L-36, L-61: mode and recovery keys change at once.
#[test]
fn a_seal_mode_and_recovery_keys_change_in_one_update() {
    let pairs = [("ProductKey", "UniqueKey"), ("ProductKey", "Disabled"), ("Disabled", "ProductKey")];
    for (from, into) in pairs {
        let stage = Stage::new();
        let key = RecoveryKey::new(stage.folder.path(), "holder");
        let coordinator = stage.start_with(from);
        let answer = stage.update(&coordinator, &with_recovery(stage.manifest(into), &key));
        stage.assert_sealed(into);
        let coordinator = stage.restarted(coordinator, into);
        if into != "Disabled" {
            let before = stage.shown(&coordinator);
            drop(coordinator);
            std::fs::remove_file(stage.launch.seal_dir().join("sealed_key")).unwrap();
            let coordinator = stage.launch.start();
            recover(&coordinator, &key, &answer["recoverySecrets"]);
            assert_eq!(stage.shown(&coordinator), before);
        }
    }
}

// L-33, L-36, L-49b: a reset in recovery takes the mode of the new manifest.
#[test]
fn a_new_manifest_in_recovery_says_how_the_new_state_is_kept() {
    for mode in ["UniqueKey", "Disabled"] {
        let stage = Stage::new();
        let mut coordinator = stage.start_with("ProductKey");
        coordinator.kill();
        std::fs::remove_file(stage.launch.seal_dir().join("sealed_key")).unwrap();
        let coordinator = stage.start_with(mode);
        stage.assert_sealed(mode);
        let archive = stage.launch.seal_dir().join("archive");
        assert_eq!(names(&archive).len(), 1);
        stage.restarted(coordinator, mode);
    }
}

// L-35, X-26: without a state at each start, the startup manifest is set anew.
#[test]
fn a_startup_manifest_sets_a_disabled_coordinator_up_at_every_start() {
    let stage = Stage::new();
    let path = stage.folder.path().join("manifest.json");
    std::fs::write(&path, stage.manifest("Disabled").to_string()).unwrap();
    let launch = Launch::new().environment("EDG_STARTUP_MANIFEST", path.to_str().unwrap());
    let mut roots = BTreeSet::new();
    for _ in 0..2 {
        let coordinator = launch.start();
        assert_eq!(code(&coordinator), 3);
        roots.insert(api::get(&coordinator, "/api/v2/quote").data()["cert"].to_string());
    }
    assert_eq!(roots.len(), 2);
}

// "The data directory is owned by one process"
#[test]
fn a_second_coordinator_on_the_same_directory_is_told_who_has_it() {
    let stage = Stage::new();
    let coordinator = stage.start_with("ProductKey");
    let refused = stage.launch.start_and_end();
    let log = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{log}");
    let process = format!("process {}", coordinator.id());
    for text in [stage.launch.seal_dir().to_str().unwrap(), &process, "in use", "stop it, or choose another"]
    {
        assert!(log.contains(text), "{text}: {log}");
    }
    assert_eq!(code(&coordinator), 3);
    stage.restarted(coordinator, "ProductKey");
}

// a state sealed by a TEE never opens in simulation, whatever its mode.
#[test]
fn a_directory_that_a_tee_has_sealed_is_refused_in_simulation_and_left_as_it_is() {
    for mode in ["ProductKey", "UniqueKey"] {
        let stage = Stage::new();
        let mut coordinator = stage.start_with(mode);
        coordinator.kill();
        let path = stage.launch.seal_dir().join("sealed_key");
        let mut key = std::fs::read(&path).unwrap();
        // The kind of sealing: 0 is a TEE.
        assert_eq!(std::mem::replace(&mut key[POLICY - 2], 0), 1);
        std::fs::write(&path, &key).unwrap();
        let state = std::fs::read(stage.launch.seal_dir().join("state.redb")).unwrap();
        let refused = stage.launch.start_and_end();
        let log = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{log}");
        for text in ["sealed_key was sealed by a TEE", "simulation", "start it the other way"] {
            assert!(log.contains(text), "{text}: {log}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), key);
        assert!(std::fs::read(stage.launch.seal_dir().join("state.redb")).unwrap() == state);
    }
}

// nor the reverse. Without a TEE there is no way on but simulation, said on the command line.
#[test]
fn a_simulated_state_does_not_open_where_a_tee_is_expected() {
    let stage = Stage::new();
    let mut coordinator = stage.start_with("ProductKey");
    coordinator.kill();
    let seal_dir = stage.launch.seal_dir();
    let tee = Launch::new().without_simulation().argument("--seal-dir").argument(seal_dir.to_str().unwrap());
    let refused = tee.start_and_end();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("TEE"));
    assert_eq!(code(&stage.launch.start()), 3);
}
