//! What the tests of this crate share: ports that do nothing, certificates, a client.

pub(crate) mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use carrara_core::outcome::TlsIdentity;
use carrara_core::ports::{
    Backup, Batch, BuiltIn, Candidate, Clock, CommitError, Committed, ComponentInfo, ComponentRefused,
    Components, Entropy, Evidence, EvidenceError, Found, NewState, Policies, PolicyDecision, PolicyEngine,
    PolicyFailure, RenderFailure, SealMode, SecretCatalog, Snapshot, Store, StoreError,
};
use carrara_core::{Coordinator, Ports, Settings};
use carrara_types::claims::Claims;
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Finding, Proposal, Template,
};
use carrara_types::policy::PolicyEntry;
use carrara_types::secret::SecretBytes;
use http_body_util::{BodyExt as _, Full};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ResolvesClientCert};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, SignatureScheme};
use time::OffsetDateTime;

use crate::edge::{Answer, Question};
use crate::peer::Peer;

/// A coordinator without a manifest. Whatever it would store is refused.
pub(crate) async fn coordinator() -> Arc<Coordinator> {
    let nothing = Arc::new(Nothing);
    let ports = Ports {
        store: nothing.clone(),
        evidence: nothing.clone(),
        policies: nothing.clone(),
        decisions: Arc::default(),
        clock: nothing.clone(),
        entropy: nothing,
    };
    let settings = Settings { dns_names: vec!["localhost".to_owned()], ..Settings::default() };
    Arc::new(Coordinator::start(ports, settings).await.unwrap())
}

/// Ports behind which there is nothing.
pub(crate) fn nothing() -> Arc<Nothing> {
    Arc::new(Nothing)
}

pub(crate) struct Nothing;

#[async_trait]
impl Store for Nothing {
    fn found(&self) -> Found {
        Found::Empty
    }

    fn snapshot(&self) -> Arc<dyn Snapshot> {
        Arc::new(Self)
    }

    async fn commit(&self, _batch: Batch) -> Result<Committed, CommitError> {
        Err(StoreError::NotOpen.into())
    }

    async fn create(&self, _state: NewState, _batch: Batch) -> Result<Committed, CommitError> {
        Err(StoreError::Write("no space left".into()).into())
    }

    fn recovery_data(&self) -> Option<Vec<u8>> {
        None
    }

    async fn try_data_key(&self, _data_key: &SecretBytes) -> Result<Option<Box<dyn Candidate>>, StoreError> {
        Err(StoreError::NotLocked)
    }

    async fn backup(&self) -> Result<Backup, StoreError> {
        Err(StoreError::NotOpen)
    }
}

impl Snapshot for Nothing {
    fn revision(&self) -> u64 {
        0
    }

    fn state_id(&self) -> Option<[u8; 16]> {
        None
    }

    fn seal_mode(&self) -> Option<SealMode> {
        None
    }

    fn record_revision(&self, _key: &str) -> Option<u64> {
        None
    }

    fn open(&self, _key: &str) -> Result<Option<SecretBytes>, StoreError> {
        Ok(None)
    }

    fn keys(&self, _prefix: &str) -> Vec<String> {
        Vec::new()
    }

    fn log_size(&self) -> u64 {
        0
    }

    fn log_lines(&self, _from: u64, _limit: usize) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn log_root(&self) -> [u8; 32] {
        [0; 32]
    }

    fn log_consistency(&self, _: u64) -> Result<Option<Vec<[u8; 32]>>, StoreError> {
        Ok(None)
    }

    fn audit_range(&self) -> std::ops::Range<u64> {
        0..0
    }

    fn audit_lines(&self, _: u64, _: usize) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn last_time_ms(&self) -> i64 {
        0
    }
}

#[async_trait]
impl Evidence for Nothing {
    fn simulated(&self) -> bool {
        true
    }

    async fn issue(&self, _report_data: &[u8]) -> Result<Vec<u8>, EvidenceError> {
        Ok(Vec::new())
    }

    async fn verify(&self, _quote: &[u8], _now: OffsetDateTime) -> Result<Claims, EvidenceError> {
        Err(EvidenceError("simulated".to_owned()))
    }
}

#[async_trait]
impl Policies for Nothing {
    fn renderers(&self) -> Vec<String> {
        vec!["go-template".to_owned()]
    }

    async fn validate(&self, _proposal: Proposal) -> Result<Vec<Finding>, PolicyFailure> {
        Ok(Vec::new())
    }

    async fn authorize(&self, _request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        Err(PolicyFailure::failed("none".to_owned(), "there is none".to_owned()))
    }

    async fn admit(&self, _request: AdmissionRequest) -> Result<PolicyDecision, PolicyFailure> {
        Err(PolicyFailure::failed("none".to_owned(), "there is none".to_owned()))
    }

    async fn render(
        &self,
        renderer: &str,
        _context: Context,
        _templates: Vec<Template>,
        _secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        Err(RenderFailure::UnknownRenderer(renderer.to_owned()))
    }
}

impl PolicyEngine for Nothing {
    fn built_in(&self) -> Vec<BuiltIn> {
        Vec::new()
    }

    fn inspect(&self, _: &[u8]) -> Result<ComponentInfo, ComponentRefused> {
        Err(ComponentRefused("there are no policies".to_owned()))
    }

    fn set(&self, _: &BTreeMap<String, PolicyEntry>, _: Arc<dyn Components>) -> Arc<dyn Policies> {
        Arc::new(Self)
    }
}

impl Clock for Nothing {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_750_000_000).unwrap()
    }
}

impl Entropy for Nothing {
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::default_provider().secure_random.fill(buffer).unwrap();
    }
}

/// A self-signed certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: Vec<u8>,
}

impl Pair {
    pub(crate) fn new(algorithm: &'static rcgen::SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        Self { certificate: certificate.der().clone(), key: key.serialize_der() }
    }

    pub(crate) fn p256() -> Self {
        Self::new(&PKCS_ECDSA_P256_SHA256)
    }

    /// X.509 version 1, RSA (see fixtures/README.md).
    pub(crate) fn version_1() -> Self {
        let certificate = CertificateDer::from(&include_bytes!("../fixtures/v1-certificate.der")[..]);
        Self { certificate, key: include_bytes!("../fixtures/v1-key.der").to_vec() }
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()))
    }

    pub(crate) fn identity(&self) -> Arc<TlsIdentity> {
        let key = SecretBytes::new("key", self.key.clone());
        Arc::new(TlsIdentity { certificate: self.certificate.to_vec(), key })
    }
}

/// A TLS client that believes every server. Servers here present CA certificates, which rustls's verifier refuses.
pub(crate) struct Client {
    pub(crate) versions: Vec<&'static rustls::SupportedProtocolVersion>,
    pub(crate) alpn: Vec<Vec<u8>>,
    pub(crate) certificate: Option<Arc<CertifiedKey>>,
}

impl Client {
    pub(crate) fn new(alpn: &[&str]) -> Self {
        let alpn = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self { versions: vec![&rustls::version::TLS13, &rustls::version::TLS12], alpn, certificate: None }
    }

    /// Presents this certificate, whether the key fits or not.
    pub(crate) fn presents(mut self, certificate: &CertificateDer<'static>, key: &Pair) -> Self {
        let key = aws_lc_rs::sign::any_supported_type(&key.private_key()).unwrap();
        self.certificate = Some(Arc::new(CertifiedKey::new(vec![certificate.clone()], key)));
        self
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous))
            .with_client_cert_resolver(Arc::new(Presented(self.certificate.clone())));
        config.alpn_protocols = self.alpn.clone();
        config
    }
}

#[derive(Debug)]
struct Presented(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Presented {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A request as the edge passes it on, from a peer without a certificate.
pub(crate) fn question(method: &str, uri: &str, body: impl Into<Bytes>) -> Question {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed();
    let mut question = http::Request::builder().method(method).uri(uri).body(body).unwrap();
    question.extensions_mut().insert(Peer { address, certificate: None });
    question
}

/// An answer's body.
pub(crate) async fn bytes_of(answer: Answer) -> Bytes {
    answer.into_body().collect().await.unwrap().to_bytes()
}

/// An answer's body as text.
pub(crate) async fn text_of(answer: Answer) -> String {
    String::from_utf8(bytes_of(answer).await.to_vec()).unwrap()
}
