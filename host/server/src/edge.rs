//! What happens to every request, whatever it asks for: an id, limits, one event in the log.
//!
//! A request runs in a task of its own. A client that goes away or a time limit that passes ends the waiting, never the
//! work: a use case is not cut off between its commit and what follows it. A panic is caught at the task's end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span, error, error_span, info};
use uuid::Uuid;

use crate::limits::Limits;
use crate::peer::Peer;

/// In every answer and every log line of the request; never taken from the caller, who could forge log lines with it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer's body.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A request on its way to an app.
pub(crate) type Question = Request<BoxBody<Bytes, BodyError>>;

/// A body broke off.
#[derive(Debug, thiserror::Error)]
#[error("reading or writing a body: {0}")]
pub(crate) struct BodyError(String);

/// An answer.
pub(crate) type Answer = Response<Body>;

/// An answer to come.
pub(crate) type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Why a request got no answer of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// The use case panicked.
    Panic,
    /// The time limit passed.
    Timeout,
    /// Too many requests are being answered.
    Overload,
}

impl Mishap {
    /// For the caller.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Panic => "internal error; see the coordinator's log",
            Self::Timeout => "the request took too long; it may still take effect",
            Self::Overload => "the coordinator is overloaded; try again",
        }
    }
}

/// A protocol: how requests are answered.
#[derive(Clone)]
pub(crate) struct App {
    /// Answers a request.
    pub(crate) answer: Arc<dyn Fn(Question) -> Pending + Send + Sync>,
    /// A path's name in the log: one of a fixed list, since callers choose paths.
    pub(crate) route: fn(&str) -> &'static str,
    /// What a mishap looks like in this protocol.
    pub(crate) mishap: fn(Mishap) -> Answer,
}

/// An [`App`] with its limits.
pub(crate) struct Edge {
    app: App,
    requests: Arc<Semaphore>,
    limit: Duration,
}

tokio::task_local! {
    static CAUSE: Arc<Mutex<Option<String>>>;
}

/// Any body as an answer's.
pub(crate) fn answer<B>(response: Response<B>) -> Answer
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    response.map(|body| body.map_err(|error| BodyError(error.to_string())).boxed_unsync())
}

/// Notes why a request failed, for the log only. Must hold no secret.
pub(crate) fn note_cause(cause: String) {
    // Outside a request (in a unit test) there is no log event to put it in.
    let _ = CAUSE.try_with(|slot| *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause));
}

impl Edge {
    /// Puts an app behind the limits.
    pub(crate) fn new(app: App, limits: &Limits) -> Self {
        Self { app, requests: Arc::new(Semaphore::new(limits.requests)), limit: limits.request }
    }

    /// Answers one request.
    pub(crate) async fn serve(&self, peer: Peer, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let mut request = request.map(|body| body.map_err(|error| BodyError(error.to_string())).boxed());
        let started = Instant::now();
        let id = Uuid::new_v4().to_string();
        let route = (self.app.route)(request.uri().path());
        let method = method_name(request.method());
        let head = request.method() == http::Method::HEAD;
        let span = error_span!("request", request_id = id, method, route, peer = %peer.address);
        request.extensions_mut().insert(peer);
        let cause = Arc::new(Mutex::new(None));
        let outcome = self.run(request, &span, Arc::clone(&cause)).await;
        let mut answer = outcome.unwrap_or_else(|mishap| {
            cause.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(format!("{mishap:?}"));
            (self.app.mishap)(mishap)
        });
        if head {
            // RFC 9110, section 9.3.2; on HTTP/2 nothing below takes the body away.
            *answer.body_mut() = Empty::new().map_err(|never| match never {}).boxed_unsync();
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            answer.headers_mut().insert(REQUEST_ID, id);
        }
        let cause = cause.lock().unwrap_or_else(PoisonError::into_inner).take();
        span.in_scope(|| log(&answer, started.elapsed(), cause.as_deref()));
        Ok(answer)
    }

    async fn run(
        &self,
        request: Question,
        span: &Span,
        cause: Arc<Mutex<Option<String>>>,
    ) -> Result<Answer, Mishap> {
        let permit = Arc::clone(&self.requests).try_acquire_owned().map_err(|_| Mishap::Overload)?;
        let app = self.app.clone();
        let work = async move {
            let _permit = permit;
            (app.answer)(request).await
        };
        let task = tokio::spawn(CAUSE.scope(cause, work).instrument(span.clone()));
        match tokio::time::timeout(self.limit, task).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Mishap::Panic),
            Err(_) => Err(Mishap::Timeout),
        }
    }
}

fn log(answer: &Answer, duration: Duration, cause: Option<&str>) {
    let status = answer.status().as_u16();
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let grpc_status = answer.headers().get("grpc-status").and_then(|code| code.to_str().ok());
    match cause {
        Some(cause) => error!(status, grpc_status, duration_ms, cause, "request failed"),
        None => info!(status, grpc_status, duration_ms, "request"),
    }
}

/// Methods are the caller's text too.
fn method_name(method: &http::Method) -> &'static str {
    match *method {
        http::Method::GET => "GET",
        http::Method::POST => "POST",
        http::Method::HEAD => "HEAD",
        http::Method::PUT => "PUT",
        http::Method::DELETE => "DELETE",
        http::Method::OPTIONS => "OPTIONS",
        http::Method::PATCH => "PATCH",
        _ => "other",
    }
}
