//! `cargo xtask soak`: loads a coordinator evenly for long and checks that its memory, its processor time and its answers
//! stay what they were, and that no request fails.
//!
//! Requests are due at fixed times, whether the ones before them were answered or not, and are timed from then on: a
//! stall shows in all that should have been sent meanwhile.

mod clients;
mod disk;
mod kinds;
mod record;
mod sample;
mod verdict;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinSet;

use crate::bench::manifests::Reader;
use crate::bench::rest::{self, Connection};
use crate::bench::server::{Launch, STATE, Server};
use crate::bench::usage::{self, Clock, Machine};
use crate::programs::{self, Programs};
use crate::torture::clients::upload_secrets;
use crate::torture::model::Model;
use crate::torture::model::secrets::SECRETS;
use crate::torture::model::updates::Version;
use crate::torture::plan::{Random, Update};
use crate::torture::site::{Keepers, Shared, Site};
use crate::torture::until_interrupted;
use clients::{Client, Due, Place};
use disk::Probe;
use kinds::Kind;
use record::Recorder;
use sample::Sample;

/// Clients of each kind: more than answer at once, fewer than would be a load by themselves.
const CLIENTS: usize = 4;

/// Requests that may wait for a client. So many are a stall of minutes.
const WAITING: usize = 1000;

/// From here on growth can be told from noise.
const LONG: Duration = Duration::from_secs(10 * 60);

/// More activations than there can be.
const ACTIVATIONS: u64 = 1_000_000_000;

/// Options of `cargo xtask soak`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long
    #[arg(long, value_name = "M", default_value_t = 60.0)]
    minutes: f64,
    /// Requests in a second
    #[arg(long, value_name = "R", default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=5000))]
    rate: u64,
    /// Also write all figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    programs: Programs,
}

/// When what happens.
struct Times {
    whole: Duration,
    /// Between two looks.
    look: Duration,
    package: Duration,
    full: Duration,
}

impl Times {
    /// A short run has everything, too.
    fn of(minutes: f64) -> anyhow::Result<Self> {
        ensure!((0.05..=100_000.0).contains(&minutes), "--minutes {minutes}: at least 0.05");
        let whole = Duration::from_secs_f64(minutes * 60.0);
        let at_most = |seconds, part| Duration::from_secs(seconds).min(whole / part);
        Ok(Self { whole, look: at_most(60, 4), package: at_most(120, 6), full: at_most(300, 4) })
    }
}

/// Runs it; an error if a request failed or something grew.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let times = Times::of(arguments.minutes)?;
    let binary = arguments.programs.coordinator()?;
    let (folder, launch) = programs::stage("soak-", &binary, &["--prometheus-addr", "127.0.0.1:0"])?;
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    let run = soak(&launch, &times, arguments.rate);
    let Some(samples) = runtime.block_on(until_interrupted(run)) else { bail!("interrupted") };
    let samples = samples?;
    drop(folder);
    let judged = verdict::judge(&samples, times.whole >= LONG);
    println!();
    for one in &judged {
        println!("{:<20} {}: {}", one.what, if one.good { "good" } else { "BAD" }, one.text);
    }
    if times.whole < LONG {
        println!("too short to say more: growth is judged from {} minutes on", LONG.as_secs() / 60);
    }
    if let Some(path) = &arguments.json {
        let document = json!({ "rate": arguments.rate, "samples": samples, "verdict": judged });
        let text = serde_json::to_string_pretty(&document).context("writing JSON")?;
        fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    let bad: Vec<&str> = judged.iter().filter(|one| !one.good).map(|one| one.what.as_str()).collect();
    ensure!(bad.is_empty(), "not as it should be: {}; see above", bad.join(", "));
    Ok(())
}

async fn soak(launch: &Launch, times: &Times, rate: u64) -> anyhow::Result<Vec<Sample>> {
    let folder = tempfile::Builder::new().prefix("state-").tempdir_in(&launch.scratch);
    let state = folder.context("making a folder for the state")?;
    let file = state.path().join(STATE).join("state.redb");
    let server = launch.start_in(state).await?;
    let place = Arc::new(set_up(&server).await?);
    let mut working = JoinSet::new();
    let queues = Kind::ALL.map(|kind| {
        let queues: [Sender<Due>; CLIENTS] = std::array::from_fn(|number| {
            let (queue, due) = channel(WAITING);
            let random = Random::new(1, &[kind as u64, number as u64]);
            working.spawn(Client::new(kind, &place, random).work(due));
            queue
        });
        (kind, queues)
    });
    println!("{}", Sample::head());
    let schedule = tokio::spawn(schedule(
        Arc::clone(&place),
        queues.into(),
        times.whole,
        (times.package, times.full),
        rate,
    ));
    let disk = Probe::start(&launch.scratch)?;
    let samples = watch(&server, &place, (&file, &disk), times).await?;
    schedule.await.context("the schedule crashed")?;
    // With the queues, the clients have ended.
    while let Some(ended) = working.join_next().await {
        ended.context("a client crashed")?;
    }
    Ok(samples)
}

/// The manifest, every secret, and who asks.
async fn set_up(server: &Server) -> anyhow::Result<Place> {
    let shared = Arc::new(Shared::new()?);
    let mut model = Model::new();
    model.updates.start(Version { limit: ACTIVATIONS, ..model.updates.current().clone() });
    let manifest = shared.world.manifest(model.updates.current());
    let anyone = server.rest(None)?;
    let mut connection = Connection::open(&anyone).await?;
    connection
        .send(Method::POST, rest::MANIFEST, Bytes::from(manifest))
        .await
        .context("setting the manifest")?;
    let upload = model.secrets.send((0..SECRETS).collect());
    let site = Site::new(server, &shared, &Arc::new(Mutex::new(model)), &Arc::new(Keepers::default()))?;
    let mut connection = Connection::open(&site.owner).await?;
    upload_secrets(&site, &mut connection, &upload).await?;
    let stranger = server.rest(Some(&Reader::new()?.identity))?;
    let metrics = server.metrics().context("the server has a metrics port")?;
    Ok(Place { site, anyone, stranger, metrics, recorder: Recorder::start() })
}

/// Hands out requests at their times.
async fn schedule(
    place: Arc<Place>,
    queues: BTreeMap<Kind, [Sender<Due>; CLIENTS]>,
    whole: Duration,
    (package, full): (Duration, Duration),
    rate: u64,
) {
    let mut random = Random::new(1, &[]);
    let (began, step) = (Instant::now(), Duration::from_secs(1) / rate as u32);
    let hand = |kind: Kind, number: u64, due: Due| {
        let queue = queues.get(&kind).and_then(|queues| queues.get(number as usize % CLIENTS));
        if queue.is_none_or(|queue| queue.try_send(due).is_err()) {
            place.recorder.failed(kind);
        }
    };
    let (mut packages, mut fulls) = (1, 1);
    for number in 0.. {
        let after = step * number as u32;
        if after >= whole {
            return;
        }
        let at = began + after;
        tokio::time::sleep_until(at.into()).await;
        hand(Kind::draw(&mut random), random.next(), Due { at, update: None });
        // Always the same client, so that updates follow each other.
        if after >= package * packages {
            packages += 1;
            hand(Kind::Update, 0, Due { at, update: Some(Update::Package) });
        }
        if after >= full * fulls {
            fulls += 1;
            let update = match fulls % 3 {
                0 => Update::Full,
                1 => Update::RecoveryKey,
                _ => Update::SealMode,
            };
            hand(Kind::Update, 0, Due { at, update: Some(update) });
        }
    }
}

/// Looks at the server again and again.
async fn watch(
    server: &Server,
    place: &Place,
    (file, disk): (&Path, &Probe),
    times: &Times,
) -> anyhow::Result<Vec<Sample>> {
    let clock = Clock::of_system()?;
    let (began, mut samples) = (Instant::now(), Vec::new());
    let mut before = (clock.cpu_of(server.id())?, Machine::now()?);
    let looks = (times.whole.as_secs_f64() / times.look.as_secs_f64()).round() as u32;
    for look in 1..=looks {
        tokio::time::sleep_until((began + times.look * look).into()).await;
        let lines = lines(place).await?;
        let now = (clock.cpu_of(server.id())?, Machine::now()?);
        let mut since = place.recorder.take();
        for text in since.texts.drain(..) {
            println!("error: {text}");
        }
        let state = fs::metadata(file).with_context(|| format!("looking at {}", file.display()))?.len();
        let held = usage::holdings(server.id())?;
        let used = (now.0.saturating_sub(before.0), now.1.busy_since(before.1));
        let waits = disk.take();
        let wait = waits.get(waits.len() / 2).copied();
        let sample = Sample::new(began.elapsed(), since, used, wait, held, (state, lines));
        println!("{}", sample.line());
        samples.push(sample);
        before = now;
    }
    Ok(samples)
}

/// The size of the update log: the second line of its signed head.
async fn lines(place: &Place) -> anyhow::Result<u64> {
    let mut connection = Connection::open(&place.anyone).await?;
    let head = connection.send(Method::GET, rest::HEAD, Bytes::new()).await?;
    let head: Value = serde_json::from_slice(&head).context("reading the log's head")?;
    let note = head.pointer("/data/checkpoint").and_then(Value::as_str).context("no checkpoint")?;
    note.lines().nth(1).and_then(|size| size.parse().ok()).with_context(|| format!("no size: {note}"))
}
