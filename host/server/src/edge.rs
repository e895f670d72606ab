//! What happens to every request, whatever it asks for: an id, limits, one event in the log.
//!
//! A client that goes away or a time limit that passes ends the waiting, never the work: a use case is not cut off
//! between its commit and what follows it. Most requests have their answer at the first poll; whatever has to wait goes
//! on in a task of its own. A panic is caught and answered.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt as _, Empty};
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span, error, error_span, info};
use uuid::Uuid;

use crate::grpc;
use crate::limits::Limits;
use crate::metrics::{Clients, Lasting, Marbles, Pressure, Refused};
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

/// Where requests are counted.
#[derive(Clone, Default)]
pub(crate) enum Meter {
    /// Nowhere.
    #[default]
    Off,
    /// As requests of the client API.
    Clients(Arc<Clients>),
    /// As calls of the Marbles' API.
    Marbles(Arc<Marbles>),
}

/// An [`App`] with its limits.
pub(crate) struct Edge {
    app: App,
    meter: Meter,
    pressure: Option<Arc<Pressure>>,
    requests: Arc<Semaphore>,
    limit: Duration,
}

/// What the log is going to say of a request beside its answer.
#[derive(Default)]
struct Record {
    cause: Option<String>,
    /// The request's event is in the log already: its client went away, or the time limit passed.
    written: bool,
}

type SharedRecord = Arc<Mutex<Record>>;

tokio::task_local! {
    static RECORD: SharedRecord;
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
    let _ = RECORD.try_with(|record| {
        let mut record = open(record);
        if record.written {
            error!(cause, "request failed, with nobody waiting for its answer");
        } else {
            record.cause = Some(cause);
        }
    });
}

fn open(record: &SharedRecord) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Edge {
    /// Puts an app behind the limits.
    pub(crate) fn new(app: App, limits: &Limits) -> Self {
        Self {
            app,
            meter: Meter::Off,
            pressure: None,
            requests: Arc::new(Semaphore::new(limits.requests)),
            limit: limits.request,
        }
    }

    /// Counts what its limits refuse.
    pub(crate) fn under(self, pressure: Arc<Pressure>) -> Self {
        Self { pressure: Some(pressure), ..self }
    }

    /// Counts its requests.
    pub(crate) fn counted_by(self, meter: Meter) -> Self {
        Self { meter, ..self }
    }

    /// Answers one request.
    pub(crate) async fn serve<B>(&self, peer: Peer, request: Request<B>) -> Result<Answer, Infallible>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: std::fmt::Display,
    {
        let mut request = request.map(|body| body.map_err(|error| BodyError(error.to_string())).boxed());
        let id = Uuid::new_v4().to_string();
        let route = (self.app.route)(request.uri().path());
        let method = method_name(request.method());
        let head = request.method() == http::Method::HEAD;
        let span = error_span!("request", request_id = id, method, route, peer = %peer.address);
        request.extensions_mut().insert(peer);
        let counted = Counted {
            _in_flight: self.meter.asked(route, &request),
            meter: self.meter.clone(),
            route,
            method,
        };
        let event = Event { span, started: Instant::now(), record: SharedRecord::default(), counted };
        let (mut answer, refused) = match self.run(request, &event).await {
            Ok(answer) => {
                let refused = answer.extensions().get().copied();
                (answer, refused)
            }
            Err(mishap) => {
                open(&event.record).cause.get_or_insert(format!("{mishap:?}"));
                ((self.app.mishap)(mishap), Refused::of(mishap))
            }
        };
        if let (Some(pressure), Some(reason)) = (&self.pressure, refused) {
            pressure.refused(reason);
        }
        if head {
            // RFC 9110, section 9.3.2; on HTTP/2 nothing below takes the body away.
            *answer.body_mut() = Empty::new().map_err(|never| match never {}).boxed_unsync();
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            answer.headers_mut().insert(REQUEST_ID, id);
        }
        event.answered(&answer);
        Ok(answer)
    }

    async fn run(&self, request: Question, event: &Event) -> Result<Answer, Mishap> {
        let permit = Arc::clone(&self.requests).try_acquire_owned().map_err(|_| Mishap::Overload)?;
        let app = self.app.clone();
        let work = async move {
            let _permit = permit;
            (app.answer)(request).await
        };
        let work = RECORD.scope(Arc::clone(&event.record), work).instrument(event.span.clone());
        // The answer's future is dropped after a panic, and nothing of it is looked at again.
        let mut work = AssertUnwindSafe(work).catch_unwind().boxed();
        let first = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        let done = match first {
            Poll::Ready(done) => done,
            Poll::Pending => match tokio::time::timeout(self.limit, tokio::spawn(work)).await {
                Ok(ended) => ended.unwrap_or_else(|ended| Err(Box::new(ended))),
                Err(_) => return Err(Mishap::Timeout),
            },
        };
        done.map_err(|_| Mishap::Panic)
    }
}

/// A request's one event in the log: written when it is answered, or dropped because its client went away.
struct Event {
    span: Span,
    started: Instant,
    record: SharedRecord,
    counted: Counted,
}

/// How a request is counted.
struct Counted {
    meter: Meter,
    _in_flight: Option<Lasting>,
    route: &'static str,
    method: &'static str,
}

impl Meter {
    fn asked(&self, route: &'static str, request: &Question) -> Option<Lasting> {
        match self {
            Self::Off => None,
            Self::Clients(clients) => clients.asked(route, request),
            Self::Marbles(marbles) => {
                if route == grpc::ACTIVATE {
                    marbles.started();
                }
                None
            }
        }
    }
}

impl Counted {
    /// `None`: nobody waits for the answer any more.
    fn ended(&self, answer: Option<&Answer>, took: Duration) {
        match &self.meter {
            Meter::Off => {}
            Meter::Clients(clients) => {
                let size = |answer: &Answer| hyper::body::Body::size_hint(answer.body()).lower();
                let answer = answer.map(|answer| (answer.status().as_u16(), size(answer)));
                clients.ended(self.route, self.method, answer, took);
            }
            Meter::Marbles(marbles) if self.route == grpc::ACTIVATE => marbles.handled(grpc::code_of(answer)),
            Meter::Marbles(_) => {}
        }
    }
}

impl Event {
    fn answered(&self, answer: &Answer) {
        let status = answer.status().as_u16();
        let grpc_status = answer.headers().get("grpc-status").and_then(|code| code.to_str().ok());
        self.counted.ended(Some(answer), self.started.elapsed());
        let duration_ms = self.duration_ms();
        let cause = self.close();
        self.span.in_scope(|| match cause {
            Some(cause) => error!(status, grpc_status, duration_ms, cause, "request failed"),
            None => info!(status, grpc_status, duration_ms, "request"),
        });
    }

    fn duration_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes the cause; a later one is logged when it comes.
    fn close(&self) -> Option<String> {
        let mut record = open(&self.record);
        record.written = true;
        record.cause.take()
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if open(&self.record).written {
            return;
        }
        self.counted.ended(None, self.started.elapsed());
        let (cause, duration_ms) = (self.close(), self.duration_ms());
        self.span.in_scope(|| info!(duration_ms, cause, "request abandoned by its client"));
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

#[cfg(test)]
mod tests;
