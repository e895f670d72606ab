//! The world as the tests of the use cases make it: a store in memory, and fakes of every other port.
//!
//! The fakes answer what a test tells them and remember what they were asked. The store is the real one, behind a
//! wrapper that can fail where a test wants it.
#![allow(dead_code, unreachable_pub, reason = "every test uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod engine;
mod fakes;
mod keys;
mod policies;
mod snapshot;
mod store;

use std::sync::Arc;

use carrara_core::error::UploadPolicyError;
use carrara_core::outcome::{Activation, ActivationRequest, ManifestSet};
use carrara_core::ports::{ComponentInfo, Entropy, Found, Store};
use carrara_core::{Coordinator, Ports, Settings};
use serde_json::{Value, json};

pub use engine::{FakeEngine, RBAC, component, digest};
pub use fakes::{FakeEvidence, HandClock, NOW, Random};
pub use keys::{RecoveryKey, csr, encrypt_to, user_certificate};
pub use policies::{FakePolicies, RENDER_FAULT, Verdict, finding};
pub use store::{INTERNAL, TestStore};

/// The client certificate of the connection on which a Marble asks.
pub const PEER: &[u8] = b"the certificate of this connection";

/// Who asks.
pub const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

/// All ports of one coordinator; several coordinators on the same world are restarts.
pub struct World {
    pub store: Arc<TestStore>,
    pub evidence: Arc<FakeEvidence>,
    /// The built-in ones.
    pub policies: Arc<FakePolicies>,
    pub engine: Arc<FakeEngine>,
    pub clock: Arc<HandClock>,
}

impl World {
    /// A TEE, an empty store, policies that agree to everything.
    pub async fn new() -> Self {
        Self::of(FakeEvidence::tee()).await
    }

    /// The same without a TEE.
    pub async fn simulated() -> Self {
        Self::of(FakeEvidence::simulation()).await
    }

    async fn of(evidence: FakeEvidence) -> Self {
        let policies = Arc::new(FakePolicies::default());
        Self {
            store: Arc::new(TestStore::open().await),
            evidence: Arc::new(evidence),
            engine: Arc::new(FakeEngine::new(Arc::clone(&policies))),
            policies,
            clock: Arc::new(HandClock::default()),
        }
    }

    /// The same with a store in a directory, on the machine with this sealing key.
    pub async fn on(dir: &std::path::Path, machine: u8) -> Self {
        let store = Arc::new(TestStore::open_in(dir, machine).await);
        Self { store, ..Self::new().await }
    }

    /// A coordinator on this world; the second one is a restart.
    pub async fn start(&self) -> Coordinator {
        Coordinator::start(self.ports(), settings()).await.unwrap()
    }

    pub fn ports(&self) -> Ports {
        Ports {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            evidence: self.evidence.clone(),
            policies: self.engine.clone(),
            decisions: Arc::clone(&self.engine.decisions),
            clock: self.clock.clone(),
            entropy: Arc::new(Random) as Arc<dyn Entropy>,
        }
    }

    /// A world in which the manifest is set.
    pub async fn with(manifest: &Value) -> (Self, Coordinator) {
        let world = Self::new().await;
        let coordinator = world.start().await;
        set(&coordinator, manifest).await;
        assert_eq!(world.store.found(), Found::Open);
        (world, coordinator)
    }

    /// The revision of the stored state.
    pub fn revision(&self) -> u64 {
        self.store.snapshot().revision()
    }

    /// The stored count of a Marble's activations; `None` where nothing was counted.
    pub fn count(&self, marble_type: &str) -> Option<u64> {
        let record = self.store.snapshot().open(&format!("activations:{marble_type}")).unwrap();
        record.map(|bytes| u64::from_le_bytes(bytes.expose().try_into().unwrap()))
    }
}

/// For tests whose cases are made by proptest.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// The coordinator has a name of its own.
pub fn settings() -> Settings {
    Settings {
        dns_names: vec!["localhost".to_owned(), "coordinator.example".to_owned()],
        ..Settings::default()
    }
}

/// The least manifest: one package, one Marble `web`.
pub fn manifest() -> Value {
    json!({
        "Packages": { "app": { "SignerID": "cd".repeat(32), "ProductID": 7, "SecurityVersion": 3 } },
        "Marbles": { "web": { "Package": "app", "Parameters": { "Argv": ["./web", "-v"] } } }
    })
}

/// [`manifest`] with secrets and environment variables of `web`.
pub fn manifest_with(secrets: &Value, env: &Value) -> Value {
    let mut manifest = manifest();
    manifest["Secrets"] = secrets.clone();
    manifest["Marbles"]["web"]["Parameters"]["Env"] = env.clone();
    manifest
}

pub fn bytes(manifest: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(manifest).unwrap()
}

pub async fn set(coordinator: &Coordinator, manifest: &Value) -> ManifestSet {
    coordinator.set_manifest(None, &bytes(manifest), Vec::new()).await.unwrap()
}

/// Uploads a component as the client API does: permission first.
pub async fn upload(
    coordinator: &Coordinator,
    peer: Option<&[u8]>,
    component: Vec<u8>,
) -> Result<ComponentInfo, UploadPolicyError> {
    let permission = coordinator.permit_upload(peer).await?;
    coordinator.upload_policy(permission, component).await
}

/// Why the manifest is refused, as clients read it.
pub async fn refusal(coordinator: &Coordinator, manifest: &Value) -> String {
    message(&coordinator.set_manifest(None, &bytes(manifest), Vec::new()).await.unwrap_err())
}

/// What `web` asks with; everything is in order.
pub fn request() -> ActivationRequest {
    ActivationRequest {
        quote: b"quote".to_vec(),
        csr: csr(&["localhost", "web.example"]),
        marble_type: "web".to_owned(),
        uuid: UUID.to_owned(),
        peer_certificate: Some(PEER.to_vec()),
    }
}

/// Activates `web`.
pub async fn activate(coordinator: &Coordinator) -> Activation {
    coordinator.activate(request()).await.unwrap()
}

/// Why `web` is refused, as clients read it.
pub async fn denial(coordinator: &Coordinator) -> String {
    message(&coordinator.activate(request()).await.unwrap_err())
}

/// An environment variable of an activation as text.
pub fn env(activation: &Activation, name: &str) -> String {
    String::from_utf8(activation.env[name].expose().to_vec()).unwrap()
}

/// The text that clients read.
pub fn message(error: &dyn std::error::Error) -> String {
    carrara_core::error::public_message(error)
}

/// The DER blocks of a PEM text.
pub fn pem_blocks(text: &str) -> Vec<(String, Vec<u8>)> {
    pem::parse_many(text).unwrap().into_iter().map(|b| (b.tag().to_owned(), b.into_contents())).collect()
}
