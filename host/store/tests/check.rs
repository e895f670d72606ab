//! Checking a state directory: what is said of every kind, and that nothing is changed.
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
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use carrara_core::ports::{Found, SealMode, Sealing, SealingKind, Store};
use carrara_store::{Backend, OpenError, Options, Report, Verdict, check, open};
use common::{FixedKey, Random, copy_all, entries, lines, new_state, put, sealing};
use redb::{Database, ReadableTable, TableDefinition};
use tempfile::TempDir;

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");

async fn start(dir: &Path) -> Result<Arc<dyn Store>, OpenError> {
    let backend = Backend::Redb { dir: dir.to_owned(), cache_bytes: 1 << 20 };
    open(Options { backend, sealing: sealing(), entropy: Arc::new(Random) }).await
}

/// A directory with a state of some commits; the coordinator has ended.
async fn set_up() -> TempDir {
    let folder = TempDir::new().unwrap();
    let store = start(folder.path()).await.unwrap();
    store.create(new_state(), put("secret:a", "one")).await.unwrap();
    store.commit(lines(&["line 0", "line 1"])).await.unwrap();
    store.commit(entries(["{}".to_owned()])).await.unwrap();
    folder
}

fn with_key(dir: &Path) -> Report {
    check(dir, Some(&*sealing()))
}

/// Every file with its content.
fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
}

fn assert_damaged(report: &Report, words: &[&str]) {
    assert_eq!(report.verdict(), Verdict::Damaged, "{report}");
    let text = report.faults().join("\n");
    assert!(words.iter().all(|word| text.contains(word)), "{text} has not all of {words:?}");
}

#[tokio::test]
async fn a_sound_directory_is_called_so_and_nothing_in_it_changes() {
    let folder = set_up().await;
    let before = content(folder.path());
    let report = with_key(folder.path());
    assert_eq!(report.verdict(), Verdict::Sound, "{report}");
    assert!(report.notes().is_empty() || report.notes().iter().all(|note| note.contains("mode")), "{report}");
    let [state] = report.states() else { panic!("{report}") };
    assert_eq!(
        (state.revision, state.records, state.log_lines, state.audit_entries, state.opened),
        (3, 1, 2, 1, true)
    );
    assert!(report.to_string().ends_with("\nsound"), "{report}");
    assert_eq!(content(folder.path()), before);
}

#[tokio::test]
async fn without_the_sealing_key_only_the_structure_is_seen() {
    let folder = set_up().await;
    let report = check(folder.path(), None);
    assert_eq!((report.verdict(), report.states()[0].opened), (Verdict::Unopened, false), "{report}");
    // A key of another machine, and a simulated one.
    for (other, word) in [
        (FixedKey(SealingKind::Tee, 9), "recovery here"),
        (FixedKey(SealingKind::Simulation, 1), "simulation"),
    ] {
        let report = check(folder.path(), Some(&other));
        assert_eq!(report.verdict(), Verdict::Unopened, "{report}");
        assert!(report.notes().join("\n").contains(word), "{report}");
    }
}

#[tokio::test]
async fn a_directory_in_use_is_not_looked_at_and_a_check_keeps_nobody_out_for_good() {
    let folder = set_up().await;
    let store = start(folder.path()).await.unwrap();
    let report = with_key(folder.path());
    assert_eq!(report.verdict(), Verdict::Unknown, "{report}");
    let text = report.to_string();
    assert!(text.contains("in use") && text.contains("carrara backup"), "{text}");
    drop(store);
    assert_eq!(with_key(folder.path()).verdict(), Verdict::Sound);
    start(folder.path()).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_coordinator_left_is_checked_without_being_repaired() {
    let folder = TempDir::new().unwrap();
    let store = start(&folder.path().join("live")).await.unwrap();
    store.create(new_state(), put("secret:a", "one")).await.unwrap();
    store.commit(put("secret:b", "two")).await.unwrap();
    let copy = folder.path().join("copy");
    copy_all(&folder.path().join("live"), &copy);
    let before = content(&copy);
    let report = with_key(&copy);
    assert_eq!(report.verdict(), Verdict::Sound, "{report}");
    assert_eq!(content(&copy), before, "redb would mark the file as closed");
}

#[tokio::test]
async fn a_missing_directory_is_unknown_and_an_empty_one_sound() {
    let folder = TempDir::new().unwrap();
    let report = with_key(&folder.path().join("none"));
    assert_eq!(report.verdict(), Verdict::Unknown, "{report}");
    assert!(!folder.path().join("none").exists(), "it is not made");
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(with_key(&file).to_string().contains("is no directory"));
    fs::remove_file(file).unwrap();
    let report = with_key(folder.path());
    assert_eq!(report.verdict(), Verdict::Sound, "{report}");
    assert!(report.to_string().contains("there is no state"), "{report}");
    assert_eq!(content(folder.path()).len(), 0, "no lock is made");
}

#[tokio::test]
async fn a_key_that_is_missing_damaged_or_anothers_is_named() {
    let (folder, other) = (set_up().await, set_up().await);
    let key = folder.path().join("sealed_key");
    let good = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    assert_damaged(&with_key(folder.path()), &["no sealed_key", "recovery"]);
    fs::write(&key, &good[..20]).unwrap();
    assert_damaged(&with_key(folder.path()), &["sealed_key is damaged"]);
    fs::copy(other.path().join("sealed_key"), &key).unwrap();
    assert_damaged(&check(folder.path(), None), &["belongs to another state"]);
    let mut newer = good.clone();
    newer["carrara key".len()] = 99;
    fs::write(&key, newer).unwrap();
    let report = with_key(folder.path());
    assert_eq!(report.verdict(), Verdict::Unknown, "{report}");
    assert!(report.to_string().contains("newer"), "{report}");
    fs::write(&key, good).unwrap();
    fs::remove_file(folder.path().join("state.redb")).unwrap();
    assert_damaged(&with_key(folder.path()), &["restore state.redb"]);
}

#[tokio::test]
async fn records_that_were_removed_or_exchanged_are_found_with_the_key() {
    for remove in [true, false] {
        let folder = set_up().await;
        let database = Database::open(folder.path().join("state.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut records = transaction.open_table(RECORDS).unwrap();
            if remove {
                records.remove("secret:a").unwrap();
            } else {
                let mut record = records.get("secret:a").unwrap().unwrap().value().to_vec();
                *record.last_mut().unwrap() ^= 1;
                records.insert("secret:a", record.as_slice()).unwrap();
            }
        }
        transaction.commit().unwrap();
        drop(database);
        assert_eq!(check(folder.path(), None).verdict(), Verdict::Unopened, "the structure is good");
        let word = if remove { "missing" } else { "secret:a" };
        assert_damaged(&with_key(folder.path()), &["state.redb is damaged", word]);
    }
}

#[tokio::test]
async fn a_check_and_a_start_agree_about_every_damaged_block() {
    let folder = set_up().await;
    let state = fs::read(folder.path().join("state.redb")).unwrap();
    let blocks = state.len() / 4096;
    // Every block of the first part, where the state is; then some of the empty ones.
    let numbers = (0..blocks).filter(|number| *number < 64 || number % 61 == 0);
    let mut damaged = 0;
    for number in numbers {
        let copy = TempDir::new().unwrap();
        let mut bytes = state.clone();
        bytes[number * 4096 + 100] ^= 0x10;
        fs::copy(folder.path().join("sealed_key"), copy.path().join("sealed_key")).unwrap();
        fs::write(copy.path().join("state.redb"), &bytes).unwrap();
        let report = with_key(copy.path());
        assert_eq!(fs::read(copy.path().join("state.redb")).unwrap(), bytes);
        let started = start(copy.path()).await;
        let opens = started.is_ok_and(|store| store.found() == Found::Open);
        assert_eq!(report.verdict() == Verdict::Sound, opens, "block {number}: {report}");
        damaged += usize::from(!opens);
    }
    assert!(damaged > 0);
}

#[tokio::test]
async fn truncated_files_are_damaged_and_never_end_the_check() {
    let folder = set_up().await;
    let state = folder.path().join("state.redb");
    let good = fs::read(&state).unwrap();
    for length in [0, 1, 63, 320, 4095, 4096, 8192, good.len() / 2, good.len() - 4096, good.len() - 1] {
        fs::write(&state, &good[..length]).unwrap();
        assert_damaged(&with_key(folder.path()), &["state.redb is damaged"]);
    }
}

#[tokio::test]
async fn archived_states_are_checked_too() {
    let folder = set_up().await;
    fs::remove_file(folder.path().join("sealed_key")).unwrap();
    let store = start(folder.path()).await.unwrap();
    store.create(new_state(), put("secret:b", "new")).await.unwrap();
    drop(store);
    let report = with_key(folder.path());
    assert_eq!((report.verdict(), report.states().len()), (Verdict::Sound, 2), "{report}");
    let archive = folder.path().join("archive");
    let entry = fs::read_dir(&archive).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(entry.join("state.redb")).unwrap();
    fs::write(entry.join("state.redb"), &bytes[..bytes.len() / 2]).unwrap();
    assert_damaged(&with_key(folder.path()), &["archive/"]);
}

#[tokio::test]
async fn left_overs_foreign_files_and_open_modes_are_notes() {
    let folder = set_up().await;
    for name in ["state.redb.new", "probe.new", "readme.txt"] {
        fs::write(folder.path().join(name), b"x").unwrap();
    }
    fs::set_permissions(folder.path().join("state.redb"), fs::Permissions::from_mode(0o644)).unwrap();
    let report = with_key(folder.path());
    assert_eq!(report.verdict(), Verdict::Sound, "{report}");
    let notes = report.notes().join("\n");
    for word in ["state.redb.new", "probe.new", "readme.txt", "mode 644"] {
        assert!(notes.contains(word), "{word}: {notes}");
    }
    fs::write(folder.path().join("sealed_data"), b"x").unwrap();
    assert_damaged(&with_key(folder.path()), &["another system"]);
}

#[tokio::test]
async fn a_replacement_that_was_decided_is_checked_as_the_state_that_it_will_be() {
    let folder = set_up().await;
    let state = folder.path().join("state.redb");
    fs::rename(&state, folder.path().join("state.redb.new")).unwrap();
    let report = with_key(folder.path());
    assert_eq!((report.verdict(), report.states().len()), (Verdict::Sound, 1), "{report}");
    assert!(report.notes().join("\n").contains("next start"), "{report}");
    assert!(!state.exists());
}

#[tokio::test]
async fn a_replacement_that_was_decided_while_the_old_state_is_still_at_its_place_is_no_damage() {
    let (folder, new) = (set_up().await, set_up().await);
    fs::copy(new.path().join("sealed_key"), folder.path().join("sealed_key")).unwrap();
    let beside = folder.path().join("state.redb.new");
    fs::copy(new.path().join("state.redb"), &beside).unwrap();
    for (sealing, verdict) in [(Some(sealing()), Verdict::Sound), (None, Verdict::Unopened)] {
        let report = check(folder.path(), sealing.as_deref());
        assert_eq!((report.verdict(), report.states().len()), (verdict, 1), "{report}");
        assert_eq!(report.states()[0].path, beside, "{report}");
        assert!(report.notes().join("\n").contains("next start"), "{report}");
    }
    assert_eq!(start(folder.path()).await.unwrap().found(), Found::Open, "as the check says");
}

/// Checks in a thread of its own, which a pipe that nobody writes must not keep for ever.
fn check_in_time(dir: &Path) -> Report {
    let (dir, (done, answer)) = (dir.to_owned(), std::sync::mpsc::channel());
    std::thread::spawn(move || done.send(with_key(&dir)));
    answer.recv_timeout(std::time::Duration::from_secs(60)).expect("the check ends")
}

#[tokio::test]
async fn what_is_no_file_or_too_large_is_named_and_never_holds_the_check_up() {
    for name in ["sealed_key", "state.redb", "state.redb.new", "lock", "archive"] {
        let folder = set_up().await;
        let path = folder.path().join(name);
        let _ = fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        if name == "state.redb.new" {
            fs::remove_file(folder.path().join("state.redb")).unwrap();
        }
        let report = check_in_time(folder.path());
        assert!(matches!(report.verdict(), Verdict::Damaged | Verdict::Unknown), "{name}: {report}");
        assert!(report.to_string().contains(name), "{name}: {report}");
    }
    let folder = set_up().await;
    let key = fs::OpenOptions::new().write(true).open(folder.path().join("sealed_key")).unwrap();
    key.set_len(1 << 42).unwrap();
    assert_damaged(&check_in_time(folder.path()), &["sealed_key is damaged"]);
    // A start is in recovery, as of any damaged key.
    assert_eq!(start(folder.path()).await.unwrap().found(), Found::Locked);
}

// L-35
#[tokio::test]
async fn a_state_that_was_withdrawn_lies_in_the_archive_and_the_directory_is_sound() {
    let folder = set_up().await;
    let store = start(folder.path()).await.unwrap();
    let mut batch = put("secret:c", "three");
    batch.seal_mode = Some(SealMode::Disabled);
    store.commit(batch).await.unwrap();
    drop(store);
    let report = with_key(folder.path());
    assert_eq!(report.verdict(), Verdict::Sound, "{report}");
    assert_eq!(report.states().len(), 1, "the archived one");
    let _: &dyn Sealing = &*sealing();
}
