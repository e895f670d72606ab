//! For tests: a PCCS on a real socket that serves what it is given, as Intel's serves it, and does what services do on bad
//! days. Compiled into tests only (feature `testing`).
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // Tests stop where it cannot listen.

pub mod samples;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dcap_qvl::QuoteCollateralV3;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::{Collateral, Key, PccsUrl};

/// What the service does with a request for something that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Answers rightly.
    Right,
    /// Waits until it is told another answer.
    Wait,
    /// This status, and no body.
    Status(u16),
    /// 200 and these bytes, with the right headers.
    Bytes(Vec<u8>),
    /// The right body without the header of issuers.
    NoIssuers,
    /// Closes the connection.
    Close,
}

/// A PCCS. Ends with its last owner.
#[derive(Debug)]
pub struct MockPccs {
    address: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    collateral: Mutex<HashMap<Key, QuoteCollateralV3>>,
    asked: Mutex<Vec<String>>,
    answer: watch::Sender<Answer>,
}

impl MockPccs {
    /// Listens on a free port of this machine, without TLS, and has nothing.
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    /// With TLS, by a certificate and key in PEM.
    pub async fn start_tls(certificate: &[u8], key: &[u8]) -> Self {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let signer = provider.key_provider.load_private_key(key).unwrap();
        // Not with_single_cert, which refuses certificates of version 1.
        let certified = rustls::sign::CertifiedKey::new(chain, signer);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
        Self::listen(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            collateral: Mutex::default(),
            asked: Mutex::default(),
            answer: watch::channel(Answer::Right).0,
        });
        let has_tls = tls.is_some();
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        Self { address, tls: has_tls, shared, task }
    }

    /// Where it is; with TLS under the name `localhost`.
    #[must_use]
    pub fn url(&self) -> PccsUrl {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://localhost:{}", self.address.port()).parse().unwrap()
    }

    /// Serves this from now on.
    pub fn serve(&self, collateral: &Collateral) {
        self.serve_as(collateral.key(), collateral.parts().clone());
    }

    /// Serves this for something that it may not be for.
    pub fn serve_as(&self, key: Key, parts: QuoteCollateralV3) {
        let mut collateral = self.shared.collateral.lock().unwrap_or_else(PoisonError::into_inner);
        collateral.insert(key, parts);
    }

    /// Answers so from now on, also to those who wait.
    pub fn answer(&self, answer: Answer) {
        self.shared.answer.send_replace(answer);
    }

    /// The paths and queries that were asked for.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often TCB information was asked for, which every fetch does once.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.asked().iter().filter(|asked| asked.contains("/tcb?")).count()
    }
}

impl Drop for MockPccs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            match tls {
                None => converse(TokioIo::new(stream), shared).await,
                Some(tls) => {
                    let stream: Result<tokio_rustls::server::TlsStream<TcpStream>, _> =
                        tls.accept(stream).await;
                    if let Ok(stream) = stream {
                        converse(TokioIo::new(stream), shared).await;
                    }
                }
            }
        });
    }
}

async fn converse<T: hyper::rt::Read + hyper::rt::Write + Unpin>(stream: T, shared: Arc<Shared>) {
    let service = service_fn(|request| respond(request, Arc::clone(&shared)));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
}

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("closed")]
struct Closed;

async fn respond(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Closed> {
    let path = request.uri().to_string();
    shared.asked.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
    let mut answers = shared.answer.subscribe();
    let answer = answers.wait_for(|answer| *answer != Answer::Wait).await.map_err(|_| Closed)?.clone();
    let right = {
        let collateral = shared.collateral.lock().unwrap_or_else(PoisonError::into_inner);
        right(&path, &collateral)
    };
    let Some((header, issuers, body)) = right else { return Ok(of(StatusCode::NOT_FOUND, Vec::new())) };
    let escaped = escaped(&issuers);
    let with_issuers = |body| {
        let mut response = of(StatusCode::OK, body);
        if let Some(header) = header {
            response.headers_mut().insert(header, escaped.parse().unwrap());
        }
        response
    };
    match answer {
        Answer::Right => Ok(with_issuers(body)),
        Answer::Bytes(bytes) => Ok(with_issuers(bytes)),
        Answer::NoIssuers => Ok(of(StatusCode::OK, body)),
        Answer::Status(status) => Ok(of(StatusCode::from_u16(status).unwrap(), Vec::new())),
        Answer::Close | Answer::Wait => Err(Closed),
    }
}

fn of(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

type Right = (Option<&'static str>, String, Vec<u8>);

/// What Intel's service answers, byte for byte where it matters: its documents as they are, its root's list in hex.
fn right(path: &str, collateral: &HashMap<Key, QuoteCollateralV3>) -> Option<Right> {
    let find = |wanted: &dyn Fn(&Key) -> bool| {
        let found = collateral.iter().find(|(key, _)| wanted(key));
        found.map(|(_, parts)| parts)
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let asked = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    match path {
        "/sgx/certification/v4/tcb" | "/tdx/certification/v4/tcb" => {
            let fmspc = asked("fmspc")?.parse().ok()?;
            let parts = find(&|key| key.fmspc == fmspc && path.contains(key.tee.word()))?;
            let body = document("tcbInfo", &parts.tcb_info, &parts.tcb_info_signature);
            Some((Some("TCB-Info-Issuer-Chain"), parts.tcb_info_issuer_chain.clone(), body))
        }
        "/sgx/certification/v4/qe/identity" | "/tdx/certification/v4/qe/identity" => {
            let parts = find(&|key| path.contains(key.tee.word()))?;
            let body = document("enclaveIdentity", &parts.qe_identity, &parts.qe_identity_signature);
            let header = "SGX-Enclave-Identity-Issuer-Chain";
            Some((Some(header), parts.qe_identity_issuer_chain.clone(), body))
        }
        "/sgx/certification/v4/pckcrl" => {
            let ca = asked("ca")?.parse().ok()?;
            let parts = find(&|key| key.ca == ca)?;
            let header = "SGX-PCK-CRL-Issuer-Chain";
            Some((Some(header), parts.pck_crl_issuer_chain.clone(), parts.pck_crl.clone()))
        }
        "/sgx/certification/v4/rootcacrl" => {
            let parts = find(&|_| true)?;
            Some((None, String::new(), hex::encode(&parts.root_ca_crl).into_bytes()))
        }
        _ => None,
    }
}

fn document(name: &str, document: &str, signature: &[u8]) -> Vec<u8> {
    format!("{{\"{name}\":{document},\"signature\":\"{}\"}}", hex::encode(signature)).into_bytes()
}

/// As `encodeURIComponent` does it.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}
