//! The port for Prometheus: plain HTTP, two paths, no authentication. Nothing that it tells is secret; whoever must not
//! see it must not reach the port.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use carrara_core::Coordinator;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{IntCounter, IntGauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, warn};

use super::{Family, Lasting, Metrics};
use crate::limits::{
    ACCEPT_PAUSE, METRICS_AGE, METRICS_CONNECTIONS, METRICS_HEADER_BYTES, METRICS_HEADER_READ,
};

type Answer = Response<Full<Bytes>>;

/// Prometheus' text format.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The port's own counters, with the names that Go's library gives them.
pub(crate) struct Scrapes {
    in_flight: IntGauge,
    ok: IntCounter,
    failed: IntCounter,
}

impl Scrapes {
    pub(super) fn new(family: &Family<'_>) -> prometheus::Result<Self> {
        let help = "Scrapes by HTTP status code.";
        let total = family.counters("promhttp_metric_handler_requests_total", help, &["code"])?;
        let help = "Scrapes being served.";
        Ok(Self {
            in_flight: family.gauge("promhttp_metric_handler_requests_in_flight", help)?,
            ok: total.with_label_values(&["200"]),
            failed: total.with_label_values(&["500"]),
        })
    }
}

/// Answers until `stop`'s sender is dropped; then everything is cut, since a scrape is simply tried again.
pub(crate) async fn listen(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    coordinator: Arc<Coordinator>,
    mut stop: watch::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let mut oldest_first = VecDeque::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = next(&listener) => accepted,
            _ = stop.changed() => return,
        };
        let Some(stream) = accepted else { continue };
        make_room(&mut oldest_first);
        let (metrics, coordinator) = (Arc::clone(&metrics), Arc::clone(&coordinator));
        let asked = Arc::new(AtomicBool::new(false));
        let serving = serve(stream, metrics, coordinator, Arc::clone(&asked));
        oldest_first.push_back(Connection { task: connections.spawn(serving), asked });
    }
}

/// A connection that is being served.
struct Connection {
    task: AbortHandle,
    /// Whether it has sent a request.
    asked: Arc<AtomicBool>,
}

/// Forgets the connections that have ended. If there is no place then, it closes the oldest of those that have asked for
/// nothing yet, or else the oldest.
fn make_room(oldest_first: &mut VecDeque<Connection>) {
    oldest_first.retain(|connection| !connection.task.is_finished());
    if oldest_first.len() < METRICS_CONNECTIONS {
        return;
    }
    let silent = oldest_first.iter().position(|connection| !connection.asked.load(Ordering::Relaxed));
    if let Some(closed) = oldest_first.remove(silent.unwrap_or(0)) {
        debug!(limit = METRICS_CONNECTIONS, "a connection to the metrics port made room for another one");
        closed.task.abort();
    }
}

async fn next(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            warn!(%error, "accepting a connection to the metrics port");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn serve(
    stream: TcpStream,
    metrics: Arc<Metrics>,
    coordinator: Arc<Coordinator>,
    asked: Arc<AtomicBool>,
) {
    let service = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        let answer = answer(&request, &metrics, &coordinator);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(METRICS_HEADER_READ)
        .max_buf_size(METRICS_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // The limit also ends a peer that reads its answer slowly.
    match timeout(METRICS_AGE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection to the metrics port failed"),
        Err(_) => {
            debug!(limit_s = Duration::as_secs(&METRICS_AGE), "a connection to the metrics port was cut")
        }
    }
}

/// Bodies are not looked at.
fn answer<B>(request: &Request<B>, metrics: &Metrics, coordinator: &Coordinator) -> Answer {
    let read = request.method() == Method::GET || request.method() == Method::HEAD;
    match request.uri().path() {
        "/metrics" | "/events" if !read => {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            answer
        }
        "/metrics" => scrape(metrics, coordinator),
        "/events" => match metrics.marbles.events.json() {
            Ok(json) => with_type(StatusCode::OK, json, JSON),
            Err(error) => failed(&error),
        },
        _ => plain(StatusCode::NOT_FOUND, "not found; there are /metrics and /events\n"),
    }
}

fn scrape(metrics: &Metrics, coordinator: &Coordinator) -> Answer {
    let _lasting = Lasting::begin(&metrics.scrapes.in_flight);
    match metrics.text(coordinator) {
        Ok(text) => {
            metrics.scrapes.ok.inc();
            with_type(StatusCode::OK, text, TEXT)
        }
        Err(error) => {
            metrics.scrapes.failed.inc();
            failed(&error)
        }
    }
}

fn failed(error: &dyn std::error::Error) -> Answer {
    error!(%error, "answering on the metrics port");
    plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the coordinator's log\n")
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    with_type(status, text, PLAIN)
}

fn with_type(status: StatusCode, body: impl Into<Bytes>, kind: HeaderValue) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
