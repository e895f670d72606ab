//! What the tests of updates share: users with certificates, and a coordinator whose manifest names them.
#![allow(unreachable_pub, reason = "as in common")]

use std::collections::BTreeMap;

use carrara_core::Coordinator;
use carrara_core::error::{PendingUpdateError, UpdateManifestError};
use carrara_core::outcome::{Reporting, UpdateProgress};
use carrara_core::ports::Store as _;
use serde_json::{Value, json};

use crate::common::{self, Verdict, World, bytes, user_certificate};

/// alice, bob and carol may update the manifest, dave the package `app`, erin nothing.
pub const USERS: [(&str, &[&str]); 5] = [
    ("alice", &["updater"]),
    ("bob", &["updater"]),
    ("carol", &["updater"]),
    ("dave", &["raiser"]),
    ("erin", &[]),
];

/// A coordinator with users; the authorizer looks at roles.
pub struct Updating {
    pub world: World,
    pub coordinator: Coordinator,
    /// Certificates by user, DER and PEM.
    pub users: BTreeMap<&'static str, (Vec<u8>, String)>,
    /// The manifest that was set first.
    pub first: Value,
}

impl Updating {
    /// Sets the manifest with all users and the threshold.
    pub async fn new(manifest: &Value, threshold: u64) -> Self {
        let users: BTreeMap<_, _> = USERS.iter().map(|(name, _)| (*name, user_certificate())).collect();
        let mut first = manifest.clone();
        first["Users"] = USERS
            .iter()
            .map(|(name, roles)| {
                ((*name).to_owned(), json!({ "Certificate": users[name].1, "Roles": roles }))
            })
            .collect();
        first["Roles"] = json!({
            "updater": { "ResourceType": "Manifest", "Actions": ["UpdateManifest"] },
            "raiser": { "ResourceType": "Packages", "ResourceNames": ["app"], "Actions": ["UpdateSecurityVersion"] },
        });
        first["Config"]["UpdateThreshold"] = json!(threshold);
        let (world, coordinator) = World::with(&first).await;
        world.policies.authorizer(Verdict::Roles);
        Self { world, coordinator, users, first }
    }

    /// alice alone decides.
    pub async fn alone(manifest: &Value) -> Self {
        Self::new(manifest, 1).await
    }

    pub fn peer(&self, user: &str) -> Option<&[u8]> {
        self.users.get(user).map(|(der, _)| der.as_slice())
    }

    /// The manifest that was set first, changed.
    pub fn changed(&self, change: impl FnOnce(&mut Value)) -> Value {
        let mut manifest = self.first.clone();
        change(&mut manifest);
        manifest
    }

    pub async fn try_update(
        &self,
        user: &str,
        manifest: &Value,
    ) -> Result<UpdateProgress, UpdateManifestError> {
        self.coordinator.update_manifest(self.peer(user), &bytes(manifest), Vec::new(), Reporting::Full).await
    }

    pub async fn update(&self, user: &str, manifest: &Value) -> UpdateProgress {
        self.try_update(user, manifest).await.unwrap()
    }

    /// Why the update is refused, as clients read it. A refusal changes nothing.
    pub async fn refusal(&self, user: &str, manifest: &Value) -> String {
        let before = self.world.revision();
        let text = common::message(&self.try_update(user, manifest).await.unwrap_err());
        assert_eq!(self.world.revision(), before, "{text}");
        text
    }

    pub async fn try_acknowledge(
        &self,
        user: &str,
        manifest: &[u8],
    ) -> Result<UpdateProgress, PendingUpdateError> {
        self.coordinator.acknowledge_update(self.peer(user), manifest, Reporting::Full).await
    }

    pub async fn acknowledge(&self, user: &str, manifest: &Value) -> UpdateProgress {
        self.try_acknowledge(user, &bytes(manifest)).await.unwrap()
    }

    /// The lines of the update log from `from` on, without their time.
    pub fn log(&self, from: u64) -> Vec<Value> {
        let lines = self.world.store.snapshot().log_lines(from, 100).unwrap();
        let read = |line: String| {
            let mut line: Value = serde_json::from_str(&line).unwrap();
            line.as_object_mut().unwrap().remove("time").unwrap();
            line
        };
        lines.into_iter().map(read).collect()
    }

    /// The record's bytes.
    pub fn record(&self, key: &str) -> Option<Vec<u8>> {
        self.world.store.snapshot().open(key).unwrap().map(|bytes| bytes.expose().to_vec())
    }

    pub fn in_force(&self) -> Value {
        serde_json::from_slice(&self.record("manifest").unwrap()).unwrap()
    }
}

pub fn fingerprint(manifest: &Value) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes(manifest)))
}
