//! What happens between a use case's reading and its commit, and between one start and the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use async_trait::async_trait;
use carrara_core::Coordinator;
use carrara_core::ports::{Entropy, Evidence, EvidenceError};
use carrara_types::claims::Claims;
use serde_json::json;
use time::OffsetDateTime;

use crate::common::{self, FakeEvidence, Random, TestStore, World, bytes, manifest, settings};

/// Randomness that waits, once it is armed, until it may go on.
struct Gate {
    entered: AtomicUsize,
    go_on: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Entropy for Gate {
    fn fill(&self, buffer: &mut [u8]) {
        let gate = self.go_on.lock().unwrap().take();
        if let Some(gate) = gate {
            self.entered.fetch_add(1, Ordering::SeqCst);
            let _ = gate.recv();
        }
        Random.fill(buffer);
    }
}

// performance: the work is unauthenticated; one caller at a time, also if callers go away.
#[tokio::test]
async fn a_caller_who_goes_away_does_not_make_room_for_a_second_manifest() {
    let world = World::new().await;
    let gate = Arc::new(Gate { entered: AtomicUsize::new(0), go_on: Mutex::default() });
    let mut ports = world.ports();
    ports.entropy = gate.clone();
    let coordinator = Coordinator::start(ports, settings()).await.unwrap();
    let proposals = || world.policies.proposals.lock().unwrap().len();
    let (go_on, waiting) = mpsc::channel();
    *gate.go_on.lock().unwrap() = Some(waiting);

    let manifest = bytes(&manifest());
    let mut first = Box::pin(coordinator.set_manifest(None, &manifest, Vec::new()));
    while gate.entered.load(Ordering::SeqCst) == 0 {
        assert!(poll_once(&mut first).await.is_none());
        tokio::task::yield_now().await;
    }
    drop(first);
    let mut second = Box::pin(coordinator.set_manifest(None, &manifest, Vec::new()));
    assert!(poll_once(&mut second).await.is_none());
    assert_eq!(proposals(), 1, "the second manifest waits for the first one's work");

    go_on.send(()).unwrap();
    second.await.unwrap();
    assert_eq!(proposals(), 2);
}

// architecture, One use case: a batch depends on the manifest that it was computed from.
#[tokio::test]
async fn an_activation_that_a_new_manifest_overtakes_is_judged_by_the_new_one() {
    for limit in [5, 0] {
        overtaken(limit).await;
    }
}

async fn overtaken(limit: u64) {
    let mut old = manifest();
    old["Marbles"]["web"]["MaxActivations"] = json!(limit);
    let mut new = old.clone();
    new["Marbles"]["web"]["Parameters"]["Argv"] = json!(["./new"]);
    let world = World::new().await;
    let evidence = Arc::new(Overtaken {
        inner: world.evidence.clone(),
        store: world.store.clone(),
        manifest: Mutex::default(),
    });
    let mut ports = world.ports();
    ports.evidence = evidence.clone();
    let coordinator = Coordinator::start(ports, settings()).await.unwrap();
    common::set(&coordinator, &old).await;

    *evidence.manifest.lock().unwrap() = Some(bytes(&new));
    let activation = common::activate(&coordinator).await;
    assert_eq!(activation.argv, ["./new"]);
    assert_eq!(world.evidence.verified.lock().unwrap().len(), 2, "judged again");
    assert_eq!(world.count("web"), (limit > 0).then_some(1));
}

// architecture, Acceptable and safe: only what is safe is started, and the operator is told what is not.
#[tokio::test]
async fn a_start_that_refuses_the_stored_manifest_says_why() {
    let (world, _) = World::with(&manifest()).await;
    world.store.write("manifest", br#"{"Marbles":{"web":{"Package":"gone"}}}"#).await;
    let error = Coordinator::start(world.ports(), settings()).await.err().unwrap();
    let text = common::message(&error);
    assert!(text.contains("start the one that accepted it"), "{text}");
    assert!(text.contains("manifest does not contain marble package gone"), "{text}");
}

/// Evidence whose first verification takes so long that another manifest comes into force meanwhile.
struct Overtaken {
    inner: Arc<FakeEvidence>,
    store: Arc<TestStore>,
    manifest: Mutex<Option<Vec<u8>>>,
}

#[async_trait]
impl Evidence for Overtaken {
    fn simulated(&self) -> bool {
        self.inner.simulated()
    }

    async fn issue(&self, report_data: &[u8]) -> Result<Vec<u8>, EvidenceError> {
        self.inner.issue(report_data).await
    }

    async fn verify(&self, quote: &[u8], now: OffsetDateTime) -> Result<Claims, EvidenceError> {
        let manifest = self.manifest.lock().unwrap().take();
        if let Some(manifest) = manifest {
            self.store.write("manifest", &manifest).await;
        }
        self.inner.verify(quote, now).await
    }
}

/// One poll; `None` while it is pending.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
