//! A running server as the clients of one round see it, until it is killed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::Value;

use super::model::Model;
use super::model::counters::MARBLES;
use super::world::{KEEPER, World};
use crate::bench::mesh::Marble;
use crate::bench::rest::{self, Connection};
use crate::bench::server::Server;
use crate::bench::tls::{Connector, Identity};

/// Any answer comes sooner, on any machine; only a hang reaches this.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Everything that the clients of a state share, for as long as it lives.
pub(crate) struct Shared {
    /// Who takes part.
    pub(crate) world: World,
    /// A Marble's keys for any type; addresses change.
    pub(crate) counted: Marble,
    /// The same for those with counters.
    pub(crate) keeper: Marble,
}

impl Shared {
    /// New keys.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Self {
            world: World::new()?,
            counted: Marble::generate(nowhere, super::world::COUNTED)?,
            keeper: Marble::generate(nowhere, KEEPER)?,
        })
    }
}

/// What the Marbles with counters show. It outlives kills.
pub(crate) type Keepers = Mutex<[Option<Arc<Standing>>; MARBLES]>;

/// A Marble's certificate.
pub(crate) struct Standing {
    identity: Identity,
    /// Updates that were over when it was asked for: a later one made it old.
    updates: u64,
}

/// A connection of a Marble with counters.
pub(crate) struct Keeper {
    /// For its requests.
    pub(crate) connection: Connection,
    standing: Arc<Standing>,
}

/// One round's server.
pub(crate) struct Site {
    /// Who takes part.
    pub(crate) shared: Arc<Shared>,
    /// The owner's connections.
    pub(crate) owner: Connector,
    /// Where Marbles connect.
    pub(crate) mesh: SocketAddr,
    /// Where users connect.
    rest: SocketAddr,
    model: Arc<Mutex<Model>>,
    keepers: Arc<Keepers>,
    killed: AtomicBool,
}

impl Site {
    /// Of a server that listens.
    pub(crate) fn new(
        server: &Server,
        shared: &Arc<Shared>,
        model: &Arc<Mutex<Model>>,
        keepers: &Arc<Keepers>,
    ) -> anyhow::Result<Self> {
        let owner = server.rest(Some(&shared.world.owner.identity))?;
        let rest = owner.address();
        Ok(Self {
            shared: Arc::clone(shared),
            owner,
            mesh: server.mesh(),
            rest,
            model: Arc::clone(model),
            keepers: Arc::clone(keepers),
            killed: AtomicBool::new(false),
        })
    }

    /// What the server owes. Never kept across an await.
    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on connections may break.
    pub(crate) fn will_be_killed(&self) {
        self.killed.store(true, Ordering::Release);
    }

    /// `None` if the server was killed meanwhile; an error if it was not, but does not answer.
    pub(crate) async fn alive<T>(
        &self,
        answer: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<Option<T>> {
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(_)) if self.killed.load(Ordering::Acquire) => Ok(None),
            Ok(Err(error)) => Err(error).context("the server was not killed, but a request failed"),
            Err(_) => bail!("no answer within {} s", ANSWER_LIMIT.as_secs()),
        }
    }

    /// `data` of an answer 200, which the caller expects; `None` if the server was killed.
    pub(crate) async fn get(&self, connection: &mut Connection, path: &str) -> anyhow::Result<Option<Value>> {
        let Some(body) = self.alive(connection.send(Method::GET, path, Bytes::new())).await? else {
            return Ok(None);
        };
        data(&body).map(Some)
    }

    /// An answer of whatever status; `None` if the server was killed.
    pub(crate) async fn post(
        &self,
        connection: &mut Connection,
        path: &str,
        body: String,
    ) -> anyhow::Result<Option<(StatusCode, Bytes)>> {
        self.alive(connection.exchange(Method::POST, path, Bytes::from(body))).await
    }

    /// A connection of the owner.
    pub(crate) async fn connect(&self) -> anyhow::Result<Option<Connection>> {
        self.alive(Connection::open(&self.owner)).await
    }

    /// A connection of a Marble with counters. It is activated if it is not, or if its certificate is from before an update.
    pub(crate) async fn connect_keeper(&self, marble: usize) -> anyhow::Result<Option<Keeper>> {
        let known = self.keepers().get(marble).cloned().flatten();
        let standing = match known {
            Some(standing) => standing,
            None => match self.activate_keeper(marble).await? {
                Some(standing) => standing,
                None => return Ok(None),
            },
        };
        let connector = Connector::new(self.rest, rest::PROTOCOL, Some(&standing.identity))?;
        let connection = self.alive(Connection::open(&connector)).await?;
        Ok(connection.map(|connection| Keeper { connection, standing }))
    }

    async fn activate_keeper(&self, marble: usize) -> anyhow::Result<Option<Arc<Standing>>> {
        let updates = self.model().updates.settled();
        let uuid = self.shared.world.keepers.get(marble).context("no such Marble")?;
        let asker = self.shared.keeper.at(self.mesh)?;
        let Some(identity) = self.alive(asker.identity_of(uuid)).await? else { return Ok(None) };
        let standing = Arc::new(Standing { identity, updates });
        if let Some(place) = self.keepers().get_mut(marble) {
            *place = Some(Arc::clone(&standing));
        }
        Ok(Some(standing))
    }

    /// A Marble's certificate was refused. That is right after an update, and only then.
    pub(crate) fn refuse_keeper(&self, marble: usize, keeper: &Keeper, body: &Bytes) -> anyhow::Result<()> {
        let sent = self.model().updates.sent();
        ensure!(
            keeper.standing.updates < sent,
            "a Marble's certificate is refused, but there was no update: {}",
            String::from_utf8_lossy(body)
        );
        // Another client may have a new one by now.
        if let Some(place) = self.keepers().get_mut(marble) {
            place.take_if(|standing| Arc::ptr_eq(standing, &keeper.standing));
        }
        Ok(())
    }

    fn keepers(&self) -> MutexGuard<'_, [Option<Arc<Standing>>; MARBLES]> {
        self.keepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `data` of the envelope.
pub(crate) fn data(body: &[u8]) -> anyhow::Result<Value> {
    let mut answer: Value =
        serde_json::from_slice(body).with_context(|| format!("reading {}", String::from_utf8_lossy(body)))?;
    Ok(answer.get_mut("data").map(Value::take).unwrap_or_default())
}

/// The path, over a list of names.
pub(crate) fn secrets_path(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("s={name}")).collect();
    format!("{}?{}", rest::SECRETS, names.join("&"))
}
