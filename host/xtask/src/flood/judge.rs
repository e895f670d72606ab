//! What is demanded of the coordinator, and the report.

use std::fmt;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Map, Value, json};

use super::polite::{Record, Seen};
use super::process::Usage;

/// For the polite client that keeps its connection, at the 99th percentile.
const KEPT_P99: Duration = Duration::from_millis(100);

/// Memory that the limits allow (host/server/README.md): on two ports 2048 connections of 64 KiB each and 128 MiB of bodies,
/// 256 MiB of long answers, and once more the bodies in the buffers that they grow from.
const MEMORY_KIB: u64 = 2 * (2048 * 64 + 2 * (128 << 10)) + (256 << 10);

/// Memory that the allocator may keep afterwards.
const KEPT_KIB: u64 = 128 << 10;

/// What is demanded.
pub(super) struct Bounds {
    /// Whether times count: not in a test, which shares its machine.
    pub(super) timed: bool,
}

/// A whole run.
pub(super) struct Outcome {
    pub(super) before: Usage,
    pub(super) peak: Usage,
    pub(super) after: Usage,
    pub(super) during: Record,
    /// An echo over loopback that has nothing to do with the coordinator.
    pub(super) machine: Seen,
    pub(super) totals: Vec<(&'static str, u64)>,
    pub(super) seconds: u64,
}

impl Outcome {
    /// An error names the bound that did not hold.
    pub(super) fn judge(&self, bounds: &Bounds) -> anyhow::Result<()> {
        let Record { kept, new, body } = &self.during;
        for (name, seen) in
            [("that keeps its connection", kept), ("that comes anew", new), ("with a body", body)]
        {
            ensure!(!seen.times.is_empty(), "the polite client {name} had no answer: {seen}");
            let first = seen.failures.first().map_or("", String::as_str);
            let few = if bounds.timed { seen.times.len() / 20 } else { seen.times.len() / 4 + 4 };
            ensure!(
                seen.failures.len() <= few,
                "the polite client {name} was refused too often: {seen}; {first}"
            );
        }
        ensure!(
            kept.failures.is_empty(),
            "the polite client's connection was closed: {}",
            kept.failures.join("; ")
        );
        let p99 = kept.percentile(99);
        ensure!(
            !bounds.timed || p99 < KEPT_P99,
            "p99 is {p99:?}, and was to be below {KEPT_P99:?}; an echo of this machine took {:?}",
            self.machine.percentile(99)
        );
        let grown = self.peak.rss_kib.saturating_sub(self.before.rss_kib);
        ensure!(grown < MEMORY_KIB, "memory grew by {grown} KiB, and {MEMORY_KIB} is the bound");
        let (before, after) = (&self.before, &self.after);
        ensure!(after.connections <= before.connections, "connections remain: {after}, before: {before}");
        ensure!(after.files <= before.files, "files remain: {after}, before: {before}");
        ensure!(after.threads <= before.threads, "threads remain: {after}, before: {before}");
        let kept = after.rss_kib.saturating_sub(before.rss_kib);
        ensure!(kept < KEPT_KIB, "{kept} KiB of memory remain, and {KEPT_KIB} is the bound");
        ensure!(
            self.totals.iter().all(|(_, count)| *count > 0),
            "an attack did not take place: {:?}",
            self.totals
        );
        Ok(())
    }

    /// For scripts.
    pub(super) fn json(&self) -> Value {
        let seen = |seen: &Seen| {
            let us = |percent| seen.percentile(percent).as_micros() as u64;
            let (answered, failed) = (seen.times.len(), seen.failures.len());
            json!({ "answered": answered, "failed": failed, "p50_us": us(50), "p99_us": us(99), "max_us": us(100) })
        };
        let usage = |usage: &Usage| {
            let Usage { rss_kib, threads, files, connections } = usage;
            json!({ "rss_kib": rss_kib, "threads": threads, "files": files, "connections": connections })
        };
        let Record { kept, new, body } = &self.during;
        json!({
            "seconds": self.seconds,
            "polite": { "kept": seen(kept), "new": seen(new), "body": seen(body) },
            "machine": seen(&self.machine),
            "before": usage(&self.before),
            "peak": usage(&self.peak),
            "after": usage(&self.after),
            "attacks": self.totals.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect::<Map<_, _>>(),
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "flood of {} s", self.seconds)?;
        for (name, count) in &self.totals {
            writeln!(f, "  {name:<28}{count:>10}")?;
        }
        let Record { kept, new, body } = &self.during;
        writeln!(f, "status, kept connection   {kept}")?;
        writeln!(f, "status, new connection    {new}")?;
        writeln!(f, "a body of 100 kB          {body}")?;
        writeln!(f, "an echo of this machine   {}", self.machine)?;
        writeln!(f, "before  {}", self.before)?;
        writeln!(f, "peak    {}", self.peak)?;
        write!(f, "after   {}", self.after)
    }
}
