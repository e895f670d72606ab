//! Reading the pending update.

use std::sync::{Arc, Mutex, PoisonError};

use carrara_types::manifest::ParsedManifest;

use crate::Coordinator;
use crate::components::Entries;
use crate::error::PendingUpdateError;
use crate::outcome::PendingUpdate;
use crate::pending::Pending;
use crate::records;
use crate::view::View;

/// The pending update that was read last. Anybody may ask for it, and to open and read its record is expensive.
#[derive(Default)]
pub(crate) struct PendingCache(Mutex<Option<Cached>>);

struct Cached {
    state_id: Option<[u8; 16]>,
    /// Of the record.
    revision: u64,
    pending: Arc<Pending>,
    policies: Arc<Entries>,
}

impl Coordinator {
    /// The update that waits for acknowledgements.
    ///
    /// # Errors
    /// [`PendingUpdateError::NotFound`] where none is pending.
    pub fn pending_update(&self) -> Result<PendingUpdate, PendingUpdateError> {
        let view = self.view().map_err(PendingUpdateError::Store)?.ok_or(PendingUpdateError::NotFound)?;
        let pending = self.pending(&view)?;
        Ok(PendingUpdate {
            missing_acknowledgments: pending.missing(),
            missing_users: pending.missing_users(),
            manifest: pending.manifest.clone(),
        })
    }

    /// The update that waits in this view.
    pub(crate) fn pending(&self, view: &View) -> Result<Arc<Pending>, PendingUpdateError> {
        self.pending_with_policies(view).map(|(pending, _)| pending)
    }

    /// The same with the policies of its manifest.
    pub(crate) fn pending_with_policies(
        &self,
        view: &View,
    ) -> Result<(Arc<Pending>, Arc<Entries>), PendingUpdateError> {
        let snapshot = view.snapshot.as_ref();
        // Held while the record is read, so that many who ask at once do not all do the same work.
        let mut cached = self.pending_cache.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(revision) = snapshot.record_revision(records::PENDING_UPDATE) else {
            *cached = None;
            return Err(PendingUpdateError::NotFound);
        };
        let state_id = snapshot.state_id();
        if let Some(known) = cached.as_ref()
            && (known.state_id, known.revision) == (state_id, revision)
        {
            return Ok((Arc::clone(&known.pending), Arc::clone(&known.policies)));
        }
        *cached = None;
        let read = records::pending_update(snapshot).map_err(PendingUpdateError::Store)?;
        let pending = Arc::new(read.ok_or(PendingUpdateError::NotFound)?);
        // It was read when it was proposed.
        let policies = ParsedManifest::parse(&pending.manifest).map(|manifest| manifest.policies);
        let policies = Arc::new(policies.unwrap_or_default());
        *cached = Some(Cached {
            state_id,
            revision,
            pending: Arc::clone(&pending),
            policies: Arc::clone(&policies),
        });
        Ok((pending, policies))
    }
}

impl PendingCache {
    /// Nothing is pending any more.
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
