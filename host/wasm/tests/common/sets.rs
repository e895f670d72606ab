//! What an engine needs around it: components, a clock, and an observer that remembers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carrara_core::ports::{
    CallOutcome, Clock, Components, Policies, PolicyCall, PolicyEngine as _, PolicyObserver, StoreError,
};
use carrara_types::decision_record::DecisionRecord;
use carrara_types::policy::{Digest, Mode, PolicyEntry, World};
use carrara_wasm::digest;

/// Components by their digests, counted when they are read.
#[derive(Default)]
pub struct Shelf {
    components: Mutex<BTreeMap<Digest, Vec<u8>>>,
    pub read: Mutex<Vec<Digest>>,
    /// The first reader waits for this.
    gate: Mutex<Option<Receiver<()>>>,
}

impl Shelf {
    pub fn of(components: &[&[u8]]) -> Arc<Self> {
        let shelf = Self::default();
        for component in components {
            shelf.add(component);
        }
        Arc::new(shelf)
    }

    pub fn add(&self, component: &[u8]) {
        self.components.lock().unwrap().insert(Digest(digest(component)), component.to_vec());
    }

    /// Stores other bytes than the digest's.
    pub fn swap(&self, named: &[u8], stored: &[u8]) {
        self.components.lock().unwrap().insert(Digest(digest(named)), stored.to_vec());
    }

    /// Nothing is read until the sender says so or is gone.
    pub fn hold(&self) -> Sender<()> {
        let (sender, receiver) = channel();
        *self.gate.lock().unwrap() = Some(receiver);
        sender
    }

    pub fn reads(&self) -> usize {
        self.read.lock().unwrap().len()
    }
}

impl Components for Shelf {
    fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.read.lock().unwrap().push(*digest);
        if let Some(gate) = self.gate.lock().unwrap().take() {
            let _ = gate.recv();
        }
        Ok(self.components.lock().unwrap().get(digest).cloned())
    }
}

/// Remembers what it is told.
#[derive(Default)]
pub struct Witness {
    pub calls: Mutex<Vec<(String, World, Mode, CallOutcome)>>,
    pub records: Mutex<Vec<DecisionRecord>>,
    pub fuel: AtomicUsize,
    pub dropped: AtomicUsize,
}

impl Witness {
    pub fn calls_of(&self, policy: &str) -> Vec<CallOutcome> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.0 == policy).map(|call| call.3).collect()
    }

    pub fn records_of(&self, policy: &str) -> Vec<DecisionRecord> {
        let records = self.records.lock().unwrap();
        records.iter().filter(|record| record.policy == policy).cloned().collect()
    }

    /// Waits for a policy's next record: shadows are asked later.
    pub async fn record_of(&self, policy: &str) -> DecisionRecord {
        tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                if let Some(record) = self.records_of(policy).pop() {
                    return record;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap()
    }
}

impl PolicyObserver for Witness {
    fn called(&self, call: &PolicyCall<'_>) {
        self.fuel.fetch_add(usize::try_from(call.fuel).unwrap(), Ordering::Relaxed);
        self.calls.lock().unwrap().push((call.policy.to_owned(), call.world, call.mode, call.outcome));
    }

    fn decided(&self, record: DecisionRecord) {
        self.records.lock().unwrap().push(record);
    }

    fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// 1000.5 seconds after 1970.
pub struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> time::OffsetDateTime {
        time::OffsetDateTime::from_unix_timestamp_nanos(1_000_500_000_000).unwrap()
    }
}

/// An enforcing entry without settings.
pub fn entry(world: World, component: &[u8]) -> PolicyEntry {
    PolicyEntry {
        world,
        component: Digest(digest(component)),
        settings: "null".to_owned(),
        mode: Mode::Enforce,
        replaces: None,
    }
}

/// An entry of an authorizer that is not obeyed.
pub fn shadow(component: &[u8]) -> PolicyEntry {
    PolicyEntry { mode: Mode::Shadow, ..entry(World::RoleAuthorization, component) }
}

pub fn set(
    engine: &carrara_wasm::Engine,
    entries: &[(&str, PolicyEntry)],
    shelf: &Arc<Shelf>,
) -> Arc<dyn Policies> {
    let entries = entries.iter().map(|(name, entry)| ((*name).to_owned(), entry.clone())).collect();
    engine.set(&entries, Arc::clone(shelf) as Arc<dyn Components>)
}
