//! The mix: which requests there are, how many of each, and what the answer must be.

use crate::torture::plan::Random;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The state, over a kept connection.
    Status,
    /// The state, over a new connection.
    StatusNew,
    /// One secret, by a user.
    Read,
    /// One secret, by a user.
    Write,
    /// A counter of a Marble.
    Counter,
    /// A counted activation, over a kept connection.
    Activate,
    /// The same over a new connection.
    ActivateNew,
    /// The signed head of the update log.
    Head,
    /// Lines of the update log.
    Log,
    /// Entries of the audit trail.
    Audit,
    /// What Prometheus asks for.
    Metrics,
    /// What is refused: a stranger, a path that is none, a body that is none.
    Refused,
    /// An update of a package or of the whole manifest. Not drawn: they have their own times.
    Update,
}

impl Kind {
    /// All, as they stand in a line.
    pub(crate) const ALL: [Self; 13] = [
        Self::Status,
        Self::StatusNew,
        Self::Read,
        Self::Write,
        Self::Counter,
        Self::Activate,
        Self::ActivateNew,
        Self::Head,
        Self::Log,
        Self::Audit,
        Self::Metrics,
        Self::Refused,
        Self::Update,
    ];

    /// Whether it is answered only when a commit is on the disk.
    pub(crate) fn commits(self) -> bool {
        matches!(self, Self::Write | Self::Counter | Self::Activate | Self::ActivateNew | Self::Update)
    }

    /// For people and JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::StatusNew => "status-new",
            Self::Read => "read",
            Self::Write => "write",
            Self::Counter => "counter",
            Self::Activate => "activate",
            Self::ActivateNew => "activate-new",
            Self::Head => "head",
            Self::Log => "log",
            Self::Audit => "audit",
            Self::Metrics => "metrics",
            Self::Refused => "refused",
            Self::Update => "update",
        }
    }

    /// Of a hundred requests. Few writes: each leaves a line in the log, which grows for ever.
    fn share(self) -> u64 {
        match self {
            Self::Status => 24,
            Self::StatusNew => 10,
            Self::Read => 30,
            Self::Write => 2,
            Self::Counter => 10,
            Self::Activate | Self::ActivateNew => 5,
            Self::Head | Self::Log | Self::Metrics => 3,
            Self::Audit => 2,
            Self::Refused => 3,
            Self::Update => 0,
        }
    }

    /// One of the mix.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let mut left = random.below(Self::ALL.iter().map(|kind| kind.share()).sum());
        for kind in Self::ALL {
            match left.checked_sub(kind.share()) {
                Some(rest) => left = rest,
                None => return kind,
            }
        }
        Self::Status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_but_updates_is_drawn_about_as_often_as_its_share() {
        let mut random = Random::new(1, &[]);
        let drawn: Vec<Kind> = (0..10_000).map(|_| Kind::draw(&mut random)).collect();
        for kind in Kind::ALL {
            let times = drawn.iter().filter(|other| **other == kind).count() as u64;
            let share = kind.share() * 100;
            assert!((share * 7 / 10..=share * 13 / 10).contains(&times), "{kind:?}: {times}, not {share}");
        }
    }
}
