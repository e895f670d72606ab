//! What happened since the last look: times by kind, errors, late sends.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::kinds::Kind;

/// A send is late from here on: below, it is the timer's grain.
const LATE: Duration = Duration::from_millis(10);

/// Texts of errors that are kept of a whole run.
const TEXTS: usize = 20;

/// Takes what the clients report.
pub(crate) struct Recorder {
    began: Instant,
    since: Mutex<Since>,
}

/// Since the last look.
#[derive(Debug, Default)]
pub(crate) struct Since {
    /// From when each request should have been sent to its answer.
    pub(crate) times: BTreeMap<Kind, Vec<Duration>>,
    /// Requests that failed.
    pub(crate) errors: u64,
    /// Their texts, the first ones.
    pub(crate) texts: Vec<String>,
    /// Requests that were sent late.
    pub(crate) late: u64,
    /// Connections that the server had ended.
    pub(crate) reconnects: u64,
}

impl Recorder {
    /// From now on.
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), since: Mutex::default() }
    }

    /// How long it has been.
    pub(crate) fn since_start(&self) -> Duration {
        self.began.elapsed()
    }

    /// A request is over.
    pub(crate) fn record(&self, kind: Kind, took: Duration, late: Duration, error: Option<anyhow::Error>) {
        let mut since = self.lock();
        since.times.entry(kind).or_default().push(took);
        since.late += u64::from(late >= LATE);
        if let Some(error) = error {
            since.failed(&format!("{}: {error:#}", kind.name()));
        }
    }

    /// A request could not even be handed to a client.
    pub(crate) fn failed(&self, kind: Kind) {
        self.lock().failed(&format!("{}: the clients are behind by more than they may be", kind.name()));
    }

    /// A connection was gone.
    pub(crate) fn reconnected(&self) {
        self.lock().reconnects += 1;
    }

    /// Everything since the last look.
    pub(crate) fn take(&self) -> Since {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Since> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Since {
    fn failed(&mut self, text: &str) {
        self.errors += 1;
        if self.texts.len() < TEXTS {
            self.texts.push(text.to_owned());
        }
    }

    /// How many requests were answered, wrongly or rightly.
    pub(crate) fn requests(&self) -> u64 {
        self.times.values().map(|times| times.len() as u64).sum()
    }
}
