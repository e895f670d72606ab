//! A user with a key, a coordinator that she trusts, and a manifest to propose.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Answers, FakeCoordinator, Run, carrara, unguarded};

pub fn ok(data: &Value) -> (u16, String) {
    (200, json!({ "status": "success", "data": data }).to_string())
}

pub fn refused(code: u16, message: &str) -> (u16, String) {
    (code, json!({ "status": "error", "data": null, "message": message }).to_string())
}

/// Alice may update the manifest.
pub fn manifest(version: u64) -> Value {
    json!({
        "Packages": { "pkg": { "SignerID": "ab".repeat(32), "ProductID": 1, "SecurityVersion": version } },
        "Marbles": { "svc": { "Package": "pkg", "Parameters": {} } },
        "Users": { "alice": { "Certificate": "PEM", "Roles": ["updater"] } },
        "Roles": { "updater": { "ResourceType": "Manifest", "Actions": ["UpdateManifest"] } },
    })
}

/// A folder with alice's key, saved certificates and a proposed manifest, and a coordinator with version 1 of it.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub server: FakeCoordinator,
    pub host: String,
}

impl Stage {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = manifest(1).to_string();
        let answer = ok(&json!({
            "manifest": BASE64_STANDARD.encode(&text),
            "manifestFingerprint": hex::encode(Sha256::digest(&text)),
            "manifestSignatureRootECDSA": "AQ==",
        }));
        let log = ok(&json!({ "updateLog": ["{\"update\":\"Initial manifest set\"}"] }));
        let answers = Answers::from([("GET /api/v2/manifest", answer), ("GET /api/v2/update", log)]);
        let server = FakeCoordinator::start(|_| answers);
        let host = server.address.to_string();
        let stage = Self { folder, server, host };
        stage.run(&["keygen", "user", "alice"]).text();
        stage.write("current.json", &text);
        let host = stage.host.clone();
        stage.run(&["manifest", "verify", "current.json", &host, "-i"]).text();
        stage.propose(&manifest(2));
        stage
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    pub fn propose(&self, manifest: &Value) {
        self.write("new.json", &manifest.to_string());
    }

    pub fn run(&self, line: &[&str]) -> Run {
        carrara(self.path(), line)
    }

    pub fn as_alice(&self, line: &[&str]) -> Run {
        self.run(&[line, &[self.host.as_str(), "-c", "alice.crt", "-k", "alice.key"]].concat())
    }

    /// What was asked with `method` on `path`.
    pub fn asked(&self, call: &str) -> usize {
        self.server.asked().iter().filter(|asked| unguarded(asked) == call).count()
    }
}
