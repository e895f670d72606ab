//! One state from its first manifest to its last recovery: started, loaded and killed again and again.

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::checks::{self, state};
use super::clients::{self, WRITERS};
use super::model::Model;
use super::model::secrets::SECRETS;
use super::plan::{Phase, Random, Round, Update};
use super::site::{Keepers, Shared, Site, data};
use super::totals::Totals;
use crate::bench::server::{Launch, STATE, Server};

/// A longer log makes starts slower, and fewer kills fit into an hour.
const LINES_OF_LIFE: usize = 3000;

/// Clients end with the server's connections. Only a hang reaches this.
const CLIENTS_LIMIT: Duration = Duration::from_secs(90);

/// Clients that raise counters.
const COUNTING: u64 = 2;

/// Clients that activate Marbles.
const ACTIVATING: u64 = 2;

/// A state and what is owed to its clients.
pub(crate) struct Life<'a> {
    launch: &'a Launch,
    shared: Arc<Shared>,
    seed: u64,
    folder: Option<TempDir>,
    model: Arc<Mutex<Model>>,
    keepers: Arc<Keepers>,
    /// What a start takes, to aim kills at it.
    start: Duration,
    /// What an update takes when nothing else is done.
    update: Duration,
}

impl<'a> Life<'a> {
    /// In an empty folder.
    pub(crate) fn new(
        launch: &'a Launch,
        shared: &Arc<Shared>,
        seed: u64,
        start: Duration,
    ) -> anyhow::Result<Self> {
        // Removed when the life is over and nothing was wrong.
        let folder =
            tempfile::Builder::new().prefix("state-").disable_cleanup(true).tempdir_in(&launch.scratch);
        Ok(Self {
            launch,
            shared: Arc::clone(shared),
            seed,
            folder: Some(folder.context("making a folder for a state")?),
            model: Arc::new(Mutex::new(Model::new())),
            keepers: Arc::new(Keepers::default()),
            start,
            update: start,
        })
    }

    /// Lives until the log is long or the kills are done; gives what a start takes.
    pub(crate) async fn run(mut self, totals: &mut Totals, kills: u64) -> anyhow::Result<Duration> {
        self.begin(totals, kills).await?;
        while totals.kills < kills && self.model().history.size() < LINES_OF_LIFE {
            let round = Round::plan(self.seed, totals.next_round());
            self.round(&round, totals).await?;
            totals.tell(kills, &self.model().counts);
        }
        self.end(totals).await?;
        totals.counts.add(&self.model().counts);
        if let Some(folder) = self.folder.take() {
            fs::remove_dir_all(folder.path()).context("removing a state")?;
        }
        Ok(self.start)
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&mut self) -> anyhow::Result<TempDir> {
        self.folder.take().context("the folder is in use")
    }

    async fn start(&mut self) -> anyhow::Result<(Server, Arc<Site>)> {
        let began = Instant::now();
        let folder = self.folder()?;
        let server = self.launch.start_in(folder).await?;
        self.start = (self.start + began.elapsed()) / 2;
        let site = Site::new(&server, &self.shared, &self.model, &self.keepers)?;
        Ok((server, Arc::new(site)))
    }

    fn kill(&mut self, server: Server, phase: Phase, totals: &mut Totals) -> anyhow::Result<()> {
        let log = server.log();
        self.folder = Some(server.kill()?);
        ensure!(!log.contains("panicked"), "the server panicked:\n{log}");
        totals.killed(phase);
        let unanswered = self.model().activations.killed();
        *self.model().counts.unanswered.entry("activation").or_default() += unanswered;
        Ok(())
    }

    /// Sets the first manifest: at first with kills meanwhile, then without.
    async fn begin(&mut self, totals: &mut Totals, kills: u64) -> anyhow::Result<()> {
        let mut killed = 0;
        loop {
            let round = Round::first_manifest(self.seed, totals.next_round());
            let (server, site) = self.start().await?;
            let mut connection = site.connect().await?.context("the server was not killed")?;
            let code = checks::status(&site, &mut connection).await?;
            let sent = killed > 0;
            ensure!(
                code == state::EMPTY || (sent && code == state::SERVES),
                "the server starts in state {code}"
            );
            if code == state::EMPTY {
                // Its root was only in memory.
                self.model().root = None;
            }
            checks::root(&site, &mut connection).await?;
            drop(connection);
            if code == state::SERVES {
                return self.fill(server, &site, totals).await;
            }
            if killed >= Random::new(self.seed, &[2, totals.round]).below(3) || totals.kills >= kills {
                set_manifest(Arc::clone(&site)).await?;
                return self.fill(server, &site, totals).await;
            }
            killed += 1;
            let mut setting = JoinSet::new();
            setting.spawn(set_manifest(Arc::clone(&site)));
            tokio::time::sleep(round.delay(self.start, self.update)).await;
            site.will_be_killed();
            self.kill(server, round.phase, totals)?;
            let answered = setting.join_next().await.context("a client")?.context("a client crashed")??;
            if answered {
                let (server, site) = self.start().await?;
                return self.fill(server, &site, totals).await;
            }
        }
    }

    /// The first upload sets all secrets, so that all can be read from then on.
    async fn fill(&mut self, server: Server, site: &Site, totals: &mut Totals) -> anyhow::Result<()> {
        let mut connection = site.connect().await?.context("the server was not killed")?;
        let code = checks::status(site, &mut connection).await?;
        ensure!(
            code == state::SERVES,
            "the manifest was acknowledged, but the server starts in state {code}"
        );
        checks::root(site, &mut connection).await?;
        let upload = self.model().secrets.send((0..SECRETS).collect());
        ensure!(clients::upload_secrets(site, &mut connection, &upload).await?, "the server was not killed");
        drop(connection);
        site.will_be_killed();
        self.kill(server, Phase::Idle, totals)
    }

    async fn round(&mut self, round: &Round, totals: &mut Totals) -> anyhow::Result<()> {
        if round.phase == Phase::Start {
            let folder = self.folder()?;
            let server = self.launch.spawn_in(folder)?;
            tokio::time::sleep(round.delay(self.start, self.update)).await;
            return self.kill(server, round.phase, totals);
        }
        let (server, site) = self.start().await?;
        totals.starts += 1;
        checks::everything(&site).await?;
        let mut clients = JoinSet::new();
        self.load(round, &site, totals.round, &mut clients);
        let delay = round.delay(self.start, self.update);
        tokio::time::sleep(delay).await;
        site.will_be_killed();
        self.kill(server, round.phase, totals)?;
        let ended = async {
            while let Some(client) = clients.join_next().await {
                client.context("a client crashed")??;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(CLIENTS_LIMIT, ended).await.context("a client hangs")??;
        if round.phase == Phase::Update && round.alone {
            // As long as what was waited for if it was answered, else longer: kills end up around its end.
            let answered = self.model().updates.under_way().is_none();
            self.update = if answered { (self.update + delay) * 45 / 100 } else { self.update * 11 / 10 };
        }
        Ok(())
    }

    fn load(&self, round: &Round, site: &Arc<Site>, number: u64, clients: &mut JoinSet<anyhow::Result<()>>) {
        let random = |client: u64| Random::new(self.seed, &[3, number, client]);
        if round.phase == Phase::Update {
            let more = 20 + random(30).below(40);
            let (site, update) = (Arc::clone(site), round.update);
            clients.spawn(async move { clients::update(&site, update, more, number).await });
        }
        if round.phase == Phase::Idle || (round.phase == Phase::Update && round.alone) {
            return;
        }
        let mixed = round.phase != Phase::Burst;
        for client in 0..WRITERS {
            clients.spawn(clients::write(Arc::clone(site), client, random(client as u64), mixed));
        }
        for client in 0..COUNTING {
            clients.spawn(clients::count(Arc::clone(site), random(10 + client)));
        }
        for client in 0..ACTIVATING {
            clients.spawn(clients::activate(Arc::clone(site), random(20 + client)));
        }
        if mixed {
            clients.spawn(clients::watch(Arc::clone(site)));
        }
    }

    /// The last recovery secret opens the state when its sealing key is lost, and everything is there.
    async fn end(&mut self, totals: &mut Totals) -> anyhow::Result<()> {
        let (server, site) = self.start().await?;
        checks::everything(&site).await?;
        if self.model().updates.recovery().is_none() {
            // A round of its own: the last one may have changed the manifest already, and no two manifests are the same.
            clients::update(&site, Update::RecoveryKey, 20, totals.next_round()).await?;
        }
        self.kill(server, Phase::Idle, totals)?;
        let folder = self.folder.as_ref().context("the folder is in use")?;
        fs::remove_file(folder.path().join(STATE).join("sealed_key")).context("losing the sealed key")?;

        let (server, site) = self.start().await?;
        let mut connection = site.connect().await?.context("the server was not killed")?;
        let code = checks::status(&site, &mut connection).await?;
        ensure!(code == state::RECOVERY, "without its key the server starts in state {code}");
        let secret = {
            let model = self.model();
            let encrypted = model.updates.recovery().context("the recovery secret is known")?;
            self.shared.world.recover(model.updates.current(), encrypted)?
        };
        connection.send(Method::POST, "/recover", Bytes::from(secret)).await.context("recovering")?;
        drop(connection);
        checks::everything(&site).await.context("after a recovery")?;
        self.kill(server, Phase::Idle, totals)?;
        let (server, site) = self.start().await?;
        checks::everything(&site).await.context("at the start after a recovery")?;
        totals.recoveries += 1;
        self.kill(server, Phase::Idle, totals)
    }
}

/// Whether it was acknowledged.
async fn set_manifest(site: Arc<Site>) -> anyhow::Result<bool> {
    let Some(mut connection) = site.connect().await? else { return Ok(false) };
    let manifest = site.shared.world.manifest(site.model().updates.current());
    let body = json!({ "manifest": STANDARD.encode(manifest) }).to_string();
    let path = "/api/v2/manifest";
    let sent = connection.send(Method::POST, path, Bytes::from(body));
    let Some(body) = site.alive(sent).await? else { return Ok(false) };
    let secret = clients::recovery_secret(data(&body)?.get("RecoverySecrets"))?;
    ensure!(secret.is_some(), "the manifest was set without a recovery secret");
    site.model().updates.set(secret);
    Ok(true)
}
