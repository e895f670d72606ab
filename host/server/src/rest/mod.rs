//! The client API over HTTP (rest-api.md): routes, and what all endpoints share.
//!
//! A path that is not in [`routes`], or is asked with another method, is answered 405 (R-13, R-20..R-22): clients
//! detect old servers by it.

mod audit;
mod backup;
mod body;
mod counter;
mod decisions;
mod findings;
mod guards;
mod log;
mod long_answers;
mod manifest;
mod openapi;
mod pending;
mod policies;
pub(crate) mod query;
mod quote;
mod recover;
pub(crate) mod routes;
pub(crate) mod secret_upload;
mod secrets;
mod sign_quote;
mod status;
mod update;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use carrara_core::Coordinator;
use futures_util::{FutureExt as _, Stream, TryStreamExt as _};
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use tokio::sync::Semaphore;
use tower::Service as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::{Filter, Rejection};

use self::long_answers::LongAnswers;
use crate::edge::{self, App, Mishap};
use crate::json;
use crate::limits::{BACKUPS, COMPONENT_READERS, COMPONENT_READINGS, LOG_READERS, LOG_READINGS, Limits};
use crate::peer::Peer;
use crate::problem::{Envelope, Failure, problem};
use crate::uploads::Uploads;

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
    /// Bodies that are being read.
    uploads: Uploads,
    answers: LongAnswers,
    manifest: manifest::Written,
    /// Long readings of the update log at once.
    log_readings: Semaphore,
    /// Those, and who waits for one.
    log_readers: Semaphore,
    /// Components of policies being read.
    component_readings: Semaphore,
    /// Those, and who waits for one.
    component_readers: Semaphore,
    /// Backups being made or sent.
    backups: Arc<Semaphore>,
    limits: Limits,
}

/// A request on its way to an endpoint.
pub(crate) struct Call {
    pub(crate) api: Arc<Api>,
    pub(crate) version: Version,
    pub(crate) peer: Peer,
    /// What stands at the path's parameter, as sent; empty where it has none.
    pub(crate) parameter: String,
    /// As sent, without the question mark.
    pub(crate) query: String,
    /// Of version 1's recover alone.
    recovery_signature: Option<HeaderValue>,
    body: BodyStream,
}

/// In version 1's recover: the signature of R-42, in base64.
const RECOVERY_SIGNATURE: &str = "recovery-signature";

type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

type Endpoint = BoxedFilter<(Response,)>;

/// The clients' port.
pub(crate) fn app(coordinator: Arc<Coordinator>, limits: &Limits) -> App {
    let uploads = Uploads::new(limits);
    let answers = LongAnswers::within(limits.answers_bytes);
    let (log_readings, log_readers) = (Semaphore::new(LOG_READINGS), Semaphore::new(LOG_READERS));
    let (component_readings, component_readers) =
        (Semaphore::new(COMPONENT_READINGS), Semaphore::new(COMPONENT_READERS));
    let backups = Arc::new(Semaphore::new(BACKUPS));
    let limits = limits.clone();
    let manifest = manifest::Written::default();
    serve(Arc::new(Api {
        coordinator,
        uploads,
        answers,
        manifest,
        log_readings,
        log_readers,
        component_readings,
        component_readers,
        backups,
        limits,
    }))
}

fn serve(api: Arc<Api>) -> App {
    let service = warp::service(filter(&api));
    let answer = move |request: edge::Question| -> edge::Pending {
        let (mut service, api) = (service.clone(), Arc::clone(&api));
        Box::pin(async move {
            // CONNECT names no path, which warp does not expect.
            if request.uri().path_and_query().is_none() {
                return edge::answer(refusal(Version::V2, &Failure::NotAllowed));
            }
            let read = request.method() == Method::GET;
            let peer = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
            match service.call(request).await {
                Ok(response) if read => match api.answers.count(peer, response) {
                    Ok(answer) => answer,
                    Err(failure) => edge::answer(refusal(Version::V2, &failure)),
                },
                Ok(response) => edge::answer(response),
                Err(never) => match never {},
            }
        })
    };
    App { answer: Arc::new(answer), route: routes::label, mishap }
}

/// The one filter: warp takes the request apart, [`routes::find`] says who answers. Its cost does not grow with the number of
/// endpoints. warp's own path filters would also take `/manifest/`.
fn filter(api: &Arc<Api>) -> Endpoint {
    let api = Arc::clone(api);
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let body = warp::body::stream().map(parts);
    let none = warp::any().map(|| None);
    let signature = warp::header::value(RECOVERY_SIGNATURE).map(Some).or(none).unify();
    warp::method()
        .and(warp::path::full())
        .and(warp::ext::get::<Peer>())
        .and(query)
        .and(signature)
        .and(body)
        .then(move |method: Method, path: FullPath, peer, query, recovery_signature, body| {
            let api = Arc::clone(&api);
            async move {
                match routes::find(&method, path.as_str()) {
                    Some((route, parameter)) => {
                        let (version, parameter) = (route.version, parameter.to_owned());
                        let mut call =
                            Call { api, version, peer, parameter, query, recovery_signature, body };
                        let answer = (route.answer)(&mut call).await;
                        if !answer.as_ref().is_err_and(Failure::is_of_the_body) {
                            read_out(&call.api, &call.peer, &mut call.body).await;
                        }
                        answer.unwrap_or_else(|failure| refusal(version, &failure))
                    }
                    None => unmatched(&api, &peer, body).await,
                }
            }
        })
        .recover(|_: Rejection| async { Ok::<_, Infallible>(refusal(Version::V2, &Failure::NotAllowed)) })
        .unify()
        .boxed()
}

/// What no endpoint takes.
async fn unmatched(api: &Api, peer: &Peer, mut body: BodyStream) -> Response {
    read_out(api, peer, &mut body).await;
    refusal(Version::V2, &Failure::NotAllowed)
}

/// What the answer did not need is read all the same: over HTTP/2 an answer that comes before the body's end resets the
/// stream, and some clients never look at it.
async fn read_out(api: &Api, peer: &Peer, body: &mut BodyStream) {
    // Most requests have no body, or what there is of it has come along.
    if body::discard(body).now_or_never().is_some() {
        return;
    }
    // Slow, long or one too many: the answer is the same, whether the client reads it or not.
    if let Ok(upload) = api.uploads.begin(peer.address.ip()) {
        let _ = api.uploads.read(&upload, body::discard(body)).await;
    }
}

fn mishap(mishap: Mishap) -> edge::Answer {
    edge::answer(refusal(Version::V2, &Failure::Mishap(mishap)))
}

fn refusal(version: Version, failure: &Failure) -> Response {
    let problem = problem(version, failure);
    if let Some(cause) = &problem.cause {
        edge::note_cause(cause.clone());
    }
    let mut response = problem.into_response();
    if let Some(reason) = failure.refused() {
        response.extensions_mut().insert(reason);
    }
    response
}

fn parts(body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send + 'static) -> BodyStream {
    Box::pin(body.map_ok(|mut part| part.copy_to_bytes(part.remaining())))
}

impl Call {
    /// 401 comes before the body, the query and the state are looked at.
    pub(crate) fn authenticate(&self) -> Result<(), Failure> {
        self.api.coordinator.authenticate(self.peer.der()).map_err(Failure::Unauthorized)
    }
}

///
pub(crate) fn success(data: impl Serialize) -> Result<Response, Failure> {
    enveloped(data).map(json_response)
}

fn enveloped(data: impl Serialize) -> Result<Bytes, Failure> {
    let envelope = Envelope { status: "success", data, message: "" };
    json::to_vec(&envelope, 256).map(Bytes::from).map_err(|_| Failure::Encoding)
}

pub(crate) fn json_response(body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod feature_tests;
#[cfg(test)]
mod recover_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod update_tests;
#[cfg(test)]
mod upload_tests;
