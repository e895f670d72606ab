//! What came of all components, and whether that is as it must be.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::questions::{End, Offered};

/// Of ten thousand, so many must pass the upload's checks and run.
const MUST_RUN: u64 = 2_000;
const OF: u64 = 10_000;

/// What the allocator may keep, and what a process of this size needs for itself. Ten thousand components that each leave 20 KiB
/// behind are noticed.
const MEMORY_LEFT_OVER_KIB: u64 = 128 << 10;

/// A sum over components.
#[derive(Debug, Default, Clone)]
pub(crate) struct Totals {
    kinds: BTreeMap<String, BTreeMap<End, u64>>,
    whys: BTreeMap<(End, String), u64>,
    calls: u64,
    compile_us: Vec<u64>,
    call_us: Vec<u64>,
    kept: u64,
    wrong: Vec<String>,
    deaths: u64,
    /// Of each process: KiB after its first batch, at most, and after its last.
    memory: Vec<[u64; 3]>,
}

/// Whether one demand is met.
pub(crate) struct Verdict {
    pub(crate) good: bool,
    pub(crate) text: String,
}

impl Totals {
    /// A component that was offered; whether it is to be kept.
    pub(crate) fn ended(&mut self, name: &str, seed: u64, offered: &Offered, keep: u64, count: u64) -> bool {
        let (number, kind) = name.split_once('.').unwrap_or((name, "unknown"));
        *self.kinds.entry(kind.to_owned()).or_default().entry(offered.end).or_default() += 1;
        if !offered.why.is_empty() {
            *self.whys.entry((offered.end, offered.why.clone())).or_default() += 1;
        }
        self.calls += offered.calls;
        self.compile_us.push(offered.compile_us);
        if offered.calls > 0 {
            self.call_us.push(offered.call_us);
        }
        self.wrong.extend(offered.wrong.iter().map(|wrong| format!("{name} of seed {seed}: {wrong}")));
        let is_kept = offered.calls > 0
            && self.kept < keep
            && number.parse().is_ok_and(|number| scattered(number) % count.max(1) < 3 * keep);
        self.kept += u64::from(is_kept);
        is_kept
    }

    /// A process that ended while a component was offered.
    pub(crate) fn died(&mut self, name: &str, seed: u64, how: &str) {
        self.deaths += 1;
        self.wrong.push(format!("{name} of seed {seed}: THE PROCESS DIED ({how})"));
    }

    /// What a process had after each batch.
    pub(crate) fn memory(&mut self, resident_kib: &[u64]) {
        if let (Some(first), Some(last), Some(most)) =
            (resident_kib.first(), resident_kib.last(), resident_kib.iter().max())
        {
            self.memory.push([*first, *most, *last]);
        }
    }

    /// All that were offered.
    pub(crate) fn offered(&self) -> u64 {
        self.kinds.values().flat_map(BTreeMap::values).sum::<u64>() + self.deaths
    }

    fn of(&self, end: End) -> u64 {
        self.kinds.values().filter_map(|ends| ends.get(&end)).sum()
    }

    /// Those that were compiled and called.
    pub(crate) fn ran(&self) -> u64 {
        self.of(End::Failed) + self.of(End::Answered)
    }

    /// How far it is.
    pub(crate) fn line(&self) -> String {
        let [refused, unusable] = [End::Refused, End::Unusable].map(|end| self.of(end));
        format!("{} ran, {refused} refused, {unusable} unusable, {} wrong", self.ran(), self.wrong.len())
    }

    /// What is demanded, line by line.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let needed = self.offered() * MUST_RUN / OF;
        let mut verdicts = vec![
            Verdict { good: self.deaths == 0, text: format!("{} processes died", self.deaths) },
            Verdict {
                good: self.ran() >= needed.max(1),
                text: format!("{} of {} ran; at least {needed} must", self.ran(), self.offered()),
            },
            Verdict {
                good: self.wrong.is_empty(),
                text: format!("{} things that no component may do", self.wrong.len()),
            },
        ];
        for [first, most, last] in &self.memory {
            verdicts.push(Verdict {
                good: *last <= first + MEMORY_LEFT_OVER_KIB,
                text: format!(
                    "memory of a process: {} MiB after its first batch, {} MiB at most, {} MiB after its last; at most {} MiB \
                     more than after its first",
                    first >> 10,
                    most >> 10,
                    last >> 10,
                    MEMORY_LEFT_OVER_KIB >> 10
                ),
            });
        }
        verdicts
    }

    /// For scripts.
    pub(crate) fn json(&self) -> Value {
        let ends = |ends: &BTreeMap<End, u64>| {
            let of = |end| ends.get(&end).copied().unwrap_or_default();
            json!({ "refused": of(End::Refused), "unusable": of(End::Unusable), "failed": of(End::Failed), "answered": of(End::Answered) })
        };
        let kinds: BTreeMap<&String, Value> = self.kinds.iter().map(|(kind, of)| (kind, ends(of))).collect();
        let whys: Vec<Value> = self
            .whys
            .iter()
            .map(|((end, why), count)| json!({ "end": end, "why": why, "count": count }))
            .collect();
        let times = |times: &[u64]| {
            let at = |percent| percentile(times, percent);
            json!({ "p50_us": at(50), "p99_us": at(99), "max_us": at(100) })
        };
        json!({
            "offered": self.offered(),
            "ran": self.ran(),
            "calls": self.calls,
            "deaths": self.deaths,
            "kinds": kinds,
            "reasons": whys,
            "compile": times(&self.compile_us),
            "slowest_call": times(&self.call_us),
            "memory_kib": self.memory,
            "wrong": self.wrong,
        })
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<16}{:>9}{:>9}{:>9}{:>9}", "kind", "refused", "unusable", "failed", "answered")?;
        for (kind, ends) in &self.kinds {
            write!(f, "{kind:<16}")?;
            for end in [End::Refused, End::Unusable, End::Failed, End::Answered] {
                write!(f, "{:>9}", ends.get(&end).copied().unwrap_or_default())?;
            }
            writeln!(f)?;
        }
        writeln!(f, "\nthe most frequent reasons")?;
        let mut whys: Vec<_> = self.whys.iter().collect();
        whys.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for ((end, why), count) in whys.into_iter().take(20) {
            writeln!(f, "{count:>7}  {:<9} {why}", format!("{end:?}").to_lowercase())?;
        }
        for (what, times) in
            [("looked at and compiled", &self.compile_us), ("slowest call of each", &self.call_us)]
        {
            let ms = |percent| percentile(times, percent) as f64 / 1000.0;
            writeln!(f, "{what:<24} p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", ms(50), ms(99), ms(100))?;
        }
        writeln!(f, "{} components, {} calls", self.offered(), self.calls)?;
        for wrong in self.wrong.iter().take(50) {
            writeln!(f, "WRONG  {wrong}")?;
        }
        Ok(())
    }
}

/// A number that has nothing to do with the one that it comes from: neighbours, and those of one kind, are scattered.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// The time that so many percent took at most; 0 without any.
pub(crate) fn percentile(times: &[u64], percent: usize) -> u64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(end: End, calls: u64) -> Offered {
        let wrong = Vec::new();
        Offered { end, why: "why".to_owned(), calls, compile_us: 1, call_us: 1, world: None, wrong }
    }

    fn all_good(totals: &Totals) -> bool {
        totals.verdicts().iter().all(|verdict| verdict.good)
    }

    #[test]
    fn a_fifth_must_run_and_none_may_do_wrong() {
        let mut totals = Totals::default();
        for number in 0..10 {
            totals.ended(&format!("{number:06}.module"), 1, &offered(End::Refused, 0), 0, 10);
        }
        assert!(!all_good(&totals), "none ran");
        totals.ended("000010.mutant", 1, &offered(End::Failed, 4), 0, 12);
        totals.ended("000011.mutant", 1, &offered(End::Answered, 4), 0, 12);
        totals.memory(&[100, 900_000, 200]);
        assert!(all_good(&totals));
        let mut wrong = offered(End::Answered, 4);
        wrong.wrong.push("two answers".to_owned());
        let mut totals_of_wrong = totals.clone();
        totals_of_wrong.ended("000012.mutant", 7, &wrong, 0, 13);
        assert!(!all_good(&totals_of_wrong));
        assert!(totals_of_wrong.to_string().contains("000012.mutant of seed 7: two answers"));
    }

    #[test]
    fn a_death_is_named_and_memory_that_stays_is_seen() {
        let mut totals = Totals::default();
        totals.ended("000000.mutant", 1, &offered(End::Answered, 4), 0, 1);
        let mut dead = totals.clone();
        dead.died("000001.module", 3, "signal 6");
        assert!(
            !all_good(&dead)
                && dead.to_string().contains("000001.module of seed 3: THE PROCESS DIED (signal 6)")
        );
        totals.memory(&[1000, 1000 + MEMORY_LEFT_OVER_KIB]);
        assert!(all_good(&totals));
        totals.memory(&[1000, 1001 + MEMORY_LEFT_OVER_KIB]);
        assert!(!all_good(&totals));
    }

    #[test]
    fn those_that_are_kept_ran_and_are_spread() {
        let mut totals = Totals::default();
        let mut kept = Vec::new();
        for number in 0..100_u32 {
            let end = if number % 3 == 0 { offered(End::Refused, 0) } else { offered(End::Answered, 4) };
            if totals.ended(&format!("{number:06}.mutant"), 1, &end, 5, 100) {
                kept.push(number);
            }
        }
        assert_eq!(kept.len(), 5, "{kept:?}");
        assert!(kept.iter().all(|number| number % 3 != 0), "{kept:?}");
        assert!(kept.windows(2).any(|pair| pair[1] - pair[0] > 5), "{kept:?}");
    }
}
