//! Monotonic counters of Marbles (rest-api.md, monotonic-counter).

use crate::Coordinator;
use crate::error::{Cause, CounterError};

impl Coordinator {
    /// Whether the certificate (DER) is one that the marble root in force issued to a Marble: the 401 that comes before
    /// the body is looked at.
    ///
    /// # Errors
    /// [`CounterError::Unauthorized`] if not, also in a wrong state.
    pub fn authenticate_marble(&self, _peer: Option<&[u8]>) -> Result<(), CounterError> {
        Err(CounterError::Unauthorized(Cause("no client certificate".to_owned())))
    }

    /// Raises the calling Marble's counter to `value` if it is lower, and gives the value before.
    ///
    /// # Errors
    /// Not a Marble, a bad name, or the state cannot be written.
    pub async fn advance_counter(
        &self,
        peer: Option<&[u8]>,
        _name: &str,
        _value: u64,
    ) -> Result<u64, CounterError> {
        self.authenticate_marble(peer)?;
        Ok(0)
    }
}
