//! Keeps slow policies off the threads that serve requests, and from each other's way.

use std::sync::Arc;
use std::time::Duration;

use carrara_core::ports::PolicyFailure;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::call::Callee;

/// The turns of one policy: so many calls at once, and the others wait, but not for ever.
pub(crate) struct Gate {
    turns: Arc<Semaphore>,
    wait: Duration,
}

impl Gate {
    pub(crate) fn new(concurrency: usize, wait: Duration) -> Self {
        Self { turns: Arc::new(Semaphore::new(concurrency.max(1))), wait }
    }

    /// Runs `work` on a blocking thread when it is its turn. A caller that goes away leaves the work running: its turn
    /// ends with the work and not before, so that nobody can start more than `concurrency` at once.
    pub(crate) async fn run<R, W>(&self, callee: &Callee, work: W) -> Result<R, PolicyFailure>
    where
        R: Send + 'static,
        W: FnOnce() -> R + Send + 'static,
    {
        let Ok(turn) = timeout(self.wait, Arc::clone(&self.turns).acquire_owned()).await else {
            return Err(callee.failure("all its turns were taken for too long"));
        };
        let turn = turn.map_err(|_| callee.failure("the coordinator is stopping"))?;
        let span = tracing::Span::current();
        let work = spawn_blocking(move || {
            let answer = span.in_scope(work);
            drop(turn);
            answer
        });
        work.await.map_err(|_| callee.failure("the host failed during the call"))
    }
}
