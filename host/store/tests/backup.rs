//! Copies of the sealed state: at one revision, whole, openable, and without a word in the clear.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use carrara_core::ports::{Backup, Found, Sealing, SealingKind, Snapshot, Store, StoreError};
use carrara_store::{Backend, Options, open};
use carrara_types::backup::{CHECKSUMS, DESCRIPTION, Description, FILES, KEY, STATE};
use common::{FixedKey, Random, entries, lines, new_state, put, rekeying, sealing};

const VALUE: &str = "a value that must not be in a backup";

async fn open_with(dir: &Path, sealing: Arc<dyn Sealing>) -> Arc<dyn Store> {
    let backend = Backend::Redb { dir: dir.to_owned(), cache_bytes: 1 << 20 };
    open(Options { backend, sealing, entropy: Arc::new(Random) }).await.unwrap()
}

fn read(mut backup: Backup) -> Vec<u8> {
    let mut bytes = Vec::new();
    backup.content.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, backup.length);
    bytes
}

fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut names = Vec::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().mode().unwrap(), 0o600);
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        names.push(name.clone());
        files.insert(name, content);
    }
    assert_eq!(names, FILES);
    files
}

fn place(files: &BTreeMap<String, Vec<u8>>, dir: &Path) {
    for name in [KEY, STATE] {
        fs::write(dir.join(name), &files[name]).unwrap();
    }
}

fn text(snapshot: &dyn Snapshot, name: &str) -> String {
    String::from_utf8(snapshot.open(name).unwrap().unwrap().expose().to_vec()).unwrap()
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[tokio::test]
async fn a_copy_opens_as_the_state_at_its_revision_whatever_follows() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open_with(folder.path(), sealing()).await;
    store.create(new_state(), put("secret:a", VALUE)).await.unwrap();
    store.commit(lines(&["line 0", "line 1"])).await.unwrap();
    store.commit(entries((0..20).map(|index| format!("{{\"entry\":{index}}}")))).await.unwrap();
    let before = store.snapshot();
    let backup = store.backup().await.unwrap();
    assert_eq!(backup.revision, before.revision());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "lock, sealed_key, state.redb");
    // What follows is not in it, not even a new data key.
    store.commit(put("secret:a", "later")).await.unwrap();
    store.commit(rekeying(put("secret:b", "later"))).await.unwrap();
    let archive = read(backup);
    for word in [VALUE, "line 1", "\"entry\"", "later"] {
        assert!(!holds(&archive, word), "{word}");
    }
    let files = files(&archive);
    let description = Description::read(&files[DESCRIPTION]).unwrap();
    let expected = Description { state_id: before.state_id().unwrap(), revision: before.revision() };
    assert_eq!(description, expected);
    place(&files, other.path());
    let restored = open_with(other.path(), sealing()).await;
    assert_eq!(restored.found(), Found::Open);
    let snapshot = restored.snapshot();
    assert_eq!((snapshot.revision(), snapshot.state_id()), (before.revision(), before.state_id()));
    assert_eq!((text(snapshot.as_ref(), "secret:a").as_str(), snapshot.keys("")), (VALUE, before.keys("")));
    assert_eq!(snapshot.log_lines(0, 9).unwrap(), ["line 0", "line 1"]);
    assert_eq!((snapshot.log_root(), snapshot.audit_range()), (before.log_root(), 0..20));
    assert_eq!(snapshot.audit_lines(19, 9).unwrap(), ["{\"entry\":19}"]);
    // And it can be written on.
    restored.commit(put("secret:a", "another life")).await.unwrap();
}

// Components of policies have up to 32 MiB, and several may come with one commit
#[tokio::test]
async fn records_of_32_mib_outlive_a_new_data_key_a_restart_and_a_restore() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let large = |letter: &str| letter.repeat(32 << 20);
    let same = |snapshot: &dyn Snapshot| {
        for (name, letter) in [("policy:a", "a"), ("policy:b", "b")] {
            let record = snapshot.open(name).unwrap().unwrap();
            assert!(record.expose() == large(letter).as_bytes(), "{name}");
        }
    };
    {
        let store = open_with(folder.path(), sealing()).await;
        store.create(new_state(), put("policy:a", &large("a"))).await.unwrap();
        store.commit(rekeying(put("policy:b", &large("b")))).await.unwrap();
        same(store.snapshot().as_ref());
    }
    let store = open_with(folder.path(), sealing()).await;
    same(store.snapshot().as_ref());
    let files = files(&read(store.backup().await.unwrap()));
    place(&files, other.path());
    let restored = open_with(other.path(), sealing()).await;
    same(restored.snapshot().as_ref());
    let deletes = vec!["policy:a".to_owned(), "policy:b".to_owned()];
    restored.commit(carrara_core::ports::Batch { deletes, ..Default::default() }).await.unwrap();
    assert!(restored.snapshot().keys("policy:").is_empty());
}

#[tokio::test]
async fn the_checksums_are_those_that_sha256sum_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(folder.path(), sealing()).await;
    store.create(new_state(), put("a", "b")).await.unwrap();
    let files = files(&read(store.backup().await.unwrap()));
    let digest = |name: &str| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &files[name]);
        format!("{}  {name}\n", hex::encode(digest))
    };
    let expected: String = [DESCRIPTION, KEY, STATE].map(digest).concat();
    assert_eq!(String::from_utf8(files[CHECKSUMS].clone()).unwrap(), expected);
}

#[tokio::test]
async fn on_another_machine_a_copy_is_locked_until_its_recovery_data_is_used() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open_with(folder.path(), sealing()).await;
    let state = new_state();
    let data_key = state.data_key.duplicate();
    store.create(state, put("secret:a", VALUE)).await.unwrap();
    place(&files(&read(store.backup().await.unwrap())), other.path());
    let elsewhere = open_with(other.path(), Arc::new(FixedKey(SealingKind::Tee, 2))).await;
    assert_eq!(elsewhere.found(), Found::Locked);
    assert_eq!(elsewhere.recovery_data().unwrap(), b"recovery data");
    let candidate = elsewhere.try_data_key(&data_key).await.unwrap().unwrap();
    assert_eq!(text(candidate.snapshot().as_ref(), "secret:a"), VALUE);
}

#[tokio::test]
async fn recovery_data_that_changed_is_in_the_next_copy() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open_with(folder.path(), sealing()).await;
    store.create(new_state(), put("secret:a", VALUE)).await.unwrap();
    store.commit(rekeying(put("secret:b", "x"))).await.unwrap();
    place(&files(&read(store.backup().await.unwrap())), other.path());
    fs::remove_file(other.path().join(KEY)).unwrap();
    let elsewhere = open_with(other.path(), sealing()).await;
    assert_eq!(elsewhere.recovery_data().unwrap(), b"new recovery data");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copies_under_load_are_each_of_one_revision() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(folder.path(), sealing()).await;
    store.create(new_state(), put("first", "0")).await.unwrap();
    // Each commit writes the same value under two names: a copy that mixed revisions would show two.
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for value in 0..300 {
                let mut batch = put("left", &value.to_string());
                batch.puts.extend(put("right", &value.to_string()).puts);
                store.commit(batch).await.unwrap();
            }
        })
    };
    let mut seen = Vec::new();
    while !writer.is_finished() || seen.len() < 2 {
        let backup = store.backup().await.unwrap();
        let revision = backup.revision;
        let other = tempfile::tempdir().unwrap();
        place(&files(&read(backup)), other.path());
        let restored = open_with(other.path(), sealing()).await;
        let snapshot = restored.snapshot();
        assert_eq!(snapshot.revision(), revision);
        if revision > 1 {
            assert_eq!(text(snapshot.as_ref(), "left"), text(snapshot.as_ref(), "right"));
        }
        seen.push(revision);
    }
    writer.await.unwrap();
    assert!(seen.is_sorted());
    assert_eq!(store.snapshot().revision(), 301, "every write went on");
}

#[tokio::test]
async fn what_is_not_open_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(folder.path(), sealing()).await;
    assert!(matches!(store.backup().await, Err(StoreError::NotOpen)));
    store.create(new_state(), put("a", "b")).await.unwrap();
    drop(store);
    fs::remove_file(folder.path().join(KEY)).unwrap();
    let locked = open_with(folder.path(), sealing()).await;
    assert!(matches!(locked.backup().await, Err(StoreError::NotOpen)));
}

#[tokio::test]
async fn without_a_place_for_the_copy_the_error_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let store = open_with(&dir, sealing()).await;
    store.create(new_state(), put("a", "b")).await.unwrap();
    fs::rename(&dir, folder.path().join("away")).unwrap();
    let error = store.backup().await.err().unwrap().to_string();
    assert!(error.contains(dir.to_str().unwrap()) && error.contains("room"), "{error}");
}
