//! The signed head of the update log (C2SP tlog-checkpoint; RFC 6962).

use crate::Coordinator;
use crate::error::LogHeadError;
use crate::outcome::LogHead;

impl Coordinator {
    /// The signed checkpoint with the consistency proof from the log's first `from` lines; `None` or 0 asks for no proof.
    ///
    /// # Errors
    /// Wrong state, or `from` is past the end.
    pub async fn log_head(&self, _from: Option<u64>) -> Result<LogHead, LogHeadError> {
        Err(LogHeadError::WrongState)
    }
}
