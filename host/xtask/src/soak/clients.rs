//! The clients: each makes one kind of requests, one after the other, at the times that it is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

use super::kinds::Kind;
use super::record::Recorder;
use crate::bench::load::Client as _;
use crate::bench::mesh::{Answer, KeptMarble};
use crate::bench::rest::{self, Connection};
use crate::bench::tls::Connector;
use crate::torture::clients as changes;
use crate::torture::model::counters::{MARBLES, OF_EACH};
use crate::torture::model::secrets::SECRETS;
use crate::torture::plan::{Random, Update};
use crate::torture::site::{Keeper, Site, secrets_path};
use crate::torture::world;

/// No request takes as long on any machine; only a hang reaches this.
const LIMIT: Duration = Duration::from_secs(60);

/// Lines and entries of one answer.
const PAGE: usize = 50;

/// What all clients know.
pub(crate) struct Place {
    /// The server with its users.
    pub(crate) site: Site,
    /// Connections of nobody.
    pub(crate) anyone: Connector,
    /// Connections of somebody whom the manifest does not know.
    pub(crate) stranger: Connector,
    /// Where Prometheus asks.
    pub(crate) metrics: std::net::SocketAddr,
    /// Takes what happens.
    pub(crate) recorder: Recorder,
}

/// A request to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    /// When it should be sent.
    pub(crate) at: Instant,
    /// Which update, if it is one.
    pub(crate) update: Option<Update>,
}

/// One client with what it keeps from one request to the next.
pub(crate) struct Client {
    kind: Kind,
    place: Arc<Place>,
    random: Random,
    connection: Option<Connection>,
    keeper: Option<(usize, Keeper)>,
    marble: Option<KeptMarble>,
    turns: u64,
}

impl Client {
    /// It connects when it has to.
    pub(crate) fn new(kind: Kind, place: &Arc<Place>, random: Random) -> Self {
        let place = Arc::clone(place);
        Self { kind, place, random, connection: None, keeper: None, marble: None, turns: 0 }
    }

    /// Makes requests until there are no more.
    pub(crate) async fn work(mut self, mut due: Receiver<Due>) {
        while let Some(due) = due.recv().await {
            let began = Instant::now();
            let kept = self.connection.is_some() || self.keeper.is_some() || self.marble.is_some();
            let mut answered = self.limited(due).await;
            if answered.is_err() && kept {
                // The server ends old connections; a request that it did not get is sent again, as every client does.
                (self.connection, self.keeper, self.marble) = (None, None, None);
                self.place.recorder.reconnected();
                answered = self.limited(due).await;
            }
            let late = began.saturating_duration_since(due.at);
            self.place.recorder.record(self.kind, due.at.elapsed(), late, answered.err());
        }
    }

    async fn limited(&mut self, due: Due) -> anyhow::Result<()> {
        self.turns += 1;
        tokio::time::timeout(LIMIT, self.operate(due)).await.context("no answer in time")?
    }

    async fn operate(&mut self, due: Due) -> anyhow::Result<()> {
        let place = Arc::clone(&self.place);
        let owner = &place.site.owner;
        match self.kind {
            Kind::Status => self.get(&place.anyone, rest::STATUS).await,
            Kind::StatusNew => {
                let mut connection = Connection::open(&place.anyone).await?;
                connection.send(Method::GET, rest::STATUS, Bytes::new()).await.map(drop)
            }
            Kind::Read => {
                let path = secrets_path([world::secret(self.random.below(SECRETS as u64) as usize)]);
                self.get(owner, &path).await
            }
            Kind::Write => self.write().await,
            Kind::Counter => self.count().await,
            Kind::Activate => self.activate().await,
            Kind::ActivateNew => {
                match place.site.shared.counted.at(place.site.mesh)?.ask_once(&Uuid::new_v4()).await? {
                    Answer::Activated(_) => Ok(()),
                    Answer::Refused(code, text) => {
                        bail!("an activation was refused with gRPC {code}: {text}")
                    }
                }
            }
            Kind::Head => self.get(&place.anyone, rest::HEAD).await,
            Kind::Log => self.get(&place.anyone, &format!("{}?from={}&limit={PAGE}", rest::UPDATE, 0)).await,
            Kind::Audit => self.get(owner, &format!("/api/v2/audit?from=0&limit={PAGE}")).await,
            Kind::Metrics => metrics(place.metrics).await,
            Kind::Refused => self.refused().await,
            Kind::Update => self.update(due).await,
        }
    }

    async fn get(&mut self, connector: &Connector, path: &str) -> anyhow::Result<()> {
        let connection = kept(&mut self.connection, connector).await?;
        connection.send(Method::GET, path, Bytes::new()).await.map(drop)
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        let place = Arc::clone(&self.place);
        let connection = kept(&mut self.connection, &place.site.owner).await?;
        let name = world::secret(self.random.below(SECRETS as u64) as usize);
        let key = STANDARD.encode(self.random.next().to_string());
        let body = json!({ "secrets": { name: { "Key": key } } }).to_string();
        connection.send(Method::POST, rest::SECRETS, Bytes::from(body)).await.map(drop)
    }

    async fn count(&mut self) -> anyhow::Result<()> {
        let place = Arc::clone(&self.place);
        // Once more for each update that came between.
        for _ in 0..3 {
            if self.keeper.is_none() {
                let marble = self.random.below(MARBLES as u64) as usize;
                let keeper = place.site.connect_keeper(marble).await?;
                self.keeper = keeper.map(|keeper| (marble, keeper));
            }
            let (marble, keeper) = self.keeper.as_mut().context("a Marble")?;
            let name = format!("n{}", self.random.below(OF_EACH as u64));
            // Each request raises it: the time passes.
            let value = place.recorder.since_start().as_micros() as u64;
            let body = Bytes::from(json!({ "name": name, "value": value }).to_string());
            let (code, body) = keeper.connection.exchange(Method::POST, rest::COUNTER, body).await?;
            match code {
                StatusCode::OK => return Ok(()),
                StatusCode::UNAUTHORIZED => place.site.refuse_keeper(*marble, keeper, &body)?,
                _ => bail!("a counter was answered {code}: {}", String::from_utf8_lossy(&body)),
            }
            self.keeper = None;
        }
        bail!("a Marble's certificate was refused again and again")
    }

    async fn activate(&mut self) -> anyhow::Result<()> {
        if self.marble.is_none() {
            let site = &self.place.site;
            self.marble = Some(KeptMarble::open(site.shared.counted.at(site.mesh)?).await?);
        }
        self.marble.as_mut().context("a Marble")?.operate().await
    }

    /// Each sort in turn.
    async fn refused(&mut self) -> anyhow::Result<()> {
        let place = Arc::clone(&self.place);
        let read = secrets_path([world::secret(0)]);
        let (method, path, body, expected) = match self.turns % 3 {
            0 => (Method::GET, read.as_str(), "", StatusCode::UNAUTHORIZED),
            1 => (Method::GET, "/api/v2/nothing", "", StatusCode::METHOD_NOT_ALLOWED),
            _ => (Method::POST, "/api/v2/recover", "no JSON", StatusCode::BAD_REQUEST),
        };
        let connection = kept(&mut self.connection, &place.stranger).await?;
        let (code, body) = connection.exchange(method, path, Bytes::from(body)).await?;
        ensure!(
            code == expected || (code.is_client_error() && expected == StatusCode::METHOD_NOT_ALLOWED),
            "{path} was answered {code}, not {expected}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(())
    }

    async fn update(&mut self, due: Due) -> anyhow::Result<()> {
        let update = due.update.context("an update says which")?;
        changes::update(&self.place.site, update, 0, self.turns).await
    }
}

async fn kept<'a>(
    place: &'a mut Option<Connection>,
    connector: &Connector,
) -> anyhow::Result<&'a mut Connection> {
    if place.is_none() {
        *place = Some(Connection::open(connector).await?);
    }
    place.as_mut().context("a connection")
}

/// Plain HTTP, over a new connection each time.
async fn metrics(address: std::net::SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await.context("connecting to the metrics port")?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("asking for metrics")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.context("reading metrics")?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "metrics: {:.200}", String::from_utf8_lossy(&answer));
    Ok(())
}
