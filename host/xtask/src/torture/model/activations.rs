//! Activations of a type that may start so often: never more, and none is forgotten.

use anyhow::ensure;

/// What is known about their number.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    acknowledged: u64,
    under_way: u64,
    /// Without an answer when the server was killed.
    unsure: u64,
}

impl Activations {
    /// One is about to be asked for.
    pub(crate) fn send(&mut self) {
        self.under_way += 1;
    }

    /// It was made. `limit` is the highest that the manifest may have by now.
    pub(crate) fn made(&mut self, limit: u64) -> anyhow::Result<()> {
        self.under_way = self.under_way.saturating_sub(1);
        self.acknowledged += 1;
        ensure!(self.acknowledged <= limit, "{} of {limit} activations were made", self.acknowledged);
        Ok(())
    }

    /// It was refused because there were enough. The manifest's limit is one of these two.
    pub(crate) fn refused(&mut self, (limit, highest): (u64, u64)) -> anyhow::Result<()> {
        self.under_way = self.under_way.saturating_sub(1);
        let most = self.acknowledged + self.unsure + self.under_way;
        ensure!(most >= limit, "refused after {limit} activations, but at most {most} were made");
        if self.under_way == 0 && limit == highest {
            // Now their number is known.
            self.unsure = limit.saturating_sub(self.acknowledged);
            self.acknowledged += std::mem::take(&mut self.unsure);
        }
        Ok(())
    }

    /// The server was killed: what is under way will not be answered. Gives how many.
    pub(crate) fn killed(&mut self) -> u64 {
        let unanswered = std::mem::take(&mut self.under_way);
        self.unsure += unanswered;
        unanswered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_than_the_limit() {
        let mut activations = Activations::default();
        activations.send();
        activations.made(1).unwrap();
        activations.send();
        assert!(activations.made(1).is_err());
    }

    #[test]
    fn a_refusal_needs_enough_that_may_have_been_made() {
        let mut activations = Activations::default();
        activations.send();
        activations.made(3).unwrap();
        activations.send();
        assert_eq!(activations.killed(), 1);
        activations.send();
        assert!(activations.refused((3, 3)).is_err(), "at most 2 were made");
        activations.send();
        activations.refused((2, 2)).unwrap();
        activations.send();
        assert!(activations.refused((3, 3)).is_err(), "by now there are exactly 2");
    }

    #[test]
    fn a_forgotten_activation_shows_as_one_too_many() {
        let mut activations = Activations::default();
        for _ in 0..2 {
            activations.send();
            activations.made(2).unwrap();
        }
        activations.send();
        assert!(activations.made(2).is_err());
    }
}
