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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

    use carrara_types::seal_mode::SealMode;
    use carrara_types::secret::SecretBytes;
    use tracing::{Event, Metadata, Subscriber, span};

    use super::*;
    use crate::ports::StoreError;

    /// Every secret was set at 7.
    #[derive(Default)]
    struct AllSet(AtomicU64);

    impl Snapshot for AllSet {
        fn revision(&self) -> u64 {
            self.0.fetch_add(1, Ordering::SeqCst) + 1
        }
        fn state_id(&self) -> Option<[u8; 16]> {
            None
        }
        fn seal_mode(&self) -> Option<SealMode> {
            None
        }
        fn record_revision(&self, _: &str) -> Option<u64> {
            Some(1)
        }
        fn open(&self, _: &str) -> Result<Option<SecretBytes>, StoreError> {
            Ok(Some(SecretBytes::new("time", 7_u64.to_le_bytes().to_vec())))
        }
        fn keys(&self, _: &str) -> Vec<String> {
            Vec::new()
        }
        fn log_size(&self) -> u64 {
            0
        }
        fn log_lines(&self, _: u64, _: usize) -> Result<Vec<String>, StoreError> {
            Ok(Vec::new())
        }
        fn log_root(&self) -> [u8; 32] {
            [0; 32]
        }
        fn log_consistency(&self, _: u64) -> Result<Option<Vec<[u8; 32]>>, StoreError> {
            Ok(None)
        }
        fn audit_range(&self) -> std::ops::Range<u64> {
            0..0
        }
        fn audit_lines(&self, _: u64, _: usize) -> Result<Vec<String>, StoreError> {
            Ok(Vec::new())
        }
        fn last_time_ms(&self) -> i64 {
            0
        }
    }

    /// Counts lines of the log.
    #[derive(Clone, Default)]
    struct Lines(Arc<AtomicUsize>);

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    fn manifest(secrets: usize) -> ParsedManifest {
        let secret =
            |number| (format!("s{number}"), serde_json::json!({ "Type": "plain", "UserDefined": true }));
        let secrets: serde_json::Map<_, _> = (0..secrets).map(secret).collect();
        let entry = serde_json::json!({
            "World": "marble-admission", "Component": carrara_types::policy::Digest([1; 32]).to_string(),
        });
        let manifest = serde_json::json!({ "Secrets": secrets, "Policies": { "door": entry } });
        ParsedManifest::parse(manifest.to_string().as_bytes()).unwrap()
    }

    // policy.md, "Facts": what has no room is told, once for a manifest and not at each request
    #[test]
    fn what_is_left_out_is_logged_once() {
        for (secrets, told, lines) in [(MAX_FACTS, MAX_FACTS, 0), (MAX_FACTS + 3, MAX_FACTS, 1)] {
            let (manifest, facts, log) = (manifest(secrets), Facts::default(), Lines::default());
            tracing::subscriber::with_default(log.clone(), || {
                let snapshot = AllSet::default();
                for _ in 0..3 {
                    assert_eq!(facts.of(&manifest, &snapshot).len(), told);
                }
            });
            assert_eq!(log.0.load(Ordering::SeqCst), lines, "{secrets}");
            assert_eq!(left_out(&manifest), secrets - MAX_FACTS);
        }
    }
}
