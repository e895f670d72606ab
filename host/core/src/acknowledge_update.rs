//! Acknowledging and reading the pending update (R-58, R-59, L-53, L-54).

use crate::Coordinator;
use crate::error::PendingUpdateError;
use crate::outcome::{PendingUpdate, Reporting, UpdateProgress};

impl Coordinator {
    /// The update that waits for acknowledgements.
    ///
    /// # Errors
    /// [`PendingUpdateError::NotFound`] where none is pending.
    pub fn pending_update(&self) -> Result<PendingUpdate, PendingUpdateError> {
        Err(PendingUpdateError::NotFound)
    }

    /// Acknowledges the pending update, which takes effect with the last acknowledgement that is needed (L-53).
    ///
    /// # Errors
    /// Not a user, nothing pending, not among the required users, other bytes; or it could not take effect (L-55).
    pub async fn acknowledge_update(
        &self,
        _peer: Option<&[u8]>,
        _bytes: &[u8],
        _reporting: Reporting,
    ) -> Result<UpdateProgress, PendingUpdateError> {
        Err(PendingUpdateError::NotFound)
    }
}
