//! What the process takes for itself where it runs: threads, and with them stacks.
//!
//! Inside an enclave (features `enclave` and `interpreted`) memory and threads are fixed when it is signed, and the host says how many processors there are:
//! both are bounded here. Work beyond the threads waits; nothing that holds a thread waits for work that needs another one.

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};
use tracing::info;

/// Threads that answer requests inside an enclave.
const ENCLAVE_WORKERS: usize = 4;

/// Threads for what computes or waits for a disk inside an enclave: more than the calls of policies that run at once, of which eight are
/// of the manifest's policies, two of the built-in validator, eight of the renderers, and four of the authorizer where it is interpreted.
const ENCLAVE_BLOCKING: usize = if cfg!(feature = "interpreted") { 32 } else { 24 };

/// How many threads there are of which kind; `None` is the runtime's own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Threads {
    workers: Option<usize>,
    blocking: Option<usize>,
}

impl Threads {
    fn of_this_build(processors: usize) -> Self {
        if cfg!(feature = "enclave") {
            Self::enclave(processors)
        } else {
            Self { workers: None, blocking: None }
        }
    }

    fn enclave(processors: usize) -> Self {
        Self { workers: Some(processors.clamp(1, ENCLAVE_WORKERS)), blocking: Some(ENCLAVE_BLOCKING) }
    }
}

/// The runtime of the whole process.
///
/// # Errors
/// The system gives no threads.
pub(crate) fn runtime() -> Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = Threads::of_this_build(processors);
    let mut builder = Builder::new_multi_thread();
    builder.enable_all();
    if let Some(workers) = threads.workers {
        builder.worker_threads(workers);
    }
    if let Some(blocking) = threads.blocking {
        builder.max_blocking_threads(blocking);
    }
    builder.build().context("starting the threads that answer requests")
}

/// Says what this build is for. An ordinary one says nothing.
pub(crate) fn tell() {
    if cfg!(feature = "enclave") {
        let how = if cfg!(feature = "interpreted") { "interpreted" } else { "executed" };
        info!(
            workers = tokio::runtime::Handle::current().metrics().num_workers(),
            "built for an enclave: policies are {how}, without signal handlers and without address space that is set aside"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_host_says_of_its_processors_an_enclave_has_few_threads() {
        for (processors, workers) in [(0, 1), (1, 1), (3, 3), (4, 4), (4096, 4)] {
            let threads = Threads::enclave(processors);
            assert_eq!(threads.workers, Some(workers), "{processors}");
            assert_eq!(threads.blocking, Some(ENCLAVE_BLOCKING));
        }
    }

    #[test]
    fn a_build_has_the_threads_of_its_kind() {
        let threads = Threads::of_this_build(64);
        assert_eq!(threads == Threads::enclave(64), cfg!(feature = "enclave"));
        let runtime = runtime().unwrap();
        assert!(!cfg!(feature = "enclave") || runtime.metrics().num_workers() <= ENCLAVE_WORKERS);
        assert_eq!(runtime.block_on(async { tokio::task::spawn_blocking(|| 7).await }).unwrap(), 7);
    }
}
