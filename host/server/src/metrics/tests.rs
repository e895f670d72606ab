//! The text of /metrics, what counts where, and the port itself.

use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;
use crate::edge::{App, Edge, Meter};
use crate::limits::{Limits, METRICS_CONNECTIONS, METRICS_HEADER_BYTES, METRICS_HEADER_READ};
use crate::peer::Peer;
pub(crate) use crate::testing::coordinator;
use crate::testing::question;
use crate::{grpc, rest};

struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH
    }
}

pub(crate) fn metrics() -> Metrics {
    Metrics::new(Build { version: "1.2.3", commit: "abc" }, Arc::new(Epoch)).unwrap()
}

/// The value of a sample.
pub(crate) fn sample(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).to_owned()
}

fn edge(app: App, meter: Meter) -> Edge {
    Edge::new(app, &Limits::default()).counted_by(meter)
}

async fn ask(edge: &Edge, method: &str, uri: &str, body: &'static str) -> u16 {
    let peer = Peer { address: ([127, 0, 0, 1], 1).into(), certificate: None };
    let request = question(method, uri, body);
    edge.serve(peer, request).await.unwrap().status().as_u16()
}

// rest-api.md section 7, X-16
#[tokio::test]
async fn requests_are_counted_by_route_code_and_method_and_never_by_the_caller_s_words() {
    let (metrics, coordinator) = (metrics(), coordinator().await);
    let app = rest::app(Arc::clone(&coordinator), &Limits::default());
    let edge = edge(app, Meter::Clients(Arc::clone(&metrics.clients)));
    assert_eq!(ask(&edge, "GET", "/api/v2/status", "").await, 200);
    assert_eq!(ask(&edge, "GET", "/api/v2/status?x=y", "").await, 200);
    assert_eq!(ask(&edge, "BREW", "/api/v2/status", "").await, 405);
    assert_eq!(ask(&edge, "GET", "/caller/chosen", "").await, 405);
    assert_eq!(ask(&edge, "POST", "/manifest", "no manifest").await, 400);
    let text = metrics.text(&coordinator).unwrap();
    let total = |path: &str, code: u16, method: &str| {
        let prefix = "server_client_api_http_request_total";
        sample(&text, &format!("{prefix}{{code=\"{code}\",method=\"{method}\",path=\"{path}\"}}"))
    };
    assert_eq!(total("/api/v2/status", 200, "get"), "2");
    assert_eq!(total("/api/v2/status", 405, "other"), "1");
    assert_eq!(total("unmatched", 405, "get"), "1");
    assert_eq!(total("/manifest", 400, "post"), "1");
    assert!(!text.contains("chosen") && !text.to_lowercase().contains("brew"), "{text}");
    assert_eq!(sample(&text, "server_client_api_http_in_flight_requests{path=\"/api/v2/status\"}"), "0");
}

// rest-api.md section 7
#[tokio::test]
async fn histograms_have_the_specified_buckets() {
    let (metrics, coordinator) = (metrics(), coordinator().await);
    let app = rest::app(Arc::clone(&coordinator), &Limits::default());
    let edge = edge(app, Meter::Clients(Arc::clone(&metrics.clients)));
    ask(&edge, "GET", "/status", "").await;
    let text = metrics.text(&coordinator).unwrap();
    let buckets = |prefix: &str| -> Vec<String> {
        let start = format!("server_client_api_http_{prefix}_bucket{{");
        let lines = text.lines().filter(|line| line.starts_with(&start) && line.contains("path=\"/status\""));
        let bound = |line: &str| line.split("le=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        lines.map(bound).collect()
    };
    let seconds = buckets("request_duration_histogram_seconds");
    assert_eq!(seconds, ["0.005", "0.025", "0.1", "0.5", "1", "2.5", "5", "+Inf"]);
    for sizes in ["request_size_histogram_bytes", "response_size_histogram_bytes"] {
        assert_eq!(buckets(sizes), ["100", "1000", "2000", "5000", "10000", "+Inf"]);
    }
    let sum = sample(&text, "server_client_api_http_response_size_histogram_bytes_sum{path=\"/status\"}");
    assert!(sum.parse::<f64>().unwrap() > 20.0, "{sum}");
}

#[tokio::test]
async fn a_request_in_flight_is_counted_until_its_client_goes_away() {
    let (metrics, coordinator) = (metrics(), coordinator().await);
    let app = App { answer: Arc::new(|_| Box::pin(std::future::pending())), ..endless(&coordinator) };
    let edge = edge(app, Meter::Clients(Arc::clone(&metrics.clients)));
    let gauge = "server_client_api_http_in_flight_requests{path=\"/status\"}";
    {
        let mut asking = Box::pin(ask(&edge, "GET", "/status", ""));
        tokio::select! {
            biased;
            status = &mut asking => panic!("answered {status}"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(sample(&metrics.text(&coordinator).unwrap(), gauge), "1");
    }
    let text = metrics.text(&coordinator).unwrap();
    assert_eq!(sample(&text, gauge), "0");
    let total = "server_client_api_http_request_total{code=\"499\",method=\"get\",path=\"/status\"}";
    assert_eq!(sample(&text, total), "1");
}

fn endless(coordinator: &Arc<Coordinator>) -> App {
    rest::app(Arc::clone(coordinator), &Limits::default())
}

// rest-api.md section 7: go-grpc-middleware's defaults
#[tokio::test]
async fn a_call_of_the_marbles_api_is_counted_with_its_code() {
    let (metrics, coordinator) = (metrics(), coordinator().await);
    let app = grpc::app(Arc::clone(&coordinator), Arc::clone(&metrics.marbles), &Limits::default());
    let edge = edge(app, Meter::Marbles(Arc::clone(&metrics.marbles)));
    let peer = Peer { address: ([127, 0, 0, 1], 1).into(), certificate: None };
    let mut request = question("POST", "/rpc.Marble/Activate", vec![0; 5]);
    request.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
    edge.serve(peer, request).await.unwrap();
    ask(&edge, "POST", "/rpc.Marble/Nonsense", "").await;
    let text = metrics.text(&coordinator).unwrap();
    let call = r#"grpc_method="Activate",grpc_service="rpc.Marble",grpc_type="unary""#;
    for (name, expected) in [("started", "1"), ("msg_received", "1"), ("msg_sent", "0")] {
        assert_eq!(sample(&text, &format!("grpc_server_{name}_total{{{call}}}")), expected, "{name}");
    }
    let handled = |code: &str| format!("grpc_server_handled_total{{grpc_code=\"{code}\",{call}}}");
    assert_eq!(sample(&text, &handled("FailedPrecondition")), "1");
    assert_eq!(sample(&text, &handled("OK")), "0");
    assert_eq!(sample(&text, &handled("Unimplemented")), "0");
    assert_eq!(sample(&text, "coordinator_marble_activations_total{type=\"unknown\"}"), "1");
}

// X-16
#[tokio::test]
async fn the_state_the_version_and_the_port_s_own_counters_are_there() {
    let (metrics, coordinator) = (metrics(), coordinator().await);
    let text = metrics.text(&coordinator).unwrap();
    assert_eq!(sample(&text, "coordinator_state"), "2");
    assert_eq!(sample(&text, "coordinator_version_info{commit=\"abc\",version=\"1.2.3\"}"), "0");
    assert_eq!(sample(&text, "promhttp_metric_handler_requests_total{code=\"200\"}"), "0");
    assert_eq!(sample(&text, "promhttp_metric_handler_requests_in_flight"), "0");
    assert_eq!(sample(&text, "coordinator_commit_queue_depth"), "0");
    assert_eq!(sample(&text, "coordinator_audit_entries_waiting"), "0");
}

#[tokio::test]
async fn collateral_is_told_of_where_quotes_are_verified_and_only_there() {
    let (metrics, coordinator) = (metrics(), coordinator().await);
    assert!(!metrics.text(&coordinator).unwrap().contains("collateral"));
    let figures = metrics.tell_collateral().unwrap();
    figures.set(3, 1, 2, Some(1_752_919_278));
    let text = metrics.text(&coordinator).unwrap();
    for (name, expected) in [
        ("fetches_total", "3"),
        ("failures_total", "1"),
        ("kept", "2"),
        ("first_expiry_seconds", "1752919278"),
    ] {
        assert_eq!(sample(&text, &format!("coordinator_collateral_{name}")), expected, "{name}");
    }
    figures.set(5, 1, 0, None);
    let text = metrics.text(&coordinator).unwrap();
    assert_eq!(sample(&text, "coordinator_collateral_fetches_total"), "5");
    assert_eq!(sample(&text, "coordinator_collateral_first_expiry_seconds"), "0");
    assert!(metrics.tell_collateral().is_err(), "once");
}

struct Listening {
    address: std::net::SocketAddr,
    _stop: watch::Sender<()>,
}

async fn listening() -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(());
    tokio::spawn(listen(listener, Arc::new(metrics()), coordinator().await, stopped));
    Listening { address, _stop: stop }
}

async fn fetch(address: std::net::SocketAddr, method: &str, path: &str) -> (u16, http::HeaderMap, String) {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut client, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder().method(method).uri(path).header("host", "x");
    let answer = client.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
}

// rest-api.md section 7
#[tokio::test]
async fn the_port_answers_its_two_paths_and_refuses_the_rest() {
    let port = listening().await;
    let (status, headers, text) = fetch(port.address, "GET", "/metrics").await;
    assert_eq!(
        (status, headers["content-type"].to_str().unwrap()),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(sample(&text, "promhttp_metric_handler_requests_in_flight"), "1", "this scrape");
    let (_, _, text) = fetch(port.address, "GET", "/metrics?again").await;
    assert_eq!(sample(&text, "promhttp_metric_handler_requests_total{code=\"200\"}"), "1");
    let (status, headers, text) = fetch(port.address, "GET", "/events").await;
    assert_eq!(
        (status, headers["content-type"].to_str().unwrap(), text.as_str()),
        (200, "application/json", "null")
    );
    let (status, headers, _) = fetch(port.address, "POST", "/metrics").await;
    assert_eq!((status, headers["allow"].to_str().unwrap()), (405, "GET, HEAD"));
    for path in ["/", "/metrics/", "/status", "/api/v2/secrets"] {
        assert_eq!(fetch(port.address, "GET", path).await.0, 404, "{path}");
    }
    let (status, _, body) = fetch(port.address, "HEAD", "/metrics").await;
    assert_eq!((status, body.as_str()), (200, ""));
}

// X-17
#[tokio::test]
async fn a_head_without_end_is_not_read_to_its_end() {
    let port = listening().await;
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nx: ").await.unwrap();
    // The server may close before it has read all of this.
    let _ = stream.write_all(&vec![b'a'; METRICS_HEADER_BYTES * 4]).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}

/// Reads until the server closes.
async fn closed(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

// Whoever holds idle connections keeps no scraper away.
#[tokio::test]
async fn with_all_places_taken_a_scrape_is_answered_and_the_oldest_connection_closed() {
    let port = listening().await;
    let mut held = Vec::new();
    for _ in 0..METRICS_CONNECTIONS {
        held.push(TcpStream::connect(port.address).await.unwrap());
    }
    // Before any of them is too slow.
    let soon = METRICS_HEADER_READ / 2;
    let scraped = tokio::time::timeout(soon, fetch(port.address, "GET", "/metrics")).await;
    assert_eq!(scraped.unwrap().0, 200);
    let oldest = tokio::time::timeout(soon, closed(held.remove(0))).await;
    assert!(oldest.unwrap().is_empty());

    // Those that have asked go last, but they go.
    for stream in &mut held {
        stream.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
    }
    let silent = TcpStream::connect(port.address).await.unwrap();
    for _ in 0..2 {
        let scraped = tokio::time::timeout(soon, fetch(port.address, "GET", "/metrics")).await;
        assert_eq!(scraped.unwrap().0, 200);
    }
    let silent = tokio::time::timeout(soon, closed(silent)).await;
    assert!(silent.unwrap().is_empty());
}

// Commits are counted where they pass.
#[tokio::test]
async fn the_store_gives_the_same_answers_and_counts_them() {
    use carrara_core::ports::{Batch, CommitError};
    let (metrics, coordinator) = (metrics(), coordinator().await);
    let store = metrics.count_store(crate::testing::nothing());
    assert!(matches!(store.commit(Batch::default()).await, Err(CommitError::Store(_))));
    let text = metrics.text(&coordinator).unwrap();
    assert_eq!(sample(&text, "coordinator_commits_total{outcome=\"failed\"}"), "1");
    assert_eq!(sample(&text, "coordinator_commit_duration_seconds_count"), "1");
    assert_eq!(sample(&text, "coordinator_commit_queue_depth"), "0");
}
