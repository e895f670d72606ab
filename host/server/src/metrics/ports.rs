//! Policy calls and commits, counted around the core's ports: neither policies nor the store know of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use carrara_core::ports::{
    Backup, Batch, Candidate, CommitError, Committed, Found, NewState, Policies, PolicyDecision,
    PolicyFailure, RenderFailure, SecretCatalog, Snapshot, Store, StoreError,
};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Decision, Finding, Proposal, Severity, Template,
};
use carrara_types::secret::SecretBytes;
use prometheus::{Histogram, IntCounter, IntGauge};

use super::{Family, Lasting};

/// A call of a built-in policy takes from 40 us to some ms; the longest limit is 10 s.
const CALL_SECONDS: [f64; 8] = [0.000_1, 0.000_5, 0.002_5, 0.01, 0.05, 0.25, 1.0, 5.0];

/// An fsync takes from 0.1 ms to a second.
const COMMIT_SECONDS: [f64; 8] = [0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

/// Where policy calls are counted.
pub(crate) struct PolicyCalls {
    validation: World,
    authorization: World,
    admission: World,
    rendering: World,
}

/// The calls of one world.
struct World {
    allowed: IntCounter,
    refused: IntCounter,
    failed: IntCounter,
    seconds: Histogram,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Allowed,
    Refused,
    Failed,
}

impl PolicyCalls {
    pub(super) fn new(family: &Family<'_>) -> prometheus::Result<Self> {
        let help = "Questions to all policies of a world; failed: a policy could not decide.";
        let calls = family.counters("coordinator_policy_calls_total", help, &["world", "outcome"])?;
        let (name, help) = ("coordinator_policy_call_duration_seconds", "Time until policies answered.");
        let seconds = family.histograms(name, help, &CALL_SECONDS, &["world"])?;
        let world = |world: &str| World {
            allowed: calls.with_label_values(&[world, "allowed"]),
            refused: calls.with_label_values(&[world, "refused"]),
            failed: calls.with_label_values(&[world, "failed"]),
            seconds: seconds.with_label_values(&[world]),
        };
        Ok(Self {
            validation: world("manifest-validation"),
            authorization: world("role-authorization"),
            admission: world("marble-admission"),
            rendering: world("secret-rendering"),
        })
    }
}

impl World {
    fn count(&self, outcome: Outcome, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        match outcome {
            Outcome::Allowed => self.allowed.inc(),
            Outcome::Refused => self.refused.inc(),
            Outcome::Failed => self.failed.inc(),
        }
    }
}

/// [`Policies`], counted.
pub(crate) struct CountedPolicies {
    pub(super) policies: Arc<dyn Policies>,
    pub(super) calls: Arc<PolicyCalls>,
}

#[async_trait]
impl Policies for CountedPolicies {
    fn renderers(&self) -> Vec<String> {
        self.policies.renderers()
    }

    async fn validate(&self, proposal: Proposal) -> Result<Vec<Finding>, PolicyFailure> {
        let started = Instant::now();
        let answer = self.policies.validate(proposal).await;
        let refuses = |findings: &Vec<Finding>| findings.iter().any(|f| f.severity == Severity::Error);
        self.calls.validation.count(outcome(&answer, refuses), started.elapsed());
        answer
    }

    async fn authorize(&self, request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        let started = Instant::now();
        let answer = self.policies.authorize(request).await;
        self.calls.authorization.count(outcome(&answer, denies), started.elapsed());
        answer
    }

    async fn admit(&self, request: AdmissionRequest) -> Result<PolicyDecision, PolicyFailure> {
        let started = Instant::now();
        let answer = self.policies.admit(request).await;
        self.calls.admission.count(outcome(&answer, denies), started.elapsed());
        answer
    }

    async fn render(
        &self,
        renderer: &str,
        context: Context,
        templates: Vec<Template>,
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        let started = Instant::now();
        let answer = self.policies.render(renderer, context, templates, secrets).await;
        let outcome = match &answer {
            Ok(_) => Outcome::Allowed,
            Err(RenderFailure::Template(_) | RenderFailure::UnknownRenderer(_)) => Outcome::Refused,
            Err(RenderFailure::Policy(_)) => Outcome::Failed,
        };
        self.calls.rendering.count(outcome, started.elapsed());
        answer
    }
}

fn denies(answer: &PolicyDecision) -> bool {
    matches!(answer.decision, Decision::Deny(_))
}

fn outcome<T, E>(answer: &Result<T, E>, refuses: impl Fn(&T) -> bool) -> Outcome {
    match answer {
        Ok(answer) if refuses(answer) => Outcome::Refused,
        Ok(_) => Outcome::Allowed,
        Err(_) => Outcome::Failed,
    }
}

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
