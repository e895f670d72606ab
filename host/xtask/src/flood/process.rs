//! What the coordinator uses: memory, files, threads, connections.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::bench::server::Server;

/// At one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) rss_kib: u64,
    pub(super) threads: u64,
    /// 0 where the process may not be looked at: only root may.
    pub(super) files: u64,
    /// On both TLS ports, as the coordinator counts them.
    pub(super) connections: u64,
}

impl Usage {
    pub(super) async fn of(server: &Server) -> anyhow::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{}/status", server.id()))
            .context("the coordinator has ended")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
        };
        let files =
            fs::read_dir(format!("/proc/{}/fd", server.id())).map_or(0, |entries| entries.count() as u64);
        let connections = metric(&metrics(server).await?, "coordinator_connections_open{");
        Ok(Self { rss_kib: field("VmRSS:"), threads: field("Threads:"), files, connections })
    }

    /// The greater of both, each by itself.
    pub(super) fn max(&self, other: &Self) -> Self {
        Self {
            rss_kib: self.rss_kib.max(other.rss_kib),
            threads: self.threads.max(other.threads),
            files: self.files.max(other.files),
            connections: self.connections.max(other.connections),
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rss_kib, threads, files, connections } = self;
        write!(f, "{} MiB, {connections} connections, {files} files, {threads} threads", rss_kib >> 10)
    }
}

/// Waits until connections, files and threads are as few as before, for so long at most.
pub(super) async fn settled(server: &Server, before: &Usage, limit: Duration) -> anyhow::Result<Usage> {
    let begun = Instant::now();
    loop {
        let now = Usage::of(server).await?;
        let is_as_before = now.connections <= before.connections
            && now.files <= before.files
            && now.threads <= before.threads;
        if is_as_before || begun.elapsed() > limit {
            return Ok(now);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn metrics(server: &Server) -> anyhow::Result<String> {
    let address = server.metrics().context("the coordinator has no metrics port")?;
    let mut stream = TcpStream::connect(address).await.context("connecting to the metrics port")?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.context("reading the metrics")?;
    Ok(text)
}

/// The sum over all labels.
fn metric(text: &str, name: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    lines.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let text = "# HELP open x\nopen{port=\"clients\"} 3\nopen{port=\"marbles\"} 4\nopened 9\nother 1\n";
        assert_eq!(metric(text, "open{"), 7);
    }
}
