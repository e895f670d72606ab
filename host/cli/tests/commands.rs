//! The commands as users run them, against a coordinator that answers from a table.

// Helpers of tests may do what tests may.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::io::BufRead as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};

use support::{Answers, FakeCoordinator, carrara};

const MANIFEST: &str = "{\"Packages\":{}}";
/// No manifest's.
const OTHER_SIGNATURE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn ok(data: &serde_json::Value) -> (u16, String) {
    (200, json!({ "status": "success", "data": data }).to_string())
}

fn refused(code: u16, message: &str) -> (u16, String) {
    (code, json!({ "status": "error", "data": null, "message": message }).to_string())
}

fn signature(folder: &Path, text: &str) -> String {
    std::fs::write(folder.join("signed.json"), text).unwrap();
    carrara(folder, &["manifest", "signature", "signed.json"]).text().trim().to_owned()
}

/// A coordinator with a manifest.
fn coordinator(folder: &Path) -> (FakeCoordinator, String) {
    let fingerprint = signature(folder, MANIFEST);
    let manifest = json!({
        "manifest": "eyJQYWNrYWdlcyI6e319", "manifestFingerprint": fingerprint, "manifestSignatureRootECDSA": "AQ==",
    });
    let secret = json!({
        "Type": "plain", "Size": 0, "Shared": false, "UserDefined": true, "Cert": null, "ValidFor": 0,
        "Private": "aHVudGVyMg==", "Public": "aHVudGVyMg==",
    });
    let answers = Answers::from([
        ("GET /api/v2/status", ok(&json!({ "code": 3, "message": "running" }))),
        ("GET /api/v2/manifest", ok(&manifest)),
        ("POST /api/v2/manifest", ok(&json!({ "RecoverySecrets": { "alice": "AQ==" } }))),
        ("GET /api/v2/update", ok(&json!({ "updateLog": ["{\"update\":\"Initial manifest set\"}"] }))),
        ("GET /api/v2/secrets?s=tok", ok(&json!({ "secrets": { "tok": secret } }))),
        ("GET /api/v2/secrets?s=other", refused(401, "unauthorized user: client certificate did not match")),
    ]);
    let server = FakeCoordinator::start(|_| answers);
    let host = server.address.to_string();
    (server, host)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn status_is_text_or_json() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = coordinator(folder.path());
    let run = carrara(folder.path(), &["status", &host, "-i"]);
    assert_eq!(run.text(), "3: running\n");
    assert_eq!(run.complaints(), "Warning: --insecure: any server is accepted\n");
    let json = carrara(folder.path(), &["status", &host, "--insecure", "--output", "json"]).json();
    assert_eq!(json, json!({ "code": 3, "message": "running" }));
}

// cli.md section 3, "attest": no verifier, no trust.
#[test]
fn without_insecure_a_command_that_attests_sends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (server, host) = coordinator(folder.path());
    let commands = [
        vec!["manifest", "set", "signed.json"],
        vec!["manifest", "get"],
        vec!["manifest", "verify", "signed.json"],
        vec!["manifest", "diff", "signed.json"],
    ]
    .into_iter()
    .chain([vec!["certificate", "root"], vec!["attest"]]);
    for mut command in commands {
        command.push(&host);
        let error = carrara(folder.path(), &command).error();
        assert!(error.contains("use --insecure in simulation"), "{error}");
    }
    assert!(server.asked().is_empty());
}

#[test]
fn a_command_that_does_not_fit_the_state_says_which_one_does() {
    let folder = tempfile::tempdir().unwrap();
    signature(folder.path(), MANIFEST);
    let wrong = || refused(500, "server is not in expected state");
    let answers = Answers::from([("POST /api/v2/manifest", wrong()), ("GET /api/v2/update", wrong())]);
    let server = FakeCoordinator::start(|_| answers);
    let host = server.address.to_string();
    let error = carrara(folder.path(), &["manifest", "set", "signed.json", &host, "-i"]).error();
    assert!(error.contains("`carrara manifest get`") && error.contains("expected state"), "{error}");
    let error = carrara(folder.path(), &["manifest", "log", &host, "-i"]).error();
    expect_advice_for_recovery(&error);
    assert!(error.contains("expected state"), "{error}");
}

/// Setting a manifest is never the first advice: in recovery it archives the state.
#[track_caller]
fn expect_advice_for_recovery(error: &str) {
    let recovery =
        error.find("says 1 the coordinator is in recovery: send the recovery secrets (`carrara recover`)");
    let first = error.find("says 2 set a manifest first");
    assert!(recovery.is_some_and(|recovery| first.is_some_and(|first| recovery < first)), "{error}");
    assert!(error.contains("setting a manifest would archive the state"), "{error}");
    assert!(!error.contains("set one first"), "{error}");
}

// A coordinator in recovery answers like this: whoever obeys must not lose the state.
#[test]
fn in_recovery_no_message_says_to_set_a_manifest_first() {
    let folder = tempfile::tempdir().unwrap();
    carrara(folder.path(), &["keygen", "user", "alice"]).text();
    let stranger = "unauthorized user: client certificate did not match any MarbleRun users";
    let wrong = || refused(500, "server is not in expected state");
    let message = "Coordinator is in recovery mode.";
    let answers = Answers::from([
        ("GET /api/v2/status", ok(&json!({ "code": 1, "message": message }))),
        ("GET /api/v2/update", wrong()),
        ("GET /api/v2/log-head", wrong()),
        ("GET /api/v2/update/head", wrong()),
        (
            "GET /api/v2/manifest",
            (
                404,
                json!({ "status": "fail", "data": null, "message": "requested value not set" }).to_string(),
            ),
        ),
        ("GET /api/v2/secrets?s=a", refused(401, stranger)),
        ("GET /api/v2/backup", refused(401, stranger)),
    ]);
    let server = FakeCoordinator::start(|_| answers);
    let host = server.address.to_string();
    let user = ["-c", "alice.crt", "-k", "alice.key"];
    for line in [
        vec!["manifest", "log", &host, "-i"],
        [&["secret", "get", "a", &host, "-i"][..], &user].concat(),
        [&["backup", &host, "-o", "b", "-i"][..], &user].concat(),
    ] {
        expect_advice_for_recovery(&carrara(folder.path(), &line).error());
    }
    let error = carrara(folder.path(), &["manifest", "get", &host, "-i"]).error();
    assert!(!error.contains("set one first"), "{error}");
    let status = carrara(folder.path(), &["status", &host, "-i"]);
    assert_eq!(status.text(), format!("1: {message}\n"), "scripts read it");
    assert!(status.complaints().contains("`carrara recover`"), "{}", status.complaints());
}

// cli.md `manifest set`
#[test]
fn setting_a_manifest_prints_its_signature_and_saves_recovery_data_and_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let (server, host) = coordinator(folder.path());
    let run = carrara(folder.path(), &["manifest", "set", "signed.json", &host, "-i", "-r", "recovery.json"]);
    let expected = format!(
        "Coordinator NOT verified (--insecure), now uploading manifest\nManifest signature: {}\nManifest successfully \
         set\nRecovery data saved to: recovery.json\n",
        signature(folder.path(), MANIFEST)
    );
    assert_eq!(run.text(), expected);
    let recovery = folder.path().join("recovery.json");
    assert_eq!(std::fs::read_to_string(&recovery).unwrap(), r#"{"RecoverySecrets":{"alice":"AQ=="}}"#);
    assert_eq!(mode(&recovery), 0o600);
    let cache = folder.path().join(".config/marblerun/coordinator-cert.pem");
    assert_eq!(std::fs::read_to_string(&cache).unwrap(), server.chain_pem);
    assert_eq!(mode(&cache), 0o600);

    let text = carrara(folder.path(), &["manifest", "set", "signed.json", &host, "-i"]).text();
    assert!(text.ends_with("{\"RecoverySecrets\":{\"alice\":\"AQ==\"}}\n"), "{text}");
    let json =
        carrara(folder.path(), &["manifest", "set", "signed.json", &host, "-i", "--output", "json"]).json();
    assert_eq!(json["RecoverySecrets"], json!({ "alice": "AQ==" }));
}

// policy.md, Texts: warnings reach whoever sets the manifest
#[test]
fn warnings_go_to_stderr_and_into_the_json() {
    let folder = tempfile::tempdir().unwrap();
    signature(folder.path(), MANIFEST);
    let warning = json!({ "code": "X-9", "path": "/Markles", "message": "unknown field \"\u{1b}[2J\"", "hint": "Marbles?" });
    let set = ok(&json!({ "RecoverySecrets": {}, "warnings": [warning] }));
    let server = FakeCoordinator::start(|_| Answers::from([("POST /api/v2/manifest", set)]));
    let host = server.address.to_string();
    let run = carrara(folder.path(), &["manifest", "set", "signed.json", &host, "-i", "--output", "json"]);
    assert_eq!(run.json()["warnings"], json!([warning]));
    let told = "Warning: unknown field \"\\u{1b}[2J\" (Marbles?), at /Markles\n";
    assert!(run.complaints().ends_with(told), "{}", run.complaints());
}

#[test]
fn recovery_data_that_cannot_be_saved_after_all_is_printed_instead_of_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = coordinator(folder.path());
    // It can be opened, but holds nothing.
    let run = carrara(folder.path(), &["manifest", "set", "signed.json", &host, "-i", "-r", "/dev/full"]);
    assert!(run.error().contains("/dev/full"), "{}", run.complaints());
    assert!(run.said().contains(r#"{"alice":"AQ=="}"#), "{}", run.said());
}

// cli.md `manifest set`: a manifest is set once only
#[test]
fn where_recovery_data_could_not_be_saved_nothing_is_sent_and_a_refused_manifest_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (server, host) = coordinator(folder.path());
    let set = |path| carrara(folder.path(), &["manifest", "set", "signed.json", &host, "-i", "-r", path]);
    for path in ["missing/recovery.json", "/proc/recovery.json", "."] {
        let error = set(path).error();
        assert!(error.contains("nothing was sent") && error.contains(path), "{error}");
    }
    assert!(!server.asked().contains(&"POST /api/v2/manifest".to_owned()), "{:?}", server.asked());
    server.set("POST /api/v2/manifest", refused(400, "no"));
    let before = std::fs::read_dir(folder.path()).unwrap().count();
    set("recovery.json").error();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before);
}

#[test]
fn a_key_that_cannot_be_written_leaves_no_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    // Files may not grow: as on a full disk.
    let line = format!("trap '' XFSZ; ulimit -f 0; exec {} keygen user alice", env!("CARGO_BIN_EXE_carrara"));
    let output =
        std::process::Command::new("bash").args(["-c", &line]).current_dir(folder.path()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.contains("alice.key"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    carrara(folder.path(), &["keygen", "user", "alice"]).text();
}

// X-52
#[test]
fn a_refused_manifest_gives_the_coordinators_reason() {
    let folder = tempfile::tempdir().unwrap();
    signature(folder.path(), MANIFEST);
    let text = "checking manifest: no allowed packages defined";
    let server = FakeCoordinator::start(|_| Answers::from([("POST /api/v2/manifest", refused(500, text))]));
    let line = ["manifest", "set", "signed.json", &server.address.to_string(), "-i"];
    let error = carrara(folder.path(), &line).error();
    assert!(error.contains(text), "{error}");
    assert!(!folder.path().join(".config").exists(), "nothing is trusted that was not set");
}

#[test]
fn a_manifest_whose_answer_did_not_come_may_be_set() {
    let folder = tempfile::tempdir().unwrap();
    signature(folder.path(), MANIFEST);
    let text = "the request took too long; it may still take effect";
    let server = FakeCoordinator::start(|_| Answers::from([("POST /api/v2/manifest", refused(503, text))]));
    let line = ["manifest", "set", "signed.json", &server.address.to_string(), "-i"];
    let error = carrara(folder.path(), &line).error();
    assert!(error.contains("may have been set all the same") && error.contains("recovery data"), "{error}");
}

// C-5
#[test]
fn commands_with_saved_certificates_trust_that_coordinator_only() {
    let folder = tempfile::tempdir().unwrap();
    let ((server, host), (other, other_host)) = (coordinator(folder.path()), coordinator(folder.path()));
    let error = carrara(folder.path(), &["status", &host]).error();
    assert!(error.contains("manifest verify"), "{error}");

    carrara(folder.path(), &["manifest", "verify", "signed.json", &host, "-i"]).text();
    let before = server.asked().len();
    assert_eq!(carrara(folder.path(), &["status", &host]).text(), "3: running\n");
    assert_eq!(server.asked().len(), before + 1);
    let error = carrara(folder.path(), &["status", &other_host]).error();
    assert!(error.contains("not the trusted coordinator") && error.contains("verify it again"), "{error}");
    assert!(other.asked().is_empty());

    std::fs::write(folder.path().join("other.pem"), &other.chain_pem).unwrap();
    carrara(folder.path(), &["status", &other_host, "--coordinator-cert", "other.pem"]).text();
}

#[test]
fn another_root_certificate_than_the_saved_one_is_told_when_it_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    let ((server, host), (other, other_host)) = (coordinator(folder.path()), coordinator(folder.path()));
    let fingerprint = |server: &FakeCoordinator| {
        let root = pem::parse_many(&server.chain_pem).unwrap().pop().unwrap();
        hex::encode(Sha256::digest(root.contents()))
    };
    let verify = |host: &str| carrara(folder.path(), &["manifest", "verify", "signed.json", host, "-i"]);
    let set = |host: &str| carrara(folder.path(), &["manifest", "set", "signed.json", host, "-i"]);
    assert!(!verify(&host).complaints().contains("changed"));
    assert!(!verify(&host).complaints().contains("changed"), "the same again");
    let told = |from: &FakeCoordinator, to: &FakeCoordinator| {
        let (from, to) = (fingerprint(from), fingerprint(to));
        format!("the coordinator's root certificate changed from {from} to {to}")
    };
    let run = verify(&other_host);
    assert!(run.complaints().contains(&told(&server, &other)), "{}", run.complaints());
    assert_eq!(run.text(), "OK\n");
    let run = set(&host);
    assert!(run.complaints().contains(&told(&other, &server)), "{}", run.complaints());
    run.text();
}

// A coordinator with a new root certificate does not hide what was seen before at its address.
#[test]
fn a_first_checkpoint_at_an_address_where_another_coordinator_was_seen_names_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let ((server, host), (other, other_host)) = (coordinator(folder.path()), coordinator(folder.path()));
    for server in [&server, &other] {
        let head = json!({ "checkpoint": server.checkpoint(&["a"], 1), "consistency": [] });
        server.set("GET /api/v2/update/head?from=0", ok(&head));
        server.set("GET /api/v2/update?from=0&limit=1", ok(&json!({ "updateLog": ["a"] })));
    }
    let verify = |host: &str| {
        carrara(folder.path(), &["manifest", "verify", "signed.json", host, "-i"]).text();
        carrara(folder.path(), &["manifest", "log", host, "--verify"])
    };
    let run = verify(&host);
    assert!(run.text().contains("seen for the first time") && run.complaints().is_empty());
    let checkpoints = folder.path().join(".config/marblerun/checkpoints");
    let files = std::fs::read_dir(&checkpoints).unwrap().map(|entry| entry.unwrap().path());
    let old = files.into_iter().find(|path| path.extension().is_some_and(|found| found == "note")).unwrap();

    // As if the other one answered at the address of the first.
    let roots = |host: &str| checkpoints.join(format!("{host}.roots"));
    std::fs::copy(roots(&host), roots(&other_host)).unwrap();
    let run = verify(&other_host);
    assert!(run.text().contains("seen for the first time"), "{}", run.said());
    let told = run.complaints();
    assert!(told.contains("another root certificate") && told.contains(old.to_str().unwrap()), "{told}");
    assert!(old.exists());
    let again = verify(&other_host);
    assert_eq!((again.text().contains("continues"), again.complaints().as_str()), (true, ""));
}

// One place for all commands: what `head` does not read is no error.
#[test]
fn a_closed_pipe_ends_a_command_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = coordinator(folder.path());
    for line in [
        &["--help"][..],
        &["manifest", "schema"],
        &["manifest", "log", &host, "-i"],
        &["manifest", "get", &host, "-i", "--output", "json"],
        &["completions", "bash"],
        &["man"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_carrara"));
        command
            .args(line)
            .current_dir(folder.path())
            .env_remove("XDG_CONFIG_HOME")
            .env("HOME", folder.path());
        let output = command.stdout(writer).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(141), "{line:?}: {told}");
        assert!(!told.contains("Error"), "{line:?}: {told}");
    }
}

// cli.md `manifest verify`
#[test]
fn verifying_a_manifest_takes_a_file_or_a_signature_and_names_both_when_they_differ() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = coordinator(folder.path());
    let found = signature(folder.path(), MANIFEST);
    assert_eq!(carrara(folder.path(), &["manifest", "verify", "signed.json", &host, "-i"]).text(), "OK\n");
    assert_eq!(carrara(folder.path(), &["manifest", "verify", &found, &host, "-i"]).text(), "OK\n");
    std::fs::remove_dir_all(folder.path().join(".config")).unwrap();
    let error = carrara(folder.path(), &["manifest", "verify", OTHER_SIGNATURE, &host, "-i"]).error();
    assert!(error.contains(OTHER_SIGNATURE) && error.contains(&found), "{error}");
    assert!(!folder.path().join(".config").exists());
}

// cli.md `manifest get`, M-1
#[test]
fn the_manifest_is_printed_as_it_was_uploaded() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = coordinator(folder.path());
    assert_eq!(carrara(folder.path(), &["manifest", "get", &host, "-i"]).text(), format!("{MANIFEST}\n"));
    assert!(!folder.path().join(".config").exists());
    let line = ["manifest", "get", &host, "-i", "-s", "-o", "m.json", "--keep-cert"];
    carrara(folder.path(), &line).text();
    let written = std::fs::read(folder.path().join("m.json")).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written["ManifestSignature"], signature(folder.path(), MANIFEST));
    assert_eq!(written["Manifest"], json!({ "Packages": {} }));
    assert!(folder.path().join(".config/marblerun/coordinator-cert.pem").exists());
    assert_eq!(carrara(folder.path(), &["manifest", "get", &host, "-i", "-u"]).text(), "{}\n");
}

// cli.md `manifest log`
#[test]
fn the_log_is_printed_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = coordinator(folder.path());
    let line = "{\"update\":\"Initial manifest set\"}";
    assert_eq!(
        carrara(folder.path(), &["manifest", "log", &host, "-i"]).text(),
        format!("Update log:\n{line}\n")
    );
    carrara(folder.path(), &["manifest", "log", &host, "-i", "-o", "log"]).text();
    assert_eq!(std::fs::read_to_string(folder.path().join("log")).unwrap(), format!("{line}\n"));
}

// cli.md `certificate`, `attest`
#[test]
fn certificates_are_written_as_pem() {
    let folder = tempfile::tempdir().unwrap();
    let (server, host) = coordinator(folder.path());
    let text = carrara(folder.path(), &["certificate", "chain", &host, "-i"]).text();
    assert_eq!(text, "Certificate chain written to marblerunChainCA.crt\n");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("marblerunChainCA.crt"), server.chain_pem);
    carrara(folder.path(), &["certificate", "root", &host, "-i"]).text();
    carrara(folder.path(), &["certificate", "intermediate", &host, "-i"]).text();
    assert_eq!(read("marblerunIntermediateCA.crt") + &read("marblerunRootCA.crt"), server.chain_pem);
    carrara(folder.path(), &["attest", &host, "-o", "root.pem", "-i"]).text();
    assert_eq!(read("root.pem"), read("marblerunRootCA.crt"));
}

// cli.md `secret get`
#[test]
fn a_user_reads_secrets_with_certificate_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = coordinator(folder.path());
    carrara(folder.path(), &["keygen", "user", "alice"]).text();
    let get = |more: &[&str]| {
        let mut line = vec!["secret", "get"];
        line.extend(more);
        line.extend([host.as_str(), "-i", "-c", "alice.crt", "-k", "alice.key"]);
        carrara(folder.path(), &line)
    };
    let text = get(&["tok"]).text();
    assert!(text.contains("Type:        plain") && text.contains("Key:         aHVudGVyMg=="), "{text}");
    assert_eq!(get(&["-o", "s.json", "tok"]).text(), "Saved secrets to: s.json\n");
    let path = folder.path().join("s.json");
    let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!((saved["tok"]["Private"].as_str(), mode(&path)), (Some("aHVudGVyMg=="), 0o600));
    assert_eq!(get(&["--output", "json", "tok"]).json(), saved);
    let error = get(&["other"]).error();
    assert!(error.contains("unauthorized user") && error.contains("user of the manifest"), "{error}");
}

#[test]
fn following_the_audit_trail_outlasts_a_coordinator_that_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let call = "GET /api/v2/audit?from=7&limit=1";
    let server = FakeCoordinator::start(|_| Answers::from([(call, refused(503, "overloaded"))]));
    carrara(folder.path(), &["keygen", "user", "alice"]).text();
    let host = server.address.to_string();
    let line =
        ["audit", "-f", "--from", "7", "--limit", "1", &host, "-i", "-c", "alice.crt", "-k", "alice.key"];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_carrara"));
    command.args(line).current_dir(folder.path()).env("HOME", folder.path());
    let piped = std::process::Stdio::piped;
    let mut follow = command.stdout(piped()).stderr(piped()).spawn().unwrap();
    let mut complaints = std::io::BufReader::new(follow.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(complaints.any(|line| line.contains("overloaded") && line.ends_with("trying again")));
    let entry = json!({ "index": 7, "action": "ReadSecret", "outcome": "done" });
    server.set(call, ok(&json!({ "first": 0, "from": 7, "next": 8, "end": 8, "entries": [entry] })));
    let output = follow.wait_with_output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("ReadSecret"));
}

#[test]
fn verbose_tells_requests_and_how_they_end_but_no_body() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = coordinator(folder.path());
    carrara(folder.path(), &["keygen", "user", "alice"]).text();
    let line = ["secret", "get", "tok", &host, "-i", "-c", "alice.crt", "-k", "alice.key"];
    let told = |flags: &[&str]| carrara(folder.path(), &[&line, flags].concat()).complaints();
    let request = format!("> GET https://{host}/api/v2/secrets?s=tok\n< 200 after ");
    assert!(!told(&[]).contains("> GET"));
    let once = told(&["-v"]);
    assert!(once.contains(&request) && !once.contains("as the user"), "{once}");
    let twice = told(&["-vv"]);
    assert!(
        twice.contains("* as the user with the certificate SHA-256 ") && twice.contains("TLS"),
        "{twice}"
    );
    assert!(!twice.contains("aHVudGVyMg") && !twice.contains("hunter2"), "{twice}");
    let nobody = carrara(folder.path(), &["status", "127.0.0.1:1", "-i", "-v"]).complaints();
    assert!(nobody.contains("< no answer after ") && nobody.contains("Error: connecting"), "{nobody}");
}

#[test]
fn a_file_is_compared_with_the_manifest_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = coordinator(folder.path());
    let text = r#"{"Packages":{},"Marbles":{"m":{"Package":"p"}}}"#;
    std::fs::write(folder.path().join("new.json"), text).unwrap();
    let json =
        carrara(folder.path(), &["manifest", "diff", "new.json", &host, "-i", "--output", "json"]).json();
    let expected = json!([{ "kind": "added", "path": "/Marbles/m", "new": { "Package": "p" } }]);
    assert_eq!(json["changes"], expected);
}

#[test]
fn a_wrong_command_line_is_an_error_with_exit_code_1_and_help_is_none() {
    let folder = tempfile::tempdir().unwrap();
    for line in [&["status"][..], &["nonsense"], &["status", "https://x:1"], &["secret", "get", "a"]] {
        carrara(folder.path(), line).error();
    }
    assert!(carrara(folder.path(), &["--help"]).text().contains("manifest"));
    assert!(carrara(folder.path(), &["--version"]).text().starts_with("carrara "));
}

#[test]
fn a_new_manifest_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(carrara(folder.path(), &["manifest", "init"]).text().contains("Debug"));
    assert!(carrara(folder.path(), &["manifest", "init"]).error().contains("--force"));
    let json = carrara(folder.path(), &["manifest", "init", "--force", "--output", "json"]).json();
    assert_eq!(json, json!({ "file": "manifest.json" }));
}

// X-31
#[test]
fn the_quote_is_saved_as_it_came_and_none_in_simulation() {
    let folder = tempfile::tempdir().unwrap();
    let served = |quote: serde_json::Value| {
        FakeCoordinator::start(|chain| {
            let answer = ok(&json!({ "cert": chain, "quote": quote }));
            Answers::from([("GET /api/v2/quote", answer)])
        })
    };
    let attest = |server: &FakeCoordinator| {
        carrara(
            folder.path(),
            &["attest", &server.address.to_string(), "-i", "--save-sgx-quote", "quote.bin"],
        )
    };
    let simulated = attest(&served(json!(null)));
    assert!(simulated.complaints().contains("has no quote; none was saved"), "{}", simulated.complaints());
    assert!(!folder.path().join("quote.bin").exists());
    attest(&served(json!("AQIDBA=="))).text();
    assert_eq!(std::fs::read(folder.path().join("quote.bin")).unwrap(), [1, 2, 3, 4]);
}
