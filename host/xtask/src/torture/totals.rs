//! What was done and found, as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::model::Counts;
use super::plan::Phase;

/// Of a whole run.
#[derive(Debug)]
pub(crate) struct Totals {
    /// Since the run's beginning.
    began: Instant,
    /// The number of the round that is played.
    pub(crate) round: u64,
    /// Processes killed.
    pub(crate) kills: u64,
    /// Restarts after which everything was checked.
    pub(crate) starts: u64,
    /// States that were lived with.
    pub(crate) lives: u64,
    /// States that were opened with their recovery secret at the end.
    pub(crate) recoveries: u64,
    /// Everything else.
    pub(crate) counts: Counts,
    phases: BTreeMap<Phase, u64>,
    told: Option<Instant>,
}

/// Between two lines on how far it is.
const TELL: Duration = Duration::from_secs(5);

impl Totals {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            round: 0,
            kills: 0,
            starts: 0,
            lives: 0,
            recoveries: 0,
            counts: Counts::default(),
            phases: BTreeMap::new(),
            told: Some(Instant::now()),
        }
    }

    /// Nothing yet, and it does not tell how far it is.
    pub(crate) fn quiet() -> Self {
        Self { told: None, ..Self::new() }
    }

    /// The number of the next round.
    pub(crate) fn next_round(&mut self) -> u64 {
        self.round += 1;
        self.round
    }

    /// A process was killed.
    pub(crate) fn killed(&mut self, phase: Phase) {
        self.kills += 1;
        *self.phases.entry(phase).or_default() += 1;
    }

    /// One line on how far it is, now and then.
    pub(crate) fn tell(&mut self, kills: u64, running: &Counts) {
        if self.told.is_some_and(|told| told.elapsed() >= TELL) {
            self.told = Some(Instant::now());
            println!("{}", self.progress(kills, running));
        }
    }

    fn progress(&self, kills: u64, running: &Counts) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        let of = |counts: &Counts| counts.acknowledged.values().sum::<u64>();
        let acknowledged = of(&self.counts) + of(running);
        format!(
            "{:>6.0} s  {} of {kills} kills ({:.2}/s), {} restarts checked, {acknowledged} changes acknowledged, state {}",
            seconds,
            self.kills,
            self.kills as f64 / seconds.max(0.001),
            self.starts,
            self.lives + 1,
        )
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, starts, lives, recoveries, counts, .. } = self;
        writeln!(f, "killed during")?;
        for phase in Phase::ALL {
            writeln!(
                f,
                "  {:<16} {:>8}",
                phase.title(),
                self.phases.get(&phase).copied().unwrap_or_default()
            )?;
        }
        writeln!(f, "  {:<16} {kills:>8}", "in all")?;
        writeln!(
            f,
            "{:<18} {:>12} {:>12} {:>18}",
            "changes", "acknowledged", "unanswered", "of those stored"
        )?;
        for kind in ["upload", "counter", "activation", "update"] {
            let of = |map: &BTreeMap<&'static str, u64>| map.get(kind).copied().unwrap_or_default();
            let found = match kind {
                // What became of a single one shows only once all are used up.
                "activation" => "-".to_owned(),
                _ => of(&counts.found).to_string(),
            };
            let (acknowledged, unanswered) = (of(&counts.acknowledged), of(&counts.unanswered));
            writeln!(f, "  {kind:<16} {acknowledged:>12} {unanswered:>12} {found:>18}")?;
        }
        writeln!(f, "checked")?;
        for (what, times) in &counts.checks {
            writeln!(f, "  {what:<34} {times:>10}")?;
        }
        writeln!(
            f,
            "{starts} restarts checked, {lives} states, each opened with its last recovery secret: {recoveries}"
        )?;
        write!(f, "violations: 0 in {:.0} s", self.began.elapsed().as_secs_f64())
    }
}
