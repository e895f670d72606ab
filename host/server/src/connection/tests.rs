//! Connections over loopback: whatever a peer does, its connection ends in time and the others do not notice.

use std::future::pending;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1 as client1, http2 as client2};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use super::*;
use crate::edge::{Answer, App, Mishap, Pending, REQUEST_ID};
use crate::testing::{Client, Pair};

/// Longer than anything here takes; only a hang reaches it.
const HANG: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(50);

struct Running {
    address: SocketAddr,
    stop: watch::Sender<()>,
    accepting: JoinHandle<JoinSet<()>>,
    /// `/wait` answers once it is told to.
    go: Arc<Notify>,
    /// Tells that a `/wait` has begun.
    begun: Arc<Notify>,
    pressure: Arc<Pressure>,
}

fn say(status: StatusCode, text: String) -> Answer {
    let body = http_body_util::Full::new(Bytes::from(text));
    let mut answer = crate::edge::answer(http::Response::new(body));
    *answer.status_mut() = status;
    answer
}

fn app(go: Arc<Notify>, begun: Arc<Notify>) -> App {
    let answer = move |request: crate::edge::Question| -> Pending {
        let (go, begun) = (Arc::clone(&go), Arc::clone(&begun));
        Box::pin(async move {
            match request.uri().path() {
                "/panic" => panic!("on purpose"),
                "/wait" => {
                    begun.notify_one();
                    go.notified().await;
                }
                "/never" => {
                    begun.notify_one();
                    pending::<()>().await;
                }
                _ => {}
            }
            let peer = request.extensions().get::<Peer>().unwrap();
            say(StatusCode::OK, format!("certificate: {}", peer.der().is_some()))
        })
    };
    let mishap = |mishap: Mishap| say(StatusCode::SERVICE_UNAVAILABLE, format!("{mishap:?}"));
    App { answer: Arc::new(answer), route: |_| "test", mishap }
}

async fn start(port: TlsPort, limits: Limits) -> Running {
    let identity = Pair::p256().identity();
    let tls = Configurations::new(port, Arc::new(move || Arc::clone(&identity))).unwrap();
    let (go, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let edge = Edge::new(app(Arc::clone(&go), Arc::clone(&begun)), &limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(());
    let pressure = Pressure::unseen();
    let port = Arc::new(Port::new(port, tls, edge, limits, Level::DEBUG, Arc::clone(&pressure)));
    let accepting = tokio::spawn(accept(port, listener, stopped));
    Running { address, stop, accepting, go, begun, pressure }
}

type Tls = tokio_rustls::client::TlsStream<TcpStream>;

impl Running {
    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn tls(&self, client: Client) -> Tls {
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(client.config()));
        connector.connect(name, self.tcp().await).await.unwrap()
    }

    async fn ask_http1(&self, path: &str) -> http::Response<Incoming> {
        let io = TokioIo::new(self.tls(Client::new(&["http/1.1"])).await);
        let (mut sender, connection) = client1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request(path)).await.unwrap()
    }

    async fn ask_http2(&self, client: Client, path: &str) -> http::Response<Incoming> {
        let io = TokioIo::new(self.tls(client).await);
        let (mut sender, connection) = client2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request(path)).await.unwrap()
    }

    /// Tells it to end; how many connections were cut.
    async fn end(self, limit: Duration) -> usize {
        drop(self.stop);
        end(self.accepting, limit).await
    }
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::builder().uri(path).header("host", "localhost").body(Empty::new()).unwrap()
}

async fn text(response: http::Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Waits until the server closes the stream.
async fn closed(mut stream: impl AsyncRead + Unpin) {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = timeout(HANG, stream.read_to_end(&mut rest)).await.expect("the server keeps the connection open");
}

fn short(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

//
#[tokio::test]
async fn both_versions_of_http_are_served_and_no_alpn_means_the_first() {
    let server = start(TlsPort::Rest, Limits::default()).await;
    assert_eq!(text(server.ask_http1("/").await).await, "certificate: false");
    let pair = Pair::p256();
    let client = Client::new(&["h2"]).presents(&pair.certificate, &pair);
    assert_eq!(text(server.ask_http2(client, "/").await).await, "certificate: true");
    let io = TokioIo::new(server.tls(Client::new(&[])).await);
    let (mut sender, connection) = client1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(sender.send_request(request("/")).await.unwrap().status(), StatusCode::OK);
}

// G-3
#[tokio::test]
async fn the_mesh_port_speaks_http2_to_clients_that_send_no_alpn() {
    let server = start(TlsPort::Mesh, Limits::default()).await;
    let pair = Pair::p256();
    let client = Client::new(&[]).presents(&pair.certificate, &pair);
    assert_eq!(text(server.ask_http2(client, "/").await).await, "certificate: true");
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own_and_none_comes_from_the_caller() {
    let server = start(TlsPort::Rest, Limits::default()).await;
    let io = TokioIo::new(server.tls(Client::new(&["http/1.1"])).await);
    let (mut sender, connection) = client1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut seen = std::collections::BTreeSet::new();
    for path in ["/", "/panic", "/"] {
        let mut request = request(path);
        request.headers_mut().insert(REQUEST_ID, http::HeaderValue::from_static("forged"));
        let response = sender.send_request(request).await.unwrap();
        let ids: Vec<_> = response.headers().get_all(REQUEST_ID).iter().collect();
        assert_eq!(ids.len(), 1);
        assert!(uuid::Uuid::parse_str(ids[0].to_str().unwrap()).is_ok());
        assert!(seen.insert(ids[0].clone()));
        let _ = text(response).await;
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_connection_lives_on() {
    let server = start(TlsPort::Rest, Limits::default()).await;
    let io = TokioIo::new(server.tls(Client::new(&["h2"])).await);
    let (mut sender, connection) = client2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(text(sender.send_request(request("/panic")).await.unwrap()).await, "Panic");
    assert_eq!(sender.send_request(request("/")).await.unwrap().status(), StatusCode::OK);
}

// X-17; R-4 is limited by it
#[tokio::test]
async fn a_request_over_the_time_limit_is_answered_and_its_work_goes_on() {
    let server = start(TlsPort::Rest, short(|limits| limits.request = SOON)).await;
    assert_eq!(text(server.ask_http1("/wait").await).await, "Timeout");
    // The task still holds the other end: it was not cut off.
    server.begun.notified().await;
    assert_eq!(Arc::strong_count(&server.go), 3);
    server.go.notify_one();
}

#[tokio::test]
async fn requests_above_the_limit_are_told_so_at_once() {
    let server = start(TlsPort::Rest, short(|limits| limits.requests = 1)).await;
    let waiting = server.ask_http1("/wait");
    let overloaded = async {
        server.begun.notified().await;
        let response = server.ask_http1("/").await;
        server.go.notify_one();
        text(response).await
    };
    let (waited, overloaded) = tokio::join!(waiting, overloaded);
    assert_eq!(overloaded, "Overload");
    assert_eq!(waited.status(), StatusCode::OK);
    assert_eq!(server.ask_http1("/").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_peer_that_never_begins_the_handshake_is_cut_off() {
    for port in [TlsPort::Rest, TlsPort::Mesh] {
        let server = start(port, short(|limits| limits.handshake = SOON)).await;
        closed(server.tcp().await).await;
        let mut half = server.tcp().await;
        half.write_all(&[22, 3, 1]).await.unwrap();
        closed(half).await;
    }
}

// facts: TLS with h2 and no preface never timed out
#[tokio::test]
async fn a_peer_that_says_nothing_after_the_handshake_is_cut_off() {
    for (port, alpn) in [(TlsPort::Rest, "h2"), (TlsPort::Rest, "http/1.1"), (TlsPort::Mesh, "h2")] {
        let server = start(port, short(|limits| limits.first_byte = SOON)).await;
        let pair = Pair::p256();
        closed(server.tls(Client::new(&[alpn]).presents(&pair.certificate, &pair)).await).await;
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let server = start(TlsPort::Rest, short(|limits| limits.header_read = SOON)).await;
    let mut stream = server.tls(Client::new(&["http/1.1"])).await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-").await.unwrap();
    closed(stream).await;
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let server = start(TlsPort::Rest, Limits::default()).await;
    let mut stream = server.tls(Client::new(&["http/1.1"])).await;
    let _ = stream.write_all(format!("GET /{} HTTP/1.1\r\n", "a".repeat(2 * HEADER_BYTES)).as_bytes()).await;
    let mut answer = Vec::new();
    let _ =
        timeout(HANG, stream.read_to_end(&mut answer)).await.expect("the server keeps the connection open");
    assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = start(TlsPort::Rest, short(|limits| limits.idle = SOON)).await;
    let mut stream = server.tls(Client::new(&["h2"])).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    closed(stream).await;
}

#[tokio::test]
async fn an_old_connection_is_asked_to_end() {
    let server = start(TlsPort::Rest, short(|limits| limits.age = SOON)).await;
    let io = TokioIo::new(server.tls(Client::new(&["h2"])).await);
    let (sender, connection) =
        client2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io).await.unwrap();
    assert!(timeout(HANG, connection).await.is_ok());
    drop(sender);
}

#[tokio::test]
async fn an_old_connection_that_answers_pings_and_does_not_end_is_cut_off() {
    let limits = short(|limits| (limits.age, limits.idle) = (SOON, Duration::from_millis(500)));
    let server = start(TlsPort::Rest, limits).await;
    let io = TokioIo::new(server.tls(Client::new(&["h2"])).await);
    let mut client = client2::Builder::new(TokioExecutor::new());
    client.timer(TokioTimer::new()).keep_alive_interval(SOON);
    let (mut sender, connection) = client.handshake::<_, Empty<Bytes>>(io).await.unwrap();
    let answer = tokio::spawn(sender.send_request(request("/never")));
    assert!(timeout(HANG, connection).await.is_ok(), "the server keeps the connection open");
    assert!(answer.await.unwrap().is_err());
}

#[tokio::test]
async fn garbage_ends_its_own_connection_and_nothing_else() {
    let second = Duration::from_secs(1);
    for port in [TlsPort::Rest, TlsPort::Mesh] {
        let limits =
            short(|limits| (limits.handshake, limits.first_byte, limits.idle) = (second, second, second));
        let server = start(port, limits).await;
        let pair = Pair::p256();
        for garbage in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 4096], &[0xff; 4096], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
        {
            let mut stream = server.tcp().await;
            let _ = stream.write_all(garbage).await;
            closed(stream).await;
            // After the handshake, too.
            let mut stream = server.tls(Client::new(&["h2"]).presents(&pair.certificate, &pair)).await;
            let _ = stream.write_all(&[&[0x13], garbage].concat()).await;
            closed(stream).await;
        }
        let client = Client::new(&["h2"]).presents(&pair.certificate, &pair);
        assert_eq!(server.ask_http2(client, "/").await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn what_is_under_way_at_the_end_is_answered() {
    let server = start(TlsPort::Rest, Limits::default()).await;
    let io = TokioIo::new(server.tls(Client::new(&["http/1.1"])).await);
    let (mut sender, connection) = client1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let answer = tokio::spawn(sender.send_request(request("/wait")));
    server.begun.notified().await;
    let (go, address) = (Arc::clone(&server.go), server.address);
    let ending = tokio::spawn(server.end(HANG));
    // Nobody new is let in: the listener is closed before the last answer is given.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.notify_one();
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(ending.await.unwrap(), 0);
}

#[tokio::test]
async fn what_takes_longer_than_the_limit_at_the_end_is_cut() {
    let server = start(TlsPort::Rest, Limits::default()).await;
    let io = TokioIo::new(server.tls(Client::new(&["http/1.1"])).await);
    let (mut sender, connection) = client1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let answer = tokio::spawn(sender.send_request(request("/never")));
    server.begun.notified().await;
    assert_eq!(server.end(SOON).await, 1);
    assert!(answer.await.unwrap().is_err());
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_the_end() {
    let server = start(TlsPort::Rest, Limits::default()).await;
    let silent = server.tls(Client::new(&["h2"])).await;
    let response = server.ask_http1("/").await;
    assert_eq!(server.end(HANG).await, 0);
    drop((silent, response));
}

/// A connection that has had an answer and asks nothing more.
async fn at_rest(server: &Running) -> client1::SendRequest<Empty<Bytes>> {
    let io = TokioIo::new(server.tls(Client::new(&["http/1.1"])).await);
    let (mut sender, connection) = client1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(text(sender.send_request(request("/")).await.unwrap()).await, "certificate: false");
    sender
}

async fn is_closed(mut sender: client1::SendRequest<Empty<Bytes>>) -> bool {
    timeout(HANG, async {
        while sender.ready().await.is_ok() && !sender.is_closed() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .is_ok()
}

//
#[tokio::test]
async fn one_connection_above_the_limit_is_served_and_the_one_longest_at_rest_makes_room() {
    let server = start(TlsPort::Rest, short(|limits| limits.connections = 2)).await;
    let first = at_rest(&server).await;
    let mut second = at_rest(&server).await;
    assert_eq!(server.pressure.how_many(Closed::MadeRoom), 0, "as many as the limit");
    // Milliseconds tell who rests longer.
    while second.send_request(request("/")).await.is_ok() && server.pressure.open.get() < 2 {}
    let third = at_rest(&server).await;
    assert!(is_closed(first).await);
    assert_eq!(second.send_request(request("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.pressure.how_many(Closed::MadeRoom), 1);
    drop(third);
}

#[tokio::test]
async fn where_all_connections_are_under_way_a_new_one_is_closed_at_once() {
    let server = start(TlsPort::Rest, short(|limits| limits.connections = 1)).await;
    let waiting = server.ask_http1("/wait");
    let refused = async {
        server.begun.notified().await;
        closed(server.tcp().await).await;
        server.go.notify_one();
    };
    let (answer, ()) = tokio::join!(waiting, refused);
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(server.pressure.how_many(Closed::Refused), 1);
    assert_eq!(text(answer).await, "certificate: false");
}

#[tokio::test]
async fn silent_connections_make_room_for_those_that_ask() {
    for port in [TlsPort::Rest, TlsPort::Mesh] {
        let server = start(port, short(|limits| limits.connections = 4)).await;
        let mut silent = Vec::new();
        for _ in 0..4 {
            silent.push(server.tcp().await);
        }
        let pair = Pair::p256();
        let client = Client::new(&["h2"]).presents(&pair.certificate, &pair);
        assert_eq!(server.ask_http2(client, "/").await.status(), StatusCode::OK);
        closed(silent.remove(0)).await;
    }
}

// X-17, CVE-2023-44487: rapid reset
#[tokio::test]
async fn who_asks_and_calls_back_again_and_again_is_cut_off() {
    let server = start(TlsPort::Rest, Limits::default()).await;
    let io = TokioIo::new(server.tls(Client::new(&["h2"])).await);
    let (sender, connection) = client2::handshake(TokioExecutor::new(), io).await.unwrap();
    let ended = tokio::spawn(connection);
    let asking = async {
        let mut sender = sender;
        loop {
            if sender.ready().await.is_err() {
                return;
            }
            let mut asked = Box::pin(sender.send_request(request("/never")));
            tokio::select! {
                _ = &mut asked => {}
                () = server.begun.notified() => {}
            }
        }
    };
    timeout(HANG, asking).await.expect("the server keeps the connection open");
    let _ = ended.await;
    let counted = async {
        while server.pressure.how_many(Closed::CalledBack) == 0 {
            tokio::task::yield_now().await
        }
    };
    timeout(HANG, counted).await.unwrap();
    assert_eq!(server.ask_http1("/").await.status(), StatusCode::OK);
}
