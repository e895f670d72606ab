//! Facts about the state that policies are told: when each user-defined secret was last set (policy.md, "Facts").
//!
//! Only manifests with policies of their own pay for them: the built-in ones know no fact.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use carrara_types::decision::{Fact, Value};
use carrara_types::manifest::ParsedManifest;

use crate::ports::Snapshot;
use crate::records;

/// Facts of one question, by the names of the secrets: every call copies them into the policy's memory.
pub(crate) const MAX_FACTS: usize = 1024;

/// What was read last.
#[derive(Default)]
pub(crate) struct Facts(Mutex<Read>);

#[derive(Default)]
struct Read {
    revision: u64,
    facts: Arc<[Fact]>,
    /// By secret: the record's revision and the time that it says.
    times: BTreeMap<String, (u64, u64)>,
    /// Whether the log says that there are more than policies are told.
    told: bool,
}

impl Facts {
    /// The facts of a snapshot. Read once per revision, and of the records those that have changed.
    pub(crate) fn of(&self, manifest: &ParsedManifest, snapshot: &dyn Snapshot) -> Vec<Fact> {
        if manifest.policies.is_empty() {
            return Vec::new();
        }
        let revision = snapshot.revision();
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if read.revision != revision {
            let names = manifest.secrets.iter().filter(|(_, secret)| secret.user_defined);
            let time = |name: &String| last_set(name, snapshot, &read.times);
            let times: BTreeMap<_, _> =
                names.filter_map(|(name, _)| Some((name.clone(), time(name)?))).collect();
            read.facts =
                times.iter().take(MAX_FACTS).map(|(name, (_, seconds))| fact(name, *seconds)).collect();
            let left_out = times.len().saturating_sub(MAX_FACTS);
            if left_out > 0 && !read.told {
                tracing::warn!(
                    left_out,
                    told = MAX_FACTS,
                    "policies are not told when these secrets were last set: those whose names come last"
                );
                read.told = true;
            }
            read.times = times;
            read.revision = revision;
        }
        read.facts.to_vec()
    }
}

/// How many secrets of a manifest policies may not be told of, should all of them be set.
pub(crate) fn left_out(manifest: &ParsedManifest) -> usize {
    if manifest.policies.is_empty() {
        return 0;
    }
    let defined = manifest.secrets.values().filter(|secret| secret.user_defined).count();
    defined.saturating_sub(MAX_FACTS)
}

fn last_set(name: &str, snapshot: &dyn Snapshot, known: &BTreeMap<String, (u64, u64)>) -> Option<(u64, u64)> {
    let key = records::secret_set(name);
    let revision = snapshot.record_revision(&key)?;
    match known.get(name) {
        Some(known) if known.0 == revision => Some(*known),
        // What does not read is a secret that nobody knows to be set: a policy that asks for it denies.
        _ => Some((revision, records::number(snapshot, &key).ok()??)),
    }
}

fn fact(name: &str, seconds: u64) -> Fact {
    Fact { name: format!("secret-last-set:{name}"), value: Value::Number(seconds) }
}
