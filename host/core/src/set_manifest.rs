//! Setting a manifest: parse, both judgements, secrets, recovery data, dry run, one commit (lifecycle.md section 5).

use std::sync::Arc;

use carrara_types::decision::{Change, Finding, Proposal, Severity};
use carrara_types::manifest::{AcceptedManifest, ParsedManifest, SecretDefinition, SecretKind};
use carrara_types::secret::SecretBytes;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::sync::OwnedMutexGuard;

use crate::Coordinator;
use crate::access::{self, ClaimGrant};
use crate::audit::{self, Action, Entry};
use crate::authority::{Authority, AuthorityRecords};
use crate::components::{self, Offered, named};
use crate::dry_run::dry_run;
use crate::error::{Cause, Refused, SetManifestError, Unauthorized, told};
use crate::generate::{self, SecretValue, Source};
use crate::judging::{self, Judged, Unfit};
use crate::log;
use crate::outcome::{KeepSecrets, ManifestSet};
use crate::owner;
use crate::phase::Phase;
use crate::ports::{Batch, CommitError, Committed, Entropy, NewState, StoreError};
use crate::records;
use crate::recovery_shares::{self, Recovery};
use crate::view::{self, Live};

/// What is computed off the async workers.
struct Computed {
    material: Material,
    recovery: Recovery,
}

/// What goes into the records.
struct Material {
    root_secret: SecretBytes,
    shared: Vec<(String, SecretValue)>,
    signature: Vec<u8>,
    authority: AuthorityRecords,
}

impl Coordinator {
    /// Whether the certificate (DER) may set a manifest: the 401 that comes before any other answer. Who may not
    /// is noted in the log alone: before the first manifest there is nothing to store an entry in.
    ///
    /// # Errors
    /// [`Unauthorized`] if an owner is configured and this is not her certificate.
    pub fn authenticate_owner(&self, peer: Option<&[u8]>) -> Result<(), Unauthorized> {
        access::may_set_manifest(self.owner.as_ref(), peer).map(|_| ()).inspect_err(|_| {
            let entry = Entry::done(self.ports.clock.now(), None, Action::SetManifest, []);
            entry.refused(&owner::refusal(peer)).announce();
        })
    }

    /// Sets the first manifest, or a new one in recovery, which archives the old state. `peer` is the certificate (DER)
    /// that the connection proved. `components` of its policies come along; those that were uploaded before need not.
    ///
    /// # Errors
    /// The caller is not the owner, the manifest is refused, the state is wrong, or it cannot be stored. Nothing was changed.
    pub async fn set_manifest(
        &self,
        peer: Option<&[u8]>,
        bytes: &[u8],
        components: Vec<Vec<u8>>,
    ) -> Result<ManifestSet, SetManifestError> {
        let grant = access::may_set_manifest(self.owner.as_ref(), peer)
            .map_err(|Unauthorized| SetManifestError::Unauthorized)?;
        self.make_state(grant, bytes, components, None).await
    }

    /// Makes the state. Where `keep` fails, none is made.
    pub(crate) async fn make_state(
        &self,
        grant: ClaimGrant,
        bytes: &[u8],
        components: Vec<Vec<u8>>,
        keep: Option<KeepSecrets>,
    ) -> Result<ManifestSet, SetManifestError> {
        // One at a time: the work below is unauthenticated and expensive. The turn goes along with it, so that a caller
        // who goes away does not make room for a second one.
        let turn = Arc::clone(&self.setting).lock_owned().await;
        let phase = Phase::of(self.ports.store.found());
        if !phase.accepts_manifest() {
            return Err(SetManifestError::WrongState);
        }
        let now = self.ports.clock.now();
        let sent = judging::receive(components).await.map_err(SetManifestError::Secrets)?;
        let Judged { manifest, own } = self.judge(bytes, &sent, phase, now).await?;
        let manifest = Arc::new(manifest);
        let live = self.newest_live.load_full();
        let (computed, _turn) = self.compute(Arc::clone(&manifest), live, bytes.to_vec(), now, turn).await?;
        dry_run(&manifest, own.policies.as_ref(), now).await?;

        let Computed { material, recovery: Recovery { data_key, recovery_data, secrets } } = computed;
        if let Some(keep) = keep.filter(|_| !secrets.is_empty()) {
            keep(&secrets).map_err(SetManifestError::Keep)?;
        }
        let mut batch = initial_batch(bytes, material, phase, now);
        let named = named(&manifest.policies);
        components::keep(&mut batch, None, &named, &own.offered);
        let entry = Entry::done(now, None, Action::SetManifest, [hex::encode(Sha256::digest(bytes))]);
        entry.record(&mut batch);
        match self
            .create(grant, NewState { data_key, recovery_data, seal_mode: manifest.seal_mode() }, batch)
            .await
        {
            Ok(_) => {
                entry.announce();
                self.uploads.forget(&named);
                // While its policies are at hand, compiled.
                let _ = self.view();
                drop(own);
                Ok(ManifestSet { recovery_secrets: secrets, warnings: manifest.warnings().to_vec() })
            }
            Err(CommitError::Conflict) => Err(SetManifestError::WrongState),
            Err(CommitError::Store(cause)) => {
                let fingerprint = hex::encode(Sha256::digest(bytes));
                Err(told(cause, fingerprint, Some(secrets), SetManifestError::Store))
            }
        }
    }

    /// Makes the state, and drops what recovery of the one before remembers: also where the caller goes away meanwhile.
    async fn create(
        &self,
        _grant: ClaimGrant,
        state: NewState,
        batch: Batch,
    ) -> Result<Committed, CommitError> {
        let (store, recovering) = (Arc::clone(&self.ports.store), self.recovering.clone());
        let work = async move {
            let made = store.create(state, batch).await;
            if made.is_ok() {
                recovering.forget();
            }
            made
        };
        tokio::spawn(work).await.unwrap_or(Err(CommitError::Store(StoreError::Closed)))
    }

    /// The host's own list and the validators, the built-in ones and its own, judge; their findings are reported together.
    async fn judge(
        &self,
        bytes: &[u8],
        sent: &Offered,
        phase: Phase,
        now: OffsetDateTime,
    ) -> Result<Judged, SetManifestError> {
        let parsed = ParsedManifest::parse(bytes)?;
        let proposal = Proposal {
            context: carrara_types::decision::Context {
                now: view::unix_seconds(now),
                revision: 0,
                facts: Vec::new(),
            },
            change: if phase == Phase::Recovery { Change::Reset } else { Change::Initial },
            manifest: parsed.normalised_json(),
            manifest_sha256: Sha256::digest(bytes).into(),
            current: None,
            current_versions: Vec::new(),
            proposer: None,
        };
        let live = self.newest_live.load_full();
        let question =
            judging::Question { manifest: &parsed, sent, proposal, view: None, names: live.names() };
        self.judge_proposal(question).await.map_err(|unfit| match unfit {
            Unfit::Refused(why) => refused(why),
            Unfit::Policy(failure) => SetManifestError::Policy(failure),
        })
    }

    /// Makes secrets and recovery data and signs the manifest, off the async workers.
    async fn compute(
        &self,
        manifest: Arc<AcceptedManifest>,
        live: Arc<Live>,
        bytes: Vec<u8>,
        now: OffsetDateTime,
        turn: OwnedMutexGuard<()>,
    ) -> Result<(Computed, OwnedMutexGuard<()>), SetManifestError> {
        let entropy = Arc::clone(&self.ports.entropy);
        let work = move || {
            let entropy = entropy.as_ref();
            let mut root = vec![0; 32];
            entropy.fill(&mut root);
            let root_secret = SecretBytes::new("root secret", root);
            let shared = make_secrets(&manifest, |_| true, &root_secret, &live.authority, now, entropy)
                .map_err(SetManifestError::Secrets)?;
            let recovery = recovery_shares::make_recovery(
                &manifest.recovery_keys,
                manifest.config.recovery_threshold,
                entropy,
            )
            .map_err(SetManifestError::RecoveryKeys)?;
            let signature = live.authority.sign_fingerprint(&bytes).map_err(SetManifestError::Secrets)?;
            let authority = live.authority.to_records().map_err(SetManifestError::Secrets)?;
            let material = Material { root_secret, shared, signature, authority };
            Ok((Computed { material, recovery }, turn))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| SetManifestError::Secrets(Cause("generation ended unexpectedly".to_owned())))?
    }
}

/// The stage whose prefix a refusal has follows from the rule of its first error (manifest.md section 7).
fn refused(refused: Refused) -> SetManifestError {
    let first: Option<&Finding> =
        refused.0.findings.iter().find(|finding| finding.severity == Severity::Error);
    let cause = Cause(refused.to_string());
    match first.map(|finding| finding.code.as_str()) {
        Some("M-53") => SetManifestError::Users(cause),
        Some("M-79") => SetManifestError::RecoveryKeys(cause),
        Some(code) if code == "M-78" || code.starts_with("S-") => SetManifestError::Secrets(cause),
        _ => SetManifestError::Refused(refused),
    }
}

/// The shared secrets that are wanted; certificates that will be made for each Marble are made once as a test (M-78).
pub(crate) fn make_secrets(
    manifest: &AcceptedManifest,
    wanted: impl Fn(&str) -> bool,
    root_secret: &SecretBytes,
    authority: &Authority,
    now: OffsetDateTime,
    entropy: &dyn Entropy,
) -> Result<Vec<(String, SecretValue)>, Cause> {
    let mut shared = Vec::new();
    let test_uuid = uuid::Uuid::nil().to_string();
    for (name, definition) in manifest.secrets.iter().filter(|(_, definition)| !definition.user_defined) {
        if definition.shared {
            if wanted(name) {
                let value = generate::generate(name, definition, Source::Shared, authority, now, entropy)?;
                shared.push((name.clone(), value));
            }
        } else if definition.kind.is_certificate() {
            let source = Source::Private { root_secret, uuid: &test_uuid, marble_type: None };
            generate::generate(name, &trial(definition), source, authority, now, entropy)?;
        }
    }
    Ok(shared)
}

/// What stands in for a private certificate in its test. RSA keys take seconds and would prove nothing more: the host's
/// list has judged their size.
fn trial(definition: &SecretDefinition) -> SecretDefinition {
    match definition.kind {
        SecretKind::CertRsa => {
            SecretDefinition { kind: SecretKind::CertEcdsa, size: 256, ..definition.clone() }
        }
        _ => definition.clone(),
    }
}

fn initial_batch(bytes: &[u8], material: Material, phase: Phase, now: OffsetDateTime) -> Batch {
    let Material { root_secret, shared, signature, authority } = material;
    let mut batch = Batch::default();

    records::put(&mut batch, records::MANIFEST, bytes.to_vec());
    records::put(&mut batch, records::MANIFEST_SIGNATURE, signature);
    let root_fingerprint = hex::encode(Sha256::digest(&authority.root_certificate));
    records::put(&mut batch, records::ROOT_CERTIFICATE, authority.root_certificate);
    records::put(&mut batch, records::INTERMEDIATE_CERTIFICATE, authority.intermediate_certificate);
    records::put(&mut batch, records::MARBLE_ROOT_CERTIFICATE, authority.marble_root_certificate);
    batch.puts.push((records::ROOT_KEY.to_owned(), authority.root_key));
    batch.puts.push((records::INTERMEDIATE_KEY.to_owned(), authority.intermediate_key));
    batch.puts.push((records::ROOT_SECRET.to_owned(), root_secret.duplicate()));
    batch.puts.push((records::PREVIOUS_ROOT_SECRET.to_owned(), root_secret));
    for (name, value) in &shared {
        records::put(&mut batch, records::secret(name), records::encode_secret(value));
    }
    batch.time_ms = audit::unix_milliseconds(now);
    if phase == Phase::Recovery {
        batch.log_lines.push(log::previous_state_archived(now, &root_fingerprint));
    }
    batch.log_lines.push(log::initial_manifest_set(now));
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    // M-78
    #[test]
    fn no_rsa_key_is_made_to_test_a_private_certificate() {
        let definition = |kind, size| SecretDefinition {
            kind,
            size,
            valid_for: 9,
            cert: Some(Box::default()),
            ..SecretDefinition::default()
        };
        let tested = trial(&definition(SecretKind::CertRsa, 8192));
        assert_eq!(tested, definition(SecretKind::CertEcdsa, 256));
        let other = definition(SecretKind::CertEd25519, 0);
        assert_eq!(trial(&other), other);
    }
}
