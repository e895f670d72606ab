//! Real processes: this program starts itself again as a premain whose surroundings are played, against a coordinator on
//! loopback, and becomes a shell.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use carrara_attest::framing;
use carrara_attest::issue::Places;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::activate::tests::{Running, start};
use crate::identity::tests::authority;
use crate::rpc::{ActivationResp, Parameters};

const RUNTIME: &str = "CARRARA_TEST_RUNTIME";
const FOLDER: &str = "CARRARA_TEST_FOLDER";
/// Where SGX quotes of version 3 have their report data.
const REPORT_DATA: std::ops::Range<usize> = 368..432;

/// The premain's side: does nothing unless it was started as one.
#[test]
fn a_premain_that_a_test_started() {
    let Ok(runtime) = std::env::var(RUNTIME) else { return };
    let folder = std::path::PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let (runtime, system) = match runtime.as_str() {
        "gramine" => (Runtime::Gramine, "Linux"),
        "occlum" => (Runtime::Occlum, "Occlum"),
        _ => (Runtime::Native, "Linux"),
    };
    let places = Places {
        system: system.to_owned(),
        attestation: folder.join("attestation"),
        reports: folder.join("report"),
        ..Places::default()
    };
    let program = std::env::args_os().next().unwrap();
    let error = match prepare(&Surroundings { runtime, program, places }) {
        Ok(launch) => launch.exec().into(),
        Err(error) => error,
    };
    let error: Box<dyn std::error::Error> = Box::new(error);
    eprintln!("not started: {error}");
    std::process::exit(1);
}

struct World {
    folder: tempfile::TempDir,
    coordinator: Running,
}

impl World {
    async fn new(parameters: Parameters) -> Self {
        let answer = Ok(ActivationResp { parameters: Some(parameters) });
        Self { folder: tempfile::tempdir().unwrap(), coordinator: start(authority(), answer).await }
    }

    /// Off this thread, which serves the coordinator.
    async fn premain(&self, runtime: &'static str, program: &'static str) -> Output {
        let folder = self.folder.path().to_owned();
        let address = self.coordinator.address.to_string();
        let run = move || {
            Command::new(std::env::current_exe().unwrap())
                .arg0(program)
                .args(["--exact", "premain::tests::a_premain_that_a_test_started", "--nocapture"])
                .env_clear()
                .envs([
                    (RUNTIME, runtime),
                    ("EDG_MARBLE_TYPE", "api"),
                    ("EDG_MARBLE_COORDINATOR_ADDR", &address),
                ])
                .env(FOLDER, &folder)
                .current_dir(&folder)
                .output()
                .unwrap()
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }
}

fn parameters(argv: &[&str], files: &[(&Path, &[u8])], env: &[(&str, &[u8])]) -> Parameters {
    let file = |(path, content): &(&Path, &[u8])| (path.to_str().unwrap().to_owned(), content.to_vec());
    Parameters {
        files: files.iter().map(file).collect::<HashMap<_, _>>(),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect(),
        argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
    }
}

/// The shell says as what it runs, and what it got.
const SCRIPT: &str = "printf '<%s|%s|%s>' \"$0\" \"$VALUE\" \"$(cat file)\"";

fn shown(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text[text.find('<').unwrap()..].to_owned()
}

/// Gramine's kernel side, once: pipes, so that the order of the calls is seen.
fn play_gramine(folder: &Path) -> std::thread::JoinHandle<()> {
    let attestation = folder.join("attestation");
    std::fs::create_dir_all(attestation.join("keys")).unwrap();
    for name in ["user_report_data", "quote"] {
        assert!(Command::new("mkfifo").arg(attestation.join(name)).status().unwrap().success());
    }
    std::thread::spawn(move || {
        let mut data = Vec::new();
        std::fs::File::open(attestation.join("user_report_data")).unwrap().read_to_end(&mut data).unwrap();
        let mut quote = vec![0; 1000];
        quote[0] = 3;
        quote[REPORT_DATA].copy_from_slice(&data);
        let answer = std::fs::OpenOptions::new().write(true).open(attestation.join("quote"));
        answer.unwrap().write_all(&quote).unwrap();
    })
}

// marble-api.md section 9, Gramine; G-30, G-32
#[tokio::test]
async fn under_gramine_a_premain_proves_itself_writes_the_keys_and_becomes_its_program() {
    let world = World::new(Parameters::default()).await;
    let attestation = world.folder.path().join("attestation");
    let key = attestation.join("keys/default");
    let files: [(&Path, &[u8]); 2] = [(&key, b"sixteen bytes..."), (Path::new("file"), b"content")];
    let answer = parameters(&["name", "-c", SCRIPT], &files, &[("VALUE", b"v")]);
    let world = World { coordinator: World::new(answer).await.coordinator, ..world };
    let kernel = play_gramine(world.folder.path());
    std::fs::write(&key, b"").unwrap();
    let output = world.premain("gramine", "/bin/sh").await;
    assert_eq!(shown(&output), "<name|v|content>");
    assert_eq!(std::fs::read(&key).unwrap(), b"sixteen bytes...");
    kernel.join().unwrap();
    let asked = world.coordinator.asked.lock().unwrap();
    let certificate = world.coordinator.clients.lock().unwrap()[0].clone();
    let expected = [Sha256::digest(certificate).as_slice(), &[0; 32]].concat();
    assert_eq!(framing::unframe(&asked[0].quote).unwrap()[REPORT_DATA], expected);
}

// marble-api.md section 9, Gramine: encrypted mounts need the key first
#[tokio::test]
async fn under_gramine_a_key_that_cannot_be_written_ends_the_start_before_any_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("attestation/keys/missing");
    // By its name it would come before the key.
    let files: [(&Path, &[u8]); 2] = [(&key, b"sixteen bytes..."), (Path::new("+first"), b"content")];
    let coordinator = World::new(parameters(&["name"], &files, &[])).await.coordinator;
    let world = World { folder, coordinator };
    let output = world.premain("gramine", "/bin/sh").await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("keys/missing") && text.contains("key_name"), "{text}");
    assert!(!world.folder.path().join("+first").exists());
    assert!(!key.parent().unwrap().exists());
}

// marble-api.md section 9, Occlum and step 6
#[tokio::test]
async fn under_occlum_a_premain_becomes_the_manifest_s_program_by_its_base_name() {
    let files: [(&Path, &[u8]); 1] = [(Path::new("file"), b"content")];
    let world = World::new(parameters(&["/bin/sh", "-c", SCRIPT], &files, &[("VALUE", b"v")])).await;
    let output = world.premain("occlum", "/bin/premain").await;
    assert_eq!(shown(&output), "<sh|v|content>");
    // There is no enclave here, which only a coordinator in simulation accepts.
    assert!(world.coordinator.asked.lock().unwrap()[0].quote.is_empty());

    let world = World::new(parameters(&["/nonexistent"], &[], &[])).await;
    let output = world.premain("occlum", "/bin/premain").await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("/nonexistent") && text.contains("Occlum's image"), "{text}");
}

// marble-api.md section 9, table of runtimes
#[tokio::test]
async fn transparent_tls_ends_the_start_in_every_runtime() {
    for runtime in ["gramine", "occlum", "native"] {
        let files: [(&Path, &[u8]); 1] = [(Path::new("file"), b"content")];
        let answer = parameters(&["/bin/sh"], &files, &[("MARBLE_TTLS_CONFIG", b"{}")]);
        let world = World::new(answer).await;
        let output = world.premain(runtime, "/bin/sh").await;
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text.contains("TTLS configured, but Marble runtime doesn't support TTLS"), "{text}");
        assert!(!world.folder.path().join("file").exists());
    }
}
