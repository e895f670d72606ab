//! Whose turn it is to change a count.
//!
//! Each count depends on the one before, so that at most one change of it fits into a transaction. Without turns a dozen
//! Marbles that start at once would be in conflict until their attempts are used up. Exactness does not rest on this:
//! the commit checks its dependencies.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// Queues for all counts together, however many there are. Two counts that share one wait for each other for nothing;
/// with this many that is rare among those that change at the same time.
const QUEUES: usize = 1024;

/// Queues in the order of asking; each count has one, found by its name.
pub(crate) struct Turns {
    first: Mutex<()>,
    others: Box<[Mutex<()>]>,
    /// Drawn at random, so that nobody can choose names that share a queue.
    hash: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        let others = (1..QUEUES).map(|_| Mutex::default()).collect();
        Self { first: Mutex::default(), others, hash: RandomState::new() }
    }
}

impl Turns {
    /// Waits for the turn of the count that the state keeps under this key; it ends with the guard. Whoever holds a turn
    /// must not ask for another one.
    pub(crate) async fn wait(&self, key: &str) -> MutexGuard<'_, ()> {
        let queue = usize::try_from(self.hash.hash_one(key)).unwrap_or_default() % QUEUES;
        self.others.get(queue).unwrap_or(&self.first).lock().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_of_the_same_name_waits_and_names_make_no_queues() {
        let turns = Turns::default();
        let turn = turns.wait("a").await;
        let second = tokio::time::timeout(std::time::Duration::ZERO, turns.wait("a")).await;
        assert!(second.is_err(), "it is not its turn");
        drop(turn);
        drop(turns.wait("a").await);
        for name in 0..3 * QUEUES {
            drop(turns.wait(&name.to_string()).await);
        }
        assert_eq!(turns.others.len() + 1, QUEUES);
    }
}
