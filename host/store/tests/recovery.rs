//! Recovery of a locked state: which data key opens it, and what it takes to become the state again (L-37, L-46, L-49a,
//!
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use carrara_core::ports::{Candidate, CommitError, Found, NewState, SealingKind, Store, StoreError};
use carrara_store::{Backend, Options, open};
use carrara_types::secret::SecretBytes;
use common::{FixedKey, Random, copy_all, lines, new_state, put, rekeying};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

async fn start_as(dir: &Path, kind: SealingKind, machine: u8) -> Arc<dyn Store> {
    let backend = Backend::Redb { dir: dir.to_owned(), cache_bytes: 1 << 20 };
    let sealing = Arc::new(FixedKey(kind, machine));
    open(Options { backend, sealing, entropy: Arc::new(Random) }).await.unwrap()
}

async fn start(dir: &Path, machine: u8) -> Arc<dyn Store> {
    start_as(dir, SealingKind::Tee, machine).await
}

/// A state of two commits, made on machine 1, and its data key.
async fn set_up() -> (TempDir, SecretBytes) {
    let folder = TempDir::new().unwrap();
    let store = start(folder.path(), 1).await;
    let state = new_state();
    let data_key = state.data_key.duplicate();
    store.create(state, put("secret:a", "one")).await.unwrap();
    store.commit(lines(&["line 0", "line 1"])).await.unwrap();
    (folder, data_key)
}

fn wrong_key() -> SecretBytes {
    SecretBytes::new("data key", vec![7; 32])
}

async fn candidate(store: &Arc<dyn Store>, data_key: &SecretBytes) -> Box<dyn Candidate> {
    store.try_data_key(data_key).await.unwrap().expect("the key opens the state")
}

fn value(store: &Arc<dyn Store>) -> Vec<u8> {
    store.snapshot().open("secret:a").unwrap().unwrap().expose().to_vec()
}

/// Changes the state's file as someone could who has the disk but no key.
fn tamper(folder: &TempDir, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(folder.path().join("state.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

/// Why the right key does not open the state.
async fn fault(store: &Arc<dyn Store>, data_key: &SecretBytes) -> String {
    let error = store.try_data_key(data_key).await.err().expect("it is refused");
    assert_eq!(store.found(), Found::Locked);
    assert!(matches!(error, StoreError::Read(_)), "{error:?}");
    error.to_string()
}

// L-46, L-49a
#[tokio::test]
async fn the_data_key_opens_the_state_on_another_machine_from_then_on() {
    let (folder, data_key) = set_up().await;
    let store = start(folder.path(), 2).await;
    assert_eq!((store.found(), store.snapshot().revision()), (Found::Locked, 0));
    assert_eq!(store.recovery_data().unwrap(), b"recovery data");
    let opened = candidate(&store, &data_key).await;
    assert_eq!(opened.snapshot().open("secret:a").unwrap().unwrap().expose(), b"one");
    assert_eq!(opened.snapshot().log_size(), 2);
    assert_eq!((store.found(), store.snapshot().revision()), (Found::Locked, 0), "not yet");

    opened.adopt().await.unwrap();
    assert_eq!(
        (store.found(), store.snapshot().revision(), value(&store)),
        (Found::Open, 2, b"one".to_vec())
    );
    assert_eq!(store.recovery_data(), None);
    store.commit(put("secret:a", "two")).await.unwrap();
    drop(store);
    let store = start(folder.path(), 2).await;
    assert_eq!((store.found(), value(&store)), (Found::Open, b"two".to_vec()));
    drop(store);
    // The key file is this machine's now; the other one can recover in its turn.
    let store = start(folder.path(), 1).await;
    assert_eq!(store.found(), Found::Locked);
    candidate(&store, &data_key).await.adopt().await.unwrap();
    assert_eq!(value(&store), b"two");
}

#[tokio::test]
async fn a_lost_or_damaged_key_file_is_made_again() {
    for damage in [None, Some(&b"no key file"[..])] {
        let (folder, data_key) = set_up().await;
        let key = folder.path().join("sealed_key");
        fs::remove_file(&key).unwrap();
        if let Some(bytes) = damage {
            fs::write(&key, bytes).unwrap();
        }
        let store = start(folder.path(), 1).await;
        candidate(&store, &data_key).await.adopt().await.unwrap();
        drop(store);
        assert_eq!(start(folder.path(), 1).await.found(), Found::Open);
    }
}

//
#[tokio::test]
async fn wrong_keys_open_nothing_and_the_right_one_after_them_does() {
    let (folder, data_key) = set_up().await;
    let store = start(folder.path(), 2).await;
    for key in [wrong_key(), SecretBytes::new("k", Vec::new()), SecretBytes::new("k", vec![7; 16])] {
        assert!(store.try_data_key(&key).await.unwrap().is_none());
    }
    let mut longer = data_key.expose().to_vec();
    longer.push(0);
    assert!(store.try_data_key(&SecretBytes::new("k", longer)).await.unwrap().is_none());
    assert_eq!(store.found(), Found::Locked);
    candidate(&store, &data_key).await.adopt().await.unwrap();
}

// L-61: after a change of the data key the old one opens nothing
#[tokio::test]
async fn the_key_before_the_last_change_of_keys_opens_nothing() {
    let (folder, old) = set_up().await;
    let batch = rekeying(put("secret:a", "new"));
    let new = batch.rekey.as_ref().unwrap().data_key.duplicate();
    let store = start(folder.path(), 1).await;
    store.commit(batch).await.unwrap();
    drop(store);
    let store = start(folder.path(), 2).await;
    assert_eq!(store.recovery_data().unwrap(), b"new recovery data");
    assert!(store.try_data_key(&old).await.unwrap().is_none());
    candidate(&store, &new).await.adopt().await.unwrap();
    assert_eq!(value(&store), b"new");
}

// recovery data is authenticated with the state
#[tokio::test]
async fn changed_or_lost_recovery_data_keeps_the_right_key_from_opening_the_state() {
    let (folder, data_key) = set_up().await;
    tamper(&folder, |transaction| {
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert("recovery", &b"recovery datA"[..]).unwrap();
    });
    let store = start(folder.path(), 2).await;
    assert_eq!(store.recovery_data().unwrap(), b"recovery datA", "unproved");
    assert!(fault(&store, &data_key).await.contains("the recovery data was changed"));
    drop(store);
    tamper(&folder, |transaction| {
        transaction.open_table(META).unwrap().remove("recovery").unwrap();
    });
    let store = start(folder.path(), 2).await;
    assert_eq!(store.recovery_data(), None);
    fault(&store, &data_key).await;
}

#[tokio::test]
async fn mixed_and_missing_records_are_noticed_as_at_a_start() {
    let (folder, data_key) = set_up().await;
    tamper(&folder, |transaction| {
        transaction.open_table(RECORDS).unwrap().remove("secret:a").unwrap();
    });
    let store = start(folder.path(), 2).await;
    let text = fault(&store, &data_key).await;
    assert!(text.contains("some are missing") && text.contains("set a new manifest"), "{text}");
}

//
// A state sealed by a TEE never opens in simulation, even if its clear mark says otherwise.
#[tokio::test]
async fn a_tees_state_whose_mark_was_changed_is_not_recovered_in_simulation() {
    for (sealed_by, start_by) in
        [(SealingKind::Tee, SealingKind::Simulation), (SealingKind::Simulation, SealingKind::Tee)]
    {
        let folder = TempDir::new().unwrap();
        let state = new_state();
        let data_key = state.data_key.duplicate();
        let store = start_as(folder.path(), sealed_by, 1).await;
        store.create(state, put("secret:a", "one")).await.unwrap();
        drop(store);
        let database = Database::open(folder.path().join("state.redb")).unwrap();
        let mut mark = {
            use redb::ReadableDatabase;
            let table = database.begin_read().unwrap().open_table(META).unwrap();
            table.get("mark").unwrap().unwrap().value().to_vec()
        };
        drop(database);
        // Magic, format, kind, 16 bytes of state id.
        let kind = mark.len() - 17;
        mark[kind] = 1 - mark[kind];
        tamper(&folder, |transaction| {
            transaction.open_table(META).unwrap().insert("mark", mark.as_slice()).unwrap();
        });
        fs::remove_file(folder.path().join("sealed_key")).unwrap();
        let store = start_as(folder.path(), start_by, 1).await;
        assert!(fault(&store, &data_key).await.contains("it was sealed by"));
    }
}

#[tokio::test]
async fn there_is_nothing_to_recover_unless_a_state_is_locked() {
    let (folder, data_key) = set_up().await;
    let store = start(folder.path(), 1).await;
    assert!(matches!(store.try_data_key(&data_key).await, Err(StoreError::NotLocked)));
    let empty = TempDir::new().unwrap();
    let store = start(empty.path(), 1).await;
    assert!(matches!(store.try_data_key(&data_key).await, Err(StoreError::NotLocked)));
    let options = Options { backend: Backend::Memory, sealing: common::sealing(), entropy: Arc::new(Random) };
    let memory = open(options).await.unwrap();
    assert_eq!(memory.recovery_data(), None);
    assert!(matches!(memory.try_data_key(&data_key).await, Err(StoreError::NotLocked)));
}

#[tokio::test]
async fn of_a_recovery_and_a_new_manifest_at_once_the_first_wins() {
    let (folder, data_key) = set_up().await;
    let other = TempDir::new().unwrap();
    copy_all(folder.path(), other.path());

    let store = start(folder.path(), 2).await;
    let opened = candidate(&store, &data_key).await;
    store.create(new_state(), put("secret:a", "reset")).await.unwrap();
    assert!(matches!(opened.adopt().await, Err(StoreError::NotLocked)));
    assert_eq!(value(&store), b"reset");
    drop(store);
    let store = start(folder.path(), 2).await;
    assert_eq!((store.found(), value(&store)), (Found::Open, b"reset".to_vec()));

    let store = start(other.path(), 2).await;
    let (opened, again) = (candidate(&store, &data_key).await, candidate(&store, &data_key).await);
    opened.adopt().await.unwrap();
    assert!(matches!(again.adopt().await, Err(StoreError::NotLocked)));
    let refused = store.create(new_state(), put("secret:a", "reset")).await;
    assert!(matches!(refused, Err(CommitError::Conflict)));
    assert_eq!(value(&store), b"one");
}

#[tokio::test]
async fn a_store_that_is_dropped_does_not_wait_for_who_would_recover_it() {
    let (folder, data_key) = set_up().await;
    let store = start(folder.path(), 2).await;
    let opened = candidate(&store, &data_key).await;
    drop(store);
    assert!(matches!(opened.adopt().await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn a_key_file_that_cannot_be_written_leaves_the_state_locked_and_it_can_be_tried_again() {
    let (folder, data_key) = set_up().await;
    let store = start(folder.path(), 2).await;
    let blocked = folder.path().join("sealed_key.new");
    fs::create_dir_all(blocked.join("x")).unwrap();
    let refused = candidate(&store, &data_key).await.adopt().await;
    assert!(matches!(refused, Err(StoreError::Write(_))), "{refused:?}");
    assert_eq!(store.found(), Found::Locked);
    fs::remove_dir_all(blocked).unwrap();
    candidate(&store, &data_key).await.adopt().await.unwrap();
    assert_eq!(store.found(), Found::Open);
}

#[tokio::test]
async fn a_file_that_is_exchanged_while_it_is_locked_is_not_taken_for_the_state() {
    let (folder, data_key) = set_up().await;
    let store = start(folder.path(), 2).await;
    let other = TempDir::new().unwrap();
    let writer = start(other.path(), 1).await;
    let state = NewState { data_key: data_key.duplicate(), ..new_state() };
    writer.create(state, put("secret:a", "planted")).await.unwrap();
    drop(writer);
    fs::copy(other.path().join("state.redb"), folder.path().join("state.redb")).unwrap();
    assert!(fault(&store, &data_key).await.contains("was changed meanwhile"));
}
