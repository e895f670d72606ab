//! Activation against a small coordinator on a free port.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status};

use super::*;
use crate::config::Address;
use crate::identity::CERTIFICATE_CHAIN;
use crate::identity::tests::{Authority, authority};
use crate::quote::{NoTee, ReportData};
use crate::rpc::ActivationResp;
use crate::rpc::marble_server::{Marble, MarbleServer};

pub(crate) type Answer = Result<ActivationResp, Status>;

/// Answers as it is told and remembers what it was asked.
struct Coordinator {
    answer: Answer,
    asked: Arc<Mutex<Vec<ActivationReq>>>,
}

#[tonic::async_trait]
impl Marble for Coordinator {
    async fn activate(&self, request: Request<ActivationReq>) -> Result<Response<ActivationResp>, Status> {
        self.asked.lock().unwrap().push(request.into_inner());
        self.answer.clone().map(Response::new)
    }
}

/// Any client certificate, as G-11 wants it.
#[derive(Debug)]
struct AnyClient(Arc<Mutex<Vec<Vec<u8>>>>);

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.0.lock().unwrap().push(end_entity.to_vec());
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

pub(crate) struct Running {
    pub(crate) address: Address,
    authority: Authority,
    pub(crate) asked: Arc<Mutex<Vec<ActivationReq>>>,
    pub(crate) clients: Arc<Mutex<Vec<Vec<u8>>>>,
}

pub(crate) async fn start(authority: Authority, answer: Answer) -> Running {
    let (asked, clients) = (Arc::default(), Arc::default());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(authority.marble_root_key.clone()));
    let certified = CertifiedKey::new(vec![authority.marble_root.clone()], any_supported_type(&key).unwrap());
    let mut config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::new(AnyClient(Arc::clone(&clients))))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
    let service = MarbleServer::new(Coordinator { answer, asked: Arc::clone(&asked) });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = acceptor.accept(stream).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "G-3");
            let service = TowerToHyperService::new(service.clone());
            let connection =
                http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Running { address, authority, asked, clients }
}

fn config(address: &Address, folder: &Path) -> Config {
    Config {
        coordinator: address.clone(),
        marble_type: "api".to_owned(),
        dns_names: vec!["localhost".to_owned()],
        uuid_file: folder.join("uuid"),
        coordinator_root_file: None,
    }
}

fn parameters(authority: &Authority) -> Parameters {
    let chain = authority.leaf_chain_pem.clone().into_bytes();
    Parameters {
        files: HashMap::from([("/f".to_owned(), b"\xff".to_vec())]),
        env: HashMap::from([(CERTIFICATE_CHAIN.to_owned(), chain)]),
        argv: vec!["./a".to_owned(), "b".to_owned()],
    }
}

async fn started() -> Running {
    let authority = authority();
    let answer = Ok(ActivationResp { parameters: Some(parameters(&authority)) });
    start(authority, answer).await
}

/// Issues the report data itself as the quote.
struct Echo;

impl QuoteIssuer for Echo {
    fn issue(&self, report_data: &ReportData) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(report_data.to_vec())
    }
}

// marble-api.md sections 1, 7; G-32
#[tokio::test]
async fn a_marble_sends_who_it_is_and_gets_its_parameters() {
    let coordinator = started().await;
    let folder = tempfile::tempdir().unwrap();
    let activation = activate(&config(&coordinator.address, folder.path()), &Echo).await.unwrap();
    assert_eq!(activation.files["/f"].expose(), b"\xff");
    assert_eq!(activation.argv, ["./a", "b"]);
    assert!(!format!("{activation:?}").contains("255"));

    let asked = coordinator.asked.lock().unwrap();
    let certificate = coordinator.clients.lock().unwrap()[0].clone();
    assert_eq!(asked.len(), 1, "G-2: no retry");
    assert_eq!(asked[0].marble_type, "api");
    assert_eq!(asked[0].uuid, std::fs::read_to_string(folder.path().join("uuid")).unwrap());
    assert_eq!(asked[0].quote, Sha256::digest(certificate).to_vec());
    assert!(!asked[0].csr.is_empty());
}

// G-33; marble-api.md section 9, step 6
#[tokio::test]
async fn without_a_tee_the_quote_is_empty() {
    let coordinator = started().await;
    let folder = tempfile::tempdir().unwrap();
    activate(&config(&coordinator.address, folder.path()), &NoTee).await.unwrap();
    assert!(coordinator.asked.lock().unwrap()[0].quote.is_empty());
}

// marble-api.md section 3
#[tokio::test]
async fn a_refusal_gives_the_coordinators_text_and_what_helps() {
    let status = Status::permission_denied("marble verification failed: unknown marble type requested");
    let coordinator = start(authority(), Err(status)).await;
    let folder = tempfile::tempdir().unwrap();
    let error = activate(&config(&coordinator.address, folder.path()), &NoTee).await.unwrap_err();
    assert!(matches!(error, ActivateError::Refused { code: Code::PermissionDenied, .. }), "{error:?}");
    let text = error.to_string();
    for part in
        ["unknown marble type requested", "EDG_MARBLE_TYPE", "\"api\"", &coordinator.address.to_string()]
    {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(coordinator.asked.lock().unwrap().len(), 1, "G-2: no retry");
}

#[tokio::test]
async fn an_answer_that_is_no_grpc_points_to_the_address() {
    let text = "protocol error: received message with invalid compression flag: 123";
    for (message, helps) in [(text, true), ("sealing failed", false)] {
        let coordinator = start(authority(), Err(Status::internal(message))).await;
        let folder = tempfile::tempdir().unwrap();
        let error = activate(&config(&coordinator.address, folder.path()), &NoTee).await.unwrap_err();
        assert_eq!(error.to_string().contains("EDG_MARBLE_COORDINATOR_ADDR"), helps, "{error}");
    }
}

// G-1
#[tokio::test]
async fn an_answer_above_4_mib_is_refused_and_one_below_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    for (size, fits) in [(MAX_ANSWER_BYTES - 1024, true), (MAX_ANSWER_BYTES, false)] {
        let parameters =
            Parameters { files: HashMap::from([("f".to_owned(), vec![0; size])]), ..Parameters::default() };
        let coordinator = start(authority(), Ok(ActivationResp { parameters: Some(parameters) })).await;
        let result = activate(&config(&coordinator.address, folder.path()), &NoTee).await;
        assert_eq!(result.is_ok(), fits, "{size}");
        if let Err(error) = result {
            assert!(error.to_string().contains("4 MiB"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_answer_without_parameters_is_an_error() {
    let coordinator = start(authority(), Ok(ActivationResp { parameters: None })).await;
    let folder = tempfile::tempdir().unwrap();
    let result = activate(&config(&coordinator.address, folder.path()), &NoTee).await;
    assert!(matches!(result, Err(ActivateError::Empty(_))), "{result:?}");
}

#[tokio::test]
async fn nobody_listening_is_told_with_address_and_remedy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let error = activate(&config(&address, folder.path()), &NoTee).await.unwrap_err();
    assert!(matches!(error, ActivateError::Connect { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("EDG_MARBLE_COORDINATOR_ADDR"), "{text}");
}

#[tokio::test]
async fn a_bad_uuid_file_ends_before_anybody_is_asked() {
    let coordinator = started().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("uuid"), b"junk").unwrap();
    let result = activate(&config(&coordinator.address, folder.path()), &NoTee).await;
    assert!(matches!(result, Err(ActivateError::Uuid(_))), "{result:?}");
    assert!(coordinator.clients.lock().unwrap().is_empty());
}

// G-12 improved: see `pin`.
#[tokio::test]
async fn with_a_pinned_root_only_its_coordinator_is_accepted() {
    let coordinator = started().await;
    let folder = tempfile::tempdir().unwrap();
    let pinned = |root: &Authority| {
        let path = folder.path().join("root.pem");
        std::fs::write(&path, root.env[crate::identity::COORDINATOR_ROOT_CA].as_encoded_bytes()).unwrap();
        Config { coordinator_root_file: Some(path), ..config(&coordinator.address, folder.path()) }
    };
    activate(&pinned(&coordinator.authority), &NoTee).await.unwrap();
    let result = activate(&pinned(&authority()), &NoTee).await;
    assert!(matches!(result, Err(ActivateError::Pin { .. })), "{result:?}");
}

#[tokio::test]
async fn a_pinned_root_that_cannot_be_read_ends_before_anybody_is_asked() {
    let coordinator = started().await;
    let folder = tempfile::tempdir().unwrap();
    let path = Some(folder.path().join("missing.pem"));
    let config = Config { coordinator_root_file: path, ..config(&coordinator.address, folder.path()) };
    let error = activate(&config, &NoTee).await.unwrap_err();
    assert!(error.to_string().contains("missing.pem"), "{error}");
    assert!(coordinator.clients.lock().unwrap().is_empty());
}
