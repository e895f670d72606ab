//! What must outlast a crash or a failing disk: a state to start from, the operations that write, and what clients see.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{self, Version};
use crate::coordinator::{Coordinator, Launch};
use crate::curl::{Answer, Request};
use crate::manifests;
use crate::users::{RecoveryKey, User};

/// What writes to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A user uploads a secret.
    Write,
    /// A full update with another recovery key: everything is sealed anew.
    Update,
    /// The first manifest.
    Set,
    /// A new manifest in recovery, while the archive is full.
    Reset,
    /// The holder of the recovery key opens the state.
    Recover,
    /// An update to the seal mode Disabled: the running coordinator keeps the state, a restart finds none.
    Withdraw,
}

impl Operation {
    /// By the word of `host/docs/crash-safety.md`.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "write" => Self::Write,
            "update" => Self::Update,
            "set" => Self::Set,
            "reset" => Self::Reset,
            "recover" => Self::Recover,
            "withdraw" => Self::Withdraw,
            _ => return None,
        })
    }
}

/// What clients know a coordinator and its state by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Of the state; 3 is open.
    pub code: u64,
    /// The root certificate.
    pub root: String,
    /// The manifest's, `null` if there is none.
    pub fingerprint: Value,
    /// The uploaded secret.
    pub note: Option<String>,
    /// The update log.
    pub log: Vec<String>,
}

/// A state that was set up once, and those who may do something with it.
#[derive(Debug)]
pub struct Base {
    folder: TempDir,
    /// May do everything.
    pub alice: User,
    /// The manifest in force, one with another recovery key, and one with the seal mode Disabled.
    manifests: [Value; 3],
    key: RecoveryKey,
    recovery_secret: Vec<u8>,
    /// How the state looks.
    pub shown: Shown,
}

/// The value that the state starts with.
pub const OLD: &str = "old";
/// The value that [`Operation::Write`] uploads.
pub const NEW: &str = "new";

impl Base {
    /// The one of this process.
    #[must_use]
    pub fn shared() -> &'static Self {
        static BASE: OnceLock<Base> = OnceLock::new();
        BASE.get_or_init(Self::new)
    }

    fn new() -> Self {
        let folder = tempfile::tempdir().expect("making a folder");
        let alice = User::new(folder.path(), "alice");
        let [key, other] = ["one", "two"].map(|name| RecoveryKey::new(folder.path(), name));
        let mut manifest = manifests::minimal();
        manifest["Secrets"] = json!({ "note": { "Type": "plain", "UserDefined": true } });
        manifest["Users"] =
            json!({ "alice": { "Certificate": alice.certificate, "Roles": ["all", "updater"] } });
        manifest["Roles"] = json!({
            "all": { "ResourceType": "Secrets", "ResourceNames": ["note"], "Actions": ["ReadSecret", "WriteSecret"] },
            "updater": { "ResourceType": "Manifest", "Actions": ["UpdateManifest"] },
        });
        manifest["RecoveryKeys"] = json!({ "one": key.public });
        let mut changed = manifest.clone();
        changed["RecoveryKeys"] = json!({ "two": other.public });
        let mut disabled = manifest.clone();
        disabled["Config"]["SealMode"] = json!("Disabled");
        let launch = Launch::new();
        let mut coordinator = launch.start();
        let set = api::post(&coordinator, "/api/v2/manifest", Version::V2.manifest(&manifest.to_string()));
        assert_eq!(set.status, 200, "{}", set.body);
        let secret = set.data()["RecoverySecrets"]["one"].as_str().expect("a recovery secret").to_owned();
        let recovery_secret = key.decrypt(&STANDARD.decode(secret).expect("it is base64"));
        assert_eq!(write(&coordinator, &alice, OLD).send().status, 200);
        let shown = shown(&coordinator, &alice);
        coordinator.kill();
        copy(&launch.seal_dir(), &folder.path().join("data"));
        let base =
            Self { folder, alice, manifests: [manifest, changed, disabled], key, recovery_secret, shown };
        assert_eq!((base.shown.code, base.shown.note.as_deref()), (3, Some(OLD)));
        base
    }

    /// Puts into `directory` what the operation starts from.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn prepare(&self, operation: Operation, directory: &Path) {
        if operation == Operation::Set {
            return;
        }
        copy(&self.folder.path().join("data"), directory);
        if matches!(operation, Operation::Reset | Operation::Recover) {
            fs::remove_file(directory.join("sealed_key")).expect("losing the key");
        }
        if operation == Operation::Reset {
            for number in 1..=8 {
                let old = directory.join(format!("archive/{}-{number:06}", "00".repeat(16)));
                fs::create_dir_all(&old).expect("filling the archive");
                fs::write(old.join("state.redb"), b"an old state").expect("filling the archive");
            }
        }
    }

    /// The request of an operation.
    #[must_use]
    pub fn request(&self, operation: Operation, coordinator: &Coordinator) -> Request {
        let post = |path: &str, body: String| Request::post(&coordinator.url(path), body);
        match operation {
            Operation::Write => write(coordinator, &self.alice, NEW),
            Operation::Update | Operation::Withdraw => {
                let index = if operation == Operation::Update { 1 } else { 2 };
                let body = Version::V2.manifest(&self.manifests[index].to_string());
                post("/api/v2/update", body).as_user(&self.alice)
            }
            Operation::Set | Operation::Reset => {
                post("/api/v2/manifest", Version::V2.manifest(&self.manifests[0].to_string()))
            }
            Operation::Recover => {
                let signature = self.key.sign(&self.recovery_secret);
                let body = json!({
                    "recoverySecret": STANDARD.encode(&self.recovery_secret),
                    "recoverySecretSignature": STANDARD.encode(signature),
                });
                post("/api/v2/recover", body.to_string())
            }
        }
    }

    /// What clients see.
    #[must_use]
    pub fn look(&self, coordinator: &Coordinator) -> Shown {
        shown(coordinator, &self.alice)
    }

    /// How the state looks before the operation.
    #[must_use]
    pub fn code_before(operation: Operation) -> u64 {
        match operation {
            Operation::Write | Operation::Update | Operation::Withdraw => 3,
            Operation::Set => 2,
            Operation::Reset | Operation::Recover => 1,
        }
    }

    /// Whether the operation is in force, judged by what clients see; everything else must be as before.
    ///
    /// # Panics
    /// If it is neither in force nor not.
    #[must_use]
    pub fn is_done(&self, operation: Operation, now: &Shown) -> bool {
        let before = &self.shown;
        if Self::code_before(operation) != 3 && now.code == Self::code_before(operation) {
            return false;
        }
        if operation == Operation::Withdraw && now.code == 2 {
            return true;
        }
        assert_eq!(now.code, 3, "{operation:?}: {now:?}");
        let done = match operation {
            Operation::Write => now.note.as_deref() == Some(NEW),
            Operation::Update | Operation::Withdraw => now.fingerprint != before.fingerprint,
            Operation::Set | Operation::Reset | Operation::Recover => true,
        };
        match operation {
            Operation::Set | Operation::Reset => {
                assert_eq!((&now.fingerprint, &now.note), (&before.fingerprint, &None));
                let lines = if operation == Operation::Set { 1 } else { 2 };
                assert_eq!(now.log.len(), lines, "{now:?}");
            }
            Operation::Recover => assert_eq!(now, before),
            Operation::Write | Operation::Update | Operation::Withdraw => {
                assert_eq!(now.root, before.root);
                let note = if done && operation == Operation::Write { NEW } else { OLD };
                assert_eq!(now.note.as_deref(), Some(note));
                let (old, added) = now.log.split_at(before.log.len());
                assert_eq!(old, before.log, "the log is a continuation");
                assert_eq!(added.is_empty(), !done, "{operation:?}: {added:?}");
            }
        }
        done
    }
}

/// An upload of the note.
#[must_use]
pub fn write(coordinator: &Coordinator, user: &User, value: &str) -> Request {
    let secrets = json!({ "note": { "Key": STANDARD.encode(value) } });
    Request::post(&coordinator.url("/api/v2/secrets"), Version::V2.secrets(&secrets)).as_user(user)
}

/// Whether an answer says that nobody knows.
#[must_use]
pub fn is_unknown(answer: &Answer) -> bool {
    answer.message().contains("it is not known whether")
}

fn shown(coordinator: &Coordinator, alice: &User) -> Shown {
    let data = |path: &str| api::get_as(coordinator, alice, path);
    let code = data("/api/v2/status").data()["code"].as_u64().expect("a state");
    let root = data("/api/v2/quote").data()["cert"].as_str().expect("a chain").to_owned();
    // The intermediate comes first and changes with updates.
    let root = root.split("-----BEGIN CERTIFICATE-----").last().unwrap_or_default().to_owned();
    if code != 3 {
        return Shown { code, root, fingerprint: Value::Null, note: None, log: Vec::new() };
    }
    let fingerprint = data("/api/v2/manifest").data()["manifestFingerprint"].clone();
    let note = data("/api/v2/secrets?s=note");
    let note = (note.status == 200).then(|| note.data()["secrets"]["note"]["Private"].clone());
    let note = note.and_then(|value| STANDARD.decode(value.as_str()?).ok());
    let note =
        note.filter(|bytes| !bytes.is_empty()).map(|bytes| String::from_utf8(bytes).expect("it is text"));
    Shown { code, root, fingerprint, note, log: api::log_lines(coordinator) }
}

/// Copies a directory with all that is in it.
///
/// # Panics
/// If it cannot be read or written.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("making a directory");
    for entry in fs::read_dir(from).expect("reading a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copying a file");
        }
    }
}
