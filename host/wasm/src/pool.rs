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
    most_calls: usize,
}

impl Shares {
    /// So many calls at once, with so many bytes of memory.
    pub(crate) fn new(calls: usize, memory: usize) -> Self {
        let pieces = u32::try_from(memory / PIECE_BYTES).unwrap_or(u32::MAX).max(1);
        let memory = Semaphore::new(usize::try_from(pieces).unwrap_or(1).min(Semaphore::MAX_PERMITS));
        let most_calls = calls.max(1);
        Self { calls: Arc::new(Semaphore::new(most_calls)), memory: Arc::new(memory), pieces, most_calls }
    }

    /// How many calls each policy of a set may make at once, where it asks for so many that may use so many bytes: one, and
    /// then one more each for as long as there is room. So each has its turns, however long the others take; only where
    /// there is no room for one call of each do they wait for one another.
    pub(crate) fn deal(&self, wanted: &[(usize, usize)]) -> Vec<usize> {
        let mut turns = vec![1; wanted.len()];
        let all = wanted.iter().map(|(_, memory)| pieces(*memory)).fold(0, u32::saturating_add);
        let mut room = self.pieces.saturating_sub(all);
        let mut calls = self.most_calls.saturating_sub(wanted.len());
        loop {
            let before = calls;
            for (turns, (most, memory)) in turns.iter_mut().zip(wanted) {
                let takes = pieces(*memory);
                if *turns < (*most).min(self.most_turns(*memory)) && calls > 0 && takes <= room {
                    *turns += 1;
                    room -= takes;
                    calls -= 1;
                }
            }
            if calls == before {
                return turns;
            }
        }
    }

    /// How many calls that may use so many bytes one policy may make at once: an update is judged by two sets.
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
        Self { shares: Some((shares, memory)), ..self }
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

    const MIB: usize = 1 << 20;

    #[test]
    fn turns_are_dealt_one_by_one_and_everybody_has_one() {
        let shares = Shares::new(32, 1 << 30);
        let deal = |wanted: &[(usize, usize)]| shares.deal(wanted);
        assert_eq!(deal(&[(4, 64 * MIB)]), [4]);
        assert_eq!(deal(&[(9, 64 * MIB)]), [4], "one has a quarter of the memory at most");
        assert_eq!(deal(&[(4, 64 * MIB + 1)]), [3]);
        assert_eq!(deal(&[(4, 256 * MIB), (4, 2 << 30), (2, 0)]), [1, 1, 2]);
        assert_eq!(deal(&[(4, 64 * MIB); 4]), [4; 4]);
        assert_eq!(deal(&[(4, 64 * MIB); 5]), [4, 3, 3, 3, 3]);
        assert_eq!(deal(&[(4, 64 * MIB); 17]), [1; 17]);
        assert_eq!(deal(&[(4, MIB); 20]).iter().sum::<usize>(), 32, "and calls have a limit of their own");
        assert!(deal(&[]).is_empty());
    }

    #[tokio::test]
    async fn policies_that_hold_all_their_turns_leave_the_others_theirs() {
        for policies in [1, 4, 5, 16] {
            let shares = Arc::new(Shares::new(32, 1 << 30));
            let wanted = vec![(4, 64 * MIB); policies];
            let gate = |turns: usize| Gate::new(turns, Duration::ZERO).within(Arc::clone(&shares), 64 * MIB);
            let gates: Vec<_> = shares.deal(&wanted).into_iter().map(gate).collect();
            let mut held = Vec::new();
            for gate in &gates {
                // Waits for nobody: a call of each of its turns runs, whoever else holds theirs.
                while gate.turns.available_permits() > 0 {
                    held.push(timeout(Duration::from_secs(5), gate.turn()).await.unwrap().unwrap());
                }
            }
            assert!(held.len() >= policies);
            let refused = gates[0].run(|| ()).await;
            assert_eq!(refused, Err("all its turns were taken for too long"));
        }
    }
}
