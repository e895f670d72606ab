//! Any history of commits, new data keys and restarts leaves what a plain model says, and a state that opens.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use carrara_core::ports::{AUDIT_KEPT, Batch, CommitError, Store};
use carrara_store::{Backend, Options, open};
use carrara_types::secret::SecretBytes;
use common::{Random, new_state, put, rekeying, sealing};
use proptest::prelude::*;
use tempfile::TempDir;

/// Names of records; few, so that batches meet.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Debug, Clone)]
enum Step {
    /// Batches that reach the writer together.
    Group(Vec<Plan>),
    Restart,
}

#[derive(Debug, Clone)]
struct Plan {
    puts: Vec<(usize, u8)>,
    deletes: Vec<usize>,
    /// A record that the batch depends on, and whether what it saw was current when the group began.
    depends: Option<(usize, bool)>,
    lines: usize,
    entries: u64,
    rekeys: bool,
}

/// What must be stored.
#[derive(Debug, Default, Clone)]
struct Model {
    revision: u64,
    records: BTreeMap<&'static str, (u64, Vec<u8>)>,
    lines: Vec<String>,
    entries: u64,
}

impl Model {
    fn revision_of(&self, name: &str) -> Option<u64> {
        self.records.get(name).map(|(revision, _)| *revision)
    }

    /// The batch as it is sent; `self` is the state when its group begins.
    fn batch(&self, plan: &Plan, first_entry: u64) -> Batch {
        let value = |byte: u8| SecretBytes::new("value", vec![byte; usize::from(byte)]);
        let batch = Batch {
            depends: plan
                .depends
                .map(|(name, current)| {
                    let seen = self.revision_of(NAMES[name]);
                    (NAMES[name].to_owned(), if current { seen } else { Some(seen.unwrap_or(0) + 1000) })
                })
                .into_iter()
                .collect(),
            puts: plan.puts.iter().map(|(name, byte)| (NAMES[*name].to_owned(), value(*byte))).collect(),
            deletes: plan.deletes.iter().map(|name| NAMES[*name].to_owned()).collect(),
            log_lines: (0..plan.lines).map(|line| format!("line {first_entry} {line}")).collect(),
            audit_lines: (0..plan.entries).map(|entry| format!("{first_entry} {entry}")).collect(),
            ..Batch::default()
        };
        if plan.rekeys { rekeying(batch) } else { batch }
    }

    /// The new revision; `None` for a conflict.
    fn apply(&mut self, plan: &Plan, batch: &Sent) -> Option<u64> {
        if batch.depends.iter().any(|(name, seen)| self.revision_of(name) != *seen) {
            return None;
        }
        self.revision += 1;
        for name in &plan.deletes {
            self.records.remove(NAMES[*name]);
        }
        for (name, byte) in &plan.puts {
            self.records.insert(NAMES[*name], (self.revision, vec![*byte; usize::from(*byte)]));
        }
        self.lines.extend(batch.lines.iter().cloned());
        self.entries += plan.entries;
        Some(self.revision)
    }

    fn check(&self, store: &dyn Store) {
        let snapshot = store.snapshot();
        assert_eq!(snapshot.revision(), self.revision);
        let stored: BTreeMap<_, _> = snapshot
            .keys("")
            .into_iter()
            .map(|name| {
                let value = snapshot.open(&name).unwrap().unwrap().expose().to_vec();
                (name.clone(), (snapshot.record_revision(&name).unwrap(), value))
            })
            .collect();
        let expected: BTreeMap<_, _> =
            self.records.iter().map(|(name, record)| ((*name).to_owned(), record.clone())).collect();
        assert_eq!(stored, expected);
        assert_eq!(snapshot.log_lines(0, usize::MAX).unwrap(), self.lines);
        let kept = self.entries.saturating_sub(AUDIT_KEPT)..self.entries;
        assert_eq!(snapshot.audit_range(), kept);
        assert_eq!(snapshot.audit_lines(0, usize::MAX).unwrap().len() as u64, kept.end - kept.start);
    }
}

/// What the model needs to know of a batch that was sent.
struct Sent {
    depends: Vec<(String, Option<u64>)>,
    lines: Vec<String>,
}

async fn start(folder: &TempDir) -> Arc<dyn Store> {
    let backend = Backend::Redb { dir: folder.path().to_owned(), cache_bytes: 1 << 20 };
    open(Options { backend, sealing: sealing(), entropy: Arc::new(Random) }).await.unwrap()
}

async fn run(steps: Vec<Step>) {
    let folder = TempDir::new().unwrap();
    let mut store = start(&folder).await;
    store.create(new_state(), put("a", "")).await.unwrap();
    let mut model = Model { revision: 1, ..Model::default() };
    model.records.insert("a", (1, Vec::new()));
    for step in steps {
        match step {
            Step::Restart => {
                drop(store);
                store = start(&folder).await;
            }
            Step::Group(plans) => {
                let before = model.clone();
                let mut tasks = Vec::new();
                // Spawned on one thread, so that they reach the queue in this order, and the writer mostly together.
                for (index, plan) in (0..).zip(&plans) {
                    let batch = before.batch(plan, before.revision * 100 + index);
                    let sent = Sent { depends: batch.depends.clone(), lines: batch.log_lines.clone() };
                    let store = Arc::clone(&store);
                    tasks.push((plan, sent, tokio::spawn(async move { store.commit(batch).await })));
                }
                for (plan, sent, task) in tasks {
                    match (task.await.unwrap(), model.apply(plan, &sent)) {
                        (Ok(committed), expected) => assert_eq!(Some(committed.revision), expected),
                        (Err(error), expected) => {
                            assert!(matches!(error, CommitError::Conflict), "{error}");
                            assert_eq!(expected, None);
                        }
                    }
                }
            }
        }
        model.check(&*store);
    }
    drop(store);
    model.check(&*start(&folder).await);
}

fn plan() -> impl Strategy<Value = Plan> {
    let name = 0..NAMES.len();
    let some = || prop::collection::vec((0..NAMES.len(), any::<u8>()), 0..3);
    // Sometimes more than the trail keeps.
    let entries = prop_oneof![8 => 0..3_u64, 1 => AUDIT_KEPT - 2..AUDIT_KEPT + 3];
    let deletes = prop::collection::vec(0..NAMES.len(), 0..2);
    let depends = prop::option::of((name, prop::bool::weighted(0.8)));
    let rekeys = prop::bool::weighted(0.2);
    (some(), deletes, depends, 0..3_usize, entries, rekeys).prop_map(
        |(puts, deletes, depends, lines, entries, rekeys)| Plan {
            puts,
            deletes,
            depends,
            lines,
            entries,
            rekeys,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![4 => prop::collection::vec(plan(), 1..4).prop_map(Step::Group), 1 => Just(Step::Restart)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    // L-15, L-61, X-25
    #[test]
    fn any_history_is_found_again(steps in prop::collection::vec(step(), 1..8)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run(steps));
    }
}
