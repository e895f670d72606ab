//! The client API over HTTP (rest-api.md): routes, and what all endpoints share.
//!
//! A path that is not in [`routes`], or is asked with another method, is answered 405 (R-13, R-20..R-22): clients
//! detect old servers by it. So are the endpoints that do not exist yet.

mod body;
mod manifest;
mod query;
mod quote;
mod secrets;
mod status;
mod update;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use carrara_core::Coordinator;
use futures_util::{Stream, TryStreamExt as _};
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use tokio::sync::Semaphore;
use tower::Service as _;
use warp::filters::BoxedFilter;
use warp::{Filter, Rejection};

use crate::edge::{self, App, Mishap};
use crate::json;
use crate::limits::{BODIES_BYTES, Limits, UPLOADS};
use crate::peer::Peer;
use crate::problem::{Envelope, Failure, problem};

pub(crate) type Response = warp::reply::Response;

/// The two generations of the API. They differ in names, envelopes and statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// What endpoints work with.
pub(crate) struct Api {
    pub(crate) coordinator: Arc<Coordinator>,
    /// Bytes of bodies that may be in memory, in KiB.
    bodies: Arc<Semaphore>,
    /// Bodies that may be read at once.
    uploads: Semaphore,
    body_read: Duration,
}

/// A request on its way to an endpoint.
pub(crate) struct Call {
    pub(crate) api: Arc<Api>,
    pub(crate) version: Version,
    pub(crate) peer: Peer,
    /// As sent, without the question mark.
    pub(crate) query: String,
    body: BodyStream,
}

type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

type Endpoint = BoxedFilter<(Response,)>;

/// The clients' port.
pub(crate) fn app(coordinator: Arc<Coordinator>, limits: &Limits) -> App {
    let bodies = Arc::new(Semaphore::new(BODIES_BYTES >> 10));
    let uploads = Semaphore::new(UPLOADS);
    let api = Api { coordinator, bodies, uploads, body_read: limits.body_read };
    let service = warp::service(routes(&Arc::new(api)));
    let answer = move |request: edge::Question| -> edge::Pending {
        let mut service = service.clone();
        Box::pin(async move {
            // CONNECT names no path, which warp does not expect.
            if request.uri().path_and_query().is_none() {
                return edge::answer(refusal(Version::V2, &Failure::NotAllowed));
            }
            match service.call(request).await {
                Ok(response) => edge::answer(response),
                Err(never) => match never {},
            }
        })
    };
    App { answer: Arc::new(answer), route: label, mishap }
}

/// Every endpoint that there is.
fn routes(api: &Arc<Api>) -> Endpoint {
    use Version::{V1, V2};
    let none = warp::any().and_then(|| async { Err::<Response, _>(warp::reject()) }).boxed();
    let endpoints = [
        endpoint(api, V1, Method::GET, "/status", status::get),
        endpoint(api, V2, Method::GET, "/api/v2/status", status::get),
        endpoint(api, V1, Method::GET, "/manifest", manifest::get),
        endpoint(api, V2, Method::GET, "/api/v2/manifest", manifest::get),
        endpoint(api, V1, Method::POST, "/manifest", manifest::set),
        endpoint(api, V2, Method::POST, "/api/v2/manifest", manifest::set),
        endpoint(api, V1, Method::GET, "/quote", quote::get),
        endpoint(api, V2, Method::GET, "/api/v2/quote", quote::get),
        endpoint(api, V1, Method::GET, "/secrets", secrets::get),
        endpoint(api, V2, Method::GET, "/api/v2/secrets", secrets::get),
        endpoint(api, V1, Method::GET, "/update", update::get),
        endpoint(api, V2, Method::GET, "/api/v2/update", update::get),
    ];
    endpoints
        .into_iter()
        .fold(none, |known, next| known.or(next).unify().boxed())
        .or(unmatched(api))
        .unify()
        .recover(|_: Rejection| async { Ok::<_, Infallible>(refusal(Version::V2, &Failure::NotAllowed)) })
        .unify()
        .boxed()
}

/// What no endpoint takes. Its body is read, so that the client gets to read the answer.
fn unmatched(api: &Arc<Api>) -> Endpoint {
    let api = Arc::clone(api);
    warp::body::stream()
        .map(parts)
        .then(move |mut body: BodyStream| {
            let api = Arc::clone(&api);
            async move {
                // Slow, long or one too many: the answer is the same, whether the client reads it or not.
                if let Ok(_upload) = api.uploads.try_acquire() {
                    let _ = tokio::time::timeout(api.body_read, body::discard(&mut body)).await;
                }
                refusal(Version::V2, &Failure::NotAllowed)
            }
        })
        .boxed()
}

/// The paths of [`routes`], as names in the log.
const PATHS: [&str; 10] = [
    "/status",
    "/api/v2/status",
    "/manifest",
    "/api/v2/manifest",
    "/quote",
    "/api/v2/quote",
    "/secrets",
    "/api/v2/secrets",
    "/update",
    "/api/v2/update",
];

fn label(path: &str) -> &'static str {
    PATHS.into_iter().find(|known| *known == path).unwrap_or("unmatched")
}

fn mishap(mishap: Mishap) -> edge::Answer {
    edge::answer(refusal(Version::V2, &Failure::Mishap(mishap)))
}

fn refusal(version: Version, failure: &Failure) -> Response {
    let problem = problem(version, failure);
    if let Some(cause) = &problem.cause {
        edge::note_cause(cause.clone());
    }
    problem.into_response()
}

/// A filter for one exact path and method. warp's own path filters would also take `/manifest/`.
fn endpoint<F, Answer>(
    api: &Arc<Api>,
    version: Version,
    method: Method,
    path: &'static str,
    answer: F,
) -> Endpoint
where
    F: Fn(Call) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = Result<Response, Failure>> + Send + 'static,
{
    let api = Arc::clone(api);
    let is_this = move |asked: Method, at: warp::path::FullPath| {
        let fits = asked == method && at.as_str() == path;
        async move { if fits { Ok(()) } else { Err(warp::reject()) } }
    };
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let body = warp::body::stream().map(parts);
    warp::method()
        .and(warp::path::full())
        .and_then(is_this)
        .untuple_one()
        .and(warp::ext::get::<Peer>())
        .and(query)
        .and(body)
        .then(move |peer, query, body| {
            let answer = answer(Call { api: Arc::clone(&api), version, peer, query, body });
            async move { answer.await.unwrap_or_else(|failure| refusal(version, &failure)) }
        })
        .boxed()
}

fn parts(body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send + 'static) -> BodyStream {
    Box::pin(body.map_ok(|mut part| part.copy_to_bytes(part.remaining())))
}

///
pub(crate) fn success(data: impl Serialize) -> Result<Response, Failure> {
    let envelope = Envelope { status: "success", data, message: "" };
    let body = json::to_vec(&envelope, 256).map_err(|_| Failure::Encoding)?;
    Ok(json_response(Bytes::from(body)))
}

pub(crate) fn json_response(body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests;
