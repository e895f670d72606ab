//! One look at the server: what was asked since the last one, and what it holds.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::kinds::Kind;
use super::record::Since;
use crate::bench::figures::Latency;
use crate::bench::report::time;
use crate::bench::usage::Holdings;

/// A line of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    /// Since the beginning.
    pub(crate) seconds: f64,
    /// Requests since the last look.
    pub(crate) requests: u64,
    /// Those that failed.
    pub(crate) errors: u64,
    /// Those that were sent late: the machine was busy.
    pub(crate) late: u64,
    /// Connections that the server had ended.
    pub(crate) reconnects: u64,
    /// The server's processor time for one request, in microseconds.
    pub(crate) cpu_us: Option<f64>,
    /// How much of all processors was in use, by whomever: 0 to 1.
    pub(crate) machine: f64,
    /// The median of what the disk took to keep a block, in microseconds.
    pub(crate) disk_us: Option<f64>,
    /// What it holds.
    pub(crate) held: Holdings,
    /// The size of its state's file.
    pub(crate) state_bytes: u64,
    /// Lines of the update log.
    pub(crate) lines: u64,
    /// Answer times by kind.
    pub(crate) times: BTreeMap<&'static str, Latency>,
}

impl Sample {
    /// Of what was recorded and used since the last look.
    pub(crate) fn new(
        began: Duration,
        since: Since,
        (cpu, machine): (Duration, f64),
        disk_us: Option<f64>,
        held: Holdings,
        (state_bytes, lines): (u64, u64),
    ) -> Self {
        let requests = since.requests();
        let cpu_us = (requests > 0).then(|| cpu.as_secs_f64() * 1e6 / requests as f64);
        let times = since.times.into_iter();
        let times = times.filter_map(|(kind, times)| Some((kind.name(), Latency::of(times)?))).collect();
        Self {
            seconds: began.as_secs_f64(),
            requests,
            errors: since.errors,
            late: since.late,
            reconnects: since.reconnects,
            cpu_us,
            machine,
            disk_us,
            held,
            state_bytes,
            lines,
            times,
        }
    }

    /// The head of the table.
    pub(crate) fn head() -> String {
        format!(
            "{:>7} {:>8} {:>6} {:>6} {:>9} {:>7} {:>8} {:>9} {:>9} {:>9} {:>5} {:>4} {:>9} {:>7}  p50/p99 by kind",
            "time",
            "requests",
            "errors",
            "late",
            "CPU/req",
            "machine",
            "disk",
            "RSS",
            "most",
            "anon",
            "files",
            "thr",
            "state",
            "log"
        )
    }

    /// A line of it.
    pub(crate) fn line(&self) -> String {
        let megabytes = |kib: u64| format!("{:.1} MB", kib as f64 * 1024.0 / 1e6);
        let kinds = Kind::ALL.iter().filter_map(|kind| {
            let times = self.times.get(kind.name())?;
            Some(format!("{} {}/{}", kind.name(), time(times.p50_us), time(times.p99_us)))
        });
        format!(
            "{:>5.0} s {:>8} {:>6} {:>6} {:>9} {:>5.0} % {:>8} {:>9} {:>9} {:>9} {:>5} {:>4} {:>9} {:>7}  {}",
            self.seconds,
            self.requests,
            self.errors,
            self.late,
            self.cpu_us.map_or_else(|| "-".to_owned(), time),
            self.machine * 100.0,
            self.disk_us.map_or_else(|| "-".to_owned(), time),
            megabytes(self.held.rss_kib),
            megabytes(self.held.most_kib),
            megabytes(self.held.anon_kib),
            self.held.files,
            self.held.threads,
            megabytes(self.state_bytes / 1024),
            self.lines,
            kinds.collect::<Vec<_>>().join(", ")
        )
    }
}
