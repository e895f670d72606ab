//! Shadow policies: asked when the answer is given, one after the other on a thread of their own, from a queue that drops
//! what it has no room for, in number or in bytes. Whatever they do, no request waits for them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// What all questions to shadow policies hold together until they are answered: thousands of usual requests,
/// but a proposal holds two manifests of up to 16 MiB, and a queue of those must not take the memory of others.
pub(crate) const WAITING_SHADOW_BYTES: usize = 16 << 20;

/// A question to a shadow policy.
type Job = Box<dyn FnOnce() + Send>;

/// Bytes that a question holds until the last shadow policy has answered it.
pub(crate) struct Share {
    held: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The queue.
pub(crate) struct Shadows {
    room: usize,
    bytes: usize,
    /// By all shares.
    held: Arc<AtomicUsize>,
    /// Started with the first question; gone if no thread could be started.
    sender: Mutex<Option<SyncSender<Job>>>,
    dropped: AtomicU64,
}

impl Shadows {
    /// A queue with room for so many questions, which hold so many bytes.
    pub(crate) fn new(room: usize, bytes: usize) -> Self {
        let (sender, dropped) = (Mutex::new(None), AtomicU64::new(0));
        Self { room: room.max(1), bytes, held: Arc::default(), sender, dropped }
    }

    /// Room for a question of so many bytes, if there is any. One that is larger than all the room has it while nothing
    /// else does: otherwise no shadow policy could ever judge it.
    pub(crate) fn share(&self, bytes: usize) -> Option<Arc<Share>> {
        let fits = |held: usize| {
            let sum = held.saturating_add(bytes);
            (held == 0 || sum <= self.bytes).then_some(sum)
        };
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Arc::new(Share { held: Arc::clone(&self.held), bytes }))
    }

    /// Asks later, or not at all: without a share there is no room. `false` if the question was dropped.
    pub(crate) fn ask(&self, share: Option<&Arc<Share>>, job: impl FnOnce() + Send + 'static) -> bool {
        let asked = share.is_some_and(|share| self.queue(Arc::clone(share), job));
        if !asked {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            // Once for each power of two: a line for each would be another flood.
            if dropped.is_power_of_two() {
                tracing::warn!(dropped, "shadow policies are too slow: questions to them are dropped");
            }
        }
        asked
    }

    /// How many questions were dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn queue(&self, share: Arc<Share>, job: impl FnOnce() + Send + 'static) -> bool {
        let span = tracing::Span::current();
        let job: Job = Box::new(move || {
            // Given back when the question is answered, also if the host fails.
            let _share = share;
            span.in_scope(job);
        });
        self.sender().is_some_and(|sender| sender.try_send(job).is_ok())
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
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts_and_what_was_taken_is_asked_in_order() {
        let shadows = Shadows::new(2, 100);
        let share = shadows.share(1);
        let (go, wait) = channel::<()>();
        let (began, begun) = channel();
        let (done, answers) = channel();
        shadows.ask(share.as_ref(), move || {
            began.send(()).unwrap();
            wait.recv().unwrap();
        });
        begun.recv().unwrap();
        for question in 0..5 {
            let done = done.clone();
            shadows.ask(share.as_ref(), move || done.send(question).unwrap());
        }
        assert_eq!(shadows.dropped(), 3);
        go.send(()).unwrap();
        drop(done);
        assert_eq!(answers.iter().collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_question_that_fails_in_the_host_does_not_end_the_queue() {
        let shadows = Shadows::new(4, 100);
        let (done, answers) = channel();
        shadows.ask(shadows.share(60).as_ref(), || std::panic::panic_any("in a test"));
        shadows.ask(shadows.share(40).as_ref(), move || done.send(()).unwrap());
        answers.recv().unwrap();
        // Both shares come back: the sender is dropped before the second one does.
        assert!(answers.recv().is_err());
        while shadows.held.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn questions_that_hold_too_many_bytes_are_dropped_and_counted_until_others_are_answered() {
        let shadows = Shadows::new(256, 100);
        let (go, wait) = channel::<()>();
        let (done, answers) = channel();
        let first = shadows.share(60);
        // One question for two shadow policies is held once.
        shadows.ask(first.as_ref(), move || wait.recv().unwrap());
        shadows.ask(first.as_ref(), || {});
        drop(first);
        let ask = |bytes: usize| {
            let done = done.clone();
            shadows.ask(shadows.share(bytes).as_ref(), move || done.send(bytes).unwrap());
        };
        ask(41);
        assert_eq!(shadows.dropped(), 1);
        ask(40);
        assert_eq!(shadows.dropped(), 1);
        ask(1);
        ask(usize::MAX);
        assert_eq!(shadows.dropped(), 3);
        go.send(()).unwrap();
        assert_eq!(answers.recv().unwrap(), 40);
        while shadows.held.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        // Alone, a question may be larger than the room.
        let large = shadows.share(101);
        assert!(large.is_some() && shadows.share(1).is_none());
        drop(large);
        assert!(shadows.share(100).is_some());
    }
}
