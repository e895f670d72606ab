//! Cancelling the pending update (R-60a, L-56).

use crate::Coordinator;
use crate::access;
use crate::audit::{Action, Entry};
use crate::error::PendingUpdateError;
use crate::log;
use crate::update_manifest::{ATTEMPTS, is_stored, without_pending};

impl Coordinator {
    /// Cancels the pending update. Does not wait for one that is just being applied: whichever commits first wins.
    ///
    /// # Errors
    /// Not a user, not permitted, or nothing pending, in that order.
    pub async fn cancel_update(&self, peer: Option<&[u8]>) -> Result<(), PendingUpdateError> {
        for _ in 0..ATTEMPTS {
            let (view, user) = self.acknowledger(peer)?;
            let now = self.now(&view);
            let asked = access::may_cancel_update(&view, &user, now).await;
            let entry = |of: Option<String>| Entry::done(now, Some(&user), Action::CancelUpdate, of);
            let view = match asked {
                Ok(grant) => grant.view(),
                Err(error) => {
                    self.note(&entry(None).refused(&error.to_string()));
                    return Err(error);
                }
            };
            let fingerprint = self.pending(view)?.fingerprint();
            let mut batch = without_pending(view);
            batch.log_lines.push(log::update_cancelled(now, &user.name, &fingerprint));
            log::check_lengths(&batch.log_lines).map_err(PendingUpdateError::Log)?;
            let committed = self.commit(batch, now, &[entry(Some(fingerprint))]).await;
            if is_stored(committed).map_err(PendingUpdateError::Store)? {
                return Ok(());
            }
        }
        Err(PendingUpdateError::Busy)
    }
}
