//! Clients that ask as fast as they are answered, bounded in number, count and time.
//!
//! The clients run in this process and the server in its own, so that the server's processor time is its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::figures::Figures;
use super::server::Server;
use super::usage::{self, Clock};

/// No operation takes as long on any machine; only a hang reaches this.
const OPERATION_LIMIT: Duration = Duration::from_secs(60);

/// When a run ends: whichever comes first, but every client operates at least once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Operations before it that do not count: connections, caches, page faults.
    pub(crate) warm_up: Duration,
    /// Time.
    pub(crate) duration: Duration,
    /// Operations of all clients together.
    pub(crate) operations: u64,
}

/// One client. A failed operation ends the run.
pub(crate) trait Client: Send + 'static {
    /// Asks once and checks the answer.
    fn operate(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Lets all clients work at once and measures the server meanwhile.
pub(crate) async fn run<C: Client>(
    server: &Server,
    clock: Clock,
    clients: Vec<C>,
    bounds: &Bounds,
) -> anyhow::Result<Figures> {
    let (clients, _) = phase(clients, bounds.warm_up, bounds.operations).await.context("warming up")?;
    let before = clock.cpu_of(server.id())?;
    let started = Instant::now();
    let (_, times) = phase(clients, bounds.duration, bounds.operations).await?;
    let wall = started.elapsed();
    let cpu = clock.cpu_of(server.id())?.saturating_sub(before);
    Ok(Figures::of_run(times, wall, cpu).with_memory(usage::resident_kib(server.id())?))
}

/// Gives the clients back with the time of every operation.
async fn phase<C: Client>(
    clients: Vec<C>,
    duration: Duration,
    operations: u64,
) -> anyhow::Result<(Vec<C>, Vec<Duration>)> {
    let left = Arc::new(AtomicU64::new(operations));
    let until = Instant::now() + duration;
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(work(client, until, Arc::clone(&left)));
    }
    let (mut clients, mut times) = (Vec::new(), Vec::new());
    // Dropping the set on an error ends the others.
    while let Some(ended) = tasks.join_next().await {
        let (client, its_times) = ended.context("a client crashed")??;
        clients.push(client);
        times.extend(its_times);
    }
    Ok((clients, times))
}

async fn work<C: Client>(
    mut client: C,
    until: Instant,
    left: Arc<AtomicU64>,
) -> anyhow::Result<(C, Vec<Duration>)> {
    let mut times = Vec::new();
    loop {
        let started = Instant::now();
        tokio::time::timeout(OPERATION_LIMIT, client.operate()).await.context("no answer in time")??;
        let ended = Instant::now();
        times.push(ended - started);
        if ended >= until || !take_one(&left) {
            return Ok((client, times));
        }
    }
}

fn take_one(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    /// Fails when it has operated this often.
    struct Counting(u32, u32);

    impl Client for Counting {
        async fn operate(&mut self) -> anyhow::Result<()> {
            self.0 += 1;
            ensure!(self.0 < self.1, "enough");
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_run_ends_at_its_count_and_every_client_operates() {
        let clients = vec![Counting(0, 1000), Counting(0, 1000)];
        let (clients, times) = phase(clients, Duration::from_secs(600), 10).await.unwrap();
        assert_eq!(times.len(), 12, "the first of each client is free");
        assert!(clients.iter().all(|client| client.0 > 0));
    }

    #[tokio::test]
    async fn a_run_ends_at_its_time() {
        let (_, times) = phase(vec![Counting(0, 1000)], Duration::ZERO, u64::MAX).await.unwrap();
        assert_eq!(times.len(), 1);
    }

    #[tokio::test]
    async fn a_failed_operation_ends_the_run_with_its_error() {
        let failed = phase(vec![Counting(0, 3)], Duration::from_secs(600), 100).await;
        assert_eq!(failed.err().unwrap().to_string(), "enough");
    }
}
