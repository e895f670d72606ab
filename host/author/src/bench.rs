//! How fast a component answers and how large it is.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::asked::Asked;
use crate::corpus::Sample;
use crate::words::verdict;

/// How often a request is asked.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// At most so often, and at least once.
    pub calls: usize,
    /// No further call is begun after this time.
    pub time: Duration,
}

impl Default for Effort {
    fn default() -> Self {
        Self { calls: 200, time: Duration::from_secs(2) }
    }
}

/// What a request costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figures {
    /// The request.
    pub name: String,
    /// `allow`, `deny` or `failed`.
    pub verdict: &'static str,
    /// How often it was asked, after a first time that does not count.
    pub calls: usize,
    /// The most of any call; the same each time unless the policy is at fault.
    pub fuel: u64,
    /// Half of the calls took no longer, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 calls took no longer, in microseconds.
    pub p99_us: u64,
    /// The most linear memory of any call, in bytes.
    pub memory: usize,
}

/// Asks a request again and again.
#[must_use]
pub fn measure(asked: &dyn Asked, sample: &Sample, effort: Effort) -> Figures {
    let (answer, first) = asked.ask(&sample.settings, &sample.question);
    let (mut fuel, mut memory) = (first.fuel, first.memory);
    let (mut durations, began) = (Vec::new(), Instant::now());
    while durations.is_empty() || durations.len() < effort.calls && began.elapsed() < effort.time {
        let (_, report) = asked.ask(&sample.settings, &sample.question);
        durations.push(u64::try_from(report.duration.as_micros()).unwrap_or(u64::MAX));
        fuel = fuel.max(report.fuel);
        memory = memory.max(report.memory);
    }
    durations.sort_unstable();
    Figures {
        name: sample.name.clone(),
        verdict: verdict(&answer),
        calls: durations.len(),
        fuel,
        p50_us: percentile(&durations, 50),
        p99_us: percentile(&durations, 99),
        memory,
    }
}

/// The nearest rank: the smallest value that is not less than so many of a hundred.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = sorted.len().saturating_mul(percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use carrara_wasm::World;

    use super::*;
    use crate::corpus::samples;
    use crate::fake::Fake;
    use crate::question::Answer;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!([percentile(&hundred, 50), percentile(&hundred, 99)], [50, 99]);
        assert_eq!([percentile(&[7], 50), percentile(&[7], 99), percentile(&[], 50)], [7, 7, 0]);
        assert_eq!(percentile(&[1, 2], 99), 2);
    }

    #[test]
    fn a_request_is_asked_as_often_as_is_wanted_and_the_most_is_told() {
        let sample = samples(World::RoleAuthorization).remove(0);
        let fake = Fake::new(World::RoleAuthorization, |_, _| Answer::Allow).with_fuel(|call| 100 + call % 3);
        let figures = measure(&fake, &sample, Effort { calls: 10, time: Duration::from_secs(60) });
        assert_eq!((figures.calls, figures.fuel, figures.verdict), (10, 102, "allow"));
        let short = measure(&fake, &sample, Effort { calls: 10, time: Duration::ZERO });
        assert_eq!(short.calls, 1);
    }
}
