//! One accept loop for both ports: TCP, TLS, HTTP, each with its limits.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use carrara_core::outcome::TlsPort;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{Level, debug, error, info, warn};

use crate::aside::{self, aside};
use crate::edge::Edge;
use crate::limits::{
    ACCEPT_PAUSE, H2_PENDING_RESETS, H2_PING, H2_STREAMS, H2_WINDOW_BYTES, HEADER_BYTES, Limits, MAKING_ROOM,
    READING_BYTES,
};
use crate::metrics::{Lasting, Pressure};
use crate::peer::Peer;
use crate::places::{Held, Place, Places};
use crate::tls::Configurations;

/// Why a connection ended; for the log.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("the TLS handshake took too long")]
    Slow,
    #[error("TCP or TLS")]
    Transport(#[from] io::Error),
    #[error("HTTP")]
    Http(#[from] hyper::Error),
}

/// How a connection ended; for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The peer or both were done, or the process ends.
    Done,
    /// It never became one: garbage, or the peer went away.
    HandshakeFailed,
    /// Its handshake took too long.
    HandshakeSlow,
    /// It was silent, slow or broken.
    Failed,
    /// Its peer called back too many requests.
    CalledBack,
    /// It was old.
    Aged,
    /// It was at rest, and made room for another one.
    MadeRoom,
    /// There was no room for it.
    Refused,
}

impl Closed {
    pub(crate) const ALL: [Self; 8] = [
        Self::Done,
        Self::HandshakeFailed,
        Self::HandshakeSlow,
        Self::Failed,
        Self::CalledBack,
        Self::Aged,
        Self::MadeRoom,
        Self::Refused,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::HandshakeFailed => "handshake-failed",
            Self::HandshakeSlow => "handshake-slow",
            Self::Failed => "failed",
            Self::CalledBack => "called-back",
            Self::Aged => "aged",
            Self::MadeRoom => "made-room",
            Self::Refused => "refused",
        }
    }
}

/// A port and how it serves.
pub(crate) struct Port {
    port: TlsPort,
    tls: Configurations,
    edge: Arc<Edge>,
    limits: Limits,
    errors: Level,
    places: Places,
    pressure: Arc<Pressure>,
}

impl Port {
    /// Puts a port together.
    pub(crate) fn new(
        port: TlsPort,
        tls: Configurations,
        edge: Edge,
        limits: Limits,
        errors: Level,
        pressure: Arc<Pressure>,
    ) -> Self {
        let places = Places::new(limits.connections, Duration::ZERO);
        aside::start();
        let edge = Arc::new(edge);
        Self { port, tls, edge, limits, errors, places, pressure }
    }
}

/// Accepts until `stop`'s sender is dropped; gives back the connections that are still open and have been asked to end.
pub(crate) async fn accept(
    port: Arc<Port>,
    listener: TcpListener,
    mut stop: watch::Receiver<()>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // Each of those that make room has its file until it is closed, and that takes no longer than `MAKING_ROOM`.
        if connections.len() >= port.limits.open_connections() {
            tokio::select! {
                _ = connections.join_next() => continue,
                _ = stop.changed() => return connections,
            }
        }
        let accepted = tokio::select! {
            accepted = next(&port, &listener) => accepted,
            _ = stop.changed() => return connections,
        };
        let Some((stream, address)) = accepted else { continue };
        let Ok(place) = port.places.enter(address.ip(), 1) else {
            port.pressure.closed(Closed::Refused);
            continue;
        };
        let (port, stop) = (Arc::clone(&port), stop.clone());
        connections.spawn(async move {
            let _open = Lasting::begin(&port.pressure.open);
            let closed =
                serve(&port, stream, address, &place, stop).await.unwrap_or_else(|(closed, error)| {
                    log(port.errors, port.port, address, &error);
                    closed
                });
            port.pressure.closed(closed);
        });
    }
}

/// Waits for an accept loop that has been told to stop, then for its connections; gives back how many were cut.
pub(crate) async fn end(accepting: JoinHandle<JoinSet<()>>, limit: Duration) -> usize {
    match accepting.await {
        Ok(connections) => drain(connections, limit).await,
        Err(_) => 0,
    }
}

/// Waits for the connections, for `limit` at most; gives back how many were cut.
async fn drain(mut connections: JoinSet<()>, limit: Duration) -> usize {
    let all = async { while connections.join_next().await.is_some() {} };
    let done = timeout(limit, all).await.is_ok();
    if done { 0 } else { connections.len() }
}

async fn next(port: &Port, listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            warn!(%error, "accepting a connection; those that were at rest the longest are closed");
            // Most likely there is no file descriptor left.
            port.places.take_some_back();
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn serve(
    port: &Arc<Port>,
    stream: TcpStream,
    address: SocketAddr,
    place: &Place,
    stop: watch::Receiver<()>,
) -> Result<Closed, (Closed, ConnectionError)> {
    let stream = tokio::select! {
        shaken = shake_hands(port, stream) => shaken?,
        () = place.taken_back() => return Ok(Closed::MadeRoom),
    };
    let peer = Peer::of(stream.get_ref().1, address);
    let http2 = port.port == TlsPort::Mesh || stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let begun = Arc::new(AtomicBool::new(false));
    let io = TokioIo::new(Guarded::new(stream, &port.limits, Arc::clone(&begun), Arc::clone(place.held())));
    let (edge, held) = (Arc::clone(&port.edge), Arc::clone(place.held()));
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (edge, peer, under_way) = (Arc::clone(&edge), peer.clone(), held.begin());
        async move {
            let answer = edge.serve(peer, request).await;
            under_way.answered();
            answer
        }
    });
    let ended = if http2 {
        finish(h2_settings().serve_connection(io, service), &begun, stop, place, &port.limits).await
    } else {
        finish(h1_settings(&port.limits).serve_connection(io, service), &begun, stop, place, &port.limits)
            .await
    };
    let closed = if place.held().calls_too_much_back() { Closed::CalledBack } else { Closed::Failed };
    ended.map_err(|error| (closed, error))
}

async fn shake_hands(
    port: &Arc<Port>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, (Closed, ConnectionError)> {
    let _open = Lasting::begin(&port.pressure.handshakes);
    let failed = |error: io::Error| (Closed::HandshakeFailed, error.into());
    // gRPC and JSON are small messages: without this each waits for the other side's acknowledgement.
    stream.set_nodelay(true).map_err(failed)?;
    let its_port = Arc::clone(port);
    let handshake = aside(async move {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let configuration = its_port.tls.of(&hello.client_hello());
        hello.into_stream(configuration).await
    });
    match timeout(port.limits.handshake, handshake).await {
        Ok(stream) => stream.and_then(|stream| stream).map_err(failed),
        Err(_) => Err((Closed::HandshakeSlow, ConnectionError::Slow)),
    }
}

fn h1_settings(limits: &Limits) -> http1::Builder {
    let mut settings = http1::Builder::new();
    settings.timer(TokioTimer::new()).header_read_timeout(limits.header_read).max_buf_size(HEADER_BYTES);
    settings
}

fn h2_settings() -> http2::Builder<TokioExecutor> {
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .max_pending_accept_reset_streams(H2_PENDING_RESETS)
        .initial_stream_window_size(H2_WINDOW_BYTES)
        .initial_connection_window_size(H2_WINDOW_BYTES)
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(H2_PING);
    settings
}

/// Runs a connection to its end, asking it to end when the process stops, the connection is old, or its place is taken
/// back. A peer that is asked may still get what it is waiting for, but cannot hold its place for ever by answering pings.
async fn finish<C>(
    connection: C,
    begun: &AtomicBool,
    mut stop: watch::Receiver<()>,
    place: &Place,
    limits: &Limits,
) -> Result<Closed, ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let graceful = GracefulShutdown::new();
    let connection = graceful.watch(connection);
    tokio::pin!(connection);
    let (closed, limit) = tokio::select! {
        ended = &mut connection => return Ok(ended.map(|()| Closed::Done)?),
        _ = stop.changed() => (Closed::Done, limits.idle),
        () = sleep(limits.age) => (Closed::Aged, limits.idle),
        () = place.taken_back() => (Closed::MadeRoom, MAKING_ROOM),
    };
    if !begun.load(Ordering::Relaxed) {
        // hyper would wait for the peer's first words; there is nothing to answer.
        return Ok(closed);
    }
    // The request to end goes out when it is first polled; it resolves only after the connection has been dropped.
    tokio::select! {
        biased;
        () = graceful.shutdown() => Ok(closed),
        ended = &mut connection => Ok(ended.map(|()| closed)?),
        () = sleep(limit) => Ok(closed),
    }
}

/// Clients that hang up or speak nonsense are the network's daily life, hence the configurable level.
fn log(level: Level, port: TlsPort, peer: SocketAddr, error: &ConnectionError) {
    let error = carrara_core::error::public_message(error);
    let text = "connection failed";
    match level {
        Level::ERROR => error!(?port, %peer, error, "{text}"),
        Level::WARN => warn!(?port, %peer, error, "{text}"),
        Level::INFO => info!(?port, %peer, error, "{text}"),
        _ => debug!(?port, %peer, error, "{text}"),
    }
}

/// A stream that fails when the peer sends nothing for too long.
struct Guarded {
    stream: TlsStream<TcpStream>,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    /// Whether the peer has said anything yet.
    begun: Arc<AtomicBool>,
    held: Arc<Held>,
}

impl Guarded {
    fn new(stream: TlsStream<TcpStream>, limits: &Limits, begun: Arc<AtomicBool>, held: Arc<Held>) -> Self {
        Self { stream, idle: limits.idle, deadline: Box::pin(sleep(limits.first_byte)), begun, held }
    }

    /// Progress puts the deadline off; waiting beyond it is an error.
    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(ready) => Poll::Ready(ready),
            Poll::Pending => {
                std::task::ready!(self.deadline.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the connection was idle for too long",
                )))
            }
        }
    }

    fn progress(&mut self) {
        self.deadline.as_mut().reset(Instant::now() + self.idle);
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.held.calls_too_much_back() {
            let text = "the peer asks and calls back too much";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, text)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.progress();
            self.begun.store(true, Ordering::Relaxed);
        }
        self.watch(context, polled)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if matches!(polled, Poll::Ready(Ok(written)) if written >= READING_BYTES) {
            self.held.moved();
        }
        self.watch(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, polled)
    }
}

#[cfg(test)]
mod tests;
