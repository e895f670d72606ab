//! Says that something takes long, to whoever watches a terminal.

use std::future::Future;
use std::io::IsTerminal;
use std::time::Duration;

use crate::output::remark;

/// Most answers come sooner.
const FIRST: Duration = Duration::from_secs(2);
/// Often enough to show that nothing hangs.
const THEN: Duration = Duration::from_secs(10);

/// Waits for `work`; while it takes long and stderr is a terminal, says that we are still at `what`.
pub(crate) async fn wait<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    let mut work = std::pin::pin!(work);
    let (mut pause, mut waited) = (FIRST, Duration::ZERO);
    loop {
        match tokio::time::timeout(pause, work.as_mut()).await {
            Ok(done) => return done,
            Err(_) => {
                waited += pause;
                pause = THEN;
                remark(&format!("{what}: {} s so far", waited.as_secs()));
            }
        }
    }
}
