//! Puts the parts behind the core's ports. The only file that asks the machine for time and randomness.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use carrara_attest::{Expected, Verification};
use carrara_core::ports::{Clock, Entropy};
use carrara_core::{Coordinator, DecisionRing, Ports, Settings};
use carrara_server::{Build, Metrics};
use carrara_store::{Backend, Options};
use carrara_wasm::Engine;
use time::OffsetDateTime;

use crate::collateral::{self, Refreshing};
use crate::config::Config;
use crate::tee::Tee;

/// redb's own cache; the records are in memory anyway.
const STORE_CACHE_BYTES: usize = 8 << 20;

/// The commit is known to builds that are told it.
const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: match option_env!("CARRARA_COMMIT") {
        Some(commit) => commit,
        None => "unknown",
    },
};

/// What was started.
pub(crate) struct Started {
    pub(crate) coordinator: Coordinator,
    /// Everything that is counted.
    pub(crate) metrics: Metrics,
    /// Where there are quotes to verify.
    pub(crate) collateral: Option<Refreshing>,
}

/// Opens the state and starts the coordinator.
///
/// # Errors
/// There is no TEE, or the state cannot be used. The text names the remedy.
pub(crate) async fn start(config: &Config) -> Result<Started> {
    let expected = if config.simulation { Expected::Simulation } else { Expected::Tee };
    let attestation = carrara_attest::open(expected)?;
    let collateral = collateral::cache(&config.collateral)?;
    let verification = Verification::new(Arc::clone(&collateral));
    let entropy = Arc::new(OsEntropy(SystemRandom::new()));
    let tee = Arc::new(Tee::new(attestation.verifying(verification), entropy.as_ref()));
    tee.tell();
    let backend = Backend::Redb { dir: config.seal_dir.clone(), cache_bytes: STORE_CACHE_BYTES };
    let options = Options { backend, sealing: tee.clone(), entropy: entropy.clone() };
    let store = carrara_store::open(options).await.context("opening the state")?;
    let clock = Arc::new(SystemClock);
    let metrics = Metrics::new(BUILD, clock.clone())?;
    let store = metrics.count_store(store);
    let decisions = Arc::new(DecisionRing::new(config.policies.decisions));
    let observer = metrics.count_policies(decisions.clone());
    let policies = Engine::start(config.policies.engine, observer, clock.clone());
    let policies = Arc::new(policies.context("loading the built-in policies")?);
    let refreshed = Arc::clone(&clock);
    let ports = Ports { store, evidence: tee, policies, decisions, clock, entropy };
    let (dns_names, owner) = (config.dns_names.clone(), config.owner.clone());
    let settings = Settings { dns_names, owner, uploads: config.policies.uploads };
    let coordinator = Coordinator::start(ports, settings).await.context("starting the coordinator")?;
    let collateral = if config.simulation {
        None
    } else {
        collateral::tell(&config.collateral);
        Some(Refreshing::start(collateral, refreshed, metrics.tell_collateral()?))
    };
    Ok(Started { coordinator, metrics, collateral })
}

struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

struct OsEntropy(SystemRandom);

impl Entropy for OsEntropy {
    /// Ends the process if the source fails: keys made of anything else would be worse than none.
    fn fill(&self, buffer: &mut [u8]) {
        if self.0.fill(buffer).is_err() {
            tracing::error!("the source of randomness failed");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn randomness_differs_from_call_to_call() {
        let entropy = OsEntropy(SystemRandom::new());
        let (mut first, mut second) = ([0; 32], [0; 32]);
        entropy.fill(&mut first);
        entropy.fill(&mut second);
        assert_ne!(first, second);
    }
}
