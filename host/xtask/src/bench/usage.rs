//! What a process has used so far, as the kernel tells it in `/proc`. Linux only; needs no rights beyond the process's own.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// How many of the ticks of `/proc/PID/stat` are a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    ticks_per_second: u32,
}

impl Clock {
    /// Asks the system: the number is fixed when the kernel is built.
    pub(crate) fn of_system() -> anyhow::Result<Self> {
        let output = Command::new("getconf").arg("CLK_TCK").output().context("running getconf CLK_TCK")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let ticks_per_second =
            text.trim().parse().with_context(|| format!("getconf CLK_TCK says {text:?}"))?;
        ensure!(ticks_per_second > 0, "getconf CLK_TCK says 0");
        Ok(Self { ticks_per_second })
    }

    /// User and system time of all threads of a process, ended ones included; exact to one tick (10 ms as a rule).
    pub(crate) fn cpu_of(self, process: u32) -> anyhow::Result<Duration> {
        let path = format!("/proc/{process}/stat");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let ticks = ticks(&text).with_context(|| format!("{path} has no utime and stime"))?;
        let microseconds = ticks.saturating_mul(1_000_000) / u64::from(self.ticks_per_second);
        Ok(Duration::from_micros(microseconds))
    }
}

/// Time that all processors together have spent, in ticks since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    busy: u64,
    all: u64,
}

impl Machine {
    /// As it is now.
    pub(crate) fn now() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
        machine(&text).context("/proc/stat has no line of all processors")
    }

    /// How much of the processors was in use since an earlier look: 0 to 1.
    pub(crate) fn busy_since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all);
        if all == 0 { 0.0 } else { self.busy.saturating_sub(earlier.busy) as f64 / all as f64 }
    }
}

/// The first line of proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal; what guests used is in user.
fn machine(stat: &str) -> Option<Machine> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times = line.split_whitespace().take(8).map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
    let idle = times.get(3)? + times.get(4)?;
    let all: u64 = times.iter().sum();
    Some(Machine { busy: all - idle, all })
}

/// The memory that a process has resident (VmRSS), in KiB.
pub(crate) fn resident_kib(process: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    number(&text, "VmRSS").with_context(|| format!("{path} has no VmRSS"))
}

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Holdings {
    /// Resident memory (VmRSS), in KiB.
    pub(crate) rss_kib: u64,
    /// The most that it ever was (VmHWM), in KiB.
    pub(crate) most_kib: u64,
    /// The part of it that no file backs (RssAnon), in KiB.
    pub(crate) anon_kib: u64,
    /// Threads.
    pub(crate) threads: u64,
    /// Open files and sockets.
    pub(crate) files: u64,
}

/// What a process holds right now.
pub(crate) fn holdings(process: u32) -> anyhow::Result<Holdings> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let of = |name: &str| number(&text, name).with_context(|| format!("{path} has no {name}"));
    let files = format!("/proc/{process}/fd");
    let files = fs::read_dir(&files).with_context(|| format!("reading {files}"))?.count() as u64;
    Ok(Holdings {
        rss_kib: of("VmRSS")?,
        most_kib: of("VmHWM")?,
        anon_kib: of("RssAnon")?,
        threads: of("Threads")?,
        files,
    })
}

/// utime + stime: fields 14 and 15 of proc_pid_stat(5). The second field may hold blanks and parentheses, so counting
/// starts behind its last one, at field 3.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// A line of proc_pid_status(5).
fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_found_behind_a_hostile_process_name() {
        let stat = "42 (a) 1 2 (b) S 1 42 42 0 -1 4194304 900 0 3 0 70 5 0 0 20 0 9 0 1234 0";
        assert_eq!(ticks(stat), Some(75));
        assert_eq!(ticks("42 (a) S 1"), None);
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn how_busy_the_machine_was_is_found() {
        let before = machine("cpu  10 0 10 70 10 0 0 0 5 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n").unwrap();
        assert_eq!(before, Machine { busy: 20, all: 100 });
        let now = machine("cpu  40 0 10 130 20 0 0 0 30 0\n").unwrap();
        assert!((now.busy_since(before) - 0.3).abs() < 1e-9);
        assert!(now.busy_since(now).abs() < 1e-9);
        assert_eq!(machine("cpu0 1 1 1 1\n"), None);
        Machine::now().unwrap();
    }

    #[test]
    fn the_resident_memory_is_found() {
        assert_eq!(number("VmPeak:\t 9 kB\nVmRSS:\t   73512 kB\n", "VmRSS"), Some(73512));
        assert_eq!(number("VmPeak:\t 9 kB\nVmRSSX:\t 1 kB\n", "VmRSS"), None);
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let me = std::process::id();
        assert!(resident_kib(me).unwrap() > 100);
        let held = holdings(me).unwrap();
        assert!(held.most_kib >= held.anon_kib && held.threads > 0 && held.files > 2, "{held:?}");
        let clock = Clock::of_system().unwrap();
        let before = clock.cpu_of(me).unwrap();
        assert!(clock.cpu_of(me).unwrap() >= before);
        assert!(clock.cpu_of(0).is_err(), "there is no process 0");
    }
}
