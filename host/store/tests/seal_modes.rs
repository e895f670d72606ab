//! Which coordinator opens which state: seal modes, machines, signers, measurements, TEE and simulation (L-35, L-36).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod common;

use std::path::Path;
use std::sync::Arc;

use carrara_core::ports::{
    Batch, CommitError, Found, KeyPolicy, NewState, SealMode, Sealing, SealingKind, Store, StoreError,
};
use carrara_store::{Backend, OpenError, Options};
use carrara_types::secret::SecretBytes;
use common::{Random, new_state, put, rekeying};
use tempfile::TempDir;

/// A coordinator's code on a machine, as a TEE tells them apart.
#[derive(Clone, Copy)]
struct Code {
    kind: SealingKind,
    machine: u8,
    signer: u8,
    measurement: u8,
}

const FIRST: Code = Code { kind: SealingKind::Tee, machine: 1, signer: 1, measurement: 1 };
const NEWER: Code = Code { measurement: 2, ..FIRST };
const STRANGER: Code = Code { signer: 2, measurement: 3, ..FIRST };
const MOVED: Code = Code { machine: 2, ..FIRST };

impl Sealing for Code {
    fn kind(&self) -> SealingKind {
        self.kind
    }

    fn key(&self, policy: KeyPolicy) -> Result<SecretBytes, String> {
        let bound_to = match policy {
            KeyPolicy::Product => [self.machine, 0, self.signer],
            KeyPolicy::Unique => [self.machine, 1, self.measurement],
        };
        Ok(SecretBytes::new("sealing key", [bound_to.as_slice(), &[0; 29]].concat()))
    }
}

async fn try_start(dir: &Path, sealing: impl Sealing + 'static) -> Result<Arc<dyn Store>, OpenError> {
    let backend = Backend::Redb { dir: dir.to_owned(), cache_bytes: 1 << 20 };
    carrara_store::open(Options { backend, sealing: Arc::new(sealing), entropy: Arc::new(Random) }).await
}

async fn start(dir: &Path, code: Code) -> Arc<dyn Store> {
    try_start(dir, code).await.unwrap()
}

fn to(mode: SealMode, mut batch: Batch) -> Batch {
    batch.seal_mode = Some(mode);
    batch
}

/// A directory with a state in this mode, and its data key.
async fn made(mode: SealMode) -> (TempDir, SecretBytes) {
    let folder = TempDir::new().unwrap();
    let state = NewState { seal_mode: mode, ..new_state() };
    let data_key = state.data_key.duplicate();
    start(folder.path(), FIRST).await.create(state, put("a", "old")).await.unwrap();
    (folder, data_key)
}

fn value(store: &Arc<dyn Store>) -> Vec<u8> {
    store.snapshot().open("a").unwrap().unwrap().expose().to_vec()
}

// L-35: ProductKey
#[tokio::test]
async fn a_newer_version_of_the_same_signer_opens_a_state_of_the_product_key_and_nobody_else() {
    let (folder, _) = made(SealMode::ProductKey).await;
    for (code, expected) in
        [(NEWER, Found::Open), (STRANGER, Found::Locked), (MOVED, Found::Locked), (FIRST, Found::Open)]
    {
        let store = start(folder.path(), code).await;
        assert_eq!(store.found(), expected);
        assert_eq!(store.snapshot().seal_mode(), (expected == Found::Open).then_some(SealMode::ProductKey));
    }
}

// L-35, L-49a: UniqueKey; what is recovered is sealed for who recovered it.
#[tokio::test]
async fn only_the_same_measurement_opens_a_state_of_the_unique_key_and_others_need_a_recovery() {
    let (folder, data_key) = made(SealMode::UniqueKey).await;
    for code in [NEWER, STRANGER, MOVED] {
        assert_eq!(start(folder.path(), code).await.found(), Found::Locked);
    }
    assert_eq!(start(folder.path(), FIRST).await.found(), Found::Open);

    let store = start(folder.path(), NEWER).await;
    store.try_data_key(&data_key).await.unwrap().unwrap().adopt().await.unwrap();
    assert_eq!(store.snapshot().seal_mode(), Some(SealMode::UniqueKey));
    assert_eq!(value(&store), b"old");
    drop(store);
    assert_eq!(start(folder.path(), NEWER).await.found(), Found::Open);
    assert_eq!(start(folder.path(), FIRST).await.found(), Found::Locked);
}

// L-36, X-34: in force with the commit.
#[tokio::test]
async fn a_changed_mode_is_in_force_at_the_next_start_without_a_new_data_key() {
    let (folder, data_key) = made(SealMode::ProductKey).await;
    let store = start(folder.path(), FIRST).await;
    store.commit(to(SealMode::UniqueKey, put("a", "new"))).await.unwrap();
    assert_eq!(store.snapshot().seal_mode(), Some(SealMode::UniqueKey));
    drop(store);
    assert_eq!(start(folder.path(), NEWER).await.found(), Found::Locked);
    let store = start(folder.path(), FIRST).await;
    assert_eq!(value(&store), b"new");
    store.commit(to(SealMode::ProductKey, put("a", "newest"))).await.unwrap();
    drop(store);
    let store = start(folder.path(), NEWER).await;
    assert_eq!(value(&store), b"newest");
    drop(store);
    // The recovery secrets of the first manifest still are good.
    let store = start(folder.path(), MOVED).await;
    assert!(store.try_data_key(&data_key).await.unwrap().is_some());
}

// L-35: the host keeps a key file of before the change, which another version of the same signer could open.
#[tokio::test]
async fn an_older_key_file_does_not_open_a_state_whose_mode_is_stricter_now() {
    let (folder, _) = made(SealMode::ProductKey).await;
    let path = folder.path().join("sealed_key");
    let older = std::fs::read(&path).unwrap();
    let store = start(folder.path(), FIRST).await;
    store.commit(to(SealMode::UniqueKey, put("a", "new"))).await.unwrap();
    drop(store);
    let newer = std::fs::read(&path).unwrap();
    std::fs::write(&path, older).unwrap();
    for code in [NEWER, FIRST] {
        assert_eq!(start(folder.path(), code).await.found(), Found::Locked);
    }
    std::fs::write(&path, newer).unwrap();
    assert_eq!(start(folder.path(), FIRST).await.found(), Found::Open);
}

// L-35: "nothing is written; restart = empty state 2"; MarbleRun would load files of before again.
#[tokio::test]
async fn a_disabled_state_leaves_nothing_on_disk_and_a_start_finds_none() {
    let (folder, _) = made(SealMode::Disabled).await;
    let names = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["lock"]);
    let store = start(folder.path(), FIRST).await;
    assert_eq!((store.found(), store.snapshot().seal_mode()), (Found::Empty, None));
    // Also with a sealed state before it, with many commits, and with a new data key.
    store.create(new_state(), put("a", "sealed")).await.unwrap();
    store.commit(to(SealMode::Disabled, put("a", "1"))).await.unwrap();
    assert_eq!(names(), ["archive", "lock"]);
    for text in ["2", "3"] {
        store.commit(put("a", text)).await.unwrap();
    }
    let mut batch = rekeying(put("b", "4"));
    batch.rekey.as_mut().unwrap().seal_mode = SealMode::Disabled;
    store.commit(batch).await.unwrap();
    assert_eq!((names(), value(&store)), (vec!["archive".to_owned(), "lock".to_owned()], b"3".to_vec()));
    assert_eq!(store.snapshot().seal_mode(), Some(SealMode::Disabled));
    drop(store);
    assert_eq!(start(folder.path(), FIRST).await.found(), Found::Empty);
}

// L-35, L-36: the way back writes the whole state as a new one; its recovery secrets stay.
#[tokio::test]
async fn a_state_that_was_disabled_is_written_whole_when_it_is_sealed_again() {
    for mode in [SealMode::ProductKey, SealMode::UniqueKey] {
        let (folder, _) = made(SealMode::ProductKey).await;
        let state = NewState { seal_mode: SealMode::Disabled, ..new_state() };
        let (data_key, recovery_data) = (state.data_key.duplicate(), state.recovery_data.clone());
        std::fs::remove_file(folder.path().join("sealed_key")).unwrap();
        let store = start(folder.path(), FIRST).await;
        assert_eq!(store.found(), Found::Locked);
        // A reset in recovery: the locked state goes to the archive.
        let mut first = put("a", "1");
        first.log_lines = vec!["line 0".into()];
        first.audit_lines = vec!["entry 0".into()];
        store.create(state, first).await.unwrap();
        store.commit(put("b", "2")).await.unwrap();
        let mut batch = to(mode, put("a", "3"));
        batch.log_lines = vec!["line 1".into()];
        store.commit(batch).await.unwrap();
        let (id, root) = (store.snapshot().state_id(), store.snapshot().log_root());
        store.commit(put("c", "4")).await.unwrap();
        drop(store);
        let store = start(folder.path(), FIRST).await;
        let snapshot = store.snapshot();
        assert_eq!((snapshot.seal_mode(), snapshot.revision()), (Some(mode), 4));
        assert_eq!((snapshot.state_id(), snapshot.log_root()), (id, root));
        assert_eq!(snapshot.log_lines(0, 9).unwrap(), ["line 0", "line 1"]);
        assert_eq!(snapshot.audit_lines(0, 9).unwrap(), ["entry 0"]);
        assert_eq!(snapshot.keys(""), ["a", "b", "c"]);
        assert_eq!(value(&store), b"3");
        drop(store);
        let store = start(folder.path(), MOVED).await;
        assert_eq!(store.recovery_data(), Some(recovery_data));
        let opened = store.try_data_key(&data_key).await.unwrap().unwrap();
        assert_eq!(opened.snapshot().seal_mode(), Some(mode));
    }
}

// L-35, X-2: neither way, in any mode; Disabled has nothing to open.
#[tokio::test]
async fn a_state_of_a_tee_never_opens_in_simulation_nor_the_reverse_whatever_its_mode() {
    for mode in [SealMode::ProductKey, SealMode::UniqueKey] {
        for (was, is) in
            [(SealingKind::Tee, SealingKind::Simulation), (SealingKind::Simulation, SealingKind::Tee)]
        {
            let folder = TempDir::new().unwrap();
            let store = start(folder.path(), Code { kind: was, ..FIRST }).await;
            store.create(NewState { seal_mode: mode, ..new_state() }, put("a", "1")).await.unwrap();
            drop(store);
            // The same sealing keys: nothing but the kind differs.
            let refused = try_start(folder.path(), Code { kind: is, ..FIRST }).await;
            let Err(error @ OpenError::OtherKind { .. }) = refused else { panic!("{mode}: it started") };
            assert!(error.to_string().contains("start it the other way"), "{error}");
            // Without the key, the state itself says it.
            std::fs::remove_file(folder.path().join("sealed_key")).unwrap();
            let refused = try_start(folder.path(), Code { kind: is, ..FIRST }).await;
            assert!(matches!(refused, Err(OpenError::OtherKind { .. })));
        }
    }
}

/// A TEE that gives keys of its signer only.
struct NoUnique;

impl Sealing for NoUnique {
    fn kind(&self) -> SealingKind {
        FIRST.kind
    }

    fn key(&self, policy: KeyPolicy) -> Result<SecretBytes, String> {
        if policy == KeyPolicy::Unique { Err("no such key".into()) } else { FIRST.key(policy) }
    }
}

#[tokio::test]
async fn without_a_sealing_key_for_the_mode_nothing_is_changed_and_the_message_says_so() {
    let folder = TempDir::new().unwrap();
    let store = try_start(folder.path(), NoUnique).await.unwrap();
    let refused =
        store.create(NewState { seal_mode: SealMode::UniqueKey, ..new_state() }, put("a", "1")).await;
    let no_key = |text: &str| text.contains("no such key");
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Write(text))) if no_key(&text.to_string())));
    assert_eq!(store.found(), Found::Empty);
    store.create(new_state(), put("a", "1")).await.unwrap();
    let refused = store.commit(to(SealMode::UniqueKey, put("a", "2"))).await;
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Write(text))) if no_key(&text.to_string())));
    assert_eq!((store.snapshot().seal_mode(), value(&store)), (Some(SealMode::ProductKey), b"1".to_vec()));
    drop(store);

    let (folder, _) = made(SealMode::UniqueKey).await;
    let refused = try_start(folder.path(), NoUnique).await;
    assert!(matches!(refused, Err(OpenError::SealingKey(text)) if no_key(&text)));
}

#[tokio::test]
async fn in_memory_every_mode_can_be_set_and_changed() {
    let sealing = Arc::new(FIRST);
    let options = Options { backend: Backend::Memory, sealing, entropy: Arc::new(Random) };
    let store = carrara_store::open(options).await.unwrap();
    store.create(NewState { seal_mode: SealMode::Disabled, ..new_state() }, put("a", "0")).await.unwrap();
    for mode in [SealMode::UniqueKey, SealMode::ProductKey, SealMode::Disabled, SealMode::ProductKey] {
        store.commit(to(mode, put("a", "1"))).await.unwrap();
        assert_eq!(store.snapshot().seal_mode(), Some(mode));
    }
    assert_eq!(value(&store), b"1");
}
