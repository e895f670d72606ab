//! Commands that change something or watch for changes, as users run them, against a coordinator that answers from a
//! table.

// Helpers of tests may do what tests may.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use support::carrara;
use support::stage::{Stage, manifest, ok, refused};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

// cli.md `secret set`
#[test]
fn secrets_are_set_from_json_or_pem() {
    let stage = Stage::new();
    stage.server.set("POST /api/v2/secrets", ok(&Value::Null));
    stage.write("s.json", r#"{"token":{"Key":"AQ=="}}"#);
    assert_eq!(stage.as_alice(&["secret", "set", "s.json"]).text(), "Secret successfully set\n");
    let json = stage.as_alice(&["--output", "json", "secret", "set", "s.json"]).json();
    assert_eq!(json, json!({ "set": ["token"] }));

    let pem = stage.read("alice.key") + &stage.read("alice.crt");
    stage.write("both.pem", &pem);
    let run = stage.as_alice(&["secret", "set", "both.pem", "--from-pem", "tls"]);
    assert_eq!((run.text().as_str(), run.complaints().as_str()), ("Secret successfully set\n", ""));
    let run = stage.as_alice(&["secret", "set", "alice.crt", "--from-pem", "tls"]);
    assert!(run.complaints().contains("no private key"), "{}", run.complaints());
    run.text();
    assert_eq!(stage.asked("POST /api/v2/secrets"), 4);
}

#[test]
fn secrets_that_cannot_be_sent_are_not() {
    let stage = Stage::new();
    stage.write("empty.json", "{}");
    assert!(stage.as_alice(&["secret", "set", "empty.json"]).error().contains("no secret"));
    assert!(stage.as_alice(&["secret", "set", "alice.key"]).error().contains("--from-pem"));
    let error = stage.as_alice(&["secret", "set", "alice.key", "--from-pem", "tls"]).error();
    assert!(error.contains("CERTIFICATE"), "{error}");
    assert_eq!(stage.asked("POST /api/v2/secrets"), 0);
}

#[test]
fn a_refusal_says_what_helps() {
    let stage = Stage::new();
    stage.write("s.json", r#"{"token":{"Key":"AQ=="}}"#);
    let unauthorized = "unauthorized user: client certificate did not match any MarbleRun users";
    let fingerprint = {
        let der = pem::parse(stage.read("alice.crt")).unwrap();
        hex::encode(Sha256::digest(der.contents()))
    };
    for (answer, helps) in [
        (refused(401, unauthorized), fingerprint.as_str()),
        (refused(401, unauthorized), "`carrara manifest get`"),
        (refused(500, "user alice is not allowed to update secret: token"), "`carrara manifest get`"),
        (refused(500, "server is not in expected state"), "`carrara status`"),
        (refused(503, "too many requests"), "try again"),
    ] {
        stage.server.set("POST /api/v2/secrets", answer);
        let error = stage.as_alice(&["secret", "set", "s.json"]).error();
        assert!(error.contains(helps), "{error}");
    }
    stage
        .server
        .set("POST /api/v2/update", refused(500, "update already in progress. Acknowledge the update"));
    let error = stage.as_alice(&["manifest", "update", "apply", "new.json"]).error();
    assert!(
        error.contains("`carrara manifest update get`") && error.contains("already in progress"),
        "{error}"
    );
}

// cli.md `manifest update apply`
#[test]
fn an_update_shows_what_changes_and_takes_effect() {
    let stage = Stage::new();
    let applied = json!({ "missingAcknowledgments": 0, "missingUsers": null });
    stage.server.set("POST /api/v2/update", ok(&applied));
    let text = stage.as_alice(&["manifest", "update", "apply", "new.json"]).text();
    let sent = stage.server.asked();
    assert!(sent.iter().any(|line| line.starts_with("POST /api/v2/update?lockout=refuse&base=")), "{sent:?}");
    assert!(text.contains("/Packages/pkg/SecurityVersion: 1 -> 2"), "{text}");
    assert!(text.ends_with("\nUpdate manifest set successfully\n"), "{text}");
    let json = stage.as_alice(&["--output", "json", "manifest", "update", "apply", "new.json"]).json();
    assert_eq!((&json["applied"], &json["missingUsers"]), (&json!(true), &json!([])));
    assert_eq!(json["changes"][0]["path"], "/Packages/pkg/SecurityVersion");

    // C-14
    stage.server.set("POST /api/v2/update", ok(&Value::Null));
    stage.as_alice(&["manifest", "update", "apply", "new.json"]).text();
}

#[test]
fn a_yaml_file_is_sent_as_json() {
    let stage = Stage::new();
    stage.server.set("POST /api/v2/update", ok(&Value::Null));
    stage.write("new.yaml", "Packages:\n  pkg:\n    SecurityVersion: 3\n");
    let text = stage.as_alice(&["manifest", "update", "apply", "new.yaml"]).text();
    assert!(text.contains("/Packages/pkg/SecurityVersion: 1 -> 3"), "{text}");
    assert!(!text.contains("/Marbles"), "a package update removes nothing: {text}");
}

#[test]
fn a_dry_run_sends_nothing() {
    let stage = Stage::new();
    let text = stage.as_alice(&["manifest", "update", "apply", "new.json", "--dry-run"]).text();
    assert!(text.contains("SecurityVersion: 1 -> 2") && text.ends_with("(--dry-run)\n"), "{text}");
    stage.propose(&manifest(1));
    let text = stage.as_alice(&["manifest", "update", "apply", "new.json", "--dry-run"]).text();
    assert!(text.starts_with("The manifest in force says the same already\n"), "{text}");
    assert_eq!(stage.asked("POST /api/v2/update"), 0);
}

// cli.md `manifest update apply`: the pending text
#[test]
fn an_update_that_waits_names_who_may_acknowledge() {
    let stage = Stage::new();
    let waiting = json!({ "missingAcknowledgments": 2, "missingUsers": ["bob", "carol", "dave"] });
    stage.server.set("POST /api/v2/update", ok(&waiting));
    let text = stage.as_alice(&["manifest", "update", "apply", "new.json"]).text();
    assert!(text.contains("pending: 2 more users must acknowledge"), "{text}");
    assert!(text.contains("Users who may acknowledge: bob, carol, dave\n"), "{text}");
    assert!(!text.contains("successfully"), "{text}");
    let json = stage.as_alice(&["--output", "json", "manifest", "update", "apply", "new.json"]).json();
    assert_eq!((&json["applied"], &json["missingAcknowledgments"]), (&json!(false), &json!(2)));
}

// cli.md `manifest update apply`, `acknowledge`
#[test]
fn new_recovery_data_is_printed_or_saved() {
    let stage = Stage::new();
    let applied = json!({
        "missingAcknowledgments": 0, "missingUsers": null, "recoverySecrets": { "r": "AQ==" }, "message": "All users",
    });
    stage.server.set("POST /api/v2/update", ok(&applied));
    stage.server.set("POST /api/v2/update-manifest", ok(&applied));
    for command in ["apply", "acknowledge"] {
        let line = ["manifest", "update", command, "new.json"];
        let text = stage.as_alice(&line).text();
        assert!(text.ends_with("\n{\"RecoverySecrets\":{\"r\":\"AQ==\"}}\n"), "{text}");
        let text = stage.as_alice(&[&line[..], &["-r", "r.json"]].concat()).text();
        assert!(text.ends_with("\nRecovery data saved to: r.json\n"), "{text}");
        assert_eq!(stage.read("r.json"), r#"{"RecoverySecrets":{"r":"AQ=="}}"#);
        assert_eq!(mode(&stage.path().join("r.json")), 0o600);
        // What is there may be the only recovery data of another state.
        let sent = stage.asked("POST /api/v2/update") + stage.asked("POST /api/v2/update-manifest");
        std::fs::write(stage.path().join("r.json"), "of another state").unwrap();
        let error = stage.as_alice(&[&line[..], &["-r", "r.json"]].concat()).error();
        assert!(error.contains("nothing was sent") && error.contains("--force"), "{error}");
        assert_eq!(stage.read("r.json"), "of another state");
        let asked = stage.asked("POST /api/v2/update") + stage.asked("POST /api/v2/update-manifest");
        assert_eq!(asked, sent);
        stage.as_alice(&[&line[..], &["-r", "r.json", "--force"]].concat()).text();
        assert_eq!(stage.read("r.json"), r#"{"RecoverySecrets":{"r":"AQ=="}}"#);
        std::fs::remove_file(stage.path().join("r.json")).unwrap();
        let sent = stage.asked("POST /api/v2/update") + stage.asked("POST /api/v2/update-manifest");
        let error = stage.as_alice(&[&line[..], &["-r", "missing/r.json"]].concat()).error();
        assert!(error.contains("nothing was sent") && error.contains("missing/r.json"), "{error}");
        let asked = stage.asked("POST /api/v2/update") + stage.asked("POST /api/v2/update-manifest");
        assert_eq!(asked, sent);
        let lost = stage.as_alice(&[&line[..], &["-r", "/dev/full"]].concat());
        lost.error();
        assert!(lost.said().contains(r#"{"RecoverySecrets":{"r":"AQ=="}}"#), "{}", lost.said());
    }
}

/// Runs the line where nothing can be written to stdout: exit code and stderr.
fn without_stdout(stage: &Stage, line: &[&str]) -> (Option<i32>, String) {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_carrara"));
    command.args(line).current_dir(stage.path()).env_remove("XDG_CONFIG_HOME").env("HOME", stage.path());
    let output = command.stdout(full).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

// Given once only: it is not lost with the output.
#[test]
fn recovery_data_that_cannot_be_printed_goes_to_stderr() {
    let stage = Stage::new();
    let applied =
        json!({ "missingAcknowledgments": 0, "recoverySecrets": { "r": "AQ==" }, "message": "All users" });
    stage.server.set("POST /api/v2/update", ok(&applied));
    stage.server.set("POST /api/v2/update-manifest", ok(&applied));
    stage.server.set("POST /api/v2/manifest", ok(&json!({ "RecoverySecrets": { "r": "AQ==" } })));
    let user = ["-c", "alice.crt", "-k", "alice.key"];
    let lines = [
        [&["manifest", "update", "apply", "new.json", &stage.host, "--output", "json"][..], &user].concat(),
        [&["manifest", "update", "acknowledge", "new.json", &stage.host, "--output", "json"][..], &user]
            .concat(),
        [
            &[
                "manifest",
                "update",
                "acknowledge",
                "new.json",
                &stage.host,
                "-r",
                "/dev/full",
                "--output",
                "json",
            ][..],
            &user,
        ]
        .concat(),
        vec!["manifest", "set", "new.json", &stage.host, "-i", "--output", "json"],
    ];
    let certificates = stage.path().join(".config/marblerun/coordinator-cert.pem");
    for line in lines {
        if line.contains(&"set") {
            std::fs::remove_file(&certificates).unwrap();
        }
        let (code, error) = without_stdout(&stage, &line);
        assert_eq!(code, Some(1), "{line:?}: {error}");
        assert_eq!(error.matches(r#"{"RecoverySecrets":{"r":"AQ=="}}"#).count(), 1, "{line:?}: {error}");
        assert!(error.contains("Error: writing to stdout"), "{line:?}: {error}");
    }
    assert!(certificates.exists(), "and the coordinator that was set is known");
}

#[test]
fn an_update_after_which_nobody_could_update_needs_a_yes() {
    let stage = Stage::new();
    stage.server.set("POST /api/v2/update", ok(&Value::Null));
    let mut last = manifest(2);
    last["Users"] = json!({});
    last["Roles"] = json!({});
    stage.propose(&last);
    let error = stage.as_alice(&["manifest", "update", "apply", "new.json"]).error();
    assert!(error.contains("--yes") && error.contains("nobody can update"), "{error}");
    assert_eq!(stage.asked("POST /api/v2/update"), 0);
    stage.as_alice(&["manifest", "update", "apply", "new.json", "--yes"]).text();
    assert_eq!(stage.asked("POST /api/v2/update"), 1);
    let sent = stage.server.asked();
    assert!(sent.iter().all(|line| !line.contains("lockout=")), "she said yes: {sent:?}");
}

/// Runs the line on a terminal of its own (util-linux's script) and types `answer`.
fn on_a_terminal(stage: &Stage, line: &[&str], answer: &str) -> (Option<i32>, String) {
    let line = [line, &[&stage.host, "-c", "alice.crt", "-k", "alice.key"]].concat().join(" ");
    let mut script = Command::new("script")
        .args(["-qec", &format!("{} {line}", env!("CARGO_BIN_EXE_carrara")), "/dev/null"])
        .current_dir(stage.path())
        .env_remove("XDG_CONFIG_HOME")
        .env("HOME", stage.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    let output = script.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn at_a_terminal_the_question_is_asked_and_only_yes_goes_on() {
    let stage = Stage::new();
    stage.server.set("POST /api/v2/update", ok(&Value::Null));
    let mut last = manifest(2);
    last["Users"] = json!({});
    last["Roles"] = json!({});
    stage.propose(&last);
    let line = ["manifest", "update", "apply", "new.json"];
    for answer in ["n\n", "\n"] {
        let (code, text) = on_a_terminal(&stage, &line, answer);
        assert!(text.contains("nobody can update the manifest again. Go on? [y/N]"), "{text}");
        assert!(code == Some(1) && text.contains("nothing was sent"), "{text}");
    }
    assert_eq!(stage.asked("POST /api/v2/update"), 0);
    let (code, text) = on_a_terminal(&stage, &line, "y\n");
    assert!(code == Some(0) && text.contains("Update manifest set successfully"), "{text}");
    assert_eq!(stage.asked("POST /api/v2/update"), 1);
}

#[test]
fn warnings_of_the_coordinator_are_told() {
    let stage = Stage::new();
    let warning = json!({ "code": "x", "path": "/Users", "message": "odd" });
    let applied = json!({ "missingAcknowledgments": 0, "missingUsers": null, "warnings": [warning] });
    stage.server.set("POST /api/v2/update", ok(&applied));
    let run = stage.as_alice(&["manifest", "update", "apply", "new.json"]);
    run.text();
    assert!(run.complaints().contains("Warning: odd, at /Users"), "{}", run.complaints());
}

// cli.md `manifest update acknowledge`
#[test]
fn an_acknowledgement_gives_the_status() {
    let stage = Stage::new();
    let line = ["manifest", "update", "acknowledge", "new.json"];
    let message = "1 user still needs to acknowledge the update manifest.\nThe following users have not yet accepted: bob";
    let waiting = json!({ "message": message, "missingUsers": ["bob"], "missingAcknowledgments": 1 });
    stage.server.set("POST /api/v2/update-manifest", ok(&waiting));
    let text = stage.as_alice(&line).text();
    let changes = "Changes to the manifest in force:\n  ~ /Packages/pkg/SecurityVersion: 1 -> 2\n";
    assert_eq!(text, format!("{changes}Acknowledgement successful: {message}\n"));
    let json = stage.as_alice(&[&["--output", "json"], &line[..]].concat()).json();
    assert_eq!((&json["applied"], &json["missingUsers"]), (&json!(false), &json!(["bob"])));

    stage.server.set("POST /api/v2/update-manifest", refused(404, "no update in progress"));
    let error = stage.as_alice(&line).error();
    assert!(error.contains("no update waits") && error.contains("update apply"), "{error}");
}

#[test]
fn an_acknowledgement_after_which_nobody_could_update_needs_a_yes() {
    let stage = Stage::new();
    stage.server.set("POST /api/v2/update-manifest", ok(&json!({ "missingAcknowledgments": 0 })));
    let mut last = manifest(2);
    last["Users"] = json!({});
    stage.propose(&last);
    let line = ["manifest", "update", "acknowledge", "new.json"];
    let run = stage.as_alice(&line);
    assert!(run.error().contains("--yes") && run.error().contains("nobody can update"), "{}", run.error());
    assert!(run.said().contains("- /Users/alice"), "{}", run.said());
    assert_eq!(stage.asked("POST /api/v2/update-manifest"), 0);
    stage.as_alice(&[&line[..], &["--yes"]].concat()).text();
    assert_eq!(stage.asked("POST /api/v2/update-manifest"), 1);
}

#[test]
fn an_acknowledgement_of_another_manifest_names_who_remains_and_how_to_fetch_the_pending_one() {
    let stage = Stage::new();
    let other = refused(400, "provided manifest does not match the pending manifest");
    stage.server.set("POST /api/v2/update-manifest", other);
    let pending = json!({ "manifest": "e30=", "message": "2 users", "missingUsers": ["bob", "c\nOK"] });
    stage.server.set("GET /api/v2/update-manifest", ok(&pending));
    let error = stage.as_alice(&["manifest", "update", "acknowledge", "new.json"]).error();
    assert!(error.contains("it still waits for bob, c\\nOK"), "{error}");
    assert!(error.contains(&format!("`carrara manifest update get -o FILE {}`", stage.host)), "{error}");
}

// cli.md `manifest update cancel`
#[test]
fn a_pending_update_is_cancelled() {
    let stage = Stage::new();
    let cancelled = json!({ "message": "Update successfully cancelled" });
    stage.server.set("POST /api/v2/update-cancel", ok(&cancelled));
    assert_eq!(stage.as_alice(&["manifest", "update", "cancel"]).text(), "Cancellation successful\n");
    stage.server.set("POST /api/v2/update-cancel", refused(404, "no update in progress"));
    assert!(stage.as_alice(&["manifest", "update", "cancel"]).error().contains("no update waits"));
}

// cli.md `manifest update get`
#[test]
fn the_pending_update_is_shown_to_the_byte_or_who_is_missing() {
    let stage = Stage::new();
    let text = "{ \"Packages\" : {} }\n";
    let pending = json!({
        "manifest": BASE64_STANDARD.encode(text), "message": "2 users still need", "missingUsers": ["alice", "bob"],
    });
    stage.server.set("GET /api/v2/update-manifest", ok(&pending));
    let line = ["manifest", "update", "get", &stage.host];
    assert_eq!(stage.run(&line).text(), text);
    assert_eq!(stage.run(&[&line[..], &["--missing"]].concat()).text(), "alice\nbob\n");
    stage.run(&[&line[..], &["-o", "p.json"]].concat()).text();
    assert_eq!(stage.read("p.json"), text);
    stage.run(&[&line[..], &["--missing", "-o", "m.txt"]].concat()).text();
    assert_eq!(stage.read("m.txt"), "alice\nbob\n");
    let json = stage.run(&[&line[..], &["--output", "json"]].concat()).json();
    assert_eq!(
        (&json["Manifest"], &json["missingUsers"]),
        (&json!({ "Packages": {} }), &json!(["alice", "bob"]))
    );

    stage.server.set("GET /api/v2/update-manifest", refused(404, "no update in progress"));
    let error = stage.run(&line).error();
    assert!(error.contains("no update waits") && error.contains("update apply"), "{error}");
}

/// From how many lines, and its hashes.
type Proof = Option<(usize, Vec<[u8; 32]>)>;

/// The log's answers for these lines at this revision; `proof` from `from` lines.
fn serve_log(stage: &Stage, lines: &[&str], revision: u64, proof: Proof) {
    let note = stage.server.checkpoint(lines, revision);
    let head = |proof: &[[u8; 32]]| {
        let proof: Vec<String> = proof.iter().map(|hash| BASE64_STANDARD.encode(hash)).collect();
        ok(&json!({ "checkpoint": note, "consistency": proof }))
    };
    stage.server.set("GET /api/v2/update/head?from=0", head(&[]));
    if let Some((from, proof)) = proof {
        stage.server.set(&format!("GET /api/v2/update/head?from={from}"), head(&proof));
    }
    let call = format!("GET /api/v2/update?from=0&limit={}", lines.len());
    stage.server.set(&call, ok(&json!({ "updateLog": lines })));
}

fn kept(stage: &Stage) -> std::path::PathBuf {
    let folder = stage.path().join(".config/marblerun/checkpoints");
    let mut paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.find(|path| path.extension().is_some_and(|extension| extension == "note")).unwrap()
}

fn leaf(line: &str) -> [u8; 32] {
    carrara_client::checkpoint::leaf_hash(line.as_bytes())
}

#[test]
fn a_log_that_continues_what_was_seen_is_verified() {
    let stage = Stage::new();
    let line = ["manifest", "log", &stage.host, "--verify"];
    serve_log(&stage, &["a", "b"], 5, None);
    let text = stage.run(&line).text();
    assert_eq!(text, "Verified: 2 lines, revision 5; seen for the first time\nUpdate log:\na\nb\n");
    assert_eq!(mode(&kept(&stage)), 0o600);
    assert!(stage.run(&line).text().contains("continues what was seen before (2 lines, revision 5)"));

    serve_log(&stage, &["a", "b", "c"], 9, Some((2, vec![leaf("c")])));
    let text = stage.run(&[&line[..], &["--from", "1", "--limit", "1"]].concat()).text();
    let told = "Verified: 3 lines, revision 9; continues what was seen before (2 lines, revision 5)";
    assert_eq!(text, format!("{told}\nUpdate log:\nb\n"));
    assert!(std::fs::read_to_string(kept(&stage)).unwrap().contains("\n3\n"));
    let json = stage.run(&[&line[..], &["--output", "json"]].concat()).json();
    assert_eq!((&json["verified"]["checkpoint"]["size"], &json["updateLog"][2]), (&json!(3), &json!("c")));
}

#[test]
fn a_contradiction_shows_both_checkpoints_has_its_own_exit_code_and_keeps_the_old_one() {
    let stage = Stage::new();
    let line = ["manifest", "log", &stage.host, "--verify"];
    serve_log(&stage, &["a", "b"], 5, None);
    stage.run(&line).text();
    let before = std::fs::read_to_string(kept(&stage)).unwrap();
    let cases: [(&str, &[&str], u64, Proof, &str); 5] = [
        ("fewer lines", &["a"], 6, None, "rolled back"),
        ("an older revision", &["a", "b"], 4, None, "rolled back"),
        ("other lines, as many", &["a", "x"], 6, None, "forked"),
        ("other lines, and more", &["a", "x", "c"], 6, Some((2, vec![leaf("c")])), "forked"),
        ("no proof", &["a", "b", "c"], 6, Some((2, vec![])), "forked"),
    ];
    for (what, lines, revision, proof, expected) in cases {
        serve_log(&stage, lines, revision, proof);
        let error = stage.run(&line).error_with(6);
        assert!(error.contains(expected), "{what}: {error}");
        assert!(error.contains(before.trim_end()), "{what}: {error}");
        assert!(error.contains(&format!("revision {revision}")), "{what}: {error}");
        assert_eq!(std::fs::read_to_string(kept(&stage)).unwrap(), before, "{what}");
    }
    let line = [&line[..], &["--output", "json"]].concat();
    let run = stage.run(&line);
    run.error_with(6);
    let json: Value = serde_json::from_str(&run.said()).unwrap();
    assert_eq!((&json["before"]["size"], &json["now"]["size"]), (&json!(2), &json!(3)));
    let (code, error) = without_stdout(&stage, &line);
    assert!(code == Some(6) && error.contains("forked"), "{error}");
}

#[test]
fn lines_that_are_not_the_signed_ones_are_a_contradiction() {
    let stage = Stage::new();
    serve_log(&stage, &["a", "b"], 5, None);
    for lines in [&["a", "x"][..], &["a"], &[]] {
        stage.server.set("GET /api/v2/update?from=0&limit=2", ok(&json!({ "updateLog": lines })));
        stage.server.set("GET /api/v2/update?from=1&limit=1", ok(&json!({ "updateLog": [] })));
        let error = stage.run(&["manifest", "log", &stage.host, "--verify"]).error_with(6);
        assert!(error.contains("not those that the coordinator signed"), "{error}");
    }
    assert!(!stage.path().join(".config/marblerun/checkpoints").exists(), "nothing is kept");
}

#[test]
fn a_head_of_another_coordinator_or_a_changed_memory_is_an_error() {
    let (stage, other) = (Stage::new(), Stage::new());
    let line = ["manifest", "log", &stage.host, "--verify"];
    let note = other.server.checkpoint(&["a"], 1);
    stage.server.set("GET /api/v2/update/head?from=0", ok(&json!({ "checkpoint": note, "consistency": [] })));
    assert!(stage.run(&line).error().contains("not signed by the trusted coordinator"));

    serve_log(&stage, &["a"], 1, None);
    stage.run(&line).text();
    let changed = std::fs::read_to_string(kept(&stage)).unwrap().replace("revision 1", "revision 0");
    std::fs::write(kept(&stage), changed).unwrap();
    let error = stage.run(&line).error();
    assert!(error.contains("the local file") && error.contains("delete it"), "{error}");
    assert!(error.contains(kept(&stage).to_str().unwrap()), "{error}");
    assert!(!error.contains("do not trust"), "{error}");
}

#[test]
fn a_server_without_checkpoints_is_told() {
    let stage = Stage::new();
    let error = stage.run(&["manifest", "log", &stage.host, "--verify"]).error();
    assert!(error.contains("does not offer signed checkpoints"), "{error}");
}

#[test]
fn a_part_of_the_log_is_read() {
    let stage = Stage::new();
    stage.server.set("GET /api/v2/update?from=1&limit=2", ok(&json!({ "updateLog": ["b", "c"] })));
    let line = ["manifest", "log", &stage.host, "--from", "1", "--limit", "2"];
    assert_eq!(stage.run(&line).text(), "Update log:\nb\nc\n");
}

fn entry(index: u64, outcome: &str) -> Value {
    json!({
        "index": index, "time": "2025-03-04T05:06:07.008Z", "user": "alice", "action": "ReadSecret",
        "resources": ["token"], "outcome": outcome,
    })
}

#[test]
fn the_audit_trail_is_read_to_its_end() {
    let stage = Stage::new();
    let page = |from: u64, next: u64| {
        let entries: Vec<Value> = (from..next).map(|index| entry(index, "done")).collect();
        ok(&json!({ "first": 0, "from": from, "next": next, "end": 3, "entries": entries }))
    };
    stage.server.set("GET /api/v2/audit?from=0&limit=1000", page(0, 2));
    stage.server.set("GET /api/v2/audit?from=2&limit=1000", page(2, 3));
    let text = stage.as_alice(&["audit"]).text();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.starts_with("     0  2025-03-04T05:06:07.008Z  alice         ReadSecret"), "{text}");
    let json = stage.as_alice(&["audit", "--output", "json"]).json();
    assert_eq!((json.as_array().unwrap().len(), &json[2]), (3, &entry(2, "done")));

    stage.server.set("GET /api/v2/audit?from=0&limit=1", page(0, 1));
    assert_eq!(stage.as_alice(&["audit", "--limit", "1"]).text().lines().count(), 1);
    stage.server.set("GET /api/v2/audit?from=3&limit=1000", page(3, 3));
    assert_eq!(stage.as_alice(&["audit", "--from", "3"]).text(), "No entries\n");
}

#[test]
fn followed_entries_are_lines_and_dropped_ones_are_told() {
    let stage = Stage::new();
    let page = ok(&json!({
        "first": 4, "from": 4, "next": 6, "end": 6, "entries": [entry(4, "done"), entry(5, "refused")],
    }));
    stage.server.set("GET /api/v2/audit?from=2&limit=2", page);
    let line = ["--output", "json", "audit", "--follow", "--from", "2", "--limit", "2"];
    let run = stage.as_alice(&line);
    let lines: Vec<Value> = run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, [entry(4, "done"), entry(5, "refused")]);
    assert!(
        run.complaints().contains("2 entries are missing: the entries 2 to 3 are no longer kept"),
        "{}",
        run.complaints()
    );
}

#[test]
fn who_may_not_read_the_audit_trail_is_told_what_helps() {
    let stage = Stage::new();
    stage.server.set(
        "GET /api/v2/audit?from=0&limit=1000",
        refused(403, "user alice is not allowed to read the audit trail"),
    );
    let error = stage.as_alice(&["audit"]).error();
    assert!(error.contains("not allowed") && error.contains("`carrara manifest get`"), "{error}");
}

// cli.md `version`
#[test]
fn the_version_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let text = carrara(folder.path(), &["version"]).text();
    let expected = format!("CLI Version: v{}\nCommit: ", env!("CARGO_PKG_VERSION"));
    assert!(text.starts_with(&expected), "{text}");

    let stage = Stage::new();
    let line = ["version", &stage.host];
    assert!(stage.run(&line).error().contains("does not offer the OpenAPI document"));
    let document = json!({ "openapi": "3.1.0", "info": { "version": "4.5.6" } }).to_string();
    stage.server.set("GET /api/v2/openapi.json", (200, document));
    let text = stage.run(&line).text();
    assert!(text.starts_with(&expected) && text.ends_with("\nCoordinator Version: v4.5.6\n"), "{text}");
}
