//! Requests of the client API, per route.

use std::sync::OnceLock;
use std::time::Duration;

use http::Request;
use hyper::body::Body;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};

use super::{Family, Lasting};
use crate::rest::routes;

const SECONDS: [f64; 7] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0];
const BYTES: [f64; 5] = [100.0, 1000.0, 2000.0, 5000.0, 10_000.0];

/// What the edge calls methods, and what the label says.
const METHODS: [(&str, &str); 8] = [
    ("GET", "get"),
    ("POST", "post"),
    ("HEAD", "head"),
    ("PUT", "put"),
    ("DELETE", "delete"),
    ("OPTIONS", "options"),
    ("PATCH", "patch"),
    ("other", "other"),
];

/// The statuses that are answered, and the one that stands for a client that went away: no answer has it.
const CODES: [u16; 11] = [200, 400, 401, 403, 404, 405, 408, 413, ABANDONED, 500, 503];
const ABANDONED: u16 = 499;

/// Where requests are counted.
pub(crate) struct Clients {
    routes: Vec<Route>,
    totals: IntCounterVec,
    durations: HistogramVec,
}

struct Route {
    path: &'static str,
    in_flight: IntGauge,
    request_size: Histogram,
    response_size: Histogram,
    methods: [Method; METHODS.len()],
}

/// Made when first asked for, so that /metrics lists what happened and not every combination.
#[derive(Default)]
struct Method {
    duration: OnceLock<Histogram>,
    totals: [OnceLock<IntCounter>; CODES.len()],
}

impl Clients {
    pub(super) fn new(family: &Family<'_>) -> prometheus::Result<Self> {
        let prefix = "server_client_api_http";
        let in_flight =
            family.gauges(&format!("{prefix}_in_flight_requests"), "Requests being answered.", &["path"])?;
        let sizes = |which: &str, help: &str| {
            family.histograms(&format!("{prefix}_{which}_size_histogram_bytes"), help, &BYTES, &["path"])
        };
        let request = sizes("request", "Size of requests, heads included.")?;
        let response = sizes("response", "Size of the answers' bodies.")?;
        let route = |path: &'static str| Route {
            path,
            in_flight: in_flight.with_label_values(&[path]),
            request_size: request.with_label_values(&[path]),
            response_size: response.with_label_values(&[path]),
            methods: Default::default(),
        };
        Ok(Self {
            routes: routes::labels().into_iter().map(route).collect(),
            totals: family.counters(
                &format!("{prefix}_request_total"),
                "Requests by answer; 499 where the client went away before it.",
                &["path", "code", "method"],
            )?,
            durations: family.histograms(
                &format!("{prefix}_request_duration_histogram_seconds"),
                "Time from a request's head to its answer.",
                &SECONDS,
                &["path", "method"],
            )?,
        })
    }

    /// A request came in. `path` is a route's label.
    pub(crate) fn asked<B: Body>(&self, path: &str, request: &Request<B>) -> Option<Lasting> {
        let route = self.route(path)?;
        route.request_size.observe(size_of(request));
        Some(Lasting::begin(&route.in_flight))
    }

    /// It was answered with that status and so many bytes, or its client went away.
    pub(crate) fn ended(&self, path: &str, method: &str, answer: Option<(u16, u64)>, took: Duration) {
        let Some(route) = self.route(path) else { return };
        let known = METHODS.iter().zip(&route.methods).find(|((name, _), _)| *name == method);
        let Some(((_, label), method)) = known else { return };
        let duration = method.duration.get_or_init(|| self.durations.with_label_values(&[route.path, label]));
        duration.observe(took.as_secs_f64());
        let (code, bytes) = answer.unwrap_or((ABANDONED, 0));
        route.response_size.observe(as_float(bytes));
        let total = || self.totals.with_label_values(&[route.path, &code.to_string(), label]);
        match CODES.iter().zip(&method.totals).find(|(known, _)| **known == code) {
            Some((_, counter)) => counter.get_or_init(total).inc(),
            None => total().inc(),
        }
    }

    fn route(&self, path: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.path == path)
    }
}

/// About what a request takes on the wire.
fn size_of<B: Body>(request: &Request<B>) -> f64 {
    let uri = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    let head = request.method().as_str().len() + uri + "HTTP/1.1".len() + headers.sum::<usize>();
    as_float(head as u64 + request.body().size_hint().lower())
}

/// Sizes are far below what a float holds exactly.
fn as_float(bytes: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let bytes = bytes as f64;
    bytes
}
