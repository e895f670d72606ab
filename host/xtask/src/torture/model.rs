//! What the server owes its clients: everything that it acknowledged, and of what it left unanswered all or nothing.
//!
//! The clients tell the model what they send and what is answered; after each restart what the server shows is held
//! against it. Each method's error is a broken promise.

pub(crate) mod activations;
pub(crate) mod counters;
pub(crate) mod history;
pub(crate) mod secrets;
pub(crate) mod updates;

use std::collections::BTreeMap;

use activations::Activations;
use counters::Counters;
use history::History;
use secrets::Secrets;
use updates::Updates;

/// Everything of one state, from its first manifest on.
pub(crate) struct Model {
    /// User-defined secrets.
    pub(crate) secrets: Secrets,
    /// Monotonic counters.
    pub(crate) counters: Counters,
    /// Counted activations.
    pub(crate) activations: Activations,
    /// The manifest and what changes it.
    pub(crate) updates: Updates,
    /// The update log and the audit trail.
    pub(crate) history: History,
    /// DER of the root certificate, once it may not change any more.
    pub(crate) root: Option<Vec<u8>>,
    /// Serial and fingerprint of the manifest in force.
    pub(crate) whole: Option<(u64, String)>,
    /// A secret that the coordinator made, as an answer shows it.
    pub(crate) generated: Option<String>,
    /// What happened and was checked.
    pub(crate) counts: Counts,
}

impl Model {
    /// Of an empty state.
    pub(crate) fn new() -> Self {
        Self {
            secrets: Secrets::new(),
            counters: Counters::new(),
            activations: Activations::default(),
            updates: Updates::new(),
            history: History::default(),
            root: None,
            whole: None,
            generated: None,
            counts: Counts::default(),
        }
    }
}

/// What happened, by name; added up over all states.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    /// Acknowledged, by kind.
    pub(crate) acknowledged: BTreeMap<&'static str, u64>,
    /// Without an answer when the server was killed, by kind.
    pub(crate) unanswered: BTreeMap<&'static str, u64>,
    /// Those of them that were found afterwards.
    pub(crate) found: BTreeMap<&'static str, u64>,
    /// Comparisons after restarts and under load.
    pub(crate) checks: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// Adds another's.
    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.acknowledged, &other.acknowledged),
            (&mut self.unanswered, &other.unanswered),
            (&mut self.found, &other.found),
            (&mut self.checks, &other.checks),
        ];
        for (sum, more) in pairs {
            for (name, number) in more {
                *sum.entry(name).or_default() += number;
            }
        }
    }

    /// Notes comparisons.
    pub(crate) fn checked(&mut self, what: &'static str, times: u64) {
        *self.checks.entry(what).or_default() += times;
    }
}
