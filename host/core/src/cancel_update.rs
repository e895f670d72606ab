//! Cancelling the pending update (R-60a, L-56).

use crate::Coordinator;
use crate::error::PendingUpdateError;

impl Coordinator {
    /// Cancels the pending update.
    ///
    /// # Errors
    /// Not a user, not permitted, or nothing pending, in that order.
    pub async fn cancel_update(&self, _peer: Option<&[u8]>) -> Result<(), PendingUpdateError> {
        Err(PendingUpdateError::NotFound)
    }
}
