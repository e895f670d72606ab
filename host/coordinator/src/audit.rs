//! Stores the audit trail's entries once a second, and a last time when the process ends; and as often looks which policies are in
//! force.

use std::sync::Arc;
use std::time::Duration;

use carrara_core::Coordinator;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};

use crate::in_force::Told;

/// What a crash can lose at most of reads and refusals; more often would cost commits for nothing.
const EVERY: Duration = Duration::from_secs(1);

/// For the last entries, when the process ends: a disk that needs longer would get it killed.
const LAST: Duration = Duration::from_secs(5);

/// The task that stores entries.
pub(crate) struct Writing {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Writing {
    /// Begins.
    pub(crate) fn start(coordinator: Arc<Coordinator>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(write(coordinator, stopped)) }
    }

    /// Stores what still waits. To be called when no request is answered any more.
    pub(crate) async fn end(self) {
        // Not aborted: entries on their way to the state would be lost.
        let _ = self.stop.send(());
        if timeout(LAST, self.task).await.is_err() {
            warn!(limit_s = LAST.as_secs(), "the last entries of the audit trail were not stored in time");
        }
    }
}

async fn write(coordinator: Arc<Coordinator>, mut stopped: oneshot::Receiver<()>) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut failures = Failures::default();
    let mut policies = Told::default();
    let mut ending = false;
    while !ending {
        tokio::select! {
            _ = clock.tick() => {}
            _ = &mut stopped => ending = true,
        }
        policies.tell(&coordinator);
        let written = coordinator.write_out_audit().await;
        let report = failures.next(written.is_ok());
        let waiting = coordinator.audit_entries_waiting();
        match (written, report) {
            (Err(error), _) if ending || report => {
                let error = carrara_core::error::public_message(&error);
                error!(error, waiting, "storing entries of the audit trail; they wait in memory");
            }
            (Ok(()), true) => info!("entries of the audit trail are stored again"),
            _ => {}
        }
    }
}

/// Failures in a row: a full disk must not fill what is left of it with log lines.
#[derive(Default)]
struct Failures(u32);

impl Failures {
    /// Whether to log this attempt: the first, second, fourth, ... failure, and the success that ends them.
    fn next(&mut self, success: bool) -> bool {
        if success {
            return std::mem::take(&mut self.0) > 0;
        }
        self.0 = self.0.saturating_add(1);
        self.0.is_power_of_two()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_logged_ever_more_rarely_and_their_end_once() {
        let mut failures = Failures::default();
        assert!(!failures.next(true), "nothing to tell");
        let logged: Vec<u32> = (1..=20).filter(|_| failures.next(false)).collect();
        assert_eq!(logged, [1, 2, 4, 8, 16]);
        assert!(failures.next(true));
        assert!(!failures.next(true));
        assert!(failures.next(false), "a new series begins with a line");
    }
}
