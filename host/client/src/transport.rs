//! One request over one TLS connection, with limits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::sign::SingleCertAndKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use crate::address::Address;
use crate::error::ClientError;
use crate::identity::ClientIdentity;
use crate::observer::{Observer, Watch};
use crate::trust::{Trust, Verifier};

/// What the coordinator's log calls a request.
const REQUEST_ID: &str = "x-request-id";

/// What a request may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// TCP and TLS handshakes; a coordinator that is there answers in well under a second.
    pub connect: Duration,
    /// From the request to the end of the answer. Setting a manifest makes all its secrets, RSA keys among them.
    pub answer: Duration,
    /// Manifests and update logs are far smaller; without a limit a false server could fill the memory.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(20), answer: Duration::from_secs(300), answer_bytes: 64 << 20 }
    }
}

/// A client of one coordinator.
#[derive(Debug, Clone)]
pub struct Client {
    address: Address,
    trust: Trust,
    identity: Option<ClientIdentity>,
    limits: Limits,
    watch: Watch,
}

/// Takes a piece of an answer; is told how long all of it is going to be, if that is known.
pub(crate) type Sink<'a> = dyn FnMut(&[u8], Option<u64>) -> std::io::Result<()> + Send + 'a;

/// An answer as it came. Wiped on drop: it may hold secrets.
pub(crate) struct RawAnswer {
    pub(crate) code: StatusCode,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Client {
    /// A client without a client certificate, with the default limits. Connects with the first request.
    #[must_use]
    pub fn new(address: Address, trust: Trust) -> Self {
        Self { address, trust, identity: None, limits: Limits::default(), watch: Watch::default() }
    }

    /// Presents a user's certificate.
    #[must_use]
    pub fn with_identity(mut self, identity: ClientIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Tells somebody of every request.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.watch = Watch(Some(observer));
        self
    }

    /// Whom this client accepts.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// As whom it asks.
    #[must_use]
    pub fn identity(&self) -> Option<&ClientIdentity> {
        self.identity.as_ref()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<RawAnswer, ClientError> {
        self.watch.tell(|observer| observer.asking(&method, path, body.len()));
        let asked = async {
            let stream = self.connected().await?;
            let exchange = async {
                let (head, body) = self.exchange(stream, method, path, body).await?;
                self.whole(&head, body).await
            };
            tokio::time::timeout(self.limits.answer, exchange)
                .await
                .map_err(|_| self.late(self.limits.answer))?
        };
        self.told_if_failed(asked.await)
    }

    /// Asks for something long: a success goes to `sink` piece by piece, any other answer is given back. The limit of time
    /// is for each piece.
    pub(crate) async fn download(
        &self,
        path: &str,
        sink: &mut Sink<'_>,
    ) -> Result<Option<RawAnswer>, ClientError> {
        self.watch.tell(|observer| observer.asking(&Method::GET, path, 0));
        let late = |_| self.late(self.limits.answer);
        let asked = async {
            let stream = self.connected().await?;
            let exchange = self.exchange(stream, Method::GET, path, Vec::new());
            let (head, mut body) =
                tokio::time::timeout(self.limits.answer, exchange).await.map_err(late)??;
            if head.status != StatusCode::OK {
                let whole = tokio::time::timeout(self.limits.answer, self.whole(&head, body)).await;
                return whole.map_err(late)?.map(Some);
            }
            let (announced, mut received) = (body.size_hint().exact(), 0);
            loop {
                let frame = tokio::time::timeout(self.limits.answer, body.frame()).await.map_err(late)?;
                let Some(frame) = frame else { break };
                let Ok(data) = frame.map_err(|source| self.broken(source))?.into_data() else { continue };
                received += data.len();
                sink(&data, announced).map_err(ClientError::Keep)?;
            }
            self.tell_answered(&head, received);
            Ok(None)
        };
        self.told_if_failed(asked.await)
    }

    fn told_if_failed<T>(&self, answer: Result<T, ClientError>) -> Result<T, ClientError> {
        if let Err(error) = &answer {
            self.watch.tell(|observer| observer.failed(error));
        }
        answer
    }

    fn late(&self, limit: Duration) -> ClientError {
        ClientError::Late { address: self.address.to_string(), limit }
    }

    fn broken(&self, source: hyper::Error) -> ClientError {
        ClientError::Http { address: self.address.to_string(), source }
    }

    async fn connected(&self) -> Result<TlsStream<TcpStream>, ClientError> {
        let connecting = tokio::time::timeout(self.limits.connect, self.connect());
        let stream = connecting.await.map_err(|_| self.late(self.limits.connect))??;
        let protocol = stream.get_ref().1.protocol_version();
        let protocol = protocol.and_then(|version| version.as_str()).unwrap_or("TLS");
        self.watch.tell(|observer| observer.connected(protocol));
        Ok(stream)
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, ClientError> {
        let connect = |source| ClientError::Connect { address: self.address.to_string(), source };
        // Addresses with another kind of name do not parse.
        let name =
            self.address.server_name().ok_or_else(|| connect(std::io::ErrorKind::InvalidInput.into()))?;
        let (config, verifier) = self.tls()?;
        let stream = TcpStream::connect((self.address.host(), self.address.port())).await.map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|source| {
            let address = self.address.to_string();
            match verifier.refusal() {
                Some(source) => ClientError::Untrusted { address, source },
                None => ClientError::Tls { address, source },
            }
        })
    }

    fn tls(&self) -> Result<(ClientConfig, Arc<Verifier>), ClientError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(Verifier::new(self.trust.clone(), Arc::clone(&provider)));
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ClientError::Configuration)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>);
        let mut config = match &self.identity {
            // Not with_client_auth_cert, which refuses certificates that webpki cannot read.
            Some(identity) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified_key())))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok((config, verifier))
    }

    async fn exchange(
        &self,
        stream: TlsStream<TcpStream>,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(Parts, Incoming), ClientError> {
        let failed = |source| self.broken(source);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json") // C-12
            // Wiped when it was sent: it may hold secrets.
            .body(Full::new(Bytes::from_owner(Zeroizing::new(body))))
            .map_err(ClientError::Request)?;
        let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // Ends when `requests` and the answer are dropped; its failures show in the request.
        tokio::spawn(connection);
        let answer = requests.send_request(request).await.map_err(failed)?;
        Ok(answer.into_parts())
    }

    async fn whole(&self, head: &Parts, body: Incoming) -> Result<RawAnswer, ClientError> {
        let body = self.collect(body).await?;
        self.tell_answered(head, body.len());
        Ok(RawAnswer { code: head.status, body })
    }

    fn tell_answered(&self, head: &Parts, body_bytes: usize) {
        let request_id = head.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        self.watch.tell(|observer| observer.answered(head.status, body_bytes, request_id));
    }

    async fn collect(&self, mut body: Incoming) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let limit = self.limits.answer_bytes;
        let too_large = || ClientError::TooLarge { limit };
        let announced = body.size_hint().lower();
        if announced > limit as u64 {
            return Err(too_large());
        }
        let mut bytes = Zeroizing::new(Vec::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|source| self.broken(source))?.into_data() else { continue };
            if data.len() > limit.saturating_sub(bytes.len()) {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    }
}
