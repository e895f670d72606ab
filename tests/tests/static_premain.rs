//! The static `carrara-premain` that library OSes get, as `cargo xtask premain` builds it: a real coordinator, real sockets, and nothing
//! beside it but what the manifest names.

use std::path::{Path, PathBuf};
use std::process::Command;

use carrara_tests::coordinator::Coordinator;
use carrara_tests::curl::Request;
use carrara_tests::{fail, manifests, marble, skip, succeed};
use serde_json::{Value, json};

/// What it may have.
const LIMIT_BYTES: usize = 10_000_000;

/// The program, or the test's end with a note of what is missing.
fn program(test: &str) -> Option<PathBuf> {
    let found = std::env::var_os("CARRARA_STATIC_PREMAIN").map(PathBuf::from);
    if found.is_none() {
        let install = "apt-get install -y musl-tools && rustup target add x86_64-unknown-linux-musl \
            (and run the tests by `cargo xtask test`)";
        skip::skip(test, install);
    }
    found
}

/// Found by its name, as a resolver of its own does, and without anything of the caller's environment.
fn premain(program: &Path, coordinator: &Coordinator, folder: &Path) -> Command {
    let mut command = marble::premain_at(program, coordinator, folder, "svc");
    command.env("EDG_MARBLE_COORDINATOR_ADDR", format!("localhost:{}", coordinator.mesh.port()));
    command
}

fn started(manifest: &Value) -> Coordinator {
    let coordinator = Coordinator::start();
    let answer = Request::post(&coordinator.url("/manifest"), manifest.to_string()).send();
    assert_eq!(answer.status, 200, "{}", answer.body);
    coordinator
}

fn with(argv: Value) -> Value {
    let mut manifest = manifests::minimal();
    let parameters = &mut manifest["Marbles"]["svc"]["Parameters"];
    parameters["Argv"] = argv;
    parameters["Files"] = json!({ "conf/app.conf": "k={{ hex .Secrets.key }}\n" });
    parameters["Env"] = json!({ "KEY": "{{ hex .Secrets.key }}" });
    manifest["Secrets"] = json!({ "key": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
    manifest
}

// marble-api.md section 9
#[test]
fn it_needs_no_loader_and_is_small() {
    let Some(program) = program("it_needs_no_loader_and_is_small") else { return };
    let program = std::fs::read(program).unwrap();
    assert!(program.len() < LIMIT_BYTES, "{} bytes", program.len());
    assert_eq!(&program[..6], b"\x7fELF\x02\x01", "an ELF file of 64 bits");
    let number = |at: usize, length: usize| {
        program[at..at + length].iter().rev().fold(0, |number: usize, byte| number << 8 | usize::from(*byte))
    };
    let (first, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let kinds: Vec<usize> = (0..count).map(|index| number(first + index * size, 4)).collect();
    // PT_LOAD and PT_INTERP.
    assert!(kinds.contains(&1) && !kinds.contains(&3), "{kinds:?}");
}

// S-80; marble-api.md section 9, steps 8 to 11
#[test]
fn a_service_gets_its_files_environment_and_arguments() {
    let Some(program) = program("a_service_gets_its_files_environment_and_arguments") else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = "printf '%s|%s|%s|' \"$0\" \"$1\" \"$KEY\"; stat -c %a conf conf/app.conf; cat conf/app.conf; \
        printf '%s' \"$MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN\"";
    let coordinator = started(&with(json!(["/bin/sh", "-c", script, "name", "argument"])));
    let output = succeed(&mut premain(&program, &coordinator, folder.path()));
    let mut lines = output.lines();
    let first: Vec<&str> = lines.next().unwrap().split('|').collect();
    assert_eq!((first[0], first[1], first[2].len(), first[3]), ("name", "argument", 32, "700"), "{output}");
    assert_eq!(lines.next(), Some("600"));
    assert_eq!(lines.next(), Some(format!("k={}", first[2]).as_str()));
    assert_eq!(lines.next(), Some("-----BEGIN CERTIFICATE-----"));
    assert_eq!(std::fs::read_to_string(folder.path().join("uuid")).unwrap().len(), 36);
}

// marble-api.md section 9, step 11: `Argv[0]` is the program's path, and PATH, which is the host's, is not searched
#[test]
fn the_program_is_argv_0_and_not_what_path_has() {
    let Some(program) = program("the_program_is_argv_0_and_not_what_path_has") else { return };
    let folder = tempfile::tempdir().unwrap();
    let coordinator = started(&with(json!(["service", "x"])));
    std::os::unix::fs::symlink("/bin/echo", folder.path().join("service")).unwrap();
    assert_eq!(succeed(&mut premain(&program, &coordinator, folder.path())), "x\n");

    let elsewhere = tempfile::tempdir().unwrap();
    let refused = fail(premain(&program, &coordinator, elsewhere.path()).env("PATH", folder.path()));
    assert!(refused.contains("\"service\"") && refused.contains("PATH is not searched"), "{refused}");
}

// marble-api.md section 9, table of runtimes
#[test]
fn transparent_tls_is_refused_before_anything_is_written() {
    let Some(program) = program("transparent_tls_is_refused_before_anything_is_written") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = with(json!(["/bin/sh", "-c", "touch started"]));
    manifest["TLS"] = json!({ "t": { "Outgoing": [{ "Addr": "db.local", "Port": "5432" }] } });
    manifest["Marbles"]["svc"]["TLS"] = json!(["t"]);
    let refused = fail(&mut premain(&program, &started(&manifest), folder.path()));
    assert!(refused.contains("TTLS configured, but Marble runtime doesn't support TTLS"), "{refused}");
    assert!(!folder.path().join("conf").exists() && !folder.path().join("started").exists());
}
