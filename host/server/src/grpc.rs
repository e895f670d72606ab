//! The Marble API over gRPC (marble-api.md). No reflection, no health service (G-2); an unknown method is UNIMPLEMENTED.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use carrara_core::Coordinator;
use carrara_core::error::{ActivateError, public_message};
use carrara_core::outcome::{Activation, ActivationRequest};
use carrara_core::ports::{FailureKind, PolicyFailure};
use carrara_types::secret::SecretBytes;
use http_body_util::{BodyExt as _, Full};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};
use tower::Service as _;
use tracing::info;

use crate::edge::{self, App, Mishap};
use crate::limits::{GRPC_MESSAGE_BYTES, Limits};
use crate::metrics::{Marbles, Refused};
use crate::peer::Peer;
use crate::places;
use crate::uploads::{Broken, Upload, Uploads};

#[allow(missing_docs, unreachable_pub, clippy::all)]
pub(crate) mod rpc {
    //! Compiled from marble.proto.
    tonic::include_proto!("rpc");
}

pub(crate) const ACTIVATE: &str = "/rpc.Marble/Activate";

/// The Marbles' port.
pub(crate) fn app(coordinator: Arc<Coordinator>, metrics: Arc<Marbles>, limits: &Limits) -> App {
    let marble = rpc::marble_server::MarbleServer::new(Marble { coordinator, metrics })
        .max_decoding_message_size(GRPC_MESSAGE_BYTES);
    let routes = Routes::new(marble).prepare();
    let uploads = Arc::new(Uploads::new(limits));
    let answer = move |request: edge::Question| -> edge::Pending {
        let (mut routes, uploads) = (routes.clone(), Arc::clone(&uploads));
        Box::pin(async move {
            let (request, _upload) = match whole(&uploads, request).await {
                Ok(whole) => whole,
                Err(refused) => return refusal(refused),
            };
            match routes.call(request).await {
                Ok(response) => edge::answer(as_go(response)),
                Err(never) => match never {},
            }
        })
    };
    App { answer: Arc::new(answer), route, mishap }
}

/// The request with its whole body, and what that counts while it is answered. What comes late is limited as on the other
/// port; no method here streams.
async fn whole(
    uploads: &Uploads,
    request: edge::Question,
) -> Result<(http::Request<Full<Bytes>>, Upload), Status> {
    let full = |_| Status::unavailable(Mishap::Overload.message());
    let peer = request
        .extensions()
        .get::<Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip());
    let upload = uploads.begin(peer).map_err(full)?;
    let (head, body) = request.into_parts();
    let read = uploads.read(&upload, collect(body, &upload)).await;
    let body = match read {
        Ok(body) => body?,
        Err(Broken::MadeRoom) => return Err(full(places::Full)),
        Err(Broken::Slow) => return Err(Status::deadline_exceeded("the request did not arrive in time")),
    };
    upload.is_read(body.len());
    Ok((http::Request::from_parts(head, Full::new(body)), upload))
}

fn refusal(status: Status) -> edge::Answer {
    let full = status.code() == Code::Unavailable;
    let mut answer = edge::answer(status.into_http::<tonic::body::Body>());
    if full {
        answer.extensions_mut().insert(Refused::Bodies);
    }
    answer
}

/// A frame's head: whether it is compressed, and its length.
const FRAME_HEAD_BYTES: usize = 5;

/// As much of a body as its one message may have; of a longer one tonic reads the length, and refuses it.
async fn collect(
    mut body: http_body_util::combinators::BoxBody<Bytes, edge::BodyError>,
    upload: &Upload,
) -> Result<Bytes, Status> {
    let mut parts = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Status::internal("the request could not be read"))?;
        let Ok(part) = frame.into_data() else { continue };
        upload
            .grows_to(parts.len() + part.len())
            .map_err(|_| Status::unavailable(Mishap::Overload.message()))?;
        parts.extend_from_slice(&part);
        if parts.len() > FRAME_HEAD_BYTES + GRPC_MESSAGE_BYTES {
            break;
        }
    }
    Ok(parts.freeze())
}

/// G-1: gRPC-Go calls a message that is too large RESOURCE_EXHAUSTED, tonic OUT_OF_RANGE, which none of our own answers
/// is.
fn as_go<B>(mut response: http::Response<B>) -> http::Response<B> {
    const STATUS: &str = "grpc-status";
    const OUT_OF_RANGE: &str = "11";
    const RESOURCE_EXHAUSTED: &str = "8";
    if response.headers().get(STATUS).is_some_and(|code| code == OUT_OF_RANGE) {
        response.headers_mut().insert(STATUS, http::HeaderValue::from_static(RESOURCE_EXHAUSTED));
    }
    response
}

/// The code of an answer; `None` is a client that went away.
pub(crate) fn code_of(answer: Option<&edge::Answer>) -> Code {
    let Some(answer) = answer else { return Code::Cancelled };
    // An answer with a message has its code in the trailers: it is one that succeeded.
    answer.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

fn route(path: &str) -> &'static str {
    if path == ACTIVATE { ACTIVATE } else { "unmatched" }
}

fn mishap(mishap: Mishap) -> edge::Answer {
    let code = match mishap {
        Mishap::Panic => Code::Internal,
        Mishap::Timeout => Code::DeadlineExceeded,
        Mishap::Overload => Code::Unavailable,
    };
    edge::answer(Status::new(code, mishap.message()).into_http::<tonic::body::Body>())
}

struct Marble {
    coordinator: Arc<Coordinator>,
    metrics: Arc<Marbles>,
}

#[tonic::async_trait]
impl rpc::marble_server::Marble for Marble {
    async fn activate(
        &self,
        request: Request<rpc::ActivationReq>,
    ) -> Result<Response<rpc::ActivationResp>, Status> {
        let peer = request.extensions().get::<Peer>().and_then(Peer::der).map(<[u8]>::to_vec);
        let message = request.into_inner();
        let question = ActivationRequest {
            quote: message.quote.to_vec(),
            csr: message.csr.to_vec(),
            marble_type: message.marble_type,
            uuid: message.uuid,
            peer_certificate: peer,
        };
        // Not in `question` afterwards; worth a line only if the coordinator accepts them.
        let (marble_type, uuid) = (question.marble_type.clone(), question.uuid.clone());
        let attempt = self.metrics.attempt(&self.coordinator, &marble_type, &uuid);
        let activation = self.coordinator.activate(question).await.map_err(|error| status(&error))?;
        attempt.succeeded();
        info!(marble_type, uuid, "Marble activated");
        Ok(Response::new(parameters(activation)))
    }
}

/// Maps an error to its code (G-20..G-29).
fn status(error: &ActivateError) -> Status {
    let being_compiled = |failure: &PolicyFailure| failure.kind == FailureKind::NotReady;
    let code = match error {
        // The launcher tries again, as after any overload.
        ActivateError::Admission(failure) | ActivateError::Rendering { failure, .. }
            if being_compiled(failure) =>
        {
            Code::Unavailable
        }
        ActivateError::WrongState => Code::FailedPrecondition,
        ActivateError::NoCertificate => Code::Unauthenticated,
        ActivateError::Verification(_) | ActivateError::Admission(_) => Code::PermissionDenied,
        ActivateError::InvalidUuid(_) => Code::InvalidArgument,
        ActivateError::Failed { .. } | ActivateError::Rendering { .. } | ActivateError::Store(_) => {
            Code::Internal
        }
        ActivateError::Busy => Code::Unavailable,
    };
    if let Some(cause) = error.internal() {
        edge::note_cause(cause);
    }
    Status::new(code, public_message(error))
}

fn parameters(activation: Activation) -> rpc::ActivationResp {
    let (files, env) = (borrow(activation.files), borrow(activation.env));
    rpc::ActivationResp { parameters: Some(rpc::Parameters { files, env, argv: activation.argv }) }
}

/// Lends secret bytes to the encoder; they are wiped when the message is dropped.
struct Lent(SecretBytes);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

fn borrow(values: BTreeMap<String, SecretBytes>) -> BTreeMap<String, Bytes> {
    values.into_iter().map(|(name, value)| (name, Bytes::from_owner(Lent(value)))).collect()
}

#[cfg(test)]
mod tests;
