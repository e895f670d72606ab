//! What is known of collateral, as told by whoever fetches it: this crate knows nothing of attestation.

use prometheus::{IntCounter, IntGauge, Opts};

use super::Family;

/// Fetches and what came of them. The owner of the collateral sets them from time to time.
pub struct CollateralFigures {
    fetches: IntCounter,
    failures: IntCounter,
    kept: IntGauge,
    first_expiry: IntGauge,
}

impl CollateralFigures {
    pub(super) fn new(family: &Family<'_>) -> prometheus::Result<Self> {
        let counter = |name, help| family.known(IntCounter::with_opts(Opts::new(name, help))?);
        Ok(Self {
            fetches: counter(
                "coordinator_collateral_fetches_total",
                "Fetches of collateral that were begun.",
            )?,
            failures: counter(
                "coordinator_collateral_failures_total",
                "Fetches of collateral that gave nothing that can be used.",
            )?,
            kept: family
                .gauge("coordinator_collateral_kept", "Kinds of platform whose collateral is kept.")?,
            first_expiry: family.gauge(
                "coordinator_collateral_first_expiry_seconds",
                "When the first collateral that is kept expires, in Unix seconds; 0 if none is.",
            )?,
        })
    }

    /// Tells how many fetches there were so far and how many failed, how much is kept, and when the first of it expires
    /// (Unix seconds).
    pub fn set(&self, fetches: u64, failures: u64, kept: usize, first_expiry: Option<i64>) {
        self.fetches.inc_by(fetches.saturating_sub(self.fetches.get()));
        self.failures.inc_by(failures.saturating_sub(self.failures.get()));
        self.kept.set(i64::try_from(kept).unwrap_or(i64::MAX));
        self.first_expiry.set(first_expiry.unwrap_or(0));
    }
}
