//! What changes the state: every operation is a durable commit before it is answered.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use crate::bench::figures::Figures;
use crate::bench::load::{self, Client};
use crate::bench::manifests::{self, MARBLE_TYPE, Reader};
use crate::bench::mesh::Marble;
use crate::bench::rest::{self, Connection};
use crate::bench::server::Server;

use super::Stage;

/// The most secrets of one upload that fills a log: each is a line.
const LINES_AT_ONCE: usize = 500;

/// A user-defined secret: authorization, dry run, commit, log line, audit entry.
pub(super) async fn secret(stage: &Stage, clients: usize) -> anyhow::Result<Figures> {
    let (server, writer) = ready(stage, 1, 1).await?;
    let connector = server.rest(Some(&writer.identity))?;
    let mut writers = Vec::new();
    for _ in 0..stage.scale.clients(clients) {
        writers.push(Writer(Connection::open(&connector).await?));
    }
    load::run(&server, stage.clock, writers, &stage.scale.bounds).await
}

/// A counter of each Marble, one more each time.
pub(super) async fn counter(stage: &Stage, stored: usize, clients: usize) -> anyhow::Result<Figures> {
    let (server, _) = ready(stage, stored, 1).await?;
    let mut counting = Vec::new();
    for _ in 0..stage.scale.clients(clients) {
        let identity = Marble::new(&server, MARBLE_TYPE)?.identity().await?;
        let connection = Connection::open(&server.rest(Some(&identity))?).await?;
        counting.push(Counting { connection, value: 0 });
    }
    load::run(&server, stage.clock, counting, &stage.scale.bounds).await
}

/// One more line, then the last ten and the signed head, by one client.
pub(super) async fn log(stage: &Stage, lines: usize) -> anyhow::Result<Figures> {
    let lines = stage.scale.secrets(lines);
    let at_once = lines.min(LINES_AT_ONCE);
    let (server, writer) = ready(stage, 1, at_once).await?;
    let mut connection = Connection::open(&server.rest(Some(&writer.identity))?).await?;
    let body = Bytes::from(manifests::upload(at_once).to_string());
    for _ in 0..lines.div_ceil(at_once) {
        connection.send(Method::POST, rest::SECRETS, body.clone()).await.context("filling the log")?;
    }
    let reader = LogReader { connection, size: 1 + (lines.div_ceil(at_once) * at_once) as u64 };
    load::run(&server, stage.clock, vec![reader], &stage.scale.bounds).await
}

/// A server whose user may write so many user-defined secrets.
async fn ready(stage: &Stage, stored: usize, writable: usize) -> anyhow::Result<(Server, Reader)> {
    let writer = Reader::new()?;
    let server = stage.launch.start().await?;
    let manifest = manifests::with_writable(stage.scale.secrets(stored), writable, &writer);
    server.set_manifest(&manifest).await?;
    Ok((server, writer))
}

struct Writer(Connection);

impl Client for Writer {
    async fn operate(&mut self) -> anyhow::Result<()> {
        let body = Bytes::from(manifests::upload(1).to_string());
        self.0.send(Method::POST, rest::SECRETS, body).await.map(drop)
    }
}

struct Counting {
    connection: Connection,
    value: u64,
}

impl Client for Counting {
    async fn operate(&mut self) -> anyhow::Result<()> {
        let next = self.value + 1;
        let body = Bytes::from(format!("{{\"name\":\"n\",\"value\":{next}}}"));
        let answer = self.connection.send(Method::POST, rest::COUNTER, body).await?;
        let answer: Value = serde_json::from_slice(&answer).context("reading the counter")?;
        ensure!(answer.pointer("/data/value") == Some(&Value::from(self.value)), "it was {answer}");
        self.value = next;
        Ok(())
    }
}

struct LogReader {
    connection: Connection,
    size: u64,
}

impl Client for LogReader {
    async fn operate(&mut self) -> anyhow::Result<()> {
        let body = Bytes::from(manifests::upload(1).to_string());
        self.connection.send(Method::POST, rest::SECRETS, body).await?;
        let (seen, end) = (self.size, self.size.saturating_sub(9));
        self.size += 1;
        let (log, head) = (rest::UPDATE, rest::HEAD);
        self.connection.send(Method::GET, &format!("{log}?from={end}"), Bytes::new()).await?;
        self.connection.send(Method::GET, &format!("{head}?from={seen}"), Bytes::new()).await.map(drop)
    }
}
