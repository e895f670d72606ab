//! A coordinator with everything but TLS, evidence and WebAssembly: the policies are the built-in ones, run natively.

mod policies;

use std::sync::Arc;

use async_trait::async_trait;
use carrara_core::error::public_message;
use carrara_core::outcome::{Activation, ActivationRequest};
use carrara_core::ports::{
    Clock, Entropy, Evidence, EvidenceError, KeyPolicy, OneSet, Sealing, SealingKind, Store,
};
use carrara_core::{Coordinator, Ports, Settings};
use carrara_server::fuzzing;
use carrara_store::{Backend, Options};
use carrara_types::claims::{Claims, Identity, Platform, SgxIdentity, Tee};
use carrara_types::secret::SecretBytes;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::runtime::Runtime;

use policies::BuiltIn;
pub(crate) use policies::catalog;

/// The users' certificates; their keys are not needed where there is no TLS.
pub(crate) const ADMIN: &str = include_str!("../fixtures/admin.crt");
pub(crate) const SECOND: &str = include_str!("../fixtures/second.crt");
pub(crate) const GUEST: &str = include_str!("../fixtures/guest.crt");
/// Public keys of nobody.
pub(crate) const RECOVERY_KEYS: [&str; 2] =
    [include_str!("../fixtures/recovery.pem"), include_str!("../fixtures/recovery-2.pem")];

/// The client certificate with which a Marble activates.
pub(crate) const CONNECTION: &[u8] = b"the certificate of this connection";
pub(crate) const UUID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

/// A coordinator and its ports.
pub(crate) struct World {
    pub(crate) coordinator: Arc<Coordinator>,
    ports: Ports,
    pub(crate) server: fuzzing::Ports,
    runtime: Runtime,
    /// What the Marble `web` presents after its activation.
    marble: Option<Vec<u8>>,
}

impl World {
    /// Without a manifest.
    pub(crate) fn new() -> Self {
        Self::on(Backend::Memory, 1)
    }

    /// With what is in the backend, on the machine with this sealing key.
    pub(crate) fn on(backend: Backend, machine: u8) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options = Options { backend, sealing: Arc::new(FixedKey(machine)), entropy: Arc::new(Here) };
        let store: Arc<dyn Store> = runtime.block_on(carrara_store::open(options)).expect("a store");
        let ports = Ports {
            store,
            evidence: Arc::new(Here),
            policies: Arc::new(OneSet(Arc::new(BuiltIn))),
            decisions: Arc::default(),
            clock: Arc::new(Here),
            entropy: Arc::new(Here),
        };
        Self::start(runtime, ports)
    }

    fn start(runtime: Runtime, ports: Ports) -> Self {
        let settings = Settings { dns_names: vec!["localhost".to_owned()], ..Settings::default() };
        let coordinator = runtime.block_on(Coordinator::start(ports.clone(), settings)).expect("a start");
        let coordinator = Arc::new(coordinator);
        let server = fuzzing::Ports::of(&coordinator, Arc::new(Here)).expect("the ports");
        Self { coordinator, ports, server, runtime, marble: None }
    }

    /// A new process on the same state.
    pub(crate) fn restarted(self) -> Self {
        let Self { ports, runtime, coordinator, server, .. } = self;
        drop((coordinator, server));
        Self::start(runtime, ports)
    }

    /// With the usual manifest, and a Marble that has activated.
    pub(crate) fn with_manifest() -> Self {
        let mut world = Self::new();
        world.set(manifest().as_bytes()).expect("the manifest is good");
        let activation = world.activate("web").expect("web activates");
        let chain = activation.env.get("MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN").expect("a chain");
        let blocks = pem::parse_many(chain.expose()).expect("PEM");
        world.marble = Some(blocks.first().expect("a leaf").contents().to_vec());
        world
    }

    pub(crate) fn set(&self, manifest: &[u8]) -> Result<(), String> {
        let set = self.runtime.block_on(self.coordinator.set_manifest(None, manifest, Vec::new()));
        set.map(drop).map_err(|error| public_message(&error))
    }

    pub(crate) fn activate(&self, marble_type: &str) -> Result<Activation, String> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key");
        let csr = CertificateParams::default().serialize_request(&key).expect("a request");
        let request = ActivationRequest {
            quote: b"quote".to_vec(),
            csr: csr.der().to_vec(),
            marble_type: marble_type.to_owned(),
            uuid: UUID.to_owned(),
            peer_certificate: Some(CONNECTION.to_vec()),
        };
        self.runtime.block_on(self.coordinator.activate(request)).map_err(|error| public_message(&error))
    }

    pub(crate) fn revision(&self) -> u64 {
        self.ports.store.snapshot().revision()
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The certificate of a caller by name; `None` for nobody.
    pub(crate) fn certificate(&self, caller: &str) -> Option<Vec<u8>> {
        let der = |text: &str| pem::parse(text).expect("a fixture").into_contents();
        match caller {
            "admin" => Some(der(ADMIN)),
            "second" => Some(der(SECOND)),
            "guest" => Some(der(GUEST)),
            "marble" => self.marble.clone(),
            "connection" => Some(CONNECTION.to_vec()),
            "garbage" => Some(vec![0x30, 0x03, 0x02, 0x01]),
            _ => None,
        }
    }
}

/// A manifest that uses whatever a manifest can say.
pub(crate) fn manifest() -> String {
    let json = |text: &str| serde_json::to_string(text).expect("JSON");
    include_str!("../fixtures/manifest.json")
        .replace("\"@admin@\"", &json(ADMIN))
        .replace("\"@second@\"", &json(SECOND))
        .replace("\"@guest@\"", &json(GUEST))
        .replace("\"@recovery@\"", &json(RECOVERY_KEYS[0]))
        .replace("\"@recovery-2@\"", &json(RECOVERY_KEYS[1]))
}

struct FixedKey(u8);

impl Sealing for FixedKey {
    fn kind(&self) -> SealingKind {
        SealingKind::Tee
    }

    fn key(&self, _policy: KeyPolicy) -> Result<SecretBytes, String> {
        Ok(SecretBytes::new("sealing key", vec![self.0; 32]))
    }
}

/// Evidence, time and randomness.
pub(crate) struct Here;

/// A TEE whose quotes all verify, but for the empty one.
#[async_trait]
impl Evidence for Here {
    fn simulated(&self) -> bool {
        false
    }

    async fn issue(&self, report_data: &[u8]) -> Result<Vec<u8>, EvidenceError> {
        Ok(report_data.to_vec())
    }

    async fn verify(&self, quote: &[u8], _now: OffsetDateTime) -> Result<Claims, EvidenceError> {
        if quote.is_empty() {
            return Err(EvidenceError("it is empty".to_owned()));
        }
        let mut report_data = Sha256::digest(CONNECTION).to_vec();
        report_data.resize(64, 0);
        let (unique_id, signer_id) = ([0xab; 32], [0xcd; 32]);
        Ok(Claims {
            tee: Tee::Sgx,
            debug: false,
            tcb_status: "UpToDate".to_owned(),
            advisories: Some(Vec::new()),
            report_data,
            identity: Identity::Sgx(SgxIdentity { unique_id, signer_id, product_id: 7, security_version: 9 }),
            platform: Platform {
                cpu_svn: vec![1; 16],
                qe_svn: 2,
                pce_svn: 3,
                root_ca_sha256: vec![4; 32],
                tcb_evaluation: None,
            },
        })
    }
}

impl Clock for Here {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_750_000_000).expect("a time")
    }
}

impl Entropy for Here {
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("randomness");
    }
}
