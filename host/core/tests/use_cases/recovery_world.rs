//! What the tests of recovery share: owners with keys, and a state that moved to a machine that cannot open it.
#![allow(unreachable_pub, reason = "as in common")]

use std::collections::BTreeMap;

use carrara_core::Coordinator;
use carrara_core::error::RecoverError;
use carrara_core::outcome::{Activation, RecoveryInput, RecoveryStep};
use carrara_core::ports::{Found, Store as _};
use carrara_types::secret::SecretBytes;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{self, RecoveryKey, World, manifest};

pub const OWNERS: [&str; 3] = ["alice", "bob", "carol"];

/// A locked state.
pub struct Locked {
    pub folder: TempDir,
    pub world: World,
    pub coordinator: Coordinator,
    pub keys: BTreeMap<&'static str, RecoveryKey>,
    /// What each owner decrypts.
    pub secrets: BTreeMap<String, Vec<u8>>,
    pub manifest: Value,
    /// The root certificate before.
    pub root: Vec<u8>,
    /// What `web` got before.
    pub activation: Activation,
}

/// A manifest with so many recovery keys.
pub fn with_keys(manifest: &mut Value, keys: &BTreeMap<&'static str, RecoveryKey>, threshold: u64) {
    manifest["RecoveryKeys"] =
        keys.iter().map(|(name, key)| ((*name).to_owned(), json!(key.pem()))).collect();
    manifest["Config"]["RecoveryThreshold"] = json!(threshold);
}

pub fn keys(count: usize) -> BTreeMap<&'static str, RecoveryKey> {
    OWNERS[..count].iter().map(|name| (*name, RecoveryKey::generate())).collect()
}

pub fn decrypted(
    keys: &BTreeMap<&'static str, RecoveryKey>,
    blobs: &BTreeMap<String, Vec<u8>>,
) -> BTreeMap<String, Vec<u8>> {
    blobs.iter().map(|(name, blob)| (name.clone(), keys[name.as_str()].decrypt(blob).unwrap())).collect()
}

pub fn root(coordinator: &Coordinator) -> Vec<u8> {
    coordinator.tls_identity(carrara_core::outcome::TlsPort::Rest).certificate.clone()
}

impl Locked {
    /// Sets a manifest on one machine and starts on another one.
    pub async fn new(count: usize, threshold: u64) -> Self {
        let keys = keys(count);
        let mut manifest = manifest();
        manifest["Secrets"] = json!({ "s": { "Type": "symmetric-key", "Size": 128, "Shared": true } });
        manifest["Marbles"]["web"]["Parameters"]["Env"] = json!({ "S": "{{current.s.whole.hex}}" });
        manifest["Config"] = json!({});
        with_keys(&mut manifest, &keys, threshold);
        let folder = TempDir::new().unwrap();
        let world = World::on(folder.path(), 1).await;
        let before = world.start().await;
        let secrets = decrypted(&keys, &common::set(&before, &manifest).await.recovery_secrets);
        let (root, activation) = (root(&before), common::activate(&before).await);
        drop((world, before));
        let (world, coordinator) = on_another_machine(&folder).await;
        Self { folder, world, coordinator, keys, secrets, manifest, root, activation }
    }

    pub fn input(&self, owner: &str) -> RecoveryInput {
        let secret = &self.secrets[owner];
        input(secret, self.keys[owner].sign(secret))
    }

    pub async fn send(&self, input: RecoveryInput) -> Result<RecoveryStep, RecoverError> {
        self.coordinator.recover(input).await
    }

    /// The number of secrets that are still missing after the owner's.
    pub async fn remaining(&self, owner: &str) -> usize {
        self.send(self.input(owner)).await.unwrap().remaining
    }

    /// Why it is refused, as clients read it; the state stays locked.
    pub async fn refusal(&self, input: RecoveryInput) -> String {
        let text = common::message(&self.send(input).await.unwrap_err());
        self.expect_locked();
        text
    }

    pub fn expect_locked(&self) {
        assert_eq!((self.coordinator.status().code, self.world.store.found()), (1, Found::Locked));
        assert!(self.coordinator.manifest().unwrap().is_none());
        assert_ne!(root(&self.coordinator), self.root, "the temporary one");
    }

    /// Everything is as before the loss, also after the next start on this machine.
    pub async fn expect_recovered(self) {
        assert_eq!(self.coordinator.status().code, 3);
        self.expect_same(&self.coordinator).await;
        let Self { folder, world, coordinator, .. } = &self;
        let before = world.revision();
        assert!(folder.path().join("sealed_key").exists());
        assert_eq!(root(coordinator), self.root);
        let Self { folder, world, coordinator, keys, secrets, manifest, root, activation } = self;
        drop((coordinator, world));
        let world = World::on(folder.path(), 2).await;
        assert_eq!((world.store.found(), world.revision()), (Found::Open, before));
        let coordinator = world.start().await;
        let after = Self { folder, world, coordinator, keys, secrets, manifest, root, activation };
        after.expect_same(&after.coordinator).await;
    }

    async fn expect_same(&self, coordinator: &Coordinator) {
        assert_eq!(root(coordinator), self.root);
        let answer = coordinator.manifest().unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&answer.manifest).unwrap(), self.manifest);
        let again = common::activate(coordinator).await;
        for name in ["S", "MARBLE_PREDEFINED_ROOT_CA", "MARBLE_PREDEFINED_COORDINATOR_ROOT_CA"] {
            assert_eq!(common::env(&again, name), common::env(&self.activation, name), "{name}");
        }
    }
}

pub async fn on_another_machine(folder: &TempDir) -> (World, Coordinator) {
    let world = World::on(folder.path(), 2).await;
    assert_eq!(world.store.found(), Found::Locked);
    let coordinator = world.start().await;
    (world, coordinator)
}

pub fn input(secret: &[u8], signature: Vec<u8>) -> RecoveryInput {
    RecoveryInput { secret: SecretBytes::new("secret", secret.to_vec()), signature: Some(signature) }
}
