//! Monotonic counters: several clients raise the same ones. Each value is handed out once, and none comes back.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};

/// Marbles that have counters.
pub(crate) const MARBLES: usize = 2;

/// Counters of each.
pub(crate) const OF_EACH: usize = 10;

/// All counters; an index is that of the Marble times [`OF_EACH`] plus the counter's own.
#[derive(Debug)]
pub(crate) struct Counters(Vec<Counter>);

#[derive(Debug, Default, Clone)]
struct Counter {
    /// What it has reached for certain.
    reached: u64,
    /// The highest value that anybody asked for.
    asked: u64,
    granted: BTreeSet<u64>,
}

/// A request that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Advance {
    /// Which counter.
    pub(crate) counter: usize,
    /// To what.
    pub(crate) value: u64,
    /// What it had reached before.
    reached: u64,
}

impl Counters {
    /// All are 0.
    pub(crate) fn new() -> Self {
        Self(vec![Counter::default(); MARBLES * OF_EACH])
    }

    /// By one, as far as anybody knows: clients that do so at once ask for the same value.
    pub(crate) fn send(&mut self, counter: usize) -> anyhow::Result<Advance> {
        let state = self.0.get_mut(counter).context("no such counter")?;
        let value = state.reached + 1;
        state.asked = state.asked.max(value);
        Ok(Advance { counter, value, reached: state.reached })
    }

    /// The answer: what it was before.
    pub(crate) fn answer(&mut self, advance: &Advance, before: u64) -> anyhow::Result<()> {
        let Advance { counter, value, reached } = *advance;
        let state = self.0.get_mut(counter).context("no such counter")?;
        ensure!(before >= reached, "counter {counter} went back: it had reached {reached} and was {before}");
        ensure!(
            before <= state.asked,
            "counter {counter} was {before}; nobody asked for more than {}",
            state.asked
        );
        if before < value {
            ensure!(state.granted.insert(value), "counter {counter}: {value} was handed out twice");
        }
        state.reached = state.reached.max(before).max(value);
        Ok(())
    }

    /// What a counter is after a restart, when nobody else asks. Gives whether an unanswered request had raised it.
    pub(crate) fn resolve(&mut self, counter: usize, found: u64) -> anyhow::Result<bool> {
        let state = self.0.get_mut(counter).context("no such counter")?;
        ensure!(
            (state.reached..=state.asked).contains(&found),
            "counter {counter} is {found}; it had reached {} and nobody asked for more than {}",
            state.reached,
            state.asked
        );
        let raised = found > state.reached;
        (state.reached, state.asked) = (found, found);
        Ok(raised)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_never_goes_back_and_grows_only_as_asked() {
        let mut counters = Counters::new();
        let advance = counters.send(3).unwrap();
        counters.answer(&advance, 0).unwrap();
        assert!(counters.resolve(3, 0).is_err());
        assert!(counters.resolve(3, 2).is_err());
        assert!(!counters.resolve(3, 1).unwrap());
        let advance = counters.send(3).unwrap();
        assert!(counters.answer(&advance, 0).is_err());
        assert!(counters.resolve(3, 2).unwrap(), "it was stored but not answered");
    }

    #[test]
    fn a_value_is_handed_out_once() {
        let mut counters = Counters::new();
        let [one, other] = [counters.send(0).unwrap(), counters.send(0).unwrap()];
        assert_eq!(one.value, other.value);
        counters.answer(&one, 0).unwrap();
        assert!(counters.answer(&other, 0).is_err(), "both would have it");
        counters.answer(&other, 1).unwrap();
    }
}
