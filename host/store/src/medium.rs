//! What a backend does: it keeps names and ciphertext, and sees nothing else.

use carrara_core::ports::StoreError;

use crate::load::Stored;
use crate::mark::Mark;
use crate::sealed::Sealed;
use crate::state::Change;

/// Where sealed records are kept. Only the writer's thread calls it.
pub(crate) trait Medium: Send {
    /// Writes a change in one transaction with one fsync.
    ///
    /// # Errors
    /// The change may be durable nonetheless: the writer asks for [`Medium::stored_head`] before it goes on.
    fn apply(&mut self, change: &Change) -> Result<(), StoreError>;

    /// Writes a change of the data key, or of its wrapping: the key file with the old and the new key, then the change in one
    /// transaction, then the key file with the new key alone. A crash anywhere leaves a state that opens.
    ///
    /// # Errors
    /// As [`Medium::apply`].
    fn rekey(&mut self, rekeying: &Rekeying) -> Result<(), StoreError>;

    /// The head that is stored, read anew.
    ///
    /// # Errors
    /// It cannot be read, or the backend does not open again.
    fn stored_head(&mut self) -> Result<Vec<u8>, StoreError>;

    /// Puts a new state in the place of whatever there was, which is archived. What is kept nowhere leaves its place too.
    ///
    /// # Errors
    /// Part of it may be done: [`Medium::finish_replacement`] tells.
    fn replace(&mut self, birth: &Birth) -> Result<(), StoreError>;

    /// Archives whatever state there was. From now on nothing is kept but this head, and that in memory only: what is
    /// applied ends with the process.
    ///
    /// # Errors
    /// As [`Medium::replace`].
    fn withdraw(&mut self, mark: &Mark, head: &Sealed) -> Result<(), StoreError>;

    /// After a replacement or withdrawal that failed: takes the steps that are missing if the deciding one was taken, and
    /// nothing else. Whether it is in force; if not, everything is as before.
    ///
    /// # Errors
    /// The disk does not answer: it is not known, and this is to be asked again.
    fn finish_replacement(&mut self) -> Result<bool, StoreError>;

    /// Everything of the locked state, whose head the start has read, but mark and head.
    ///
    /// # Errors
    /// It cannot be read, or has another head now.
    fn read_locked(&mut self, head: &Sealed) -> Result<Stored, StoreError>;

    /// Opens the locked state with this head for writing, and puts the encoded key file in the place of whatever there
    /// was. A crash leaves the state locked or open.
    ///
    /// # Errors
    /// The state is locked as before, in this process at least.
    fn adopt(&mut self, head: &Sealed, key_file: &[u8]) -> Result<(), StoreError>;
}

/// All of a new state.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) mark: Mark,
    /// Clear; bound by the head.
    pub(crate) recovery_data: Vec<u8>,
    /// The encoded key file.
    pub(crate) key_file: Vec<u8>,
    pub(crate) change: Change,
}

/// A change of the data key, or of how it is wrapped.
#[derive(Debug)]
pub(crate) struct Rekeying {
    /// The encoded key file of the state before.
    pub(crate) before: Vec<u8>,
    /// The encoded key file with both keys.
    pub(crate) both: Vec<u8>,
    /// The encoded key file with the new key.
    pub(crate) key_file: Vec<u8>,
    /// Clear; bound by the new head. `None` where the data key stays and is only wrapped anew.
    pub(crate) recovery_data: Option<Vec<u8>>,
    /// With a new data key every record, log line and audit entry, sealed anew.
    pub(crate) change: Change,
}
