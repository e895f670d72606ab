//! A coordinator with a manifest, its callers, and the whole way that a request takes but for TLS.

use carrara_core::outcome::ActivationRequest;
use carrara_core::ports::{KeyPolicy, Sealing, SealingKind};
use carrara_core::{DecisionRing, OwnerCertificate};
use carrara_store::{Backend, Options};
use carrara_types::claims::{Identity, Platform, SgxIdentity, Tee};
use carrara_types::decision::{Decision, Denial};
use carrara_types::policy::{Digest as PolicyDigest, World as PolicyWorld};
use rcgen::{PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::edge::Edge;
use crate::limits::Limits;
use crate::rest;

/// The client certificate with which the Marble activates.
const CONNECTION: &[u8] = b"the certificate of this connection";

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// No certificate.
    Nobody,
    /// A certificate that nobody knows.
    Stranger,
    /// A user without roles.
    Guest,
    /// An activated Marble.
    Marble,
    /// A user with every permission.
    Admin,
    /// Another one.
    Second,
}

/// A coordinator in state 3 with three users and a Marble.
pub(crate) struct World {
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) decisions: Arc<DecisionRing>,
    edge: Edge,
    certificates: Vec<(Caller, CertificateDer<'static>)>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let mut world = Self::without_manifest().await;
        let manifest = serde_json::to_vec(&world.manifest()).unwrap();
        world.coordinator.set_manifest(None, &manifest, Vec::new()).await.unwrap();
        let marble = world.activate().await;
        world.certificates.push((Caller::Marble, marble));
        world
    }

    pub(crate) async fn without_manifest() -> Self {
        Self::on(Backend::Memory, 1).await
    }

    /// Without a manifest; [`Caller::Admin`] is the owner.
    pub(crate) async fn owned() -> Self {
        Self::made(Backend::Memory, 1, true).await
    }

    /// With what is in the backend, on the machine with this sealing key.
    pub(crate) async fn on(backend: Backend, machine: u8) -> Self {
        Self::made(backend, machine, false).await
    }

    async fn made(backend: Backend, machine: u8, owned: bool) -> Self {
        let users = [Caller::Stranger, Caller::Guest, Caller::Admin, Caller::Second];
        let certificates = users.map(|user| (user, Pair::p256().certificate)).to_vec();
        let owner = OwnerCertificate::from_pem(pem_text(&certificates[2].1).as_bytes()).unwrap();
        let sealing = Arc::new(FixedKey(machine));
        let options = Options { backend, sealing, entropy: Arc::new(Nothing) };
        let decisions = Arc::new(DecisionRing::default());
        let ports = Ports {
            store: carrara_store::open(options).await.unwrap(),
            evidence: Arc::new(Believer),
            policies: Arc::new(ByRole),
            decisions: Arc::clone(&decisions),
            clock: Arc::new(Nothing),
            entropy: Arc::new(Nothing),
        };
        let settings = Settings {
            dns_names: vec!["localhost".to_owned()],
            owner: owned.then_some(owner),
            ..Settings::default()
        };
        let coordinator = Arc::new(Coordinator::start(ports, settings).await.unwrap());
        let limits = Limits::default();
        let edge = Edge::new(rest::app(Arc::clone(&coordinator), &limits), &limits);
        Self { coordinator, decisions, edge, certificates }
    }

    /// Both features, both kinds of user-defined secrets, one that is generated.
    pub(crate) fn manifest(&self) -> Value {
        let user = |caller, roles: &[&str]| json!({ "Certificate": self.pem(caller), "Roles": roles });
        json!({
            "Packages": { "app": { "SignerID": "cd".repeat(32), "ProductID": 7, "SecurityVersion": 3 } },
            "Marbles": { "web": { "Package": "app" } },
            "Secrets": {
                "token": { "Type": "plain", "UserDefined": true },
                "certificate": { "Type": "cert-ecdsa", "UserDefined": true },
                "key": { "Type": "symmetric-key", "Size": 128, "Shared": true },
            },
            "Users": {
                "admin": user(Caller::Admin, &["all"]),
                "second": user(Caller::Second, &["all"]),
                "guest": user(Caller::Guest, &[]),
            },
            "Roles": { "all": { "ResourceType": "Manifest", "Actions": ["UpdateManifest"] } },
            "Config": { "FeatureGates": ["SignQuoteEndpoint", "MonotonicCounter"] },
        })
    }

    /// A recovery key for a manifest.
    pub(crate) fn recovery_key() -> String {
        KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap().public_key_pem()
    }

    pub(crate) async fn ask(
        &self,
        caller: Caller,
        method: &str,
        uri: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        self.ask_with(caller, method, uri, body, None).await
    }

    /// With a header.
    pub(crate) async fn ask_with(
        &self,
        caller: Caller,
        method: &str,
        uri: &str,
        body: impl Into<Bytes>,
        header: Option<(&'static str, &str)>,
    ) -> Answer {
        let peer =
            Peer { address: SocketAddr::from(([127, 0, 0, 1], 1)), certificate: self.certificate(caller) };
        let mut question = question(method, uri, body);
        if let Some((name, value)) = header {
            question.headers_mut().insert(name, value.parse().unwrap());
        }
        self.edge.serve(peer, question).await.unwrap()
    }

    pub(crate) fn certificate(&self, caller: Caller) -> Option<CertificateDer<'static>> {
        self.certificates.iter().find(|(who, _)| *who == caller).map(|(_, certificate)| certificate.clone())
    }

    fn pem(&self, caller: Caller) -> String {
        pem_text(&self.certificate(caller).unwrap())
    }

    /// The leaf that the Marble gets.
    async fn activate(&self) -> CertificateDer<'static> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap();
        let request = ActivationRequest {
            quote: b"quote".to_vec(),
            csr: csr.der().to_vec(),
            marble_type: "web".to_owned(),
            uuid: "6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned(),
            peer_certificate: Some(CONNECTION.to_vec()),
        };
        let activation = self.coordinator.activate(request).await.unwrap();
        let chain = activation.env["MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN"].expose();
        CertificateDer::from_pem_slice(chain).unwrap()
    }
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

/// A TEE whose quotes all verify, but for the empty one.
struct Believer;

#[async_trait]
impl Evidence for Believer {
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

/// Who has a role may do everything.
struct ByRole;

/// What [`ByRole`] takes for a component.
pub(crate) const COMPONENT: &[u8] = b"a component";

impl PolicyEngine for ByRole {
    fn built_in(&self) -> Vec<BuiltIn> {
        let digest = PolicyDigest(Sha256::digest(b"rbac").into());
        vec![BuiltIn { name: "rbac", world: PolicyWorld::RoleAuthorization, digest, component: b"rbac" }]
    }

    fn inspect(&self, component: &[u8]) -> Result<ComponentInfo, ComponentRefused> {
        if component != COMPONENT {
            return Err(ComponentRefused("it is none".to_owned()));
        }
        let digest = PolicyDigest(Sha256::digest(component).into());
        Ok(ComponentInfo { digest, worlds: vec![PolicyWorld::MarbleAdmission], size: component.len() })
    }

    fn set(&self, _: &BTreeMap<String, PolicyEntry>, _: Arc<dyn Components>) -> Arc<dyn Policies> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Policies for ByRole {
    fn renderers(&self) -> Vec<String> {
        Nothing.renderers()
    }

    async fn validate(&self, proposal: Proposal) -> Result<Vec<Finding>, PolicyFailure> {
        Nothing.validate(proposal).await
    }

    async fn authorize(&self, request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        let decision = if request.principal.roles.is_empty() {
            let message = "no role allows it".to_owned();
            Decision::Deny(Denial { code: "no-role".to_owned(), message, hint: None, resources: Vec::new() })
        } else {
            Decision::Allow
        };
        Ok(PolicyDecision { policy: "rbac".to_owned(), decision })
    }

    async fn admit(&self, _request: AdmissionRequest) -> Result<PolicyDecision, PolicyFailure> {
        Ok(PolicyDecision { policy: String::new(), decision: Decision::Allow })
    }

    async fn render(
        &self,
        renderer: &str,
        context: Context,
        templates: Vec<Template>,
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        Nothing.render(renderer, context, templates, secrets).await
    }
}

fn pem_text(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
