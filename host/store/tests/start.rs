//! What a start makes of every kind of directory: missing, swapped, damaged, of another kind, of another system.
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

use carrara_core::ports::{Found, KeyPolicy, Sealing, SealingKind, Store};
use carrara_store::{Backend, OpenError, Options, open};
use carrara_types::secret::SecretBytes;
use common::{FixedKey, Random, copy_all, entries, lines, new_state, put, sealing};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tempfile::TempDir;

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

async fn open_with(dir: &Path, sealing: Arc<dyn Sealing>) -> Result<Arc<dyn Store>, OpenError> {
    let backend = Backend::Redb { dir: dir.to_owned(), cache_bytes: 1 << 20 };
    open(Options { backend, sealing, entropy: Arc::new(Random) }).await
}

async fn start(dir: &Path) -> Result<Arc<dyn Store>, OpenError> {
    open_with(dir, sealing()).await
}

async fn refusal(dir: &Path) -> OpenError {
    start(dir).await.err().expect("the start is refused")
}

/// A directory with a state of two commits.
async fn set_up() -> TempDir {
    let folder = TempDir::new().unwrap();
    let store = start(folder.path()).await.unwrap();
    store.create(new_state(), put("secret:a", "one")).await.unwrap();
    store.commit(lines(&["line 0", "line 1"])).await.unwrap();
    folder
}

fn state(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("state.redb")
}

fn key(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("sealed_key")
}

fn sealed_record(folder: &TempDir, name: &str) -> Vec<u8> {
    let database = Database::open(state(folder)).unwrap();
    let table = database.begin_read().unwrap().open_table(RECORDS).unwrap();
    table.get(name).unwrap().unwrap().value().to_vec()
}

fn meta(folder: &TempDir, name: &str) -> Vec<u8> {
    let database = Database::open(state(folder)).unwrap();
    let table = database.begin_read().unwrap().open_table(META).unwrap();
    table.get(name).unwrap().unwrap().value().to_vec()
}

/// Changes the state's file as someone could who has the disk but no key.
fn tamper(folder: &TempDir, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(state(folder)).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

async fn assert_damaged(folder: &TempDir, expected: &str) {
    match refusal(folder.path()).await {
        OpenError::Damaged { path, fault } => {
            assert_eq!(path, state(folder));
            assert!(fault.contains(expected), "{fault}");
        }
        other => panic!("{other:?}"),
    }
}

// L-14: nothing is written before a manifest is set.
#[tokio::test]
async fn a_missing_directory_is_made_and_is_an_empty_store() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("made/for/it");
    assert_eq!(start(&dir).await.unwrap().found(), Found::Empty);
    assert!(!dir.join("sealed_key").exists() && !dir.join("state.redb").exists());
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    for dir in [file.clone(), file.join("below"), "/proc/self/none".into()] {
        let error = refusal(&dir).await;
        assert!(matches!(error, OpenError::Directory { .. }), "{error:?}");
        assert!(error.to_string().contains(dir.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_second_process_is_refused_while_the_first_runs() {
    let folder = TempDir::new().unwrap();
    let first = start(folder.path()).await.unwrap();
    let error = refusal(folder.path()).await;
    assert!(matches!(error, OpenError::InUse { .. }));
    for text in [folder.path().to_str().unwrap(), &format!("process {}", std::process::id()), "stop it"] {
        assert!(error.to_string().contains(text), "{error}");
    }
    first.create(new_state(), put("a", "1")).await.unwrap();
    assert!(matches!(refusal(folder.path()).await, OpenError::InUse { .. }));
    drop(first);
    assert_eq!(start(folder.path()).await.unwrap().found(), Found::Open);
}

// L-16
#[tokio::test]
async fn a_state_without_its_key_is_locked_and_opens_again_with_it() {
    let folder = set_up().await;
    let kept = fs::read(key(&folder)).unwrap();
    fs::remove_file(key(&folder)).unwrap();
    let store = start(folder.path()).await.unwrap();
    assert_eq!((store.found(), store.snapshot().revision()), (Found::Locked, 0));
    assert!(store.snapshot().open("secret:a").unwrap().is_none());
    assert!(store.commit(put("a", "1")).await.is_err());
    drop(store);
    assert!(!key(&folder).exists() && !folder.path().join("archive").exists());
    fs::write(key(&folder), kept).unwrap();
    let store = start(folder.path()).await.unwrap();
    assert_eq!((store.found(), store.snapshot().revision()), (Found::Open, 2));
}

// L-16
#[tokio::test]
async fn a_key_of_another_machine_a_damaged_or_another_states_key_locks_the_state() {
    let folder = set_up().await;
    let machine = Arc::new(FixedKey(SealingKind::Tee, 2));
    assert_eq!(open_with(folder.path(), machine).await.unwrap().found(), Found::Locked);

    let good = fs::read(key(&folder)).unwrap();
    for damaged in [&[][..], &good[..good.len() - 1], &b"something else"[..]] {
        fs::write(key(&folder), damaged).unwrap();
        assert_eq!(start(folder.path()).await.unwrap().found(), Found::Locked);
    }
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(key(&folder), flipped).unwrap();
    assert_eq!(start(folder.path()).await.unwrap().found(), Found::Locked);

    let other = set_up().await;
    fs::copy(key(&other), key(&folder)).unwrap();
    assert_eq!(start(folder.path()).await.unwrap().found(), Found::Locked);

    fs::write(key(&folder), good).unwrap();
    assert_eq!(start(folder.path()).await.unwrap().found(), Found::Open);
}

#[tokio::test]
async fn a_key_alone_is_refused_with_the_remedy() {
    let folder = set_up().await;
    fs::remove_file(state(&folder)).unwrap();
    let error = refusal(folder.path()).await;
    assert!(matches!(error, OpenError::KeyAlone { .. }));
    assert!(error.to_string().contains("restore state.redb from a copy"), "{error}");
    fs::remove_file(key(&folder)).unwrap();
    assert_eq!(start(folder.path()).await.unwrap().found(), Found::Empty);
}

#[tokio::test]
async fn the_state_of_another_system_is_never_overlooked() {
    for folder in [TempDir::new().unwrap(), set_up().await] {
        fs::write(folder.path().join("sealed_data"), b"").unwrap();
        let error = refusal(folder.path()).await;
        assert!(matches!(error, OpenError::OtherSystem { .. }));
        assert!(error.to_string().contains("sealed_data"), "{error}");
    }
}

// a state sealed by a TEE never opens in simulation, nor the reverse.
#[tokio::test]
async fn a_state_of_the_other_kind_is_refused_with_and_without_its_key() {
    let folder = set_up().await;
    let simulation = || Arc::new(FixedKey(SealingKind::Simulation, 1));
    for (removed, named) in [(false, "sealed_key"), (true, "state.redb")] {
        if removed {
            fs::remove_file(key(&folder)).unwrap();
        }
        let error = open_with(folder.path(), simulation()).await.err().unwrap();
        assert!(matches!(error, OpenError::OtherKind { .. }));
        let text = error.to_string();
        assert!(text.contains(named) && text.contains("was sealed by a TEE, and"), "{text}");
    }
    // The clear marks are not what protects: with both changed, nothing opens.
    let folder = set_up().await;
    let mut bytes = fs::read(key(&folder)).unwrap();
    bytes[b"carrara key".len() + 1] = 1;
    fs::write(key(&folder), bytes).unwrap();
    let mut mark = meta(&folder, "mark");
    mark[b"carrara state".len() + 1] = 1;
    tamper(&folder, |transaction| {
        transaction.open_table(META).unwrap().insert("mark", mark.as_slice()).unwrap();
    });
    let store = open_with(folder.path(), simulation()).await.unwrap();
    assert_eq!(store.found(), Found::Locked);
}

#[tokio::test]
async fn a_tee_without_a_sealing_key_is_refused() {
    struct None;
    impl Sealing for None {
        fn kind(&self) -> SealingKind {
            SealingKind::Tee
        }
        fn key(&self, _: KeyPolicy) -> Result<SecretBytes, String> {
            Err("no device".into())
        }
    }
    let folder = TempDir::new().unwrap();
    let error = open_with(folder.path(), Arc::new(None)).await.err().unwrap();
    assert!(matches!(&error, OpenError::SealingKey(cause) if cause == "no device"));
}

// L-17
#[tokio::test]
async fn a_truncated_or_foreign_state_file_is_refused_and_never_made_anew() {
    let folder = set_up().await;
    let whole = fs::read(state(&folder)).unwrap();
    for bytes in [&[][..], &whole[..4], &b"not a database at all"[..], &whole[..whole.len() / 2]] {
        fs::write(state(&folder), bytes).unwrap();
        let error = refusal(folder.path()).await;
        let text = error.to_string();
        assert!(text.contains("damaged"), "{text}");
        assert_eq!(fs::read(state(&folder)).unwrap().len(), bytes.len());
    }
    fs::write(state(&folder), &whole).unwrap();
    assert_eq!(start(folder.path()).await.unwrap().found(), Found::Open);
}

// L-17
#[tokio::test]
async fn a_damaged_head_is_refused() {
    let folder = set_up().await;
    let good = meta(&folder, "head");
    for index in [0, 3, 12, good.len() - 1] {
        let mut head = good.clone();
        head[index] ^= 1;
        tamper(&folder, |transaction| {
            transaction.open_table(META).unwrap().insert("head", head.as_slice()).unwrap();
        });
        assert_damaged(&folder, "head").await;
    }
    tamper(&folder, |transaction| {
        transaction.open_table(META).unwrap().remove("head").unwrap();
    });
    assert_damaged(&folder, "head").await;
}

#[tokio::test]
async fn an_unknown_format_names_the_remedy() {
    let folder = set_up().await;
    let mut bytes = fs::read(key(&folder)).unwrap();
    bytes[b"carrara key".len()] = 4;
    fs::write(key(&folder), bytes).unwrap();
    assert!(matches!(refusal(folder.path()).await, OpenError::Newer { .. }));
}

#[tokio::test]
async fn a_flipped_byte_in_a_record_is_noticed() {
    let folder = set_up().await;
    let good = sealed_record(&folder, "secret:a");
    for index in 1..good.len() {
        let mut record = good.clone();
        record[index] ^= 0x80;
        tamper(&folder, |transaction| {
            transaction.open_table(RECORDS).unwrap().insert("secret:a", record.as_slice()).unwrap();
        });
        assert_damaged(&folder, "secret:a").await;
    }
}

#[tokio::test]
async fn flipped_bytes_of_the_raw_file_never_open_as_something_else() {
    let folder = set_up().await;
    let record = sealed_record(&folder, "secret:a");
    let mut bytes = fs::read(state(&folder)).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - record.len()).filter(|at| bytes[*at..].starts_with(&record)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + record.len() - 1] ^= 1;
    }
    fs::write(state(&folder), bytes).unwrap();
    assert!(matches!(refusal(folder.path()).await, OpenError::Damaged { .. }));
}

// L-37: mixing is noticed.
#[tokio::test]
async fn an_old_copy_of_a_single_record_is_noticed() {
    let folder = set_up().await;
    let old = sealed_record(&folder, "secret:a");
    let store = start(folder.path()).await.unwrap();
    store.commit(put("secret:a", "two")).await.unwrap();
    drop(store);
    tamper(&folder, |transaction| {
        transaction.open_table(RECORDS).unwrap().insert("secret:a", old.as_slice()).unwrap();
    });
    assert_damaged(&folder, "mixed").await;
}

// L-37
#[tokio::test]
async fn a_missing_or_resurrected_record_and_an_old_head_are_noticed() {
    let folder = set_up().await;
    let (old_record, old_head) = (sealed_record(&folder, "secret:a"), meta(&folder, "head"));
    tamper(&folder, |transaction| {
        transaction.open_table(RECORDS).unwrap().remove("secret:a").unwrap();
    });
    assert_damaged(&folder, "missing").await;
    tamper(&folder, |transaction| {
        transaction.open_table(RECORDS).unwrap().insert("secret:a", old_record.as_slice()).unwrap();
    });
    let store = start(folder.path()).await.unwrap();
    let mut batch = put("secret:b", "new");
    batch.deletes.push("secret:a".into());
    store.commit(batch).await.unwrap();
    drop(store);

    let new_head = meta(&folder, "head");
    tamper(&folder, |transaction| {
        transaction.open_table(META).unwrap().insert("head", old_head.as_slice()).unwrap();
    });
    assert_damaged(&folder, "mixed").await;
    tamper(&folder, |transaction| {
        transaction.open_table(META).unwrap().insert("head", new_head.as_slice()).unwrap();
        transaction.open_table(RECORDS).unwrap().insert("secret:a", old_record.as_slice()).unwrap();
    });
    assert_damaged(&folder, "mixed").await;
}

#[tokio::test]
async fn missing_swapped_and_cut_log_lines_are_noticed() {
    let all = |folder: &TempDir| {
        let database = Database::open(state(folder)).unwrap();
        let table = database.begin_read().unwrap().open_table(LOG).unwrap();
        table.iter().unwrap().map(|entry| entry.unwrap().1.value().to_vec()).collect::<Vec<_>>()
    };
    let write = |folder: &TempDir, index: u64, line: Option<&[u8]>| {
        tamper(folder, |transaction| {
            let mut log = transaction.open_table(LOG).unwrap();
            match line {
                Some(line) => drop(log.insert(index, line).unwrap()),
                None => drop(log.remove(index).unwrap()),
            }
        });
    };
    let folder = set_up().await;
    let log = all(&folder);
    assert_eq!(log.len(), 2);
    write(&folder, 1, None);
    assert_damaged(&folder, "missing").await;
    write(&folder, 1, Some(&log[0]));
    assert_damaged(&folder, "line 1").await;
    write(&folder, 1, Some(&log[1]));
    write(&folder, 0, None);
    assert_damaged(&folder, "line 0").await;
    write(&folder, 0, Some(&log[0]));
    assert_eq!(start(folder.path()).await.unwrap().snapshot().log_lines(0, 9).unwrap(), ["line 0", "line 1"]);
}

#[tokio::test]
async fn missing_swapped_and_cut_audit_entries_are_noticed() {
    let folder = set_up().await;
    let store = start(folder.path()).await.unwrap();
    store.commit(entries(["entry 0".into(), "entry 1".into()])).await.unwrap();
    drop(store);
    let database = Database::open(state(&folder)).unwrap();
    let table = database.begin_read().unwrap().open_table(AUDIT).unwrap();
    let all: Vec<_> = table.iter().unwrap().map(|entry| entry.unwrap().1.value().to_vec()).collect();
    drop((table, database));
    let write = |index: u64, entry: Option<&[u8]>| {
        tamper(&folder, |transaction| {
            let mut audit = transaction.open_table(AUDIT).unwrap();
            match entry {
                Some(entry) => drop(audit.insert(index, entry).unwrap()),
                None => drop(audit.remove(index).unwrap()),
            }
        });
    };
    write(1, None);
    assert_damaged(&folder, "missing").await;
    write(1, Some(&all[0]));
    assert_damaged(&folder, "entry 1").await;
    write(1, Some(&all[1]));
    write(2, Some(&all[1]));
    assert_damaged(&folder, "entry 2").await;
    write(2, None);
    write(0, None);
    assert_damaged(&folder, "entry 0").await;
    write(0, Some(&all[0]));
    let snapshot = start(folder.path()).await.unwrap().snapshot();
    assert_eq!(snapshot.audit_lines(0, 9).unwrap(), ["entry 0", "entry 1"]);
}

// the recovery data is clear but bound, and stored with the state.
#[tokio::test]
async fn changed_recovery_data_is_noticed() {
    let folder = set_up().await;
    assert_eq!(meta(&folder, "recovery"), b"recovery data");
    tamper(&folder, |transaction| {
        transaction.open_table(META).unwrap().insert("recovery", &b"recovery dato"[..]).unwrap();
    });
    assert_damaged(&folder, "recovery data").await;
}

#[tokio::test]
async fn records_of_another_state_do_not_open() {
    let (folder, other) = (set_up().await, set_up().await);
    let foreign = sealed_record(&other, "secret:a");
    tamper(&folder, |transaction| {
        transaction.open_table(RECORDS).unwrap().insert("secret:a", foreign.as_slice()).unwrap();
    });
    assert_damaged(&folder, "secret:a").await;
}

// a reset in recovery archives the old state; nothing is overwritten.
#[tokio::test]
async fn a_reset_archives_the_old_state_which_opens_when_put_back() {
    let folder = set_up().await;
    let old_id = start(folder.path()).await.unwrap().snapshot().state_id().unwrap();
    let old_key = fs::read(key(&folder)).unwrap();
    fs::remove_file(key(&folder)).unwrap();
    let store = start(folder.path()).await.unwrap();
    store.create(new_state(), put("secret:a", "reset")).await.unwrap();
    assert_eq!(store.found(), Found::Open);
    let new_id = store.snapshot().state_id().unwrap();
    assert_ne!(old_id, new_id);
    store.commit(put("secret:b", "later")).await.unwrap();
    drop(store);
    assert_eq!(start(folder.path()).await.unwrap().snapshot().state_id(), Some(new_id));

    let archived = folder.path().join(format!("archive/{}-000001", hex::encode(old_id)));
    let restored = TempDir::new().unwrap();
    copy_all(&archived, restored.path());
    fs::write(key(&restored), old_key).unwrap();
    let store = start(restored.path()).await.unwrap();
    assert_eq!((store.found(), store.snapshot().state_id()), (Found::Open, Some(old_id)));
    assert_eq!(store.snapshot().open("secret:a").unwrap().unwrap().expose(), b"one");
}

// L-31
#[tokio::test]
async fn neither_values_nor_log_lines_nor_keys_lie_in_the_files_in_the_clear() {
    let folder = TempDir::new().unwrap();
    let store = start(folder.path()).await.unwrap();
    let mut state = new_state();
    state.data_key = SecretBytes::new("data key", b"0123456789abcdef0123456789ABCDEF".to_vec());
    store.create(state, put("secret:a", "the very secret value")).await.unwrap();
    store.commit(lines(&["the very private line"])).await.unwrap();
    store.commit(entries(["the very private entry".into()])).await.unwrap();
    drop(store);
    for file in ["state.redb", "sealed_key"] {
        let bytes = fs::read(folder.path().join(file)).unwrap();
        for needle in
            ["the very secret value", "the very private line", "the very private entry", "0123456789abcdef"]
        {
            assert!(
                !bytes.windows(needle.len()).any(|window| window == needle.as_bytes()),
                "{file}: {needle}"
            );
        }
    }
}

// A disk that rots: whatever byte changes, a start refuses, asks for recovery or finds exactly what was written.
#[tokio::test]
async fn a_flipped_byte_anywhere_in_the_files_never_changes_what_is_found() {
    let folder = set_up().await;
    for (file, stride) in [(state(&folder), 997), (key(&folder), 7)] {
        let whole = fs::read(&file).unwrap();
        for at in (0..whole.len()).step_by(stride) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&file, bytes).unwrap();
            let copy = TempDir::new().unwrap();
            copy_all(folder.path(), copy.path());
            match start(copy.path()).await {
                Ok(store) if store.found() == Found::Open => {
                    let snapshot = store.snapshot();
                    assert_eq!(snapshot.open("secret:a").unwrap().unwrap().expose(), b"one", "byte {at}");
                    assert_eq!(snapshot.log_lines(0, 9).unwrap(), ["line 0", "line 1"], "byte {at}");
                }
                Ok(store) => assert_eq!(store.found(), Found::Locked, "byte {at}"),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        fs::write(&file, whole).unwrap();
    }
}
