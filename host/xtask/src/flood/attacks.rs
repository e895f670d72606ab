//! The hostile clients. Whatever ends one of them, it comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::frames::{self, Method};
use crate::bench::manifests::Reader;
use crate::bench::rest;
use crate::bench::server::Server;
use crate::bench::tls::Connector;

/// Between two attempts of one who was sent away, and between two bytes of one who is slow.
const SLOWLY: Duration = Duration::from_millis(500);

/// The longest that one waits for the server to send or close.
const LONG: Duration = Duration::from_secs(300);

const ACTIVATE: &str = "/rpc.Marble/Activate";
const BIG_BODY_BYTES: usize = 20 << 20;

/// Ways to connect.
pub(super) struct Ports {
    http1: Connector,
    http2: Connector,
    mesh: Connector,
}

/// How many of each kind.
pub(super) struct Attackers {
    pub(super) idle: usize,
    pub(super) slow: usize,
    pub(super) handshakes: usize,
    /// Between two rounds of those who would use a whole processor.
    pub(super) pause: Duration,
}

/// The attackers at work.
pub(super) struct Attacking(JoinSet<()>);

/// What they did.
#[derive(Default)]
pub(super) struct Counts([AtomicU64; KINDS.len()]);

/// The kinds of attack, as they are reported.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Idle,
    SlowHead,
    SlowBody,
    SlowReader,
    Handshake,
    BigBody,
    Garbage,
    Reset,
    Streams,
}

const KINDS: [(Kind, &str); 9] = [
    (Kind::Idle, "idle connections"),
    (Kind::SlowHead, "heads sent slowly"),
    (Kind::SlowBody, "bodies sent slowly"),
    (Kind::SlowReader, "answers not read"),
    (Kind::Handshake, "handshakes"),
    (Kind::BigBody, "big bodies"),
    (Kind::Garbage, "connections with garbage"),
    (Kind::Reset, "streams reset"),
    (Kind::Streams, "streams held"),
];

impl Counts {
    fn count(&self, kind: Kind, more: u64) {
        if let Some(counter) = self.0.get(kind as usize) {
            counter.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Each kind with its number.
    pub(super) fn totals(&self) -> Vec<(&'static str, u64)> {
        KINDS.iter().zip(&self.0).map(|((_, name), count)| (*name, count.load(Ordering::Relaxed))).collect()
    }
}

impl Ports {
    /// The Marble port wants a certificate; any will do.
    pub(super) fn of(server: &Server, reader: &Reader) -> anyhow::Result<Self> {
        let http1 = server.rest(None)?;
        Ok(Self {
            http2: Connector::new(http1.address(), "h2", None)?,
            mesh: Connector::new(server.mesh(), "h2", Some(&reader.identity))?,
            http1,
        })
    }
}

impl Attackers {
    /// Starts them all.
    pub(super) fn start(
        &self,
        ports: &Ports,
        counts: &Arc<Counts>,
        stopped: &watch::Receiver<()>,
    ) -> Attacking {
        let mut attacking = JoinSet::new();
        let tcp_of = |index: usize| if index.is_multiple_of(2) { &ports.http1 } else { &ports.mesh };
        let mut add = |kind: Kind, connector: &Connector, pause: Duration| {
            let (connector, counts, mut stopped) = (connector.clone(), Arc::clone(counts), stopped.clone());
            attacking.spawn(async move {
                tokio::select! {
                    () = again_and_again(kind, &connector, &counts, pause) => {}
                    _ = stopped.changed() => {}
                }
            });
        };
        (0..self.idle).for_each(|index| add(Kind::Idle, tcp_of(index), SLOWLY));
        for index in 0..self.slow {
            let (kind, connector) = match index % 5 {
                0 => (Kind::SlowHead, &ports.http1),
                1 => (Kind::SlowBody, &ports.http1),
                2 => (Kind::SlowBody, &ports.http2),
                3 => (Kind::SlowBody, &ports.mesh),
                _ => (Kind::SlowReader, &ports.http2),
            };
            add(kind, connector, SLOWLY);
        }
        (0..self.handshakes).for_each(|index| add(Kind::Handshake, tcp_of(index), self.pause));
        (0..4).for_each(|_| add(Kind::BigBody, &ports.http1, self.pause));
        (0..8).for_each(|index| add(Kind::Garbage, tcp_of(index), self.pause));
        for connector in [&ports.http2, &ports.mesh] {
            add(Kind::Reset, connector, self.pause);
            add(Kind::Streams, connector, SLOWLY);
        }
        Attacking(attacking)
    }
}

impl Attacking {
    /// Waits until they have gone.
    pub(super) async fn end(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

async fn again_and_again(kind: Kind, connector: &Connector, counts: &Counts, pause: Duration) {
    loop {
        // Being sent away is what an attacker has to expect.
        let ended = once(kind, connector, counts, pause).await;
        let wait = if ended.is_err() { pause.max(Duration::from_millis(5)) } else { pause };
        if wait.is_zero() { tokio::task::yield_now().await } else { sleep(wait).await }
    }
}

async fn once(kind: Kind, connector: &Connector, counts: &Counts, pause: Duration) -> anyhow::Result<()> {
    match kind {
        Kind::Idle => idle(connector, counts).await,
        Kind::SlowHead => slow_head(connector, counts).await,
        Kind::SlowBody => slow_body(connector, counts).await,
        Kind::SlowReader => unread(connector, counts, Kind::SlowReader, 1).await,
        Kind::Handshake => connector.connect().await.map(|_| counts.count(kind, 1)),
        Kind::BigBody => big_body(connector, counts).await,
        Kind::Garbage => garbage(connector, counts).await,
        Kind::Reset => resets(connector, counts, pause).await,
        Kind::Streams => unread(connector, counts, Kind::Streams, 200).await,
    }
}

fn is_mesh(connector: &Connector) -> bool {
    connector.protocol() == "h2" && connector.presents_certificate()
}

/// Says just enough to be kept, and then nothing.
async fn idle(connector: &Connector, counts: &Counts) -> anyhow::Result<()> {
    let mut stream = connector.connect().await?;
    let first: &[u8] = if is_mesh(connector) {
        frames::PREFACE
    } else {
        b"GET /api/v2/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
    };
    stream.write_all(first).await?;
    counts.count(Kind::Idle, 1);
    until_closed(&mut stream).await
}

async fn slow_head(connector: &Connector, counts: &Counts) -> anyhow::Result<()> {
    let mut stream = connector.connect().await?;
    stream.write_all(b"GET /api/v2/status HTTP/1.1\r\nHost: localhost\r\nX: ").await?;
    counts.count(Kind::SlowHead, 1);
    loop {
        stream.write_all(b"x").await?;
        stream.flush().await?;
        sleep(SLOWLY).await;
    }
}

async fn slow_body(connector: &Connector, counts: &Counts) -> anyhow::Result<()> {
    let mut stream = connector.connect().await?;
    let http2 = connector.protocol() == "h2";
    if http2 {
        let path = if is_mesh(connector) { ACTIVATE } else { rest::MANIFEST };
        stream.write_all(frames::PREFACE).await?;
        stream.write_all(&frames::head(1, Method::Post, path, true)).await?;
    } else {
        let head = b"POST /manifest HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
        stream.write_all(head).await?;
    }
    counts.count(Kind::SlowBody, 1);
    let byte = if http2 { frames::data(1, b"\0") } else { b"x".to_vec() };
    loop {
        stream.write_all(&byte).await?;
        stream.flush().await?;
        let mut answer = [0; 4096];
        match timeout(SLOWLY, stream.read(&mut answer)).await {
            Ok(Ok(1..)) if http2 => {}
            Ok(_) => bail!("it was answered or closed"),
            Err(_) => {}
        }
    }
}

/// Asks for long answers and reads none.
async fn unread(connector: &Connector, counts: &Counts, kind: Kind, streams: u32) -> anyhow::Result<()> {
    let mut stream = connector.connect().await?;
    stream.write_all(frames::PREFACE_NO_WINDOW).await?;
    for stream_id in (0..streams).map(|index| 2 * index + 1) {
        stream.write_all(&frames::head(stream_id, Method::Get, rest::MANIFEST, false)).await?;
        counts.count(kind, 1);
    }
    stream.flush().await?;
    until_closed(&mut stream).await
}

async fn big_body(connector: &Connector, counts: &Counts) -> anyhow::Result<()> {
    let mut stream = connector.connect().await?;
    let head =
        format!("POST /manifest HTTP/1.1\r\nHost: localhost\r\nContent-Length: {BIG_BODY_BYTES}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let part = vec![b' '; 64 << 10];
    for _ in 0..BIG_BODY_BYTES / part.len() {
        stream.write_all(&part).await?;
    }
    counts.count(Kind::BigBody, 1);
    let mut answer = [0; 1024];
    timeout(LONG, stream.read(&mut answer)).await??;
    Ok(())
}

/// Before the handshake, and after it.
async fn garbage(connector: &Connector, counts: &Counts) -> anyhow::Result<()> {
    let mut noise = [0_u8; 4096];
    let mut state = 0x2545_f491_u32;
    noise.iter_mut().for_each(|byte| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    });
    let mut plain = TcpStream::connect(connector.address()).await?;
    counts.count(Kind::Garbage, 1);
    let _ = plain.write_all(&noise).await;
    let _ = timeout(LONG, plain.read(&mut [0; 64])).await;
    let mut stream = connector.connect().await?;
    counts.count(Kind::Garbage, 1);
    stream.write_all(&noise).await?;
    until_closed(&mut stream).await
}

/// CVE-2023-44487: asks and takes it back, as fast as it can.
async fn resets(connector: &Connector, counts: &Counts, pause: Duration) -> anyhow::Result<()> {
    let mut stream = connector.connect().await?;
    stream.write_all(frames::PREFACE).await?;
    let path = if is_mesh(connector) { ACTIVATE } else { rest::STATUS };
    // More than the peer allows: it must end this, not we.
    for round in 0..1000_u32 {
        let mut burst = Vec::new();
        for index in 0..50 {
            let id = 2 * (50 * round + index) + 1;
            burst.extend(frames::head(id, Method::Post, path, true));
            burst.extend(frames::reset(id));
        }
        stream.write_all(&burst).await?;
        stream.flush().await?;
        counts.count(Kind::Reset, 50);
        sleep(pause).await;
    }
    Ok(())
}

async fn until_closed(stream: &mut tokio_rustls::client::TlsStream<TcpStream>) -> anyhow::Result<()> {
    stream.flush().await?;
    let mut rest = [0; 4096];
    loop {
        match timeout(LONG, stream.read(&mut rest)).await {
            Ok(Ok(1..)) => {}
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}
