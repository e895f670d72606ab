//! Whose turn it is to count an activation.
//!
//! Each count depends on the one before, so that at most one of a Marble type fits into a transaction. Without turns a
//! dozen Marbles that start at once would be in conflict until their attempts are used up. Exactness does not rest on
//! this: the commit checks its dependencies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// One queue per Marble type, in the order of asking.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the type's turn, which ends with the guard. Only for types of a manifest: queues are kept.
    pub(crate) async fn wait(&self, marble_type: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(marble_type.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}
