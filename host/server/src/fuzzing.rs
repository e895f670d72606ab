//! What takes bytes from strangers in this crate, for the fuzz targets; in no other build.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use carrara_core::Coordinator;
use carrara_core::outcome::SecretUpload;
use carrara_core::ports::Clock;
use http::HeaderValue;
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use rustls::pki_types::CertificateDer;

use crate::edge::{Answer, Edge, Mishap};
use crate::grpc::{self, rpc};
use crate::json::body::Fields;
use crate::limits::Limits;
use crate::metrics::{Build, Metrics};
use crate::peer::Peer;
use crate::rest::{self, query, secret_upload};

/// A coordinator's two ports without TLS.
pub struct Ports {
    rest: Edge,
    mesh: Edge,
}

/// A request as a client could send it.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Names and values of headers.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// DER.
    pub certificate: Option<&'a [u8]>,
    /// As sent.
    pub body: &'a [u8],
}

impl Ports {
    /// The ports of this coordinator; `None` if the metrics cannot be made.
    #[must_use]
    pub fn of(coordinator: &Arc<Coordinator>, clock: Arc<dyn Clock>) -> Option<Self> {
        let limits = Limits::default();
        let metrics = Metrics::new(Build { version: "0", commit: "0" }, clock).ok()?;
        let rest = Edge::new(rest::app(Arc::clone(coordinator), &limits), &limits);
        let mesh = grpc::app(Arc::clone(coordinator), Arc::clone(&metrics.marbles), &Limits::default());
        Some(Self { rest, mesh: Edge::new(mesh, &limits) })
    }

    /// Status and body; `None` for what no HTTP library would pass on.
    pub async fn rest(&self, request: &Request<'_>) -> Option<(u16, Vec<u8>)> {
        let mut asked = http::Request::builder().method(request.method).uri(request.target);
        for (name, value) in request.headers {
            asked = asked.header(*name, HeaderValue::from_bytes(value).ok()?);
        }
        let asked = asked.body(Full::new(Bytes::copy_from_slice(request.body))).ok()?;
        let Ok(answer) = self.rest.serve(peer(request.certificate), asked).await;
        Some(read(answer).await)
    }

    /// The gRPC code and message of an activation with these bytes in the request's body.
    pub async fn activate(&self, certificate: Option<&[u8]>, body: &[u8]) -> (i32, String) {
        let asked = http::Request::post(grpc::ACTIVATE).header("content-type", "application/grpc");
        let Ok(asked) = asked.body(Full::new(Bytes::copy_from_slice(body))) else {
            return (-1, String::new());
        };
        let Ok(answer) = self.mesh.serve(peer(certificate), asked).await;
        let code = grpc::code_of(Some(&answer)) as i32;
        let message = answer.headers().get("grpc-message").and_then(|text| text.to_str().ok());
        let message = message.unwrap_or_default().to_owned();
        drop(read(answer).await);
        (code, message)
    }
}

fn peer(certificate: Option<&[u8]>) -> Peer {
    let certificate = certificate.map(|der| CertificateDer::from(der.to_vec()));
    Peer { address: SocketAddr::from(([127, 0, 0, 1], 1)), certificate }
}

async fn read(answer: Answer) -> (u16, Vec<u8>) {
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.map(|body| body.to_bytes().to_vec());
    (status, body.unwrap_or_default())
}

/// What an answer says where a use case panicked.
#[must_use]
pub fn panic_message() -> &'static str {
    Mishap::Panic.message()
}

/// A message of the Marble API, read and written again.
#[must_use]
pub fn activation_request(bytes: &[u8]) -> Option<Vec<u8>> {
    rpc::ActivationReq::decode(bytes).ok().map(|message| message.encode_to_vec())
}

/// What a body says that is an object of byte fields: names, and bytes where they can be read.
#[must_use]
pub fn json_members(body: &[u8]) -> Option<BTreeMap<String, Option<Vec<u8>>>> {
    let member = |(name, value): (std::borrow::Cow<'_, str>, crate::json::body::Value<'_>)| {
        (name.into_owned(), value.bytes().map(|bytes| bytes.to_vec()))
    };
    Fields::read(body).ok()?.members().map(|read| read.map(member)).collect::<Result<_, _>>().ok()
}

/// The names of a body with secrets in version 1's or version 2's form, or the public refusal.
///
/// # Errors
/// The text that the client reads.
pub fn secret_uploads(version_1: bool, body: &[u8]) -> Result<Vec<SecretUpload>, String> {
    let version = if version_1 { rest::Version::V1 } else { rest::Version::V2 };
    secret_upload::uploads(version, body).map_err(|error| error.to_string())
}

/// All values of a parameter in a query string, and the number that it is.
#[must_use]
pub fn query_values(text: &str, name: &str) -> (Vec<String>, Option<u64>) {
    (query::values(text, name), query::number(text, name).ok().flatten())
}
