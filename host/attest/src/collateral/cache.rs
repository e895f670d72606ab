//! Collateral that was fetched, by TEE, kind of platform and CA.
//!
//! What is there and valid is given out at once, whatever the source does. It is fetched anew long before it expires, one
//! fetch for all who wait, a few at a time, and after failures ever more rarely. What has expired is never given out.
//!
//! Time is the caller's (Unix seconds); only how long a fetch may take is measured here. Which kinds of platform are asked
//! for is up to whoever sends a quote, hence the bounds: what was never found is forgotten first.

mod entry;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::Collateral;
use super::check::{Root, shown};
use super::key::{Fmspc, Key, PckCa, Tee};
use super::source::{FetchError, Fetched, Source};
use crate::snp::SnpCollateral;
use entry::{Entry, Next};

/// One has about 25 kB, and an installation a handful of kinds of platform.
const KEPT: usize = 128;

/// A PCCS that is slow for one kind of platform must not be asked for hundreds at once.
const FETCHES: usize = 4;

/// Of the PCCS, with the time that a fetch waits for others: a Marble's activation waits for it. And of the bundle, which takes
/// milliseconds unless its disk hangs.
const FETCH: Duration = Duration::from_secs(30);

/// What the cache may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Kinds of platform, those included that were asked for and not found.
    pub kept: usize,
    /// Fetched at once from the PCCS, and looked up at once in the bundle; others wait for their turn.
    pub fetches: usize,
    /// For an answer of the PCCS, with the wait for a turn.
    pub fetch: Duration,
    /// For the bundle, with the wait for a turn.
    pub read: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { kept: KEPT, fetches: FETCHES, fetch: FETCH, read: FETCH }
    }
}

/// Why there is no collateral.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollateralError {
    /// None that is valid could be fetched.
    #[error("there is no valid collateral for {key}{}; {}", past(*expired), again(*retry_s))]
    Unavailable {
        /// What it was wanted for.
        key: Key,
        /// When the one that was there ended to be valid.
        expired: Option<i64>,
        /// How long every request is answered so, without asking again.
        retry_s: i64,
        /// What the sources said.
        #[source]
        cause: FetchError,
    },
    /// Collateral for too many kinds of platform is being fetched.
    #[error("collateral for {0} kinds of platform is being fetched; more have to wait")]
    Busy(usize),
}

/// What a cache did so far, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Fetches that were begun.
    pub fetches: u64,
    /// Those that gave nothing that can be used.
    pub failures: u64,
    /// Pieces that are kept, expired ones too.
    pub kept: usize,
    /// When the first of them expires, in Unix seconds.
    pub first_expiry: Option<i64>,
}

/// What became of one fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// For what.
    pub key: Key,
    /// Whether the source gave it; where a bundle had to stand in for the PCCS, it did not.
    pub outcome: Result<(), FetchError>,
    /// Until when what is there can be used; none if nothing is.
    pub until: Option<i64>,
}

/// The cache. Shared by all who verify quotes.
#[derive(Debug)]
pub struct CollateralCache {
    shared: Arc<Shared>,
}

type Outcome = Result<Arc<Collateral>, FetchError>;

#[derive(Debug)]
struct Shared {
    source: Source,
    root: Root,
    limits: Limits,
    /// The PCCS's.
    asking: Semaphore,
    /// The bundle's: each reads all of it.
    reading: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    /// Not told to the owner yet; the last one of each.
    untold: HashMap<Key, Fetch>,
    fetches: u64,
    failures: u64,
}

impl CollateralCache {
    /// An empty cache of what this source has and this root vouches for.
    #[must_use]
    pub fn new(source: Source, root: Root, limits: Limits) -> Self {
        let (asking, reading) = (Semaphore::new(limits.fetches), Semaphore::new(limits.fetches));
        let state = Mutex::default();
        Self { shared: Arc::new(Shared { source, root, limits, asking, reading, state }) }
    }

    /// Whether there is any source.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.shared.source.is_configured()
    }

    /// What the bundle has for SEV-SNP's evidence, as of some seconds ago at most: hosts that give their certificates need none of it.
    ///
    /// # Errors
    /// There is a bundle, but it cannot be read.
    pub async fn snp(&self) -> Result<Arc<SnpCollateral>, FetchError> {
        self.shared.source.snp().await
    }

    /// Collateral that is signed, not expired at `now` (Unix seconds), and at most about a day old if the source allows it.
    /// Waits only where none is there.
    ///
    /// To be called with what a PCK certificate says whose chain was verified: else anybody can have anything asked for, and
    /// those who wait for real platforms wait behind it.
    ///
    /// # Errors
    /// There is none, and the source has none, or had none a moment ago.
    pub async fn get(
        &self,
        fmspc: Fmspc,
        ca: PckCa,
        tee: Tee,
        now: i64,
    ) -> Result<Arc<Collateral>, CollateralError> {
        let key = Key { tee, fmspc, ca };
        let flight = match self.begin(key, now)? {
            Next::Given(collateral) => return Ok(collateral),
            Next::Wait(flight) => flight,
            Next::Refuse(cause) => return Err(self.unavailable(key, now, cause)),
        };
        landed(flight).await.map_err(|cause| self.unavailable(key, now, cause))
    }

    /// Fetches whatever is due, and forgets what nobody used for a long time. Tells what was fetched since the last call,
    /// whoever asked for it. To be called every few seconds by whoever owns the cache, as long as it is used.
    pub async fn refresh(&self, now: i64) -> Vec<Fetch> {
        let flights: Vec<_> = {
            let mut state = self.shared.lock();
            state.entries.retain(|_, entry| entry.is_wanted(now));
            let due = state.entries.iter().filter(|(_, entry)| entry.is_due(now));
            let due: Vec<_> = due.map(|(key, _)| *key).collect();
            due.into_iter().filter_map(|key| state.fly(&self.shared, key, now)).collect()
        };
        for flight in flights {
            // What became of it is told below.
            let _ = landed(flight).await;
        }
        let mut told: Vec<_> = self.shared.lock().untold.drain().map(|(_, fetch)| fetch).collect();
        told.sort_by_key(|fetch| fetch.key);
        told
    }

    /// What was done so far.
    #[must_use]
    pub fn figures(&self) -> CacheFigures {
        let state = self.shared.lock();
        let ends = state.entries.values().filter_map(Entry::until);
        let first_expiry = ends.clone().min();
        CacheFigures { fetches: state.fetches, failures: state.failures, kept: ends.count(), first_expiry }
    }

    fn begin(&self, key: Key, now: i64) -> Result<Next, CollateralError> {
        let mut state = self.shared.lock();
        state.make_room(key, self.shared.limits.kept)?;
        let entry = state.entries.entry(key).or_default();
        let next = entry.used(now);
        let fetches = entry.is_due(now);
        if fetches && let Some(flight) = state.fly(&self.shared, key, now) {
            // What is there goes on being given out meanwhile.
            return Ok(next.unwrap_or(Next::Wait(flight)));
        }
        // Neither there, nor on its way, nor due: it failed a moment ago.
        Ok(next.unwrap_or_else(|| Next::Refuse(state.last_failure(key))))
    }

    fn unavailable(&self, key: Key, now: i64, cause: FetchError) -> CollateralError {
        let state = self.shared.lock();
        let entry = state.entries.get(&key);
        let expired = entry.and_then(Entry::until).filter(|until| *until <= now);
        let retry_s = entry.map_or(0, |entry| entry.retry_in(now));
        CollateralError::Unavailable { key, expired, retry_s, cause }
    }
}

fn past(expired: Option<i64>) -> String {
    expired.map_or_else(String::new, |until| format!(": what was fetched was valid until {}", shown(until)))
}

fn again(retry_s: i64) -> String {
    match retry_s {
        0 => "the next request asks for it again".to_owned(),
        seconds => format!("it is asked for again in {seconds} s"),
    }
}

/// The result of a fetch that is on its way.
async fn landed(mut flight: watch::Receiver<Option<Outcome>>) -> Outcome {
    match flight.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(ended())),
        Err(_) => Err(ended()),
    }
}

fn ended() -> FetchError {
    FetchError::new("the process is ending")
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One fetch: the PCCS and the bundle, each with its own time and turns, so that a PCCS that hangs takes nothing from
    /// the bundle that stands in for it.
    async fn fetch(&self, key: Key, now: i64) -> Result<Fetched, FetchError> {
        let Limits { fetch, read, .. } = self.limits;
        let asked = in_turn(&self.asking, fetch, self.source.ask(key, &self.root, now)).await;
        let asked = asked.unwrap_or_else(|late| Some(Err(late)));
        let found = in_turn(&self.reading, read, self.source.or_bundle(asked, key, &self.root, now)).await;
        found.unwrap_or_else(|late| Err(FetchError::new(format!("the bundle: {late}"))))
    }
}

/// The work when there is a turn for it, both within the limit.
async fn in_turn<T>(turns: &Semaphore, limit: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    let done = timeout(limit, async {
        // Never closed.
        let _permit = turns.acquire().await;
        work.await
    });
    done.await.map_err(|_| format!("no answer within {} ms", limit.as_millis()))
}

impl State {
    /// Lets no more than `most` be kept. Whatever is being fetched stays; of the rest what was never found goes first, then
    /// what was not used for the longest time.
    fn make_room(&mut self, key: Key, most: usize) -> Result<(), CollateralError> {
        if self.entries.len() < most || self.entries.contains_key(&key) {
            return Ok(());
        }
        let idle = self.entries.iter().filter(|(_, entry)| !entry.is_flying());
        let first = idle.min_by_key(|(key, entry)| (entry.until().is_some(), entry.last_used(), **key));
        let first = first.map(|(key, _)| *key).ok_or(CollateralError::Busy(most))?;
        self.entries.remove(&first);
        Ok(())
    }

    fn last_failure(&self, key: Key) -> FetchError {
        self.entries.get(&key).and_then(Entry::failure).cloned().unwrap_or_else(ended)
    }

    /// Begins a fetch, in a task of its own: whoever asked first may go away, and others wait for it.
    fn fly(&mut self, shared: &Arc<Shared>, key: Key, now: i64) -> Option<watch::Receiver<Option<Outcome>>> {
        let (landing, flight) = watch::channel(None);
        self.entries.get_mut(&key)?.begin(flight.clone());
        self.fetches += 1;
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let fetched = shared.fetch(key, now).await;
            let outcome = shared.lock().land(key, fetched, now, shared.limits.kept);
            landing.send_replace(Some(outcome));
        });
        Some(flight)
    }

    fn land(&mut self, key: Key, fetched: Result<Fetched, FetchError>, now: i64, most: usize) -> Outcome {
        self.failures += u64::from(fetched.is_err());
        let entry = self.entries.entry(key).or_default();
        let outcome = entry.end(fetched, now);
        let failure = entry.failure().cloned();
        let fetch = Fetch { key, outcome: failure.map_or(Ok(()), Err), until: entry.until() };
        // Where nobody wants to know, the first ones are enough.
        if self.untold.len() < most || self.untold.contains_key(&key) {
            self.untold.insert(key, fetch);
        }
        outcome
    }
}

#[cfg(test)]
mod tests;
