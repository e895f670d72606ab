//! Recovery of the real coordinator with curl and openssl (lifecycle.md section 7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_tests::coordinator::{Coordinator, Launch};
use carrara_tests::curl::{Answer, Request};
use carrara_tests::manifests;
use carrara_tests::users::{RecoveryKey, User, encrypt_to};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A coordinator that was set up with three recovery keys, and lost its sealing key.
struct Stage {
    /// The keys' files.
    _folder: TempDir,
    launch: Launch,
    coordinator: Coordinator,
    keys: [RecoveryKey; 3],
    /// Decrypted by their holders.
    secrets: Vec<Vec<u8>>,
    alice: User,
    before: Value,
}

impl Stage {
    fn new(threshold: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let alice = User::new(folder.path(), "alice");
        let keys = ["one", "two", "three"].map(|name| RecoveryKey::new(folder.path(), name));
        let secrets = json!({ "key": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
        let mut manifest = manifests::with_reader("alice", &alice.certificate, &["key"], secrets);
        manifest["RecoveryKeys"] =
            json!({ "one": keys[0].public, "two": keys[1].public, "three": keys[2].public });
        manifest["Config"]["RecoveryThreshold"] = json!(threshold);
        let launch = Launch::new();
        let mut coordinator = launch.start();
        let set = Request::post(&coordinator.url("/manifest"), manifest.to_string()).send();
        assert_eq!(set.status, 200, "{}", set.body);
        let blobs = set.data()["RecoverySecrets"].clone();
        let decrypt = |(key, name): (&RecoveryKey, &str)| {
            key.decrypt(&STANDARD.decode(blobs[name].as_str().unwrap()).unwrap())
        };
        let secrets = keys.iter().zip(["one", "two", "three"]).map(decrypt).collect();
        let before = shown(&coordinator, &alice);
        coordinator.kill();
        std::fs::remove_file(launch.seal_dir().join("sealed_key")).unwrap();
        let coordinator = launch.start();
        Self { _folder: folder, launch, coordinator, keys, secrets, alice, before }
    }

    fn code(&self) -> Value {
        Request::get(&self.coordinator.url("/api/v2/status")).send().data()["code"].clone()
    }

    /// The holder sends what she has, or the bytes given.
    fn send(&self, holder: usize, secret: Option<&[u8]>) -> Answer {
        let signature = self.keys[holder].sign(&self.secrets[holder]);
        let body = json!({
            "recoverySecret": STANDARD.encode(secret.unwrap_or(&self.secrets[holder])),
            "recoverySecretSignature": STANDARD.encode(signature),
        });
        Request::post(&self.coordinator.url("/api/v2/recover"), body.to_string()).send()
    }
}

/// What clients know a coordinator and its state by.
fn shown(coordinator: &Coordinator, alice: &User) -> Value {
    let get = |path: &str| Request::get(&coordinator.url(path)).as_user(alice).send().data();
    json!([
        get("/api/v2/quote")["cert"],
        get("/api/v2/manifest"),
        get("/api/v2/secrets?s=key"),
        get("/api/v2/update")
    ])
}

// L-43, L-48, L-49a, R-42, R-43, R-44, R-46, X-29: k of n, one secret encrypted on its way; then a kill.
#[test]
fn two_of_three_holders_bring_the_old_coordinator_back_for_good() {
    let mut stage = Stage::new(2);
    assert_eq!(stage.code(), 1);
    assert_ne!(shown(&stage.coordinator, &stage.alice)[0], stage.before[0], "a temporary certificate");
    let key = Request::get(&stage.coordinator.url("/api/v2/recover/public-key")).send().data();
    let key = STANDARD.decode(key["ephemeralPublicKey"].as_str().unwrap()).unwrap();

    let step = stage.send(2, Some(&encrypt_to(&key, &stage.secrets[2])));
    assert_eq!((step.status, &step.data()["remaining"]), (200, &json!(1)), "{}", step.body);
    let used = stage.send(2, None);
    let text = "uploaded an invalid or already used secret: this one was already used";
    assert_eq!((used.status, used.message().as_str()), (500, text));
    let told = |line: &str, what: &str| {
        line.contains(what) && line.contains("remaining") && !line.contains("secret: [")
    };
    stage.coordinator.wait_for_log(|line| told(line, "recovery secret accepted"));
    stage.coordinator.wait_for_log(|line| {
        told(line, "recovery secret refused") && line.contains("this one was already used")
    });
    let step = stage.send(0, None);
    let expected = json!({ "remaining": 0, "message": "Recovery successful." });
    assert_eq!((step.status, step.data()), (200, expected), "{}", step.body);

    assert_eq!(stage.code(), 3);
    assert_eq!(shown(&stage.coordinator, &stage.alice), stage.before);
    stage.coordinator.kill();
    stage.coordinator = stage.launch.start();
    assert_eq!(stage.code(), 3);
    assert_eq!(shown(&stage.coordinator, &stage.alice), stage.before);
}

// L-42, L-47, L-49, R-41: all of three over version 1, after a round with wrong signatures.
#[test]
fn all_holders_recover_over_version_1_with_their_signatures_in_a_header() {
    let stage = Stage::new(0);
    let send = |holder: usize, signer: usize| {
        let secret = &stage.secrets[holder];
        let signature = STANDARD.encode(stage.keys[signer].sign(secret));
        let header = format!("Recovery-Signature: {signature}");
        Request::post(&stage.coordinator.url("/recover"), secret).option("--header").option(&header).send()
    };
    let text = |missing: usize| {
        format!("Secret was processed successfully. Upload the next secret. Remaining secrets: {missing}")
    };
    for (holder, missing) in [(0, 2), (1, 1)] {
        let step = send(holder, 0);
        assert_eq!((step.status, step.data()["StatusMessage"].clone()), (200, json!(text(missing))));
    }
    let refused = send(2, 0);
    assert_eq!(refused.status, 500);
    assert!(refused.message().contains("signed by the same recovery key"), "{}", refused.body);
    assert_eq!(stage.code(), 1);
    for holder in [2, 0, 1] {
        assert_eq!(send(holder, holder).status, 200);
    }
    assert_eq!(stage.code(), 3);
    assert_eq!(shown(&stage.coordinator, &stage.alice), stage.before);
}

// the oldest clients send no signature; only simulation, which protects nothing, takes it
#[test]
fn in_simulation_version_1_takes_secrets_without_signatures() {
    let stage = Stage::new(2);
    for (holder, last) in [(0, false), (1, true)] {
        let answer = Request::post(&stage.coordinator.url("/recover"), &stage.secrets[holder]).send();
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.data()["StatusMessage"] == "Recovery successful.", last);
    }
    assert_eq!(shown(&stage.coordinator, &stage.alice), stage.before);
}
