//! A small HTTPS server on a free port that answers as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{Address, Client, Trust};

/// Certificates as a coordinator makes them: a self-signed CA that is its own server certificate.
#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) chain_pem: String,
    key: Vec<u8>,
}

pub(crate) fn authority() -> Authority {
    authority_for(&["localhost", "127.0.0.1"])
}

/// Who copied a root certificate, but not its key.
pub(crate) fn impostor_of(authority: &Authority) -> Authority {
    Authority { root: authority.root.clone(), chain_pem: authority.chain_pem.clone(), ..self::authority() }
}

pub(crate) fn authority_for(names: &[&str]) -> Authority {
    let new_key = || KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let ca = |name: &str| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params
    };
    let key = new_key();
    let der = key.serialize_der();
    let root = CertifiedIssuer::self_signed(ca("MarbleRun Coordinator"), key).unwrap();
    let intermediate = ca("MarbleRun Coordinator - Intermediate CA").signed_by(&new_key(), &root).unwrap();
    Authority { root: root.der().clone(), chain_pem: intermediate.pem() + &root.pem(), key: der }
}

/// One request as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) type Answers = Arc<dyn Fn(&Seen) -> (u16, String) + Send + Sync>;

pub(crate) struct TestServer {
    pub(crate) authority: Authority,
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl TestServer {
    /// Serves until the test's runtime ends.
    pub(crate) async fn start(answers: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::start_as(authority(), answers).await
    }

    pub(crate) async fn start_as(
        authority: Authority,
        answers: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(authority.key.clone()));
        let certified = CertifiedKey::new(vec![authority.root.clone()], any_supported_type(&key).unwrap());
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(
            listener,
            TlsAcceptor::from(Arc::new(config)),
            Arc::new(answers),
            Arc::clone(&seen),
        ));
        Self { authority, address, seen }
    }

    /// A client that trusts this server's root.
    pub(crate) fn client(&self) -> Client {
        self.client_with(Trust::Root(self.authority.root.clone()))
    }

    pub(crate) fn client_with(&self, trust: Trust) -> Client {
        Client::new(self.address_as("127.0.0.1"), trust)
    }

    pub(crate) fn address_as(&self, host: &str) -> Address {
        format!("{host}:{}", self.address.port()).parse().unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Methods and targets, in order.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, answers: Answers, seen: Arc<Mutex<Vec<Seen>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, answers, seen) = (acceptor.clone(), Arc::clone(&answers), Arc::clone(&seen));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|request: Request<hyper::body::Incoming>| {
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                async move {
                    let (method, target) = (request.method().to_string(), request.uri().to_string());
                    let content_type = request.headers().get(http::header::CONTENT_TYPE);
                    let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
                    let body = request.into_body().collect().await?.to_bytes().to_vec();
                    let request = Seen { method, target, content_type, body };
                    let (code, body) = answers(&request);
                    seen.lock().unwrap().push(request);
                    let response =
                        Response::builder().status(code).body(Full::new(Bytes::from(body))).unwrap();
                    Ok::<_, hyper::Error>(response)
                }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// A success envelope.
pub(crate) fn success(data: &str) -> (u16, String) {
    (200, format!("{{\"status\":\"success\",\"data\":{data}}}\n"))
}

/// The body of R-13.
pub(crate) fn not_allowed() -> (u16, String) {
    (405, "{\"status\":\"error\",\"data\":null}\n".to_owned())
}
