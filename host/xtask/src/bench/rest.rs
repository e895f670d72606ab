//! Clients of the REST port: HTTP/1.1 over TLS, one request after the other.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;

use super::load::Client;
use super::tls::Connector;

/// Where the state is asked for.
pub(crate) const STATUS: &str = "/api/v2/status";

/// Where a manifest is set: the form that takes it as it is.
pub(crate) const MANIFEST: &str = "/manifest";

/// Where secrets are written.
pub(crate) const SECRETS: &str = "/api/v2/secrets";

/// Where Marbles advance their counters.
pub(crate) const COUNTER: &str = "/api/v2/monotonic-counter";

/// The update log.
pub(crate) const UPDATE: &str = "/api/v2/update";

/// Its signed head.
pub(crate) const HEAD: &str = "/api/v2/update/head";

/// The ALPN name of HTTP/1.1.
pub(crate) const PROTOCOL: &str = "http/1.1";

/// An open connection.
pub(crate) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    host: String,
}

impl Connection {
    /// A new one.
    pub(crate) async fn open(connector: &Connector) -> anyhow::Result<Self> {
        let stream = connector.connect().await?;
        let (requests, connection) =
            http1::handshake(TokioIo::new(stream)).await.context("HTTP/1.1 handshake")?;
        // Ends with `requests`; its failures show in the request.
        tokio::spawn(connection);
        Ok(Self { requests, host: connector.address().to_string() })
    }

    /// The body of an answer 200; anything else is an error with the server's text.
    pub(crate) async fn send(&mut self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let (code, body) = self.exchange(method, path, body).await?;
        ensure!(code == StatusCode::OK, "{path} was answered {code}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    /// An answer of whatever status; an error if there is none.
    pub(crate) async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .body(Full::new(body))
            .context("making the request")?;
        self.requests.ready().await.context("the connection was closed")?;
        let answer = self.requests.send_request(request).await.context("sending the request")?;
        let code = answer.status();
        let body = answer.into_body().collect().await.context("reading the answer")?.to_bytes();
        Ok((code, body))
    }
}

/// Gets a path over one connection, again and again.
pub(crate) struct KeptConnection {
    connection: Connection,
    path: String,
}

impl KeptConnection {
    /// As many as asked for, each with a connection of its own.
    pub(crate) async fn open(connector: &Connector, path: &str, clients: usize) -> anyhow::Result<Vec<Self>> {
        let mut opened = Vec::new();
        for _ in 0..clients {
            let connection = Connection::open(connector).await?;
            opened.push(Self { connection, path: path.to_owned() });
        }
        Ok(opened)
    }
}

impl Client for KeptConnection {
    async fn operate(&mut self) -> anyhow::Result<()> {
        self.connection.send(Method::GET, &self.path, Bytes::new()).await.map(drop)
    }
}

/// Gets a path over a new connection each time.
#[derive(Clone)]
pub(crate) struct NewConnections {
    /// Opens them.
    pub(crate) connector: Connector,
    /// What is got.
    pub(crate) path: &'static str,
}

impl Client for NewConnections {
    async fn operate(&mut self) -> anyhow::Result<()> {
        let mut connection = Connection::open(&self.connector).await?;
        connection.send(Method::GET, self.path, Bytes::new()).await.map(drop)
    }
}
