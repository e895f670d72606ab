//! Keeps slow policies off the threads that serve requests, from each other's way, and within what the machine has.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Memory is shared out in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;

/// One policy's calls have this part of the memory at most, but always one call: a slow policy leaves turns for others.
const PARTS: u32 = 4;

/// What the calls of all policies of a manifest have together: N policies, each within its own limits, must not be able
/// to take the whole machine.
pub(crate) struct Shares {
    calls: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    pieces: u32,
}

impl Shares {
    /// So many calls at once, with so many bytes of memory.
    pub(crate) fn new(calls: usize, memory: usize) -> Self {
        let pieces = u32::try_from(memory / PIECE_BYTES).unwrap_or(u32::MAX).max(1);
        let memory = Semaphore::new(usize::try_from(pieces).unwrap_or(1).min(Semaphore::MAX_PERMITS));
        Self { calls: Arc::new(Semaphore::new(calls.max(1))), memory: Arc::new(memory), pieces }
    }

    /// How many calls that may use so many bytes one policy may make at once.
    fn most_turns(&self, memory: usize) -> usize {
        let turns = (self.pieces / PARTS).checked_div(pieces(memory)).unwrap_or(u32::MAX);
        usize::try_from(turns.max(1)).unwrap_or(usize::MAX)
    }

    /// A share for a call that may use so many bytes; whoever may use more than there is takes all.
    async fn take(&self, memory: usize) -> Option<[OwnedSemaphorePermit; 2]> {
        let pieces = pieces(memory).min(self.pieces);
        let memory = Arc::clone(&self.memory).acquire_many_owned(pieces).await.ok()?;
        Some([memory, Arc::clone(&self.calls).acquire_owned().await.ok()?])
    }
}

fn pieces(memory: usize) -> u32 {
    u32::try_from(memory.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX)
}

/// The turns of one policy: so many calls at once, and the others wait, but not for ever.
pub(crate) struct Gate {
    turns: Arc<Semaphore>,
    wait: Duration,
    shares: Option<(Arc<Shares>, usize)>,
}

/// What a caller holds while its call runs.
struct Turn {
    _turn: OwnedSemaphorePermit,
    _share: Option<[OwnedSemaphorePermit; 2]>,
}

impl Gate {
    pub(crate) fn new(concurrency: usize, wait: Duration) -> Self {
        Self { turns: Arc::new(Semaphore::new(concurrency.max(1))), wait, shares: None }
    }

    /// The same within what all policies have together; a call may use `memory` bytes.
    pub(crate) fn within(self, shares: Arc<Shares>, memory: usize) -> Self {
        let turns = self.turns.available_permits().min(shares.most_turns(memory));
        Self { turns: Arc::new(Semaphore::new(turns)), shares: Some((shares, memory)), ..self }
    }

    /// Runs `work` on a blocking thread when it is its turn. A caller that goes away leaves the work running: its turn
    /// ends with the work and not before, so that nobody can start more than `concurrency` at once.
    ///
    /// # Errors
    /// Why it was not run, for the log.
    pub(crate) async fn run<R, W>(&self, work: W) -> Result<R, &'static str>
    where
        R: Send + 'static,
        W: FnOnce() -> R + Send + 'static,
    {
        let turn =
            timeout(self.wait, self.turn()).await.map_err(|_| "all its turns were taken for too long")?;
        let turn = turn.ok_or("the coordinator is stopping")?;
        let span = tracing::Span::current();
        let work = spawn_blocking(move || {
            let answer = span.in_scope(work);
            drop(turn);
            answer
        });
        work.await.map_err(|_| "the host failed during the call")
    }

    async fn turn(&self) -> Option<Turn> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let share = match &self.shares {
            Some((shares, memory)) => Some(shares.take(*memory).await?),
            None => None,
        };
        Some(Turn { _turn: turn, _share: share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_policy_has_at_most_a_quarter_of_the_memory_and_always_one_turn() {
        let shares = Arc::new(Shares::new(32, 1 << 30));
        let turns = |concurrency: usize, memory: usize| {
            let gate = Gate::new(concurrency, Duration::ZERO).within(Arc::clone(&shares), memory);
            gate.turns.available_permits()
        };
        assert_eq!(turns(4, 64 << 20), 4);
        assert_eq!(turns(5, 64 << 20), 4);
        assert_eq!(turns(4, (64 << 20) + 1), 3);
        assert_eq!(turns(4, 256 << 20), 1);
        assert_eq!(turns(4, 2 << 30), 1);
        assert_eq!(turns(2, 0), 2);
    }
}
