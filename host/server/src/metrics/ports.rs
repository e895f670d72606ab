//! Commits, counted around the core's port: the store does not know of it.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use carrara_core::ports::{
    Backup, Batch, Candidate, CommitError, Committed, Found, NewState, Snapshot, Store, StoreError,
};
use carrara_types::secret::SecretBytes;
use prometheus::{Histogram, IntCounter, IntGauge};

use super::{Family, Lasting};

/// An fsync takes from 0.1 ms to a second.
const COMMIT_SECONDS: [f64; 8] = [0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

/// Where commits are counted.
pub(crate) struct Commits {
    done: IntCounter,
    conflict: IntCounter,
    failed: IntCounter,
    waiting: IntGauge,
    seconds: Histogram,
}

impl Commits {
    pub(super) fn new(family: &Family<'_>) -> prometheus::Result<Self> {
        let help = "Commits to the state; conflict: what it was computed from had changed.";
        let total = family.counters("coordinator_commits_total", help, &["outcome"])?;
        let help = "Time until a commit was durable, or refused.";
        let seconds = family.histogram("coordinator_commit_duration_seconds", help, &COMMIT_SECONDS)?;
        Ok(Self {
            done: total.with_label_values(&["done"]),
            conflict: total.with_label_values(&["conflict"]),
            failed: total.with_label_values(&["failed"]),
            waiting: family.gauge("coordinator_commit_queue_depth", "Commits that are not durable yet.")?,
            seconds,
        })
    }

    async fn count(
        &self,
        commit: impl Future<Output = Result<Committed, CommitError>>,
    ) -> Result<Committed, CommitError> {
        let started = Instant::now();
        let waiting = Lasting::begin(&self.waiting);
        let committed = commit.await;
        drop(waiting);
        self.seconds.observe(started.elapsed().as_secs_f64());
        match &committed {
            Ok(_) => self.done.inc(),
            Err(CommitError::Conflict) => self.conflict.inc(),
            Err(CommitError::Store(_)) => self.failed.inc(),
        }
        committed
    }
}

/// [`Store`], counted.
pub(crate) struct CountedStore {
    pub(super) store: Arc<dyn Store>,
    pub(super) commits: Arc<Commits>,
}

#[async_trait]
impl Store for CountedStore {
    fn found(&self) -> Found {
        self.store.found()
    }

    fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.store.snapshot()
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.commits.count(self.store.commit(batch)).await
    }

    async fn create(&self, state: NewState, batch: Batch) -> Result<Committed, CommitError> {
        self.commits.count(self.store.create(state, batch)).await
    }

    fn recovery_data(&self) -> Option<Vec<u8>> {
        self.store.recovery_data()
    }

    async fn try_data_key(&self, data_key: &SecretBytes) -> Result<Option<Box<dyn Candidate>>, StoreError> {
        self.store.try_data_key(data_key).await
    }

    async fn backup(&self) -> Result<Backup, StoreError> {
        self.store.backup().await
    }
}
