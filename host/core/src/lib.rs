//! What a coordinator does: one file per use case, and the ports through which it sees the world.
//!
//! Knows neither sockets nor files nor WebAssembly: stores, evidence, policies, time and randomness come through
//! [`ports`]. Every use case reads a snapshot, decides without holding a lock, computes one batch and commits it.

mod access;
mod acknowledge_update;
mod activate;
mod advance_counter;
mod apply_update;
pub mod audit;
pub mod authority;
mod back_up_state;
mod ca_key;
mod cancel_update;
mod carry_over;
mod catalog;
pub mod certificate;
mod checkpoint;
mod collateral_age;
mod components;
mod decision_size;
pub mod decisions;
pub mod derive;
mod digest_signature;
mod dry_run;
pub mod error;
mod facts;
mod full_update;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod generate;
mod judging;
mod key_pair;
mod list_policies;
mod log;
mod marble_certificate;
mod matching;
pub mod outcome;
mod owner;
mod package_update;
mod parameters;
mod pem_text;
mod pending;
mod pending_update;
mod phase;
mod policies_in_force;
pub mod ports;
mod read_secrets;
mod records;
mod recover;
mod recovery_data;
mod recovery_progress;
pub mod recovery_shares;
mod recovery_signatures;
mod render;
mod set_manifest;
pub mod shamir;
mod sign_quote;
mod splice;
mod startup_manifest;
mod status;
mod template_uses;
#[cfg(test)]
mod test_authority;
mod ttls;
mod turns;
mod update_manifest;
mod upload_policy;
mod uploaded_secrets;
mod uploads;
mod view;
mod write_failure;
mod write_secrets;

pub use catalog::declared_secrets;
pub use decisions::{DecisionLimits, DecisionRing};
pub use matching::evidence_facts;
pub use owner::OwnerCertificate;
pub use upload_policy::UploadPermission;
pub use uploads::UploadLimits;

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use time::OffsetDateTime;

use authority::Authority;
use components::PolicySets;
use error::{Cause, StartError};
use outcome::{TlsIdentity, TlsPort};
use ports::{Clock, Entropy, Evidence, Found, PolicyEngine, Store, StoreError};
use view::{Epoch, Live, View};

/// The world as the use cases see it.
#[derive(Clone)]
pub struct Ports {
    /// The sealed state.
    pub store: Arc<dyn Store>,
    /// Evidence.
    pub evidence: Arc<dyn Evidence>,
    /// Makes the policies that manifests ask for.
    pub policies: Arc<dyn PolicyEngine>,
    /// What they decide; the engine's observer tells it.
    pub decisions: Arc<DecisionRing>,
    /// Host time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// What is configured.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// EDG_COORDINATOR_DNS_NAMES, split at commas: SANs of a new CA (L-12). IP texts become IP SANs.
    pub dns_names: Vec<String>,
    /// Who alone may set the first manifest, or a new one in recovery. Without: whoever comes first.
    pub owner: Option<OwnerCertificate>,
    /// What is kept of components that no manifest names yet.
    pub uploads: UploadLimits,
}

/// A quote with the root certificate that it is over; made at start and kept (lifecycle.md section 11).
struct RootQuote {
    root: Vec<u8>,
    quote: Vec<u8>,
}

/// The coordinator: one public method per use case, each in its own file.
pub struct Coordinator {
    ports: Ports,
    owner: Option<OwnerCertificate>,
    /// The CA that was read last. Before a manifest is set, a temporary one (L-14, L-16), which becomes the state's then.
    /// No older one is kept: an intermediate key that an update replaced must not stay in memory.
    newest_live: ArcSwap<Live>,
    /// What follows from the newest manifest and CA, made again when those records change.
    epoch: ArcSwapOption<Epoch>,
    /// Held while an epoch is read, so that the requests after an update do not all do the same work.
    reading: std::sync::Mutex<()>,
    quote: Arc<ArcSwap<RootQuote>>,
    setting: Arc<tokio::sync::Mutex<()>>,
    /// One update at a time: what is made for it is expensive, and two would be in conflict anyway.
    updating: Arc<tokio::sync::Mutex<()>>,
    /// What recovery remembers between two secrets.
    recovering: recovery_progress::Recovering,
    turns: turns::Turns,
    /// Audit entries that wait to be stored.
    trail: audit::Trail,
    checkpoints: checkpoint::Checkpoints,
    pending_cache: pending_update::PendingCache,
    policies: PolicySets,
    uploads: uploads::Uploads,
    uploading: upload_policy::UploadQueues,
    sizes: list_policies::Sizes,
}

impl Coordinator {
    /// Loads the state or makes a temporary CA, then obtains the quote over the root certificate (L-14..L-18).
    ///
    /// # Errors
    /// The state cannot be used or no quote can be had.
    pub async fn start(ports: Ports, settings: Settings) -> Result<Self, StartError> {
        let policies = PolicySets::new(Arc::clone(&ports.policies));
        let snapshot = ports.store.snapshot();
        let (epoch, live) = if ports.store.found() == Found::Open {
            let epoch = Epoch::load(&snapshot, &policies, None)
                .map_err(|error| StartError::State(Cause(error.to_string())))?;
            let live = Arc::clone(&epoch.live);
            (Some(Arc::new(epoch)), live)
        } else {
            let authority =
                Authority::generate(&settings.dns_names, ports.clock.now(), ports.entropy.as_ref())
                    .map_err(StartError::Authority)?;
            (None, Arc::new(Live::new(authority)))
        };
        let root = live.authority.root_der().to_vec();
        let quote = status::issue(ports.evidence.as_ref(), &root, &[])
            .await
            .map_err(|error| StartError::Quote(Cause(error.to_string())))?;
        Ok(Self {
            ports,
            owner: settings.owner,
            newest_live: ArcSwap::new(live),
            epoch: ArcSwapOption::new(epoch),
            reading: std::sync::Mutex::default(),
            quote: Arc::new(ArcSwap::from_pointee(RootQuote { root, quote })),
            setting: Arc::default(),
            updating: Arc::default(),
            recovering: recovery_progress::Recovering::default(),
            turns: turns::Turns::default(),
            trail: audit::Trail::default(),
            checkpoints: checkpoint::Checkpoints::default(),
            pending_cache: pending_update::PendingCache::default(),
            policies,
            uploads: uploads::Uploads::new(settings.uploads),
            uploading: upload_policy::UploadQueues::default(),
            sizes: list_policies::Sizes::default(),
        })
    }

    /// The certificate and key that a port presents now; looked up per handshake (R-1, G-10). The same pointer as
    /// long as nothing has changed.
    #[must_use]
    pub fn tls_identity(&self, port: TlsPort) -> Arc<TlsIdentity> {
        self.live().identity(port)
    }

    /// The newest state with its epoch; `None` unless a manifest is set and the state is open.
    fn view(&self) -> Result<Option<View>, StoreError> {
        if self.ports.store.found() != Found::Open {
            return Ok(None);
        }
        let snapshot = self.ports.store.snapshot();
        let known = || self.epoch.load_full().filter(|epoch| epoch.is_of(snapshot.as_ref()));
        if let Some(epoch) = known() {
            return Ok(Some(View { snapshot, epoch }));
        }
        let _reading = self.reading.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(epoch) = known() {
            return Ok(Some(View { snapshot, epoch }));
        }
        let epoch = {
            let before = self.epoch.load_full();
            Arc::new(Epoch::load(&snapshot, &self.policies, before.as_deref())?)
        };
        self.epoch.store(Some(Arc::clone(&epoch)));
        self.newest_live.store(Arc::clone(&epoch.live));
        Ok(Some(View { snapshot, epoch }))
    }

    /// Has the policies in force made anew, and with them what could not be used before.
    fn remake_policies(&self) -> Result<(), StoreError> {
        if self.ports.store.found() != Found::Open {
            return Ok(());
        }
        let _reading = self.reading.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let epoch = Arc::new(Epoch::load(&self.ports.store.snapshot(), &self.policies, None)?);
        self.newest_live.store(Arc::clone(&epoch.live));
        self.epoch.store(Some(epoch));
        Ok(())
    }

    /// The CA in force: the state's, or the temporary one.
    fn live(&self) -> Arc<Live> {
        // A state that cannot be read now was readable at start: the last known CA goes on.
        match self.view() {
            Ok(Some(view)) => Arc::clone(&view.epoch.live),
            _ => self.newest_live.load_full(),
        }
    }

    /// Host time, but never below the last committed time (architecture, Trust).
    fn now(&self, view: &View) -> OffsetDateTime {
        let now = self.ports.clock.now();
        let last = i128::from(view.snapshot.last_time_ms()) * 1_000_000;
        OffsetDateTime::from_unix_timestamp_nanos(last).map_or(now, |last| last.max(now))
    }
}
