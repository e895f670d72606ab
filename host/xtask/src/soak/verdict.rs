//! Whether memory and answer times stayed what they were.
//!
//! Memory: a line through the resident memory of the second half, by least squares, rises by less than
//! [`MEMORY_KIB_PER_HOUR`] in an hour, beyond what the update log takes: it is kept in memory, and grows for ever by
//! design. The audit trail has its 10,000 entries long before. Times: neither the processor time of a request nor the
//! median of a kind of requests is by more than [`SLOWER`] greater in the last quarter than in the second. A request
//! costs less processor time on a busy machine (threads that never sleep need no waking), so samples are compared with
//! those of the other quarter that were taken while the machine was as busy; where there are too few of these, it is
//! said that nothing can be said. Answer times are compared by each quarter's better half; what waits for a commit may be
//! slower by as much as the disk has become slower meanwhile, for two commits: the one before it in the queue, and its own.

use std::collections::BTreeMap;

use serde::Serialize;

use super::kinds::Kind;
use super::sample::Sample;

/// What a coordinator's memory may rise in an hour.
const MEMORY_KIB_PER_HOUR: f64 = 1024.0;

/// What a line of the update log takes in memory: its sealed record with its name, and its hashes in the tree.
const LINE_BYTES: f64 = 640.0;

/// More than this is slower and not measurement's noise.
const SLOWER: f64 = 1.2;

/// Medians differ by so much without a reason.
const NOISE_US: f64 = 150.0;

/// Shares of the processors in use that count as the same: tenths.
const ALIKE: f64 = 10.0;

/// With fewer pairs of samples alike nothing is said of processor time.
const PAIRS: usize = 3;

/// How many commits the answer to one that commits waits for.
const COMMITS: f64 = 2.0;

/// With fewer samples there is nothing to say about growth.
const SAMPLES: usize = 12;

/// One thing that was judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Judgement {
    /// What.
    pub(crate) what: String,
    /// With figures.
    pub(crate) text: String,
    /// Whether it is as it should be.
    pub(crate) good: bool,
}

/// Judges a run. Of a short one only the errors.
pub(crate) fn judge(samples: &[Sample], long: bool) -> Vec<Judgement> {
    let errors: u64 = samples.iter().map(|sample| sample.errors).sum();
    let requests: u64 = samples.iter().map(|sample| sample.requests).sum();
    let mut all = vec![Judgement {
        what: "errors".to_owned(),
        text: format!("{errors} of {requests} requests"),
        good: errors == 0 && requests > 0,
    }];
    if long && samples.len() >= SAMPLES {
        all.push(memory(samples));
        all.push(held(samples));
        all.extend(times(samples));
    }
    all
}

fn memory(samples: &[Sample]) -> Judgement {
    let half = samples.get(samples.len() / 2..).unwrap_or_default();
    let points: Vec<(f64, f64)> =
        half.iter().map(|sample| (sample.seconds / 3600.0, sample.held.rss_kib as f64)).collect();
    let rise = slope(&points);
    let hours = points.last().zip(points.first()).map_or(0.0, |(last, first)| last.0 - first.0);
    let lines = half.last().zip(half.first()).map_or(0, |(last, first)| last.lines - first.lines);
    let log = if hours > 0.0 { lines as f64 / hours * LINE_BYTES / 1024.0 } else { 0.0 };
    Judgement {
        what: "memory".to_owned(),
        text: format!(
            "rises by {:.2} MB/h in the second half; may by {:.2} MB/h and {:.2} MB/h for {lines} lines of the log",
            megabytes(rise),
            megabytes(MEMORY_KIB_PER_HOUR),
            megabytes(log)
        ),
        good: rise <= MEMORY_KIB_PER_HOUR + log,
    }
}

/// Files and threads: the most of the last quarter against the most of the second.
fn held(samples: &[Sample]) -> Judgement {
    let [second, last] = quarters(samples);
    let most = |samples: &[Sample]| {
        let of = |held: fn(&Sample) -> u64| samples.iter().map(held).max().unwrap_or_default();
        [of(|sample| sample.held.files), of(|sample| sample.held.threads)]
    };
    let ([files, threads], [files_now, threads_now]) = (most(second), most(last));
    Judgement {
        what: "files and threads".to_owned(),
        text: format!("{files} files, then {files_now}; {threads} threads, then {threads_now}"),
        // A new connection or two may be open when it is looked.
        good: files_now <= files + 10 && threads_now <= threads + 4,
    }
}

fn times(samples: &[Sample]) -> Vec<Judgement> {
    let [second, last] = quarters(samples);
    let mut all = vec![processor(second, last)];
    let names: BTreeMap<&str, ()> =
        samples.iter().flat_map(|sample| sample.times.keys().map(|name| (*name, ()))).collect();
    let disk = |samples: &[Sample]| rank(samples.iter().filter_map(|sample| sample.disk_us), 0.25);
    let slower = disk(last).zip(disk(second)).map_or(0.0, |(now, before)| (now - before).max(0.0));
    let commits = |name: &str| Kind::ALL.iter().any(|kind| kind.name() == name && kind.commits());
    for name in names.keys().filter(|name| **name != "update") {
        let median = |samples: &[Sample]| {
            rank(samples.iter().filter_map(|sample| sample.times.get(name).map(|times| times.p50_us)), 0.25)
        };
        let noise = if commits(name) { NOISE_US + COMMITS * slower } else { NOISE_US };
        all.extend(compare(&format!("p50 of {name}"), median(second), median(last), noise));
    }
    all
}

/// Processor time for one request: the medians of the two quarters' samples that were taken while the machine was
/// equally busy, averaged by how many pairs they are of.
fn processor(second: &[Sample], last: &[Sample]) -> Judgement {
    let (before, now) = (by_load(second), by_load(last));
    let (mut pairs, mut sums) = (0, (0.0, 0.0));
    for (load, earlier) in &before {
        let later = now.get(load).map_or(&[][..], Vec::as_slice);
        let count = earlier.len().min(later.len());
        let medians = rank(earlier.iter().copied(), 0.5).zip(rank(later.iter().copied(), 0.5));
        let Some((earlier, later)) = medians else { continue };
        pairs += count;
        sums = (sums.0 + earlier * count as f64, sums.1 + later * count as f64);
    }
    let what = "CPU of a request";
    let mean = |sum: f64| Some(sum / pairs as f64);
    match compare(what, mean(sums.0), mean(sums.1), 0.0) {
        Some(judged) if pairs >= PAIRS => judged,
        _ => Judgement {
            what: what.to_owned(),
            text: "not comparable: the machine was not equally busy in both quarters".to_owned(),
            good: true,
        },
    }
}

/// The processor times by tenths of the machine's load.
fn by_load(samples: &[Sample]) -> BTreeMap<u64, Vec<f64>> {
    let mut times: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for sample in samples {
        times.entry((sample.machine * ALIKE) as u64).or_default().extend(sample.cpu_us);
    }
    times
}

fn compare(what: &str, before: Option<f64>, now: Option<f64>, noise: f64) -> Option<Judgement> {
    let (before, now) = (before?, now?);
    let text = format!(
        "{before:.0} us in the second quarter, {now:.0} us in the last ({:+.0} %)",
        (now / before - 1.0) * 100.0
    );
    Some(Judgement { what: what.to_owned(), text, good: now <= before * SLOWER + noise })
}

/// The second and the last quarter.
fn quarters(samples: &[Sample]) -> [&[Sample]; 2] {
    let quarter = samples.len() / 4;
    [(quarter, quarter * 2), (samples.len() - quarter, samples.len())]
        .map(|(from, to)| samples.get(from..to).unwrap_or_default())
}

/// The value that so large a share does not exceed.
fn rank(values: impl Iterator<Item = f64>, share: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

/// Of the line through the points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / n, sum.1 + point.1 / n));
    let (along, across) = points.iter().fold((0.0, 0.0), |sum, point| {
        let (dx, dy) = (point.0 - x, point.1 - y);
        (sum.0 + dx * dx, sum.1 + dx * dy)
    });
    if along > 0.0 { across / along } else { 0.0 }
}

fn megabytes(kib: f64) -> f64 {
    kib * 1024.0 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Latency;
    use crate::bench::usage::Holdings;

    /// An hour whose memory, processor time and median are what they are made of the minute.
    fn hour(kib: impl Fn(u64) -> u64, cpu: impl Fn(u64) -> f64, p50: impl Fn(u64) -> f64) -> Vec<Sample> {
        let sample = |minute: u64| Sample {
            seconds: minute as f64 * 60.0,
            requests: 9000,
            errors: 0,
            late: 0,
            reconnects: 0,
            cpu_us: Some(cpu(minute)),
            machine: 0.35,
            disk_us: Some(900.0),
            held: Holdings { rss_kib: kib(minute), most_kib: 0, anon_kib: 0, threads: 5, files: 40 },
            state_bytes: 0,
            lines: minute * 100,
            times: [("read", Latency { p50_us: p50(minute), p99_us: 0.0, max_us: 0.0 })].into(),
        };
        (0..60).map(sample).collect()
    }

    fn bad(samples: &[Sample]) -> Vec<String> {
        judge(samples, true).into_iter().filter(|judged| !judged.good).map(|judged| judged.what).collect()
    }

    #[test]
    fn a_flat_hour_is_good() {
        assert!(bad(&hour(|_| 60_000, |_| 200.0, |_| 500.0)).is_empty());
        // What grows at first and then does not is no leak; nor is the log.
        assert!(
            bad(&hour(|minute| 60_000 + minute.min(20) * 500 + minute * 60, |_| 200.0, |_| 500.0)).is_empty()
        );
    }

    #[test]
    fn memory_that_goes_on_rising_is_not() {
        assert_eq!(bad(&hour(|minute| 60_000 + minute * 100, |_| 200.0, |_| 500.0)), ["memory"]);
    }

    #[test]
    fn slower_answers_are_not_but_a_bad_minute_is_none() {
        let later = |minute: u64, factor: f64| if minute >= 45 { factor } else { 1.0 };
        assert_eq!(bad(&hour(|_| 1, |minute| 200.0 * later(minute, 1.3), |_| 500.0)), ["CPU of a request"]);
        assert_eq!(bad(&hour(|_| 1, |_| 200.0, |minute| 2000.0 * later(minute, 1.3))), ["p50 of read"]);
        let noisy = |minute: u64| if minute.is_multiple_of(3) { 5000.0 } else { 500.0 };
        assert!(bad(&hour(|_| 1, |_| 200.0, noisy)).is_empty());
    }

    #[test]
    fn commits_may_take_longer_where_the_disk_does() {
        let mut samples = hour(|_| 1, |_| 200.0, |_| 500.0);
        for sample in samples.iter_mut() {
            let times = |p50_us| Latency { p50_us, p99_us: 0.0, max_us: 0.0 };
            let later = sample.seconds >= 45.0 * 60.0;
            sample.times.insert("counter", times(if later { 4000.0 } else { 3100.0 }));
        }
        assert_eq!(bad(&samples), ["p50 of counter"]);
        for sample in samples.iter_mut().skip(45) {
            sample.disk_us = Some(1200.0);
        }
        assert!(bad(&samples).is_empty());
        for sample in samples.iter_mut().skip(45) {
            sample.times.insert("read", Latency { p50_us: 1000.0, p99_us: 0.0, max_us: 0.0 });
        }
        assert_eq!(bad(&samples), ["p50 of read"], "what reads waits for no disk");
    }

    #[test]
    fn processor_time_is_compared_under_equal_load_only() {
        let cost = |sample: &Sample| if sample.machine > 0.5 { 700.0 } else { 900.0 };
        let mut quieter = hour(|_| 1, |_| 0.0, |_| 500.0);
        for (minute, sample) in quieter.iter_mut().enumerate() {
            sample.machine = if minute < 40 && minute % 3 > 0 { 0.95 } else { 0.25 };
            sample.cpu_us = Some(cost(sample));
        }
        assert!(bad(&quieter).is_empty(), "it costs what it did");
        for sample in quieter.iter_mut().skip(45) {
            sample.cpu_us = Some(cost(sample) * 1.3);
        }
        assert_eq!(bad(&quieter), ["CPU of a request"]);
        for sample in quieter.iter_mut().skip(45) {
            sample.machine = 0.05;
        }
        let judged = judge(&quieter, true);
        let processor = judged.iter().find(|judged| judged.what == "CPU of a request").unwrap();
        assert!(processor.good && processor.text.starts_with("not comparable"), "{processor:?}");
    }

    #[test]
    fn one_error_is_one_too_many_and_a_short_run_is_not_judged_further() {
        let mut samples = hour(|minute| minute * 9999, |_| 200.0, |_| 500.0);
        assert_eq!(judge(&samples, false).len(), 1);
        samples[3].errors = 1;
        assert!(!judge(&samples, false)[0].good);
        assert!(!judge(&[], false)[0].good, "nothing was asked");
    }
}
