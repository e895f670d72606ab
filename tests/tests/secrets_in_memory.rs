//! Secrets stay where they belong: not in logs and errors, not in core files, not in memory once they were used.
//!
//! What each black-box test logs and answers is searched by the harness (`carrara_tests::secrets`); here is the proof that the
//! search finds what it should. What this cannot show: memory that the kernel or a library keeps for itself
//! (host/docs/secrets.md).

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::api;
use carrara_tests::connection::Connection;
use carrara_tests::coordinator::Launch;
use carrara_tests::memory::occurrences;
use carrara_tests::users::User;
use carrara_tests::{manifests, marble, secrets};
use serde_json::json;

/// Bytes that occur nowhere else.
fn random<const LENGTH: usize>() -> Vec<u8> {
    use std::io::Read as _;
    let mut bytes = vec![0; LENGTH];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_secret_in_a_log_or_in_an_error_is_found_in_every_form() {
    let secret = random::<48>();
    secrets::used(&secret);
    let line =
        |text: &str| format!("first line\n2026-11-22T10:00:00Z  INFO request path={text} status=200\nlast");
    for (form, text) in secrets::forms(&secret) {
        if let Ok(text) = String::from_utf8(text) {
            let told = secrets::told(&line(&text)).unwrap_or_else(|| panic!("{form} is not found"));
            assert!(told.ends_with("line 2"), "{told}");
        }
    }
    // In the middle of something longer, at any place of it, with any alphabet.
    for before in 0..7 {
        let longer = [&vec![b'x'; before][..], &secret, b"and more"].concat();
        assert!(secrets::told(&line(&STANDARD.encode(&longer))).is_some(), "after {before} bytes");
        assert!(secrets::told(&format!("{longer:?}")).is_some(), "as Debug prints it");
    }
    // PEM breaks lines, also where a log writes them as `\n`.
    let encoded = STANDARD.encode(&secret);
    let (one, two) = encoded.split_at(20);
    for broken in [format!("{one}\n{two}"), format!("{one}\\n{two}"), format!("{one}\\r\\n{two}")] {
        assert!(secrets::told(&broken).is_some(), "{broken}");
    }
    assert_eq!(secrets::told(&line("nothing")), None);
}

#[test]
fn what_passes_through_the_harness_is_known_as_secret() {
    let told = |bytes: &[u8]| secrets::told(&hex::encode(bytes)).is_some();
    let (uploaded, read, recovery, unknown) =
        (random::<20>(), random::<16>(), random::<33>(), random::<16>());
    let upload = json!({ "secrets": { "s": { "Key": STANDARD.encode(&uploaded) } } }).to_string();
    secrets::used_in_request("https://localhost/api/v2/secrets", upload.as_bytes());
    let answer = json!({ "data": { "secrets": { "s": { "Private": STANDARD.encode(&read) } } } });
    secrets::used_in_answer(&answer.to_string());
    secrets::used_in_request("https://localhost/recover", &recovery);
    assert!([&uploaded, &read, &recovery].into_iter().all(|secret| told(secret)));
    assert!(!told(&unknown));
    // Private keys in each form that the tests meet, and not their public halves.
    let folder = tempfile::tempdir().unwrap();
    for options in [
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"] as &[_],
        &["-algorithm", "ED25519"],
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    ] {
        let openssl = |arguments: &[&str]| {
            let mut openssl = Command::new("openssl");
            carrara_tests::succeed(openssl.current_dir(folder.path()).args(arguments))
        };
        openssl(&[&["genpkey", "-out", "key.pem"], options].concat());
        let pem = std::fs::read_to_string(folder.path().join("key.pem")).unwrap();
        secrets::used_keys_in(&STANDARD.encode(&pem));
        assert!(secrets::told(&pem).is_some(), "{options:?}: as PEM");
        openssl(&["pkey", "-in", "key.pem", "-outform", "DER", "-out", "key.der"]);
        openssl(&["pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "public.der"]);
        assert!(told(&std::fs::read(folder.path().join("key.der")).unwrap()), "{options:?}: as DER");
        assert!(!told(&std::fs::read(folder.path().join("public.der")).unwrap()), "{options:?}: public");
    }
}

#[test]
fn a_coordinator_whose_log_tells_a_secret_fails_its_test() {
    let secret = hex::encode(random::<16>());
    secrets::used(secret.as_bytes());
    let caught = std::panic::catch_unwind(|| secrets::assert_untold("the log", &format!("token={secret}")));
    let message = caught.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("the log tells a secret as raw bytes"), "{message}");
    assert!(!message.contains(&secret), "the failure tells it again");
}

/// What the panic says that `work` must end in.
fn panic_of(work: impl FnOnce()) -> String {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    *caught.expect_err("a secret was told, and nobody noticed").downcast::<String>().unwrap()
}

// The harness looks by itself: at every answer, at every log of a coordinator that ran, and of one that did not start.
#[test]
fn the_harness_finds_a_secret_in_an_answer_and_in_a_log_without_being_asked() {
    let secret = hex::encode(random::<16>());
    let coordinator = Launch::new().start();
    // Names are no secrets, and are told: here one is taken for a secret.
    secrets::used(secret.as_bytes());
    let mut manifest = manifests::minimal();
    manifest["Marbles"][&secret] = json!({ "Package": format!("missing-{secret}") });
    let told = panic_of(|| {
        let _ = api::post(&coordinator, "/manifest", manifest.to_string());
    });
    assert!(told.starts_with("the answer of ") && !told.contains(&secret), "{told}");
    let mut kept = Connection::open(&coordinator, None);
    let told = panic_of(|| {
        let _ = kept.send("POST", "/manifest", &manifest.to_string());
    });
    assert!(told.starts_with("the answer of ") && !told.contains(&secret), "{told}");
    drop(kept);
    let told = panic_of(|| drop(coordinator));
    assert!(told.starts_with("the coordinator's log tells a secret"), "{told}");
    let told = panic_of(|| {
        let _ = Launch::new().argument(format!("--{secret}")).start_and_end();
    });
    assert!(told.starts_with("the coordinator's log tells a secret"), "{told}");
}

/// Whom the kernel gives a process's memory to: the process's user, or root if it is hidden from that user (proc(5)).
fn owner_of_memory(process: u32) -> u32 {
    std::fs::metadata(format!("/proc/{process}/mem")).unwrap().uid()
}

/// A process of `binary` that is nobody's, in a folder of nobody's; by itself if the tests do not run as root.
fn unprivileged(binary: &Path, folder: &Path) -> Command {
    const NOBODY: u32 = 65534;
    // Where nobody can reach it.
    let copy = folder.join("program");
    std::fs::copy(binary, &copy).unwrap();
    let mut command = Command::new(copy);
    command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

// "core files (`PR_SET_DUMPABLE`, no core)": nothing is written at a crash, and nobody of the same user attaches.
#[test]
fn a_running_coordinator_leaves_no_core_and_cannot_be_attached_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = unprivileged(&carrara_tests::binary("carrara-coordinator"), folder.path());
    command.args(["--simulation", "--client-addr", "127.0.0.1:0", "--mesh-addr", "127.0.0.1:0"]);
    let mut coordinator = command.env("EDG_COORDINATOR_SEAL_DIR", "data").spawn().unwrap();
    let log = BufReader::new(coordinator.stderr.take().unwrap());
    let mut log = log.lines().map_while(Result::ok);
    let serves = log.any(|line| line.contains("serving"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", coordinator.id()));
    let owner = serves.then(|| owner_of_memory(coordinator.id()));
    coordinator.kill().unwrap();
    coordinator.wait().unwrap();
    assert_eq!(owner, Some(0), "the memory is not its user's");
    let limits = limits.unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");

    // Any other process's memory is its user's.
    let mut other = unprivileged(Path::new("/bin/cat"), folder.path()).spawn().unwrap();
    let (memory, user) = (owner_of_memory(other.id()), std::fs::metadata(folder.path()).unwrap().uid());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(memory, user);
    assert_ne!(user, 0);
}

/// How often bytes stand in a coordinator's memory, raw, as base64 and as hex, once it is quiet.
fn left(process: u32, secret: &[u8]) -> [usize; 3] {
    let forms = [secret.to_vec(), STANDARD.encode(secret).into_bytes(), hex::encode(secret).into_bytes()];
    let needles: Vec<&[u8]> = forms.iter().map(Vec::as_slice).collect();
    occurrences(process, &needles).try_into().unwrap()
}

// "the plain form of stored keys does not outlive its use": outside a TEE a copy of the memory would tell it.
#[test]
fn an_uploaded_secret_is_not_in_memory_once_it_is_stored_and_read() {
    let launch = Launch::new().environment("CARRARA_TEST_MEMORY_READABLE", "1");
    let coordinator = launch.start();
    let alice = User::new(coordinator.folder(), "alice");
    let mut manifest = manifests::with_reader(
        "alice",
        &alice.certificate,
        &["token_of_the_test"],
        json!({ "token_of_the_test": { "Type": "plain", "UserDefined": true } }),
    );
    manifests::grant(&mut manifest, "alice", "writer", "Secrets", &["token_of_the_test"], &["WriteSecret"]);
    manifest["Marbles"]["svc"]["Parameters"] = json!({
        "Files": { "/dev/null": "{{ raw .Secrets.token_of_the_test }}" },
        "Env": { "TOKEN": "{{ hex .Secrets.token_of_the_test }}" },
        "Argv": ["/bin/true"],
    });
    api::set(&coordinator, &manifest);
    let process = coordinator.id();
    // The search finds what is there: the certificates that the ports present.
    let chain = api::get(&coordinator, "/api/v2/quote").data()["cert"].as_str().map(str::to_owned);
    let root = chain
        .as_deref()
        .and_then(|chain| chain.rsplit("-----BEGIN CERTIFICATE-----").next()?.split('-').next());
    let root = STANDARD.decode(root.unwrap().split_whitespace().collect::<String>()).unwrap();
    assert!(occurrences(process, &[&root])[0] > 0, "the search does not work");

    let secret = random::<48>();
    for version in api::BOTH {
        let upload = json!({ "token_of_the_test": { "Key": STANDARD.encode(&secret) } });
        assert_eq!(api::upload(&coordinator, version, &alice, &upload).status, 200);
        assert_gone(process, &secret, &format!("uploading by {version:?}"));
    }
    let read = api::secret(&coordinator, &alice, "token_of_the_test");
    assert_eq!(read["Private"], STANDARD.encode(&secret));
    assert_gone(process, &secret, "reading");
    let folder = coordinator.folder().join("marble");
    std::fs::create_dir(&folder).unwrap();
    carrara_tests::succeed(&mut marble::premain(&coordinator, &folder, "svc"));
    assert_gone(process, &secret, "an activation");
}

/// What closes connections and drops buffers runs beside the test: looks again until nothing is left, so many times.
fn assert_gone(process: u32, secret: &[u8], after: &str) {
    const LOOKS: usize = 20;
    let mut found = [0; 3];
    for _ in 0..LOOKS {
        found = left(process, secret);
        if found == [0; 3] {
            return;
        }
    }
    panic!("after {after}: {} times raw, {} times as base64, {} times as hex", found[0], found[1], found[2]);
}
