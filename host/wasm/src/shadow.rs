//! Shadow policies: asked when the answer is given, one after the other on a thread of their own, from a queue that drops
//! what it has no room for. Whatever they do, no request waits for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// A question to a shadow policy.
type Job = Box<dyn FnOnce() + Send>;

/// The queue.
pub(crate) struct Shadows {
    room: usize,
    /// Started with the first question; gone if no thread could be started.
    sender: Mutex<Option<SyncSender<Job>>>,
    dropped: AtomicU64,
}

impl Shadows {
    /// A queue with room for so many questions.
    pub(crate) fn new(room: usize) -> Self {
        Self { room: room.max(1), sender: Mutex::new(None), dropped: AtomicU64::new(0) }
    }

    /// Asks later, or not at all.
    pub(crate) fn ask(&self, job: impl FnOnce() + Send + 'static) {
        let span = tracing::Span::current();
        let job: Job = Box::new(move || span.in_scope(job));
        let asked = self.sender().is_some_and(|sender| sender.try_send(job).is_ok());
        if !asked {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            // Once for each power of two: a line for each would be another flood.
            if dropped.is_power_of_two() {
                tracing::warn!(dropped, "shadow policies are too slow: questions to them are dropped");
            }
        }
    }

    /// How many questions were dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn sender(&self) -> Option<SyncSender<Job>> {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.is_none() {
            let (ours, theirs) = sync_channel(self.room);
            let thread = std::thread::Builder::new().name("policy-shadow".to_owned());
            *sender = thread.spawn(move || work(&theirs)).is_ok().then_some(ours);
        }
        sender.clone()
    }
}

/// Ends when the queue is gone.
fn work(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        // A call catches what its guest does; should the host itself fail, only this question is lost.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts_and_what_was_taken_is_asked_in_order() {
        let shadows = Shadows::new(2);
        let (go, wait) = channel::<()>();
        let (began, begun) = channel();
        let (done, answers) = channel();
        shadows.ask(move || {
            began.send(()).unwrap();
            wait.recv().unwrap();
        });
        begun.recv().unwrap();
        for question in 0..5 {
            let done = done.clone();
            shadows.ask(move || done.send(question).unwrap());
        }
        assert_eq!(shadows.dropped(), 3);
        go.send(()).unwrap();
        drop(done);
        assert_eq!(answers.iter().collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_question_that_fails_in_the_host_does_not_end_the_queue() {
        let shadows = Arc::new(Shadows::new(4));
        let (done, answers) = channel();
        shadows.ask(|| std::panic::panic_any("in a test"));
        shadows.ask(move || done.send(()).unwrap());
        answers.recv().unwrap();
    }
}
