//! Work that computes for long takes turns, so that it does not crowd out what others have to do.
//!
//! A turn lasts for one poll: who waits for the network holds none.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

type Waiting = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// A future each of whose polls waits for its turn.
pub(crate) struct InTurn<F> {
    work: Pin<Box<F>>,
    turns: Arc<Semaphore>,
    waiting: Option<Waiting>,
}

impl<F: Future> InTurn<F> {
    /// As many at once as there are permits.
    pub(crate) fn new(work: F, turns: Arc<Semaphore>) -> Self {
        Self { work: Box::pin(work), turns, waiting: None }
    }

    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Option<OwnedSemaphorePermit>> {
        if self.waiting.is_none()
            && let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned()
        {
            return Poll::Ready(Some(turn));
        }
        let turns = &self.turns;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(Arc::clone(turns).acquire_owned()));
        let turn = std::task::ready!(waiting.as_mut().poll(context));
        self.waiting = None;
        // Nobody closes the semaphore.
        Poll::Ready(turn.ok())
    }
}

impl<F: Future> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _turn = std::task::ready!(self.turn(context));
        self.work.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn work_waits_for_its_turn_and_who_waits_for_something_else_holds_none() {
        let turns = Arc::new(Semaphore::new(1));
        let polls = AtomicUsize::new(0);
        let go = Notify::new();
        let work = async {
            polls.fetch_add(1, Ordering::Relaxed);
            go.notified().await;
            7
        };
        let mut work = Box::pin(InTurn::new(work, Arc::clone(&turns)));
        let taken = turns.clone().try_acquire_owned().unwrap();
        assert!((&mut work).now_or_never().is_none());
        assert_eq!(polls.load(Ordering::Relaxed), 0, "it is not its turn");
        drop(taken);
        assert!((&mut work).now_or_never().is_none());
        assert_eq!((polls.load(Ordering::Relaxed), turns.available_permits()), (1, 1));
        go.notify_one();
        assert_eq!(work.await, 7);
        assert_eq!(turns.available_permits(), 1);
    }
}
