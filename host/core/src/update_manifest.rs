//! Updating the manifest: security versions of packages, or the whole (manifest.md section 5).
//!
//! Reads and judges in the order of L-50; what either kind of update does stands in `package_update.rs` and
//! `full_update.rs`. What both share stands here.

use std::sync::Arc;

use carrara_types::decision::{Change, Principal, Proposal};
use carrara_types::manifest::ParsedManifest;
use carrara_types::secret::SecretBytes;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::sync::OwnedMutexGuard;

use crate::Coordinator;
use crate::access;
use crate::audit::{Action, Entry};
use crate::authority::AuthorityRecords;
use crate::components::{self, Offered, named};
use crate::error::UpdateManifestError;
use crate::judging;
use crate::outcome::{Guards, Terms, UpdateProgress};
use crate::ports::{Batch, CommitError, Committed, StoreError};
use crate::records;
use crate::view::View;

/// A commit in conflict is computed again this often; more means that the state changes faster than an update is made.
pub(crate) const ATTEMPTS: usize = 8;

/// The turn of one update. Goes along with its work, so that a caller who goes away does not make room for a second
/// one.
pub(crate) type Turn = Arc<OwnedMutexGuard<()>>;

/// What somebody proposes.
pub(crate) struct Proposed<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) manifest: &'a ParsedManifest,
    /// Components of its policies that came along.
    pub(crate) sent: &'a Offered,
    pub(crate) user: &'a Principal,
    pub(crate) terms: Terms,
    pub(crate) now: OffsetDateTime,
    pub(crate) turn: &'a Turn,
}

impl Proposed<'_> {
    /// Lower-case hex SHA-256 of the uploaded bytes.
    pub(crate) fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(self.bytes))
    }

    /// The audit entry of the update's start.
    pub(crate) fn entry(&self) -> Entry {
        if self.manifest.is_package_update() {
            let names = self.manifest.packages.keys().cloned();
            return Entry::done(self.now, Some(self.user), Action::UpdateSecurityVersion, names);
        }
        Entry::done(self.now, Some(self.user), Action::UpdateManifest, [self.fingerprint()])
    }
}

impl Coordinator {
    /// Starts an update; it takes effect at once where no further acknowledgement is needed (L-50..L-52).
    ///
    /// # Errors
    /// M-100..M-112. Nothing was changed.
    pub async fn update_manifest(
        &self,
        peer: Option<&[u8]>,
        bytes: &[u8],
        components: Vec<Vec<u8>>,
        terms: impl Into<Terms>,
    ) -> Result<UpdateProgress, UpdateManifestError> {
        let terms = terms.into();
        self.updater(peer)?;
        let manifest = &ParsedManifest::parse(bytes)?;
        let sent = &judging::receive(components).await.map_err(UpdateManifestError::Log)?;
        let _compiled = self.compile_ahead(peer, manifest, sent).await?;
        let turn = &self.update_turn().await;
        for _ in 0..ATTEMPTS {
            let (view, user) = self.updater(peer)?;
            let user = user.as_ref();
            let proposed = Proposed { bytes, manifest, sent, user, terms, now: self.now(&view), turn };
            if view.snapshot.record_revision(records::PENDING_UPDATE).is_some() {
                self.note_refused_update(proposed.entry(), &UpdateManifestError::Pending);
                return Err(UpdateManifestError::Pending);
            }
            let progress = if manifest.is_package_update() {
                self.update_packages(&view, &proposed).await?
            } else {
                self.update_whole(&view, &proposed).await?
            };
            if let Some(progress) = progress {
                return Ok(progress);
            }
        }
        Err(UpdateManifestError::Busy)
    }

    /// Compiles what a manifest names before its update has its turn: whoever waits for the compiler keeps nobody else from
    /// updating. Only for users who may update; what is wrong is told by the judgement, which finds the rest compiled.
    async fn compile_ahead(
        &self,
        peer: Option<&[u8]>,
        manifest: &ParsedManifest,
        sent: &Offered,
    ) -> Result<Option<judging::Own>, UpdateManifestError> {
        let (view, user) = self.updater(peer)?;
        if manifest.policies.is_empty() || manifest.policies == view.epoch.manifest.policies {
            return Ok(None);
        }
        let may = access::holds_update_manifest(&view, &user, self.now(&view)).await == Some(true);
        Ok(if may { self.compiled(manifest, sent, &view).await } else { None })
    }

    /// Waits until no other update is being made.
    pub(crate) async fn update_turn(&self) -> Turn {
        Arc::new(Arc::clone(&self.updating).lock_owned().await)
    }

    /// What validators are asked of an update.
    pub(crate) fn proposal(view: &View, proposed: &Proposed<'_>, change: Change) -> Proposal {
        Proposal {
            context: view.context(proposed.now),
            change,
            manifest: proposed.manifest.normalised_json(),
            manifest_sha256: Sha256::digest(proposed.bytes).into(),
            current: Some(view.epoch.manifest.normalised_json()),
            current_versions: view.epoch.versions(),
            proposer: Some(proposed.user.clone()),
        }
    }

    /// Notes a refusal by the authorizers, or because another update is pending.
    pub(crate) fn note_refused_update(&self, entry: Entry, error: &UpdateManifestError) {
        use UpdateManifestError::{Denied, Pending, Policy};
        if matches!(error, Denied(_) | Policy(_) | Pending) {
            self.note(&entry.refused(&error.to_string()));
        }
    }

    fn updater(&self, peer: Option<&[u8]>) -> Result<(View, Arc<Principal>), UpdateManifestError> {
        let view =
            self.view().map_err(UpdateManifestError::Store)?.ok_or(UpdateManifestError::Unauthorized)?;
        let user = peer.and_then(|der| view.user(der)).ok_or(UpdateManifestError::Unauthorized)?;
        Ok((view, user))
    }
}

/// Whether the manifest in force is the one that the caller saw, or does not care. The commit must depend on the view's manifest.
pub(crate) fn is_base(view: &View, guards: &Guards) -> bool {
    guards.base.is_none_or(|base| view.epoch.answer.fingerprint == hex::encode(base))
}

/// Whether a batch was stored; `false` if the state has changed meanwhile.
///
/// # Errors
/// The state cannot be written.
pub(crate) fn is_stored(committed: Result<Committed, CommitError>) -> Result<bool, StoreError> {
    match committed {
        Ok(_) => Ok(true),
        Err(CommitError::Conflict) => Ok(false),
        Err(CommitError::Store(error)) => Err(error),
    }
}

/// What of a renewed CA is stored; the root stays.
pub(crate) fn put_authority(batch: &mut Batch, authority: AuthorityRecords) {
    records::put(batch, records::INTERMEDIATE_CERTIFICATE, authority.intermediate_certificate);
    records::put(batch, records::MARBLE_ROOT_CERTIFICATE, authority.marble_root_certificate);
    batch.puts.push((records::INTERMEDIATE_KEY.to_owned(), authority.intermediate_key));
}

/// What every update depends on: the manifest, the CA, that (still) nothing (else) is pending, and which components are stored.
pub(crate) fn dependencies(view: &View) -> Vec<(String, Option<u64>)> {
    let mut depends = view.dependencies();
    depend(&mut depends, view, records::PENDING_UPDATE);
    depend(&mut depends, view, records::RESTORED);
    depends
}

/// A batch after which nothing is pending, nor kept for it.
pub(crate) fn without_pending(view: &View) -> Batch {
    let mut batch = Batch { depends: dependencies(view), ..Batch::default() };
    batch.deletes.push(records::PENDING_UPDATE.to_owned());
    let needed = named(&view.epoch.manifest.policies);
    components::keep(&mut batch, Some(view.snapshot.as_ref()), &needed, &Offered::new());
    batch
}

/// Adds a record that is copied.
pub(crate) fn depend(depends: &mut Vec<(String, Option<u64>)>, view: &View, key: &str) {
    depends.push((key.to_owned(), view.snapshot.record_revision(key)));
}

/// A record that is copied into a batch, as it is stored.
pub(crate) fn copied(batch: &mut Batch, view: &View, key: &str) -> Result<SecretBytes, StoreError> {
    depend(&mut batch.depends, view, key);
    records::required(view.snapshot.as_ref(), key)
}
