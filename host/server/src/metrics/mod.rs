//! What the coordinator counts (rest-api.md section 7), and the port on which Prometheus asks for it.
//!
//! Counting is done in atomics that are looked up beforehand, since every request pays for it. Labels come from routes,
//! fixed lists and the manifest, never from callers: nobody can make series without end.

mod clients;
mod collateral;
mod endpoint;
mod events;
mod marbles;
mod policies;
mod ports;
mod pressure;

use std::sync::Arc;

use carrara_core::Coordinator;
use carrara_core::ports::{Clock, PolicyObserver, Store};
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

pub(crate) use clients::Clients;
pub use collateral::CollateralFigures;
pub(crate) use endpoint::listen;
pub(crate) use marbles::Marbles;
pub(crate) use pressure::{Pressure, Refused};

/// What /metrics tells of the program.
#[derive(Debug, Clone, Copy)]
pub struct Build {
    /// The program's version.
    pub version: &'static str,
    /// The commit that it was built from.
    pub commit: &'static str,
}

/// Metrics could not be set up: a name is given twice or is none. A mistake in this crate.
#[derive(Debug, thiserror::Error)]
#[error("setting up the metrics")]
pub struct MetricsError(#[from] prometheus::Error);

/// A failure to write what was counted as text.
#[derive(Debug, thiserror::Error)]
#[error("writing the metrics: {0}")]
struct EncodeError(#[from] prometheus::Error);

/// All that is counted, in this process.
pub struct Metrics {
    registry: Registry,
    pub(crate) clients: Arc<Clients>,
    pub(crate) marbles: Arc<Marbles>,
    policies: Arc<policies::PolicyCalls>,
    commits: Arc<ports::Commits>,
    state: IntGauge,
    audit_waiting: IntGauge,
    scrapes: endpoint::Scrapes,
    /// The clients' port's, and the Marbles'.
    pub(crate) pressure: [Arc<Pressure>; 2],
}

/// Makes metrics and makes them known.
struct Family<'a>(&'a Registry);

impl Metrics {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// A mistake in this crate.
    pub fn new(build: Build, clock: Arc<dyn Clock>) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let family = Family(&registry);
        family
            .gauges(
                "coordinator_version_info",
                "Version and commit; the value is 0.",
                &["version", "commit"],
            )?
            .with_label_values(&[build.version, build.commit])
            .set(0);
        let state = "1 recovery, 2 accepting a manifest, 3 accepting Marbles; 0 if it is not known.";
        let waiting = "Entries of the audit trail that are not stored yet.";
        Ok(Self {
            clients: Arc::new(Clients::new(&family)?),
            marbles: Arc::new(Marbles::new(&family, clock)?),
            policies: Arc::new(policies::PolicyCalls::new(&family)?),
            commits: Arc::new(ports::Commits::new(&family)?),
            state: family.gauge("coordinator_state", state)?,
            audit_waiting: family.gauge("coordinator_audit_entries_waiting", waiting)?,
            scrapes: endpoint::Scrapes::new(&family)?,
            pressure: Pressure::both(&family)?.map(Arc::new),
            registry,
        })
    }

    /// Counts the calls of policies; their decisions go on to `decisions`.
    #[must_use]
    pub fn count_policies(&self, decisions: Arc<dyn PolicyObserver>) -> Arc<dyn PolicyObserver> {
        Arc::new(policies::Counting { calls: Arc::clone(&self.policies), decisions })
    }

    /// What is told of collateral from now on; to be asked for once, where quotes are verified.
    ///
    /// # Errors
    /// It was asked for before.
    pub fn tell_collateral(&self) -> Result<CollateralFigures, MetricsError> {
        Ok(CollateralFigures::new(&Family(&self.registry))?)
    }

    /// The same store, with its commits counted.
    #[must_use]
    pub fn count_store(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(ports::CountedStore { store, commits: Arc::clone(&self.commits) })
    }

    /// Prometheus' text format, version 0.0.4.
    fn text(&self, coordinator: &Coordinator) -> Result<String, EncodeError> {
        self.policies.keep(&coordinator.policies_in_force());
        self.state.set(i64::from(coordinator.status().code));
        self.audit_waiting.set(i64::try_from(coordinator.audit_entries_waiting()).unwrap_or(i64::MAX));
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

impl Family<'_> {
    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.known(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.known(IntCounter::new(name, help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.known(IntGauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.known(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
        self.known(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> prometheus::Result<HistogramVec> {
        self.known(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
    }

    fn known<C: Collector + Clone + 'static>(&self, collector: C) -> prometheus::Result<C> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }
}

/// Counts something as long as it lasts.
pub(crate) struct Lasting(IntGauge);

impl Lasting {
    pub(crate) fn begin(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
pub(crate) mod tests;
