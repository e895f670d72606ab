//! Backups of the real coordinator: made while it runs, restored elsewhere, checked, and seen for what they are.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api::{self, Version};
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::users::User;
use carrara_tests::{binary, manifests, run};
use serde_json::{Value, json};

const BEFORE: &str = "the token as it was backed up";
const AFTER: &str = "the token as it was changed later";

/// Alice may do everything that there is to do here, Bob nothing.
struct Stage {
    folder: tempfile::TempDir,
    launch: Launch,
    coordinator: Coordinator,
    manifest: Value,
    alice: User,
}

impl Stage {
    fn new() -> Self {
        Self::with_seal_mode("ProductKey")
    }

    fn with_seal_mode(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (alice, bob) = (User::new(folder.path(), "alice"), User::new(folder.path(), "bob"));
        let mut manifest = manifests::with_updaters(&[("alice", &alice), ("bob", &bob)], 1, 0);
        manifest["Config"]["SealMode"] = json!(mode);
        manifest["Secrets"] = json!({ "token": { "Type": "plain", "UserDefined": true } });
        manifests::grant(
            &mut manifest,
            "alice",
            "owner",
            "Secrets",
            &["token"],
            &["ReadSecret", "WriteSecret"],
        );
        manifests::grant(&mut manifest, "alice", "keeper", "Manifest", &[], &["Backup", "ReadAudit"]);
        let launch = Launch::new();
        let coordinator = launch.start();
        api::set(&coordinator, &manifest);
        let stage = Self { folder, launch, coordinator, manifest, alice };
        ok(&stage
            .carrara(&["manifest", "verify", "manifest.json", &stage.host(), "--insecure"])
            .output()
            .unwrap());
        stage
    }

    fn host(&self) -> String {
        self.coordinator.rest.to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn carrara(&self, line: &[&str]) -> Command {
        std::fs::write(self.path("manifest.json"), self.manifest.to_string()).unwrap();
        let mut command = Command::new(binary("carrara"));
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).env_remove("XDG_CONFIG_HOME");
        command.args(line).stdin(Stdio::null());
        command
    }

    fn backup_from(&self, host: &str, user: &str, options: &[&str]) -> Output {
        let (cert, key) = (format!("{user}.crt"), format!("{user}.key"));
        run(&mut self.carrara(&[&["backup", host, "-c", &cert, "-k", &key], options].concat()))
    }

    fn backup(&self, file: &str) {
        ok(&self.backup_from(&self.host(), "alice", &["-o", file]));
    }

    /// Sets the user-defined secret.
    fn set(&self, value: &str) {
        let secrets = json!({ "token": { "Key": STANDARD.encode(value) } });
        assert_eq!(api::upload(&self.coordinator, Version::V2, &self.alice, &secrets).status, 200);
    }

    fn verify_log(&self, coordinator: &Coordinator) -> Output {
        run(&mut self.carrara(&["manifest", "log", &coordinator.rest.to_string(), "--verify"]))
    }

    fn restore(&self, file: &str, seal_dir: &Path) -> Output {
        run(&mut self.carrara(&["restore", file, "--seal-dir", seal_dir.to_str().unwrap()]))
    }
}

#[track_caller]
fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(words.iter().all(|word| error.contains(word)), "{error} has not all of {words:?}");
}

/// `carrara-coordinator check`.
fn check(seal_dir: &Path, options: &[&str]) -> (i32, String) {
    let mut command = Command::new(binary("carrara-coordinator"));
    command.args(["check", "--seal-dir"]).arg(seal_dir).args(options).env_remove("OE_SIMULATION");
    let output = run(&mut command);
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[track_caller]
fn assert_sound(seal_dir: &Path) -> String {
    let (code, text) = check(seal_dir, &["--simulation"]);
    assert!(code == 0 && text.ends_with("sound\n"), "{code}: {text}");
    text
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

fn root_certificate(coordinator: &Coordinator) -> Value {
    api::get(coordinator, "/api/v2/quote").data()["cert"].clone()
}

// L-37, X-6
#[test]
fn a_restored_backup_is_the_coordinator_as_it_was_and_its_log_shows_the_rollback() {
    let mut stage = Stage::new();
    stage.set(BEFORE);
    let root = root_certificate(&stage.coordinator);
    let token = api::secret(&stage.coordinator, &stage.alice, "token");
    stage.backup("state.tar");
    // Life goes on, and somebody keeps the newer checkpoint.
    stage.set(AFTER);
    assert_ne!(api::secret(&stage.coordinator, &stage.alice, "token"), token);
    let mut changed = stage.manifest.clone();
    changed["Marbles"]["second"] = changed["Marbles"]["svc"].clone();
    assert_eq!(api::update(&stage.coordinator, Version::V2, &stage.alice, &changed).status, 200);
    ok(&stage.verify_log(&stage.coordinator));
    stage.coordinator.kill();

    let dir = stage.path("restored");
    let told = ok(&stage.restore("state.tar", &dir));
    assert!(told.starts_with("Restored state.tar into "), "{told}");
    assert_sound(&dir);
    let restored = Launch::new().argument("--seal-dir").argument(dir.to_str().unwrap()).start();
    assert_eq!(api::get(&restored, "/api/v2/status").data()["code"], 3);
    assert_eq!(root_certificate(&restored), root);
    assert_eq!(api::secret(&restored, &stage.alice, "token"), token);
    assert!(!api::manifest(&restored).0.contains("second"));
    refused(&stage.verify_log(&restored), 6, &["rolled back"]);
}

#[test]
fn a_backup_is_private_verified_and_overwrites_nothing_unasked() {
    let stage = Stage::new();
    stage.set(BEFORE);
    let told = ok(&stage.backup_from(&stage.host(), "alice", &["-o", "state.tar", "--output", "json"]));
    let told: Value = serde_json::from_str(&told).unwrap();
    let bytes = std::fs::read(stage.path("state.tar")).unwrap();
    assert_eq!((&told["bytes"], &told["file"]), (&json!(bytes.len()), &json!("state.tar")));
    let mode = std::fs::metadata(stage.path("state.tar")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    refused(
        &stage.backup_from(&stage.host(), "alice", &["-o", "state.tar"]),
        1,
        &["exists already", "--force"],
    );
    ok(&stage.backup_from(&stage.host(), "alice", &["-o", "state.tar", "--force"]));
    refused(&stage.backup_from(&stage.host(), "alice", &["-o", "none/state.tar"]), 1, &["none/state.tar"]);
    // Nothing lies beside it.
    let names = std::fs::read_dir(stage.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().ends_with(".new")));
    let entries = api::get_as(&stage.coordinator, &stage.alice, "/api/v2/audit").data()["entries"].clone();
    let entry = entries.as_array().unwrap().iter().find(|entry| entry["action"] == "Backup").unwrap();
    assert_eq!(entry["resources"], json!([format!("revision {}", told["revision"])]));
    stage.coordinator.wait_for_log(|line| line.contains("carrara::audit") && line.contains("Backup"));
}

#[test]
fn a_backup_holds_no_secret_in_the_clear() {
    let stage = Stage::new();
    stage.set(BEFORE);
    stage.backup("state.tar");
    let bytes = std::fs::read(stage.path("state.tar")).unwrap();
    let mut words = vec![BEFORE.as_bytes().to_vec(), STANDARD.encode(BEFORE).into_bytes()];
    // Neither keys, in whatever form, nor the manifest or the log.
    words.extend(
        ["PRIVATE KEY", "UpdateManifest", "Initial manifest set"].map(|word| word.as_bytes().to_vec()),
    );
    // An ECDSA key on P-384 in SEC 1 or PKCS #8 names its curve.
    words.push(vec![0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]);
    for word in words {
        assert!(!holds(&bytes, &word), "{}", String::from_utf8_lossy(&word));
    }
    assert!(holds(&bytes, b"secret:token"), "the names are there: see host/docs/backup.md");
}

//
#[test]
fn only_users_with_the_right_get_a_backup() {
    let stage = Stage::new();
    refused(
        &stage.backup_from(&stage.host(), "bob", &["-o", "bob.tar"]),
        1,
        &["user bob is not allowed to back up"],
    );
    let _ = User::new(stage.folder.path(), "mallory");
    refused(
        &stage.backup_from(&stage.host(), "mallory", &["-o", "bob.tar"]),
        1,
        &["does not accept this user"],
    );
    assert!(!stage.path("bob.tar").exists());
    assert_eq!(api::get(&stage.coordinator, "/api/v2/backup").status, 401);
}

// L-35
#[test]
fn a_state_that_is_never_written_is_not_backed_up() {
    let stage = Stage::with_seal_mode("Disabled");
    refused(
        &stage.backup_from(&stage.host(), "alice", &["-o", "a.tar"]),
        1,
        &["409", "SealMode is Disabled"],
    );
    assert!(!stage.path("a.tar").exists());
}

#[test]
fn backups_under_load_are_each_sound_and_nobody_waits_for_them() {
    let stage = Arc::new(Stage::new());
    let (done, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (stage, done, writes) = (Arc::clone(&stage), Arc::clone(&done), Arc::clone(&writes));
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                stage.set(&format!("value {}", writes.fetch_add(1, Ordering::Relaxed)));
            }
        })
    };
    for round in 0..3 {
        let before = writes.load(Ordering::Relaxed);
        let (file, dir) = (format!("{round}.tar"), stage.path(&round.to_string()));
        stage.backup(&file);
        ok(&stage.restore(&file, &dir));
        let text = assert_sound(&dir);
        assert!(text.contains("opened"), "{text}");
        while writes.load(Ordering::Relaxed) <= before {
            std::thread::yield_now();
        }
    }
    done.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

/// Lets this many bytes of answers through, then cuts the connection.
fn proxy(target: SocketAddr, limit: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(target).unwrap();
        let (mut questions, mut on) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut questions, &mut on));
        let _ = std::io::copy(&mut Read::by_ref(&mut server).take(limit), &mut client);
        let _ = client.flush();
        let _ = (client.shutdown(std::net::Shutdown::Both), server.shutdown(std::net::Shutdown::Both));
    });
    address
}

#[test]
fn a_backup_that_is_cut_off_is_an_error_and_leaves_no_file() {
    let stage = Stage::new();
    let host = proxy(stage.coordinator.rest, 30_000).to_string();
    refused(&stage.backup_from(&host, "alice", &["-o", "cut.tar"]), 1, &["saving a backup to cut.tar"]);
    let left = std::fs::read_dir(stage.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().contains("cut.tar")));
    // The place is free again: the next one is made at once.
    stage.backup("whole.tar");
}

#[test]
fn a_backup_that_was_damaged_is_not_restored_and_no_directory_is_overwritten() {
    let stage = Stage::new();
    stage.backup("state.tar");
    let mut bytes = std::fs::read(stage.path("state.tar")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(stage.path("bad.tar"), &bytes).unwrap();
    let dir = stage.path("restored");
    refused(&stage.restore("bad.tar", &dir), 1, &["the checksum of state.redb"]);
    std::fs::write(stage.path("short.tar"), &bytes[..middle]).unwrap();
    refused(&stage.restore("short.tar", &dir), 1, &["cut off"]);
    assert!(!std::path::Path::new(&dir).exists(), "what was begun is gone");
    refused(&stage.restore("state.tar", &stage.launch.seal_dir()), 1, &["in use by a coordinator"]);
    ok(&stage.restore("state.tar", &dir));
    refused(&stage.restore("state.tar", &dir), 1, &["is not empty: it holds s"]);
}

#[test]
fn check_tells_sound_damaged_unknown_and_unopened_apart() {
    let mut stage = Stage::new();
    let dir = stage.launch.seal_dir();
    let (code, text) = check(&dir, &["--simulation"]);
    assert!(code == 2 && text.contains("in use by a coordinator"), "{code}: {text}");
    stage.coordinator.kill();
    assert_sound(&dir);
    let (code, text) = check(&dir, &[]);
    assert!(code == 3 && text.contains("no sealing key here"), "{code}: {text}");
    let (code, text) = check(&stage.path("nowhere"), &["--simulation"]);
    assert!(code == 2 && text.contains("nowhere"), "{code}: {text}");
    assert_eq!(check(&dir, &["--no-such-option"]).0, 2);
    let state = dir.join("state.redb");
    let whole = std::fs::read(&state).unwrap();
    std::fs::write(&state, &whole[..whole.len() - 5000]).unwrap();
    let (code, text) = check(&dir, &["--simulation"]);
    assert!(
        code == 1 && text.contains("state.redb is damaged") && text.ends_with("damaged\n"),
        "{code}: {text}"
    );
    std::fs::write(&state, whole).unwrap();
    assert_sound(&dir);
    // And it starts.
    let _ = stage.launch.start();
}
