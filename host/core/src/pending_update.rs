//! Reading the pending update.

use crate::Coordinator;
use crate::error::PendingUpdateError;
use crate::outcome::PendingUpdate;
use crate::pending::Pending;
use crate::records;
use crate::view::View;

impl Coordinator {
    /// The update that waits for acknowledgements.
    ///
    /// # Errors
    /// [`PendingUpdateError::NotFound`] where none is pending.
    pub fn pending_update(&self) -> Result<PendingUpdate, PendingUpdateError> {
        let view = self.view().map_err(PendingUpdateError::Store)?.ok_or(PendingUpdateError::NotFound)?;
        let pending = pending(&view)?;
        Ok(PendingUpdate {
            missing_acknowledgments: pending.missing(),
            missing_users: pending.missing_users(),
            manifest: pending.manifest,
        })
    }
}

/// The update that waits in this view.
pub(crate) fn pending(view: &View) -> Result<Pending, PendingUpdateError> {
    records::pending_update(view.snapshot.as_ref())
        .map_err(PendingUpdateError::Store)?
        .ok_or(PendingUpdateError::NotFound)
}
