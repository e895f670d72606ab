//! The rows of the performance goals: what is measured, what the reference did, what is wanted.

use super::figures::Figures;

/// A row.
#[derive(Debug)]
pub(crate) struct Row {
    /// For `--only` and JSON.
    pub(crate) id: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    /// What the reference did, as text.
    pub(crate) reference: &'static str,
    /// What is wanted. Missing one fails nothing.
    pub(crate) goals: &'static [Goal],
    /// How it is measured.
    pub(crate) work: Work,
}

/// What a row does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// From a process's start to its first answer, with so many secrets in its state; 0 is without a state.
    Start { stored: usize },
    /// The memory of a server with so many secrets; 0 is without a state.
    Memory { stored: usize },
    /// The memory of a server that was started with so many secrets in its state.
    MemoryAfterRestart { stored: usize },
    /// The state, over kept connections.
    StatusKept { clients: usize },
    /// The state, over new connections.
    StatusNew { clients: usize },
    /// One secret, by a user with a certificate, over kept connections.
    ReadSecret { stored: usize, clients: usize },
    /// Activations over new connections.
    ActivateNew { stored: usize, unused_rsa: usize, clients: usize },
    /// Activations over kept connections.
    ActivateKept { clients: usize },
    /// The first manifest.
    SetManifest { secrets: usize },
    /// One user-defined secret, by a user with a certificate, over kept connections.
    WriteSecret { clients: usize },
    /// A monotonic counter of each Marble, over kept connections, with so many secrets in the state.
    Counter { stored: usize, clients: usize },
    /// The end of an update log of so many lines, and its signed head after each new line.
    Log { lines: usize },
    /// The built-in authorizer.
    Authorize,
    /// An authorizer in another language: the contract's policy that the tests of the SDKs have built.
    AuthorizeIn { language: &'static str },
    /// The built-in renderer with so many files.
    Render { files: usize },
    /// The built-in validator with a manifest of so many bytes.
    Validate { bytes: usize },
    /// Kills under load, and checks that nothing is lost.
    Kill { kills: u64 },
}

impl Work {
    /// Whether a development build can do it in an instant: compiling CPython takes it minutes.
    pub(crate) fn is_short(self) -> bool {
        !matches!(self, Self::AuthorizeIn { .. })
    }
}

/// A limit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// Processor time of one operation, in microseconds, at most.
    CpuUs(f64),
    /// Operations per second, at least.
    PerSecond(f64),
    /// Median of the wall clock, in milliseconds, at most.
    MedianMs(f64),
    /// Resident memory in MB (10^6 bytes), at most.
    MemoryMb(f64),
    /// Against native code, at most.
    TimesNative(f64),
    /// Processor time against that of another row, at most: the cost does not grow.
    TimesRow(&'static str, f64),
}

/// Whether a goal is met.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Judgement {
    /// The goal, as text.
    pub(crate) goal: String,
    /// What was measured, in the goal's unit.
    pub(crate) measured: f64,
    /// Whether that is enough.
    pub(crate) met: bool,
}

impl Goal {
    /// Judges figures; `None` if they do not say enough, as where the row to compare with was left out.
    pub(crate) fn judge<'a>(
        self,
        figures: &Figures,
        row: impl Fn(&str) -> Option<&'a Figures>,
    ) -> Option<Judgement> {
        let measured = match self {
            Self::CpuUs(_) => figures.cpu_us?,
            Self::PerSecond(_) => figures.rate_per_second?,
            Self::MedianMs(_) => figures.latency?.p50_us / 1000.0,
            Self::MemoryMb(_) => figures.rss_kib? as f64 * 1024.0 / 1e6,
            Self::TimesNative(_) => figures.times_native?,
            Self::TimesRow(other, _) => {
                let other = row(other)?.cpu_us.filter(|cpu| *cpu > 0.0)?;
                figures.cpu_us? / other
            }
        };
        let met = match self {
            Self::PerSecond(least) => measured >= least,
            Self::CpuUs(most) | Self::MedianMs(most) | Self::MemoryMb(most) => measured <= most,
            Self::TimesNative(most) | Self::TimesRow(_, most) => measured <= most,
        };
        Some(Judgement { goal: self.text(), measured, met })
    }

    fn text(self) -> String {
        match self {
            Self::CpuUs(most) => format!("CPU <= {most} us"),
            Self::PerSecond(least) => format!("rate >= {least}/s"),
            Self::MedianMs(most) => format!("p50 <= {most} ms"),
            Self::MemoryMb(most) => format!("memory <= {most} MB"),
            Self::TimesNative(most) => format!("<= {most} x native"),
            Self::TimesRow(row, most) => format!("CPU <= {most} x {row}"),
        }
    }
}

/// Clients where many read.
const READERS: usize = 32;

/// Clients where many write: their commits share an fsync.
const WRITERS: usize = 16;

/// Clients where many Marbles start at once.
const MARBLES: usize = 64;

/// Growth that is measurement's noise and not growth.
const FLAT: f64 = 1.3;

/// All rows, in the order of the goals' table.
pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "start",
        title: "start to first answer",
        reference: "90 ms",
        goals: &[Goal::MedianMs(45.0)],
        work: Work::Start { stored: 0 },
    },
    Row {
        id: "start-10k",
        title: "start to first answer, 10,000 secrets stored",
        reference: "",
        goals: &[],
        work: Work::Start { stored: 10_000 },
    },
    Row {
        id: "memory-idle",
        title: "memory, idle",
        reference: "72 MB",
        goals: &[Goal::MemoryMb(36.0)],
        work: Work::Memory { stored: 0 },
    },
    Row {
        id: "memory-10k",
        title: "memory, 10,000 secrets set",
        reference: "148 MB",
        goals: &[Goal::MemoryMb(60.0)],
        work: Work::Memory { stored: 10_000 },
    },
    Row {
        id: "memory-10k-restarted",
        title: "memory, started with 10,000 secrets",
        reference: "",
        goals: &[Goal::MemoryMb(60.0)],
        work: Work::MemoryAfterRestart { stored: 10_000 },
    },
    Row {
        id: "status-kept",
        title: "status, kept connection, 32 clients",
        reference: "23,200/s, 43 us",
        goals: &[Goal::CpuUs(15.0), Goal::PerSecond(1.5 * 23_200.0)],
        work: Work::StatusKept { clients: READERS },
    },
    Row {
        id: "status-new",
        title: "status, new TLS connection",
        reference: "990/s, 1.1 ms",
        goals: &[Goal::CpuUs(550.0), Goal::PerSecond(1.7 * 990.0)],
        work: Work::StatusNew { clients: 16 },
    },
    Row {
        id: "read",
        title: "read a secret, kept mTLS, 32 clients",
        reference: "7,100/s, 157 us",
        goals: &[Goal::CpuUs(65.0), Goal::PerSecond(2.5 * 7_100.0)],
        work: Work::ReadSecret { stored: 1, clients: READERS },
    },
    Row {
        id: "activate-new",
        title: "activate, new connection, 64 clients",
        reference: "203/s, 6.5 ms",
        goals: &[Goal::CpuUs(1_800.0), Goal::PerSecond(3.0 * 203.0)],
        work: Work::ActivateNew { stored: 1, unused_rsa: 0, clients: MARBLES },
    },
    Row {
        id: "activate-kept",
        title: "activate, kept connection, 8 clients",
        reference: "217/s, 5.0 ms",
        goals: &[Goal::CpuUs(1_000.0), Goal::PerSecond(4.0 * 217.0)],
        work: Work::ActivateKept { clients: 8 },
    },
    Row {
        id: "write-1",
        title: "write a secret, 1 client",
        reference: "292/s, 2.8 ms, no fsync",
        goals: &[Goal::CpuUs(400.0), Goal::PerSecond(3.0 * 292.0)],
        work: Work::WriteSecret { clients: 1 },
    },
    Row {
        id: "write-16",
        title: "write a secret, 16 clients",
        reference: "299/s, 2.8 ms, no fsync",
        goals: &[Goal::CpuUs(400.0), Goal::PerSecond(6.0 * 299.0)],
        work: Work::WriteSecret { clients: WRITERS },
    },
    Row {
        id: "counter-10",
        title: "monotonic counter, 10 secrets stored",
        reference: "2.2 ms",
        goals: &[Goal::CpuUs(300.0)],
        work: Work::Counter { stored: 10, clients: WRITERS },
    },
    Row {
        id: "counter-1k",
        title: "monotonic counter, 1,000 secrets stored",
        reference: "12 ms",
        goals: &[Goal::CpuUs(300.0), Goal::TimesRow("counter-10", FLAT)],
        work: Work::Counter { stored: 1_000, clients: WRITERS },
    },
    Row {
        id: "counter-10k",
        title: "monotonic counter, 10,000 secrets stored",
        reference: "96 ms",
        goals: &[Goal::CpuUs(300.0), Goal::TimesRow("counter-10", FLAT)],
        work: Work::Counter { stored: 10_000, clients: WRITERS },
    },
    Row {
        id: "log-10",
        title: "write a secret and read the log's end and head, 10 lines",
        reference: "",
        goals: &[],
        work: Work::Log { lines: 10 },
    },
    Row {
        id: "log-10k",
        title: "write a secret and read the log's end and head, 10,000 lines",
        reference: "",
        goals: &[Goal::TimesRow("log-10", FLAT)],
        work: Work::Log { lines: 10_000 },
    },
    Row {
        id: "read-10",
        title: "read a secret, 10 stored",
        reference: "6,260/s",
        goals: &[Goal::CpuUs(65.0)],
        work: Work::ReadSecret { stored: 10, clients: READERS },
    },
    Row {
        id: "read-1k",
        title: "read a secret, 1,000 stored",
        reference: "500/s",
        goals: &[Goal::CpuUs(65.0), Goal::TimesRow("read-10", FLAT)],
        work: Work::ReadSecret { stored: 1_000, clients: READERS },
    },
    Row {
        id: "read-10k",
        title: "read a secret, 10,000 stored",
        reference: "73/s",
        goals: &[Goal::CpuUs(65.0), Goal::TimesRow("read-10", FLAT)],
        work: Work::ReadSecret { stored: 10_000, clients: READERS },
    },
    Row {
        id: "activate-10",
        title: "activate, 10 secrets stored",
        reference: "198/s",
        goals: &[Goal::CpuUs(1_800.0)],
        work: Work::ActivateNew { stored: 10, unused_rsa: 0, clients: MARBLES },
    },
    Row {
        id: "activate-1k",
        title: "activate, 1,000 secrets stored",
        reference: "41/s",
        goals: &[Goal::CpuUs(1_800.0), Goal::TimesRow("activate-10", FLAT)],
        work: Work::ActivateNew { stored: 1_000, unused_rsa: 0, clients: MARBLES },
    },
    Row {
        id: "activate-10k",
        title: "activate, 10,000 secrets stored",
        reference: "6.2/s",
        goals: &[Goal::CpuUs(1_800.0), Goal::TimesRow("activate-10", FLAT)],
        work: Work::ActivateNew { stored: 10_000, unused_rsa: 0, clients: MARBLES },
    },
    Row {
        id: "activate-unused-rsa",
        title: "activate, 10 unused private RSA-2048 secrets",
        reference: "0.9/s",
        goals: &[Goal::CpuUs(1_800.0), Goal::TimesRow("activate-10", FLAT)],
        work: Work::ActivateNew { stored: 10, unused_rsa: 10, clients: MARBLES },
    },
    Row {
        id: "set-10k",
        title: "set a manifest with 10,000 shared secrets",
        reference: "240 ms",
        goals: &[Goal::MedianMs(120.0)],
        work: Work::SetManifest { secrets: 10_000 },
    },
    Row {
        id: "authorize",
        title: "policy call: authorize",
        reference: "no policies",
        goals: &[Goal::CpuUs(45.0)],
        work: Work::Authorize,
    },
    Row {
        id: "authorize-python",
        title: "policy call: authorize, Python",
        reference: "no policies",
        goals: &[Goal::CpuUs(10_000.0)],
        work: Work::AuthorizeIn { language: "python" },
    },
    Row {
        id: "authorize-js",
        title: "policy call: authorize, JavaScript",
        reference: "no policies",
        goals: &[Goal::CpuUs(2_000.0)],
        work: Work::AuthorizeIn { language: "js" },
    },
    Row {
        id: "render",
        title: "policy call: render 10 files",
        reference: "no policies",
        goals: &[Goal::CpuUs(180.0)],
        work: Work::Render { files: 10 },
    },
    Row {
        id: "validate",
        title: "policy call: validate 100 KB",
        reference: "no policies",
        goals: &[Goal::CpuUs(1_100.0), Goal::TimesNative(2.5)],
        work: Work::Validate { bytes: 100_000 },
    },
    Row {
        id: "kill",
        title: "kill -9 under load, nothing lost",
        reference: "of 400: 81 empty starts, 39 recoveries; 10,000: cargo xtask torture",
        goals: &[],
        work: Work::Kill { kills: 100 },
    },
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn figures(cpu_us: u64) -> Figures {
        let times = vec![Duration::from_millis(2)];
        Figures::of_run(times, Duration::from_secs(1), Duration::from_micros(cpu_us)).with_memory(1000)
    }

    #[test]
    fn a_goal_is_met_at_its_limit_and_missed_beyond() {
        let met = |goal: Goal| goal.judge(&figures(10), |_| None).unwrap().met;
        assert!(met(Goal::CpuUs(10.0)) && !met(Goal::CpuUs(9.9)));
        assert!(met(Goal::PerSecond(1.0)) && !met(Goal::PerSecond(1.1)));
        assert!(met(Goal::MedianMs(2.0)) && !met(Goal::MedianMs(1.9)));
        assert!(met(Goal::MemoryMb(1.024)) && !met(Goal::MemoryMb(1.0)));
    }

    #[test]
    fn growth_is_judged_against_the_other_row_and_not_without_it() {
        let (base, nothing) = (figures(10), figures(0));
        let goal = Goal::TimesRow("base", 1.3);
        assert!(goal.judge(&figures(13), |_| Some(&base)).unwrap().met);
        assert!(!goal.judge(&figures(14), |_| Some(&base)).unwrap().met);
        assert_eq!(goal.judge(&figures(13), |_| None), None);
        assert_eq!(goal.judge(&figures(13), |_| Some(&nothing)), None, "too short to see any time");
        assert_eq!(Goal::TimesNative(2.5).judge(&figures(1), |_| None), None);
    }

    #[test]
    fn every_row_has_its_own_name_and_compares_with_one_before_it() {
        for (index, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..index].iter().all(|other| other.id != row.id), "{}", row.id);
            for goal in row.goals {
                if let Goal::TimesRow(other, _) = goal {
                    assert!(ROWS[..index].iter().any(|row| row.id == *other), "{other}");
                }
            }
        }
    }
}
