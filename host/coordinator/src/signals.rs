//! The signals that the process knows: two that end it, and one that must not. Not every library OS has them all: where one cannot be had,
//! the log says so, and everything else goes on.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// The number of SIGXFSZ on every Linux of x86-64 and AArch64; the library has no name for it.
const SIGXFSZ: i32 = 25;

/// A write beyond the limit of file sizes (`ulimit -f`) is to fail, as one on a full disk does, and not to end the
/// process, which is what the signal does unless it is handled.
pub(crate) fn survive_file_limits() {
    // Handled from here on, whether anybody listens or not.
    drop(handled(SignalKind::from_raw(SIGXFSZ), "SIGXFSZ"));
}

/// Ends with SIGTERM or SIGINT, of which none is lost from now on.
pub(crate) fn shutdown() -> impl Future<Output = ()> + Send {
    let terminate = handled(SignalKind::terminate(), "SIGTERM");
    let interrupt = handled(SignalKind::interrupt(), "SIGINT");
    async move {
        tokio::select! {
            () = arrival(terminate) => info!("SIGTERM: ending"),
            () = arrival(interrupt) => info!("SIGINT: ending"),
        }
    }
}

fn handled(kind: SignalKind, name: &str) -> Option<Signal> {
    signal(kind)
        .inspect_err(|error| warn!(%error, signal = name, "the system does not let this signal be handled"))
        .ok()
}

/// Without a signal for ever.
async fn arrival(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_signal_that_cannot_be_handled_is_none_that_arrives() {
        // The kernel refuses it to everybody.
        assert!(handled(SignalKind::from_raw(9), "SIGKILL").is_none());
        let waited = tokio::time::timeout(Duration::from_millis(1), arrival(None)).await;
        assert!(waited.is_err(), "the coordinator would end as soon as it starts");
    }

    #[tokio::test]
    async fn a_signal_ends_the_waiting_for_it() {
        // Nothing else in this process waits for this one or raises it.
        let usual = handled(SignalKind::user_defined2(), "SIGUSR2");
        let process = rustix::process::getpid();
        rustix::process::kill_process(process, rustix::process::Signal::USR2).unwrap();
        arrival(usual).await;
    }
}
