//! A sealed copy of the whole state for a user with the action `Backup` (resource type `Manifest`).
//!
//! The copy holds nothing that the host does not see anyway: ciphertext, and a data key that only this coordinator's TEE
//! or the recovery keys open. The right exists since copying costs time and disk space, and since who has an old copy can
//! roll the state back (which the checkpoint shows).

use carrara_types::seal_mode::SealMode;

use crate::Coordinator;
use crate::access;
use crate::audit::{Action, Entry};
use crate::error::BackupError;
use crate::ports::{Backup, Batch, CommitError, StoreError};

impl Coordinator {
    /// A copy of the newest state, complete before this returns. Its entry in the audit trail is stored before the copy is
    /// handed out, and is not in the copy.
    ///
    /// # Errors
    /// Not a user, not permitted, nothing is kept on disk, or there is no room for the copy.
    pub async fn back_up_state(&self, peer: Option<&[u8]>) -> Result<Backup, BackupError> {
        let view = self.view().map_err(BackupError::Store)?.ok_or(BackupError::Unauthorized)?;
        let user = peer.and_then(|der| view.user(der)).ok_or(BackupError::Unauthorized)?;
        let now = self.now(&view);
        let entry = |revision: Option<u64>| {
            let resource = revision.map(|revision| format!("revision {revision}"));
            Entry::done(now, Some(&user), Action::Backup, resource)
        };
        let refuse = |error: BackupError| {
            self.note(&entry(None).refused(&error.to_string()));
            error
        };
        let grant = access::may_back_up(&view, &user, now).await;
        let grant = grant.map_err(refuse)?;
        if grant.view().snapshot.seal_mode() == Some(SealMode::Disabled) {
            return Err(refuse(BackupError::NotKept));
        }
        let backup = self.ports.store.backup().await.map_err(BackupError::Store)?;
        // It depends on nothing, so that it is in conflict with nobody.
        match self.commit(Batch::default(), now, &[entry(Some(backup.revision))]).await {
            Ok(_) => Ok(backup),
            Err(CommitError::Conflict) => Err(BackupError::Store(StoreError::Closed)),
            Err(CommitError::Store(error)) => Err(BackupError::Store(error)),
        }
    }
}
