//! Marbles that activate: gRPC over HTTP/2, spoken by hand (marble-api.md section 1), since a client that does less
//! disturbs the server less.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use carrara_marble::credentials::Credentials;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use uuid::Uuid;

use super::load::Client;
use super::server::Server;
use super::tls::{Connector, Identity};

/// The ALPN name of HTTP/2.
const PROTOCOL: &str = "h2";

/// A message is preceded by one byte (not compressed) and its length as u32.
const GRPC_PREFIX_BYTES: usize = 5;

/// A Marble of the type that [`super::manifests`] has. Every activation has a new UUID, as different Marbles have.
pub(crate) struct Marble {
    identity: Arc<Identity>,
    connector: Connector,
    request: Vec<u8>,
    marble_type: &'static str,
    uri: String,
}

/// A Marble that keeps its connection from one activation to the next.
pub(crate) struct KeptMarble {
    marble: Marble,
    requests: SendRequest<Full<Bytes>>,
}

/// How an activation was answered.
pub(crate) enum Answer {
    /// With a Marble's parameters, as a gRPC message.
    Activated(Bytes),
    /// With gRPC's code and the server's text.
    Refused(String, String),
}

impl Marble {
    /// Makes key, certificate and signing request once: they are the client's work, not the server's.
    pub(crate) fn new(server: &Server, marble_type: &'static str) -> anyhow::Result<Self> {
        Self::generate(server.mesh(), marble_type)
    }

    /// The same for an address, which may be known only later.
    pub(crate) fn generate(mesh: SocketAddr, marble_type: &'static str) -> anyhow::Result<Self> {
        let Credentials { certificate, key, csr } = Credentials::generate(&["localhost".to_owned()])?;
        Self::with(Arc::new(Identity { certificate, key }), csr, mesh, marble_type)
    }

    /// The same keys for another address.
    pub(crate) fn at(&self, mesh: SocketAddr) -> anyhow::Result<Self> {
        Self::with(Arc::clone(&self.identity), self.request.clone(), mesh, self.marble_type)
    }

    fn with(
        identity: Arc<Identity>,
        request: Vec<u8>,
        mesh: SocketAddr,
        marble_type: &'static str,
    ) -> anyhow::Result<Self> {
        let connector = Connector::new(mesh, PROTOCOL, Some(&identity))?;
        let uri = format!("https://{mesh}/rpc.Marble/Activate");
        Ok(Self { identity, connector, request, marble_type, uri })
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = self.connector.connect().await?;
        let handshake = Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await;
        let (requests, connection) = handshake.context("HTTP/2 handshake")?;
        // Ends with `requests`; its failures show in the request.
        tokio::spawn(connection);
        Ok(requests)
    }

    /// Activates once; gives what the Marble shows afterwards.
    pub(crate) async fn identity(&self) -> anyhow::Result<Identity> {
        self.identity_of(&Uuid::new_v4()).await
    }

    /// The same with a UUID of the caller.
    pub(crate) async fn identity_of(&self, uuid: &Uuid) -> anyhow::Result<Identity> {
        let answer = self.ask_once(uuid).await?.activated()?;
        // Each variable is its name and then, directly, its value; the leaf is the chain's first certificate.
        let chain = behind(&answer, b"MARBLE_PREDEFINED_MARBLE_CERTIFICATE_CHAIN")?;
        let key = behind(&answer, b"MARBLE_PREDEFINED_PRIVATE_KEY")?;
        let certificate =
            CertificateDer::from_pem_slice(chain).context("reading the Marble's certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key).context("reading the Marble's key")?;
        Ok(Identity { certificate, key })
    }

    /// Asks over a new connection; an error if there was no answer.
    pub(crate) async fn ask_once(&self, uuid: &Uuid) -> anyhow::Result<Answer> {
        self.ask(&mut self.connect().await?, uuid).await
    }

    /// Activates with a new UUID; anything but parameters is an error with the server's text.
    async fn activate(&self, requests: &mut SendRequest<Full<Bytes>>) -> anyhow::Result<()> {
        self.ask(requests, &Uuid::new_v4()).await?.activated().map(drop)
    }

    async fn ask(&self, requests: &mut SendRequest<Full<Bytes>>, uuid: &Uuid) -> anyhow::Result<Answer> {
        let uuid = uuid.hyphenated().to_string();
        let message = activation_request(&self.request, self.marble_type, &uuid);
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.uri)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(Full::new(Bytes::from(message)))
            .context("making the request")?;
        requests.ready().await.context("the connection was closed")?;
        let answer = requests.send_request(request).await.context("sending the request")?;
        ensure!(answer.status() == StatusCode::OK, "answered {}", answer.status());
        let (head, body) = answer.into_parts();
        let body = body.collect().await.context("reading the answer")?;
        // A refusal may have its status in the head.
        let trailers = body.trailers().unwrap_or(&head.headers);
        let text = |name: &str| trailers.get(name).and_then(|value| value.to_str().ok());
        let code = text("grpc-status").context("the answer has no gRPC status")?;
        if code != "0" {
            return Ok(Answer::Refused(code.to_owned(), text("grpc-message").unwrap_or_default().to_owned()));
        }
        let body = body.to_bytes();
        ensure!(body.len() > GRPC_PREFIX_BYTES, "activated without parameters");
        Ok(Answer::Activated(body))
    }
}

impl Answer {
    fn activated(self) -> anyhow::Result<Bytes> {
        match self {
            Self::Activated(body) => Ok(body),
            Self::Refused(code, text) => bail!("gRPC {code}: {text}"),
        }
    }
}

impl Client for Marble {
    async fn operate(&mut self) -> anyhow::Result<()> {
        let mut requests = self.connect().await?;
        self.activate(&mut requests).await
    }
}

impl KeptMarble {
    /// Connects.
    pub(crate) async fn open(marble: Marble) -> anyhow::Result<Self> {
        let requests = marble.connect().await?;
        Ok(Self { marble, requests })
    }
}

impl Client for KeptMarble {
    async fn operate(&mut self) -> anyhow::Result<()> {
        self.marble.activate(&mut self.requests).await
    }
}

/// The PEM that stands behind a name.
fn behind<'a>(answer: &'a [u8], name: &[u8]) -> anyhow::Result<&'a [u8]> {
    let begin: &[u8] = b"-----BEGIN ";
    let from = |text: &'a [u8], word: &[u8]| {
        let at = text.windows(word.len()).position(|part| part == word);
        at.and_then(|at| text.get(at..))
    };
    let rest = from(answer, name).and_then(|rest| from(rest, begin));
    rest.with_context(|| format!("activated without {}", String::from_utf8_lossy(name)))
}

/// An `ActivationReq` without a quote (fields 2, 3 and 4), as a gRPC message.
fn activation_request(csr: &[u8], marble_type: &str, uuid: &str) -> Vec<u8> {
    let mut message = vec![0; GRPC_PREFIX_BYTES];
    for (number, bytes) in [(2, csr), (3, marble_type.as_bytes()), (4, uuid.as_bytes())] {
        // Wire type 2: length and bytes.
        message.push(number << 3 | 2);
        put_varint(&mut message, bytes.len());
        message.extend_from_slice(bytes);
    }
    let length = u32::try_from(message.len() - GRPC_PREFIX_BYTES).unwrap_or(u32::MAX);
    for (place, byte) in message.iter_mut().skip(1).zip(length.to_be_bytes()) {
        *place = byte;
    }
    message
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put_varint(message: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        message.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pem_behind_a_name_is_found_whatever_comes_between() {
        let answer = b"x-----BEGIN A\nNAME\x12\x05-----BEGIN B\n";
        assert_eq!(behind(answer, b"NAME").unwrap(), b"-----BEGIN B\n");
        assert!(behind(answer, b"NONE").is_err() && behind(b"NAME", b"NAME").is_err());
    }

    #[test]
    fn a_request_is_a_framed_protobuf_message() {
        let message = activation_request(&[7; 300], "svc", "u");
        let mut expected = vec![0, 0, 0, 1, 55, 0x12, 0xac, 0x02];
        expected.extend([7; 300]);
        expected.extend(b"\x1a\x03svc\x22\x01u");
        assert_eq!(message, expected);
        assert_eq!(message.len() - GRPC_PREFIX_BYTES, 256 + 55);
    }
}
