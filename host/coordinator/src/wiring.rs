//! Puts the parts behind the core's ports. The only file that asks the machine for time and randomness.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use carrara_attest::{Attestation, Expected};
use carrara_core::ports::{Clock, Entropy, Evidence, EvidenceError, KeyPolicy, Sealing, SealingKind};
use carrara_core::{Coordinator, DecisionRing, Ports, Settings};
use carrara_server::{Build, Metrics};
use carrara_store::{Backend, Options};
use carrara_types::claims::Claims;
use carrara_types::secret::SecretBytes;
use carrara_wasm::Engine;
use time::OffsetDateTime;

use crate::config::Config;

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

/// Opens the state and starts the coordinator, with everything that is counted.
///
/// # Errors
/// There is no TEE, or the state cannot be used. The text names the remedy.
pub(crate) async fn start(config: &Config) -> Result<(Coordinator, Metrics)> {
    let expected = if config.simulation { Expected::Simulation } else { Expected::Tee };
    let attestation = Arc::new(carrara_attest::open(expected)?);
    let tee = Arc::new(Tee(attestation));
    let entropy = Arc::new(OsEntropy(SystemRandom::new()));
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
    let ports = Ports { store, evidence: tee, policies, decisions, clock, entropy };
    let (dns_names, owner) = (config.dns_names.clone(), config.owner.clone());
    let settings = Settings { dns_names, owner, uploads: config.policies.uploads };
    let coordinator = Coordinator::start(ports, settings).await.context("starting the coordinator")?;
    Ok((coordinator, metrics))
}

/// Attestation as the core sees it.
pub(crate) struct Tee(pub(crate) Arc<Attestation>);

#[async_trait]
impl Evidence for Tee {
    fn simulated(&self) -> bool {
        self.0.simulated()
    }

    async fn issue(&self, report_data: &[u8]) -> Result<Vec<u8>, EvidenceError> {
        self.0.issue(report_data).await.map_err(|error| EvidenceError(error.to_string()))
    }

    async fn verify(&self, quote: &[u8], now: OffsetDateTime) -> Result<Claims, EvidenceError> {
        self.0.verify(quote, now.unix_timestamp()).await.map_err(|error| EvidenceError(error.to_string()))
    }
}

impl Sealing for Tee {
    fn kind(&self) -> SealingKind {
        if self.0.simulated() { SealingKind::Simulation } else { SealingKind::Tee }
    }

    fn key(&self, policy: KeyPolicy) -> Result<SecretBytes, String> {
        self.0.sealing_key(policy).map_err(|error| error.to_string())
    }
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

    #[cfg(feature = "simulation")]
    #[test]
    fn a_simulated_key_is_marked_as_such() {
        let tee = Tee(Arc::new(carrara_attest::open(Expected::Simulation).unwrap()));
        assert_eq!(tee.kind(), SealingKind::Simulation);
        assert!(tee.simulated());
        assert_eq!(tee.key(KeyPolicy::Product).unwrap().len(), 32);
    }
}
