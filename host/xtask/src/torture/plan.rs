//! What happens in each round, drawn from the seed alone: the same seed plans the same rounds.
//!
//! When exactly a kill hits what the server does is up to the machine; that is why there are many rounds.

use std::time::Duration;

/// SplitMix64: small, and good enough to spread kills.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for each path.
    pub(crate) fn new(seed: u64, path: &[u64]) -> Self {
        let mut random = Self(seed);
        for step in path {
            random.0 = random.next() ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        random
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True so many times of a hundred.
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// What the server does when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It is given its first manifest.
    FirstManifest,
    /// It starts: reads its state, or finishes what the kill before interrupted.
    Start,
    /// Nothing.
    Idle,
    /// All clients work.
    Load,
    /// Every client writes, all from the same moment on.
    Burst,
    /// All clients work, and an update is made.
    Update,
}

impl Phase {
    /// All, in the order of the table.
    pub(crate) const ALL: [Self; 6] =
        [Self::FirstManifest, Self::Start, Self::Idle, Self::Load, Self::Burst, Self::Update];

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::FirstManifest => "first manifest",
            Self::Start => "start",
            Self::Idle => "idle",
            Self::Load => "load",
            Self::Burst => "commit burst",
            Self::Update => "update",
        }
    }
}

/// An update of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    /// A package's security version.
    Package,
    /// The whole manifest.
    Full,
    /// The whole manifest with another recovery key, and with it another data key.
    RecoveryKey,
    /// The whole manifest with another seal mode, and with it another sealing key.
    SealMode,
}

/// One round: from a start to a kill.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// What the kill shall hit.
    pub(crate) phase: Phase,
    /// Which update, in that phase.
    pub(crate) update: Update,
    /// In that phase: nobody but the updater works, so that more kills hit the update's own commit.
    pub(crate) alone: bool,
    /// From the phase's beginning to the kill, in thousandths of what a start or an update takes: on a slow machine all
    /// takes longer.
    delay: u64,
}

impl Round {
    /// The round of a life in which it gets its first manifest.
    pub(crate) fn first_manifest(seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed, &[0, number]);
        Self { phase: Phase::FirstManifest, update: Update::Full, alone: true, delay: random.below(1000) }
    }

    /// Any other round.
    pub(crate) fn plan(seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed, &[1, number]);
        let phase = match random.below(100) {
            0..30 => Phase::Start,
            30..38 => Phase::Idle,
            38..68 => Phase::Load,
            68..84 => Phase::Burst,
            _ => Phase::Update,
        };
        let update = match random.below(5) {
            0 => Update::Package,
            1 => Update::Full,
            2 => Update::SealMode,
            _ => Update::RecoveryKey,
        };
        let alone = random.percent(50);
        let most = match phase {
            // Some shall hit what comes right after it.
            Phase::Start => 1100,
            Phase::Idle => 200,
            Phase::Burst => 400,
            // Short ones hit the first commits and many fit into an hour; long ones find what needs time.
            Phase::Load if random.percent(60) => 500,
            Phase::Load => 3000,
            Phase::Update if alone => 800,
            Phase::Update | Phase::FirstManifest => 5000,
        };
        // What an update computes takes longest; what shall be hit comes after it.
        let least = if phase == Phase::Update && alone { 500 } else { 0 };
        let delay = least + random.below(most);
        Self { phase, update, alone, delay }
    }

    /// How long after the phase's beginning the server is killed, where a start and an update take so long.
    pub(crate) fn delay(&self, start: Duration, update: Duration) -> Duration {
        let unit = match self.phase {
            Phase::Start => start,
            Phase::Update if self.alone => update,
            _ => start.min(MOST),
        };
        unit * self.delay as u32 / 1000
    }
}

/// A machine on which starts take longer is busy with something else; waiting longer for it makes fewer kills, not better ones.
const MOST: Duration = Duration::from_millis(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_plans_the_same_rounds_every_time_and_another_one_others() {
        let plan =
            |seed| (0..50).map(|number| format!("{:?}", Round::plan(seed, number))).collect::<Vec<_>>();
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn a_thousand_rounds_hit_every_phase_and_every_update() {
        let rounds: Vec<Round> = (0..1000).map(|number| Round::plan(1, number)).collect();
        for phase in Phase::ALL.into_iter().filter(|phase| *phase != Phase::FirstManifest) {
            assert!(rounds.iter().filter(|round| round.phase == phase).count() > 40, "{phase:?}");
        }
        for update in [Update::Package, Update::Full, Update::RecoveryKey, Update::SealMode] {
            assert!(rounds.iter().any(|round| round.phase == Phase::Update && round.update == update));
        }
        let start = Duration::from_millis(80);
        assert!(rounds.iter().all(|round| round.delay(start, start) < Duration::from_millis(400)));
        let load = rounds.iter().find(|round| round.phase == Phase::Load).unwrap();
        assert_eq!(load.delay(MOST, MOST), load.delay(MOST * 9, MOST), "however slow the machine is");
    }
}
