//! One bounded request.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls::PccsTrust;
use super::url::PccsUrl;
use crate::collateral::facts::Malformed;

/// TCP and TLS handshakes.
const CONNECT: Duration = Duration::from_secs(10);

/// From the request to the end of the answer. A PCCS that has to ask Intel first takes some seconds.
const ANSWER: Duration = Duration::from_secs(25);

/// TCB information has 20 kB and the longest revocation list 10 kB.
pub(super) const ANSWER_BYTES: usize = 1 << 20;

/// Chains stand in headers: 4 kB.
const HEADER_BYTES: usize = 64 << 10;

/// Why a PCCS gave no collateral.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PccsError {
    /// Nobody there, or not in time.
    #[error("connecting: {0}")]
    Connect(String),
    /// Nobody who is trusted.
    #[error("its certificate is not trusted, or TLS failed: {0}")]
    Tls(String),
    /// The connection broke, or what came is not HTTP.
    #[error("the connection failed: {0}")]
    Http(String),
    /// It knows nothing of this platform.
    #[error("it has no collateral for this platform ({status} for {path})")]
    Unknown {
        /// 404, or Intel's 461 and 462.
        status: u16,
        /// What was asked.
        path: String,
    },
    /// It does not want to, or cannot.
    #[error("it answered with {status} to {path}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What was asked.
        path: String,
    },
    /// No collateral is that large.
    #[error("its answer to {path} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked.
        path: String,
        /// What would have been accepted.
        limit: usize,
    },
    /// What came is no collateral.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// How a PCCS is asked.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) url: PccsUrl,
    pub(super) trust: PccsTrust,
    pub(super) answer_bytes: usize,
    pub(super) times: Times,
}

/// How long a PCCS is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) connect: Duration,
    pub(super) answer: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { connect: CONNECT, answer: ANSWER }
    }
}

impl Asking {
    /// Asks for a path below the configured one.
    pub(super) async fn get(&self, path: &str) -> Result<(HeaderMap, Bytes), PccsError> {
        let Times { connect, answer } = self.times;
        let stream = tokio::time::timeout(connect, self.connect()).await;
        let late = |_| PccsError::Connect(format!("nobody answered within {connect:?}"));
        let stream = stream.map_err(late)??;
        let (mut requests, connection) = http1::Builder::new()
            .max_buf_size(HEADER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let exchange = self.exchange(&mut requests, path);
        // Driven here and not by a task of its own, so that it ends when nobody waits for the answer any more.
        let mut connection = std::pin::pin!(connection);
        let mut exchange = std::pin::pin!(exchange);
        let answered = async {
            tokio::select! {
                biased;
                answer = &mut exchange => answer,
                // It ends first where the whole answer has come, and where it breaks: either way the exchange knows.
                _ = &mut connection => exchange.await,
            }
        };
        let late = |_| PccsError::Http(format!("there was no answer within {answer:?}"));
        tokio::time::timeout(answer, answered).await.map_err(late)?
    }

    async fn exchange(
        &self,
        requests: &mut http1::SendRequest<Empty<Bytes>>,
        path: &str,
    ) -> Result<(HeaderMap, Bytes), PccsError> {
        let request = Request::get(format!("{}{path}", self.url.path()))
            .header(header::HOST, self.url.authority())
            .header(header::CONNECTION, "close")
            .header(header::USER_AGENT, concat!("carrara/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| PccsError::Http(error.to_string()))?;
        let (head, body) = requests.send_request(request).await.map_err(|error| broken(&error))?.into_parts();
        refuse(head.status, path)?;
        let limit = self.answer_bytes;
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            match error.downcast::<LengthLimitError>() {
                Ok(_) => PccsError::TooLarge { path: path.to_owned(), limit },
                Err(error) => PccsError::Http(error.to_string()),
            }
        })?;
        Ok((head.headers, body.to_bytes()))
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, PccsError> {
        let connect = |error: std::io::Error| PccsError::Connect(error.to_string());
        let stream = TcpStream::connect((self.url.host(), self.url.port())).await.map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        if !self.url.is_tls() {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(self.url.host().to_owned())
            .map_err(|error| PccsError::Tls(error.to_string()))?;
        let stream = TlsConnector::from(self.trust.config()).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| PccsError::Tls(error.to_string()))?))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

fn refuse(status: StatusCode, path: &str) -> Result<(), PccsError> {
    let path = path.to_owned();
    match status.as_u16() {
        200 => Ok(()),
        status @ (404 | 461 | 462) => Err(PccsError::Unknown { status, path }),
        status => Err(PccsError::Status { status, path }),
    }
}

fn broken(error: &hyper::Error) -> PccsError {
    let cause = std::error::Error::source(error);
    PccsError::Http(cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")))
}
