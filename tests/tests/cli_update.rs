//! The commands that change something, as users run them, on the real binaries: secrets, updates by one or several users,
//! the verified log and the audit trail (cli.md section 3).

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::users::{RecoveryKey, User};
use carrara_tests::{binary, manifests, run};
use serde_json::{Value, json};

/// Alice and Bob may update the manifest, both must; Alice may also write and read `token` and read the audit trail.
struct Stage {
    launch: Launch,
    coordinator: Coordinator,
    folder: tempfile::TempDir,
    manifest: Value,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| User::new(folder.path(), name));
        let mut manifest =
            manifests::with_updaters(&[("alice", &alice), ("bob", &bob), ("carol", &carol)], 2, 0);
        manifest["Secrets"] = json!({
            "token": { "Type": "plain", "UserDefined": true },
            "tls": { "Type": "cert-ecdsa", "Size": 256, "UserDefined": true },
        });
        let names = ["token", "tls"];
        manifests::grant(&mut manifest, "alice", "writer", "Secrets", &names, &["WriteSecret", "ReadSecret"]);
        manifest["Roles"]["auditor"] = json!({ "ResourceType": "Manifest", "Actions": ["ReadAudit"] });
        manifest["Users"]["alice"]["Roles"].as_array_mut().unwrap().push(json!("auditor"));
        manifests::grant(
            &mut manifest,
            "alice",
            "packager",
            "Packages",
            &["signed"],
            &["UpdateSecurityVersion"],
        );
        let launch = Launch::new();
        let coordinator = launch.start();
        let stage = Self { launch, coordinator, folder, manifest };
        stage.write("manifest.json", &stage.manifest.to_string());
        stage.ok(&["manifest", "set", "manifest.json", &stage.host(), "--insecure"]);
        stage
    }

    fn host(&self) -> String {
        self.coordinator.rest.to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(binary("carrara"));
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).env_remove("XDG_CONFIG_HOME");
        command.args(line).stdin(Stdio::null());
        command
    }

    /// The command line with the host and a user's certificate.
    fn with_user<'a>(line: &[&'a str], host: &'a str, files: &'a [String; 2]) -> Vec<&'a str> {
        [line, &[host, "-c", &files[0], "-k", &files[1]]].concat()
    }

    fn run_as(&self, user: &str, line: &[&str]) -> Output {
        let (host, files) = (self.host(), [format!("{user}.crt"), format!("{user}.key")]);
        run(&mut self.command(&Self::with_user(line, &host, &files)))
    }

    #[track_caller]
    fn ok(&self, line: &[&str]) -> String {
        text(&run(&mut self.command(line)))
    }

    #[track_caller]
    fn ok_as(&self, user: &str, line: &[&str]) -> String {
        text(&self.run_as(user, line))
    }

    #[track_caller]
    fn refused_as(&self, user: &str, line: &[&str]) -> String {
        refused(&self.run_as(user, line), 1)
    }

    /// The manifest with one change that everybody sees.
    fn proposal(&self) -> Value {
        let mut proposed = self.manifest.clone();
        proposed["Marbles"]["second"] = proposed["Marbles"]["svc"].clone();
        proposed
    }
}

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.lines().any(|line| line.starts_with("Error: ")), "{error}");
    error
}

// cli.md `secret set`, `secret get`; S-50, S-52, S-53
#[test]
fn secrets_are_set_from_json_or_pem_and_read_back() {
    let stage = Stage::new();
    stage.write("s.json", r#"{"token":{"Key":"aHVudGVyMg=="}}"#);
    assert_eq!(stage.ok_as("alice", &["secret", "set", "s.json"]), "Secret successfully set\n");
    stage.write("tls.pem", &(stage.read("alice.key") + &stage.read("alice.crt")));
    stage.ok_as("alice", &["secret", "set", "tls.pem", "--from-pem", "tls"]);
    let read = stage.ok_as("alice", &["--output", "json", "secret", "get", "token", "tls"]);
    let read: Value = serde_json::from_str(&read).unwrap();
    assert_eq!(read["token"]["Private"], "aHVudGVyMg==");
    let body = |pem: &str| {
        let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
        lines.take_while(|line| !line.starts_with("-----END")).collect::<String>()
    };
    assert_eq!(read["tls"]["Cert"], body(&stage.read("alice.crt")));
    assert_eq!(read["tls"]["Private"], body(&stage.read("alice.key")));

    let error = stage.refused_as("bob", &["secret", "set", "s.json"]);
    assert!(error.contains("user bob is not allowed to update secret: token"), "{error}");
    assert!(error.contains("`carrara manifest get`"), "{error}");
    let stranger = User::new(stage.folder.path(), "mallory");
    assert!(stranger.key_file.exists());
    let error = stage.refused_as("mallory", &["secret", "set", "s.json"]);
    assert!(error.contains("unauthorized user") && error.contains("fingerprint"), "{error}");
    let error = stage.refused_as("alice", &["secret", "set", "tls.pem", "--from-pem", "token"]);
    assert!(error.contains("token"), "{error}");
}

// cli.md `manifest update apply`, `get`, `acknowledge`; R-56, R-58, R-59, L-53
#[test]
fn two_users_update_the_manifest_together() {
    let stage = Stage::new();
    let host = stage.host();
    stage.write("new.json", &stage.proposal().to_string());
    let text = stage.ok_as("alice", &["manifest", "update", "apply", "new.json", "--dry-run"]);
    assert!(text.contains("+ /Marbles/second"), "{text}");
    assert!(stage.refused_as("bob", &["manifest", "update", "cancel"]).contains("no update waits"));

    let text = stage.ok_as("alice", &["manifest", "update", "apply", "new.json"]);
    assert!(text.contains("+ /Marbles/second") && text.contains("1 more user must acknowledge"), "{text}");
    assert!(text.contains("Users who may acknowledge: bob\n"), "{text}");
    assert_eq!(stage.ok(&["manifest", "update", "get", &host, "--missing"]), "bob\n");
    stage.ok(&["manifest", "update", "get", &host, "-o", "pending.json"]);
    assert_eq!(stage.read("pending.json"), stage.read("new.json"));

    let error = stage.refused_as("alice", &["manifest", "update", "apply", "new.json"]);
    assert!(
        error.contains("update already in progress") && error.contains("`carrara manifest update get`"),
        "{error}"
    );
    let error = stage.refused_as("carol", &["manifest", "update", "acknowledge", "pending.json"]);
    assert!(error.contains("user carol is not allowed to"), "{error}");
    let error = stage.refused_as("bob", &["manifest", "update", "acknowledge", "manifest.json"]);
    let fetch = format!("`carrara manifest update get -o FILE {host}`");
    assert!(error.contains("it still waits for bob") && error.contains(&fetch), "{error}");

    let text = stage.ok_as("bob", &["manifest", "update", "acknowledge", "pending.json"]);
    assert!(text.contains("+ /Marbles/second"), "{text}");
    assert!(text.contains("\nAcknowledgement successful: All users have acknowledged"), "{text}");
    assert_eq!(stage.ok(&["manifest", "verify", "new.json", &host, "-i"]), "OK\n");
    let error = refused(&run(&mut stage.command(&["manifest", "update", "get", &host])), 1);
    assert!(error.contains("no update waits"), "{error}");
}

// cli.md `manifest update cancel`; R-60a
#[test]
fn a_pending_update_is_cancelled_by_who_may() {
    let stage = Stage::new();
    stage.write("new.json", &stage.proposal().to_string());
    stage.ok_as("alice", &["manifest", "update", "apply", "new.json"]);
    stage.refused_as("carol", &["manifest", "update", "cancel"]);
    assert_eq!(stage.ok_as("bob", &["manifest", "update", "cancel"]), "Cancellation successful\n");
    assert!(stage.refused_as("bob", &["manifest", "update", "cancel"]).contains("no update waits"));
    assert_eq!(stage.ok(&["manifest", "verify", "manifest.json", &stage.host(), "-i"]), "OK\n");
}

// cli.md `manifest update apply`, `manifest get -u`; M-100, M-106
#[test]
fn a_package_update_from_yaml_takes_effect_at_once() {
    let stage = Stage::new();
    stage.write("packages.yaml", "Packages:\n  signed:\n    SecurityVersion: 3\n");
    let text = stage.ok_as("alice", &["manifest", "update", "apply", "packages.yaml"]);
    assert!(text.contains("/Packages/signed/SecurityVersion: 2 -> 3"), "{text}");
    assert!(text.ends_with("Update manifest set successfully\n"), "{text}");
    let manifest = stage.ok(&["manifest", "get", "-u", &stage.host(), "-i"]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["Packages"]["signed"]["SecurityVersion"], 3);
    let text = stage.ok_as("alice", &["manifest", "update", "apply", "packages.yaml", "--dry-run"]);
    assert!(text.starts_with("The manifest in force says the same already"), "{text}");
    let error = stage.refused_as("carol", &["manifest", "update", "apply", "packages.yaml"]);
    assert!(error.contains("user carol is not allowed to"), "{error}");
}

// cli.md `manifest update acknowledge -r`: whoever completes the update receives the recovery data.
#[test]
fn new_recovery_data_is_saved_by_who_completes_the_update() {
    let stage = Stage::new();
    let key = RecoveryKey::new(stage.folder.path(), "recovery");
    let mut proposed = stage.proposal();
    proposed["RecoveryKeys"] = json!({ "owner": key.public });
    stage.write("new.json", &proposed.to_string());
    let text = stage.ok_as("alice", &["manifest", "update", "apply", "new.json", "-r", "r.json"]);
    assert!(text.contains("pending") && !stage.path("r.json").exists(), "{text}");
    let text = stage.ok_as("bob", &["manifest", "update", "acknowledge", "new.json", "-r", "r.json"]);
    assert!(text.ends_with("Recovery data saved to: r.json\n"), "{text}");
    let saved: Value = serde_json::from_str(&stage.read("r.json")).unwrap();
    assert!(saved["RecoverySecrets"]["owner"].as_str().is_some_and(|secret| !secret.is_empty()));
}

// An update after which nobody could update again is a question, not an error.
#[test]
fn the_last_update_needs_a_yes() {
    let stage = Stage::new();
    let mut proposed = stage.proposal();
    for user in ["alice", "bob"] {
        proposed["Users"][user]["Roles"] = json!([]);
    }
    proposed["Config"]["UpdateThreshold"] = json!(0);
    stage.write("last.json", &proposed.to_string());
    let error = stage.refused_as("alice", &["manifest", "update", "apply", "last.json"]);
    assert!(error.contains("--yes"), "{error}");
    let error = refused(&run(&mut stage.command(&["manifest", "update", "get", &stage.host()])), 1);
    assert!(error.contains("no update waits"), "{error}");
    stage.ok_as("alice", &["manifest", "update", "apply", "last.json", "--yes"]);
    let error = stage.refused_as("bob", &["manifest", "update", "acknowledge", "last.json"]);
    assert!(error.contains("--yes"), "{error}");
    stage.ok_as("bob", &["manifest", "update", "acknowledge", "last.json", "--yes"]);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

// `manifest log --verify`: X-6
#[test]
fn a_log_that_grew_verifies_and_a_state_that_was_rolled_back_does_not() {
    let mut stage = Stage::new();
    let line = ["manifest", "log", &stage.host(), "--verify"].map(str::to_owned);
    let line = line.each_ref().map(String::as_str);
    assert!(stage.ok(&line).starts_with("Verified: 1 line, revision "));
    stage.coordinator.kill();
    let (data, backup) = (stage.launch.seal_dir(), stage.path("backup"));
    copy(&data, &backup);

    stage.coordinator = stage.launch.start();
    stage.write("s.json", r#"{"token":{"Key":"AQ=="}}"#);
    for _ in 0..4 {
        stage.ok_as("alice", &["secret", "set", "s.json"]);
    }
    let host = stage.host();
    let line = ["manifest", "log", &host, "--verify"];
    let text = stage.ok(&line);
    assert!(
        text.starts_with("Verified: 5 lines") && text.contains("continues what was seen before (1 line"),
        "{text}"
    );
    let part = stage.ok(&[&line[..], &["--from", "4", "--limit", "3"]].concat());
    assert!(part.lines().count() == 3 && part.contains("\"Secret set\""), "{part}");

    stage.coordinator.kill();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    stage.coordinator = stage.launch.start();
    let host = stage.host();
    let line = ["manifest", "log", &host, "--verify"];
    let rolled_back = run(&mut stage.command(&line));
    let error = refused(&rolled_back, 6);
    assert!(error.contains("rolled back") && error.contains("\n5\n") && error.contains("\n1\n"), "{error}");

    // It goes on in another way, to more lines than were seen: a fork.
    stage.write("s.json", r#"{"token":{"Key":"Ag=="}}"#);
    for _ in 0..6 {
        stage.ok_as("alice", &["secret", "set", "s.json"]);
    }
    let error = refused(&run(&mut stage.command(&line)), 6);
    assert!(error.contains("forked") && error.contains("\n5\n") && error.contains("\n7\n"), "{error}");
}

// `audit`, `audit --follow`
#[test]
fn the_audit_trail_is_read_and_followed_by_who_may() {
    let stage = Stage::new();
    stage.write("s.json", r#"{"token":{"Key":"AQ=="}}"#);
    stage.ok_as("alice", &["secret", "set", "s.json"]);
    let text = stage.ok_as("alice", &["audit"]);
    let line = text.lines().find(|line| line.contains("WriteSecret")).unwrap();
    assert!(line.contains("alice") && line.contains("done") && line.ends_with("token"), "{line}");
    let error = stage.refused_as("bob", &["audit"]);
    assert!(
        error.contains("user bob is not allowed to") && error.contains("`carrara manifest get`"),
        "{error}"
    );

    let (host, files) = (stage.host(), ["alice.crt".to_owned(), "alice.key".to_owned()]);
    let mut follow = stage.command(&Stage::with_user(&["--output", "json", "audit", "-f"], &host, &files));
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    stage.refused_as("bob", &["secret", "set", "s.json"]);
    let lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(|line| {
        let entry: Value = serde_json::from_str(&line.unwrap()).unwrap();
        entry
    });
    let wanted = |entry: &Value| entry["user"] == "bob" && entry["action"] == "WriteSecret";
    let entry = lines.into_iter().find(wanted).unwrap();
    follow.kill().unwrap();
    follow.wait().unwrap();
    assert_eq!((&entry["outcome"], &entry["resources"]), (&json!("refused"), &json!(["token"])));
}

// cli.md `version`
#[test]
fn the_version_is_printed_without_a_coordinator_or_with_its() {
    let stage = Stage::new();
    let alone = stage.ok(&["version"]);
    assert!(alone.starts_with("CLI Version: v") && alone.contains("\nCommit: "), "{alone}");
    let both = stage.ok(&["version", &stage.host()]);
    let version = both.strip_prefix(&alone).and_then(|rest| rest.strip_prefix("Coordinator Version: v"));
    assert!(version.is_some_and(|version| version.split('.').count() == 3), "{both}");
}
