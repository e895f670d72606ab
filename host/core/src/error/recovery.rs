//! Why a recovery does not go on (lifecycle.md section 7). Which of them undo what was accepted before is said here, since
//! the holders of recovery keys must know.

use super::unknown::not_done;
use super::{Cause, WRONG_STATE};
use crate::ports::{EvidenceError, StoreError};

/// Asking for the key that recovery secrets may be encrypted with.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryPublicKeyError {
    /// Not in state 1.
    #[error("{WRONG_STATE}")]
    WrongState,
    /// The library makes none.
    #[error("making the recovery public key")]
    Generate(#[source] Cause),
}

/// Recovering. The secrets before this one are kept unless [`RecoverError::drops_progress`].
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// Not in state 1.
    #[error("{WRONG_STATE}")]
    WrongState,
    /// A secret without a signature, outside simulation (L-45).
    #[error("the recovery secret is not signed: sign it with the recovery key that it was encrypted for")]
    Unsigned,
    /// none was sent. 400, and nothing is lost.
    #[error(
        "the recovery secret is not signed: send recoverySecretSignature, made with the recovery key that it was encrypted \
         for; the secrets that were accepted before are kept"
    )]
    SignatureMissing,
    /// Longer than any recovery key makes.
    #[error("the signature of the recovery secret is longer than {0} bytes")]
    SignatureTooLong(usize),
    /// 400.
    #[error("failed to decrypt recovery secret")]
    Decrypt(#[source] Cause),
    /// L-40.
    #[error("the state cannot be recovered, since its manifest has no recovery keys: set a new manifest")]
    NoKeys,
    /// of a state with one recovery key.
    #[error(
        "the recovery secret does not open the state: send what the holder of the newest manifest's recovery key \
         decrypts"
    )]
    WrongSecret,
    /// L-47, L-48: the recovery data does not name it.
    #[error(
        "uploaded an invalid or already used secret: it is not one of this state's secrets (it may be from before an \
         update of the recovery keys)"
    )]
    NotExpected,
    /// L-47, L-48: it was accepted with this very signature.
    #[error("uploaded an invalid or already used secret: this one was already used")]
    AlreadyUsed,
    /// As many secrets as were needed are no shares of this state's key. Upload all again.
    #[error("the recovery secrets do not open the state: upload all of them again")]
    DoNotOpen,
    /// L-49. Upload all again.
    #[error("verifying the signatures of the recovery secrets, which must all be uploaded again")]
    Signatures(#[source] Cause),
    /// The clear recovery data cannot be read.
    #[error(
        "the recovery data of the state is lost or damaged: restore state.redb from a copy, or set a new manifest"
    )]
    DataLost,
    /// The TEE gave no quote over the recovered root. The last secret can be sent again.
    #[error("no quote could be obtained; see the coordinator's log")]
    Quote(EvidenceError),
    /// The state that the secrets open is damaged or could not be stored. The last secret can be sent again.
    #[error("{}", not_done("the state could not be recovered", .0))]
    Store(StoreError),
}

impl RecoverError {
    /// Whether all secrets must be uploaded again (L-49).
    #[must_use]
    pub fn drops_progress(&self) -> bool {
        matches!(self, Self::DoNotOpen | Self::Signatures(_))
    }

    /// What the public message keeps back; for the log.
    #[must_use]
    pub fn internal(&self) -> Option<String> {
        match self {
            Self::Store(error) => Some(error.to_string()),
            Self::Quote(error) => Some(error.to_string()),
            _ => None,
        }
    }
}
