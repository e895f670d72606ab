//! The figures of one row: how many operations, how fast, at what cost.

use std::time::Duration;

use serde::Serialize;

/// What was measured. What a row cannot say is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Operations measured.
    pub(crate) n: u64,
    /// Operations per second of the whole run; `None` where they did not follow each other.
    pub(crate) rate_per_second: Option<f64>,
    /// How long one took; `None` where nothing was timed.
    pub(crate) latency: Option<Latency>,
    /// Processor time of the measured process for one operation, in microseconds.
    pub(crate) cpu_us: Option<f64>,
    /// Memory of the measured process afterwards, in KiB.
    pub(crate) rss_kib: Option<u64>,
    /// How many times as long as native code.
    pub(crate) times_native: Option<f64>,
}

/// Wall clock of one operation, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// Median.
    pub(crate) p50_us: f64,
    /// 99th percentile.
    pub(crate) p99_us: f64,
    /// The slowest.
    pub(crate) max_us: f64,
}

impl Figures {
    /// Of a run: each operation's time, the time of all together, and what the measured process used meanwhile.
    pub(crate) fn of_run(times: Vec<Duration>, wall: Duration, cpu: Duration) -> Self {
        let n = times.len() as u64;
        let per_operation = |total: f64| (n > 0).then(|| total / n as f64);
        Self {
            n,
            rate_per_second: (!wall.is_zero()).then(|| n as f64 / wall.as_secs_f64()),
            latency: Latency::of(times),
            cpu_us: per_operation(microseconds(cpu)),
            rss_kib: None,
            times_native: None,
        }
    }

    /// Of one look at a process's memory.
    pub(crate) fn of_memory(rss_kib: u64) -> Self {
        let nothing = Self::of_run(Vec::new(), Duration::ZERO, Duration::ZERO);
        Self { n: 1, rss_kib: Some(rss_kib), ..nothing }
    }

    /// Of what happened so often, each time with a process of its own.
    pub(crate) fn of_events(n: u64, wall: Duration) -> Self {
        let nothing = Self::of_run(Vec::new(), Duration::ZERO, Duration::ZERO);
        Self { n, rate_per_second: Some(n as f64 / wall.as_secs_f64()), ..nothing }
    }

    /// With the memory that the process had afterwards.
    pub(crate) fn with_memory(self, rss_kib: u64) -> Self {
        Self { rss_kib: Some(rss_kib), ..self }
    }

    /// Of operations that each had a server of their own, so that their rate says nothing.
    pub(crate) fn without_rate(self) -> Self {
        Self { rate_per_second: None, ..self }
    }
}

impl Latency {
    /// Of unsorted times; `None` of none.
    pub(crate) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let at = |share: f64| {
            // Nearest rank: the smallest time that at least this share of all do not exceed.
            let rank = (share * times.len() as f64).ceil() as usize;
            times.get(rank.saturating_sub(1)).copied().map(microseconds)
        };
        Some(Self { p50_us: at(0.5)?, p99_us: at(0.99)?, max_us: at(1.0)? })
    }
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(times: impl IntoIterator<Item = u64>) -> Figures {
        let times = times.into_iter().map(Duration::from_micros).collect();
        Figures::of_run(times, Duration::from_secs(2), Duration::from_millis(1))
    }

    #[test]
    fn percentiles_are_nearest_ranks_of_unsorted_times() {
        let latency = run_of((1..=200).rev()).latency.unwrap();
        assert_eq!(latency, Latency { p50_us: 100.0, p99_us: 198.0, max_us: 200.0 });
        let one = run_of([7]).latency.unwrap();
        assert_eq!(one, Latency { p50_us: 7.0, p99_us: 7.0, max_us: 7.0 });
    }

    #[test]
    fn rate_and_processor_time_are_for_one_operation() {
        let figures = run_of([1, 2, 3, 4]);
        assert_eq!((figures.n, figures.rate_per_second, figures.cpu_us), (4, Some(2.0), Some(250.0)));
    }

    #[test]
    fn a_run_without_operations_says_nothing() {
        let figures = run_of([]);
        assert_eq!((figures.n, figures.latency, figures.cpu_us), (0, None, None));
        let memory = Figures::of_memory(5);
        assert_eq!((memory.n, memory.rss_kib, memory.rate_per_second), (1, Some(5), None));
    }
}
