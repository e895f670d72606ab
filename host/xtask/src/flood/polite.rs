//! Clients that behave: one that keeps its connection, one that comes anew each time, one that sends a body. They run on a
//! thread of their own, so that the attackers of this process do not delay them but through the processors.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::bench::rest::{self, Connection};
use crate::bench::server::Server;
use crate::bench::tls::Connector;

/// One asks twenty times a second.
pub(super) const OFTEN: Duration = Duration::from_millis(50);

/// The others twice.
const NOW_AND_THEN: Duration = Duration::from_millis(500);

/// What one client saw.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    /// Of each answer, from the moment at which it was to be asked.
    pub(super) times: Vec<Duration>,
    /// Without an answer, or with one that says to try again.
    pub(super) failures: Vec<String>,
}

/// All that was seen.
#[derive(Debug, Default, Clone)]
pub(super) struct Record {
    pub(super) kept: Seen,
    pub(super) new: Seen,
    pub(super) body: Seen,
}

/// The clients at work.
pub(super) struct Clients {
    record: Arc<Mutex<Record>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Seen {
    /// The time within which so many percent of the answers came.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(index).copied().unwrap_or_default()
    }

    pub(super) fn note(&mut self, since: Instant, answer: anyhow::Result<()>) {
        match answer {
            Ok(()) => self.times.push(since.elapsed()),
            Err(error) => self.failures.push(format!("{error:#}")),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |percent| self.percentile(percent).as_secs_f64() * 1000.0;
        let (answered, failed) = (self.times.len(), self.failures.len());
        write!(
            f,
            "{answered} answered, {failed} failed, p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            ms(50),
            ms(99),
            ms(100)
        )
    }
}

impl Clients {
    /// Starts them.
    pub(super) fn start(server: &Server) -> anyhow::Result<Self> {
        let (record, stop) = (Arc::new(Mutex::new(Record::default())), Arc::new(AtomicBool::new(false)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("starting the polite clients' runtime")?;
        let connector = server.rest(None)?;
        let (seen, ending) = (Arc::clone(&record), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = async { tokio::join!(kept(&connector, &seen), new(&connector, &seen), body(&connector, &seen)); } => {}
                    () = told(&ending) => {}
                }
            });
        });
        Ok(Self { record, stop, thread: Some(thread) })
    }

    /// Waits until the one that keeps its connection has so many answers.
    pub(super) async fn wait_for_answers(&self, count: usize) {
        while open(&self.record).kept.times.len() < count {
            sleep(OFTEN).await;
        }
    }

    /// Begins anew.
    pub(super) fn forget(&self) {
        *open(&self.record) = Record::default();
    }

    /// For a line on how far it is.
    pub(super) fn so_far(&self) -> String {
        open(&self.record).kept.to_string()
    }

    /// Ends them and gives what they saw.
    pub(super) fn end(mut self) -> Record {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        open(&self.record).clone()
    }
}

fn open(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn told(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        sleep(OFTEN).await;
    }
}

/// Keeps its connection; if it is closed, that is a failure, and it connects again.
async fn kept(connector: &Connector, record: &Mutex<Record>) {
    let mut connection = None;
    let mut ticks = interval(OFTEN);
    // Late questions are asked late and count from when they were due.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        let due = ticks.tick().await.into_std();
        let answer = async {
            if connection.is_none() {
                connection = Some(Connection::open(connector).await?);
            }
            let open = connection.as_mut().context("it was just opened")?;
            open.send(Method::GET, rest::STATUS, Bytes::new()).await.map(drop)
        };
        let answer = answer.await;
        if answer.is_err() {
            connection = None;
        }
        open(record).kept.note(due, answer);
    }
}

async fn new(connector: &Connector, record: &Mutex<Record>) {
    now_and_then(
        connector,
        record,
        |record| &mut record.new,
        async |mut connection| connection.send(Method::GET, rest::STATUS, Bytes::new()).await.map(drop),
    )
    .await;
}

/// Sends a manifest where there is one already: any answer but "try again" will do.
async fn body(connector: &Connector, record: &Mutex<Record>) {
    now_and_then(
        connector,
        record,
        |record| &mut record.body,
        async |mut connection| {
            let body = Bytes::from(vec![b' '; 100_000]);
            let (code, _) = connection.exchange(Method::POST, rest::MANIFEST, body).await?;
            anyhow::ensure!(code != StatusCode::SERVICE_UNAVAILABLE, "answered {code}");
            Ok(())
        },
    )
    .await;
}

/// Asks on a new connection each time.
async fn now_and_then(
    connector: &Connector,
    record: &Mutex<Record>,
    seen: fn(&mut Record) -> &mut Seen,
    ask: impl AsyncFn(Connection) -> anyhow::Result<()>,
) {
    let mut ticks = interval(NOW_AND_THEN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = ticks.tick().await.into_std();
        let answer = async { ask(Connection::open(connector).await?).await };
        let answer = answer.await;
        seen(&mut open(record)).note(due, answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_time_of_the_answer_at_that_place() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let seen = Seen { times, failures: Vec::new() };
        assert_eq!(seen.percentile(50), Duration::from_millis(100));
        assert_eq!(seen.percentile(99), Duration::from_millis(198));
        assert_eq!(seen.percentile(100), Duration::from_millis(200));
        assert_eq!(Seen::default().percentile(99), Duration::ZERO);
    }
}
