//! Changes of the seal mode: a crash between every two steps, and steps that fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use carrara_core::ports::{Batch, CommitError, Found, NewState, SealMode, Snapshot, StoreError};
use tempfile::TempDir;

use crate::common::{Random, copy_all, new_state, put, rekeying, sealing};
use crate::head::HEAD_NAME;
use crate::start::start;
use crate::writer::Writer;
use crate::writer_tests::{commit, value, writer};

const CACHE: usize = 1 << 20;
const MODES: [SealMode; 3] = [SealMode::ProductKey, SealMode::UniqueKey, SealMode::Disabled];

/// The steps before the one that decides.
const UNDECIDED: [&str; 8] = [
    "rekey.both-written",
    "rekey.both-renamed",
    "commit.begin",
    "create.state-written",
    "create.key-written",
    "create.archive-begun",
    "withdraw.archive-begun",
    "withdraw.key-written",
];

/// Copies of a directory as it was after every step of its change.
type Copies = Vec<(&'static str, TempDir)>;

/// A writer on the directory, and where the copies of its steps are put.
fn watched(dir: &Path) -> (Writer, Arc<Mutex<Copies>>) {
    let copies = Arc::new(Mutex::new(Vec::new()));
    let (mut redb, view) = start(dir, CACHE, &*sealing()).unwrap();
    let (kept, from) = (Arc::clone(&copies), PathBuf::from(dir));
    redb.observer = Some(Box::new(move |step| {
        let copy = TempDir::new().unwrap();
        copy_all(&from, copy.path());
        kept.lock().unwrap().push((step, copy));
    }));
    (writer(redb, view), copies)
}

fn in_mode(seal_mode: SealMode) -> NewState {
    NewState { seal_mode, ..new_state() }
}

fn to(mode: SealMode, mut batch: Batch) -> Batch {
    batch.seal_mode = Some(mode);
    batch
}

/// What a start finds: the state, its mode and a value.
fn found(dir: &Path) -> (Found, Option<SealMode>, Option<Vec<u8>>) {
    let (_redb, view) = start(dir, CACHE, &*sealing()).unwrap();
    let value = Snapshot::open(&view, "a").unwrap().map(|value| value.expose().to_vec());
    (view.found, view.seal_mode(), value)
}

fn file_names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What a directory without a state holds.
fn is_bare(dir: &Path) -> bool {
    file_names(dir).iter().all(|name| name == "lock" || name == "archive")
}

fn is_open(mode: SealMode, value: &str) -> (Found, Option<SealMode>, Option<Vec<u8>>) {
    (Found::Open, Some(mode), Some(value.as_bytes().to_vec()))
}

const EMPTY: (Found, Option<SealMode>, Option<Vec<u8>>) = (Found::Empty, None, None);

// L-36, X-34, X-25: from every mode to every other, with and without a new data key.
#[test]
fn a_crash_while_the_mode_changes_leaves_the_state_before_or_after() {
    let pairs = MODES.into_iter().flat_map(|from| MODES.map(|to| (from, to)));
    for (from, into) in pairs.filter(|(from, into)| from != into) {
        for new_key in [false, true] {
            let folder = TempDir::new().unwrap();
            let (mut writer, copies) = watched(folder.path());
            writer.create(&in_mode(from), &put("a", "old")).unwrap();
            copies.lock().unwrap().clear();
            let mut batch = to(into, put("a", "new"));
            if new_key {
                batch = rekeying(batch);
                batch.rekey.as_mut().unwrap().seal_mode = into;
            }
            commit(&mut writer, vec![batch]).remove(0).unwrap();
            assert_eq!((writer.current().load().seal_mode(), value(&writer)), (Some(into), b"new".to_vec()));
            drop(writer);
            let old = if from == SealMode::Disabled { EMPTY } else { is_open(from, "old") };
            let new = if into == SealMode::Disabled { EMPTY } else { is_open(into, "new") };
            let copies = std::mem::take(&mut *copies.lock().unwrap());
            assert!(copies.len() >= 5, "{from} to {into}");
            for (step, copy) in &copies {
                let decided = !UNDECIDED.contains(step);
                // Twice: the first start leaves nothing undone.
                for _ in 0..2 {
                    let expected = if decided { &new } else { &old };
                    assert_eq!(&found(copy.path()), expected, "{from} to {into}: {step}");
                    assert!(!file_names(copy.path()).iter().any(|name| name.ends_with(".new")), "{step}");
                    assert_eq!(is_bare(copy.path()), *expected == EMPTY, "{from} to {into}: {step}");
                }
            }
            assert_eq!(found(folder.path()), new, "{from} to {into}");
        }
    }
}

// L-35: the archived state is the whole one from before, with its key, and opens when it is put back.
#[test]
fn a_state_that_is_withdrawn_lies_in_the_archive_and_opens_when_it_is_put_back() {
    let folder = TempDir::new().unwrap();
    let (mut writer, copies) = watched(folder.path());
    writer.create(&new_state(), &put("a", "old")).unwrap();
    commit(&mut writer, vec![to(SealMode::Disabled, put("a", "new"))]).remove(0).unwrap();
    let copies = std::mem::take(&mut *copies.lock().unwrap());
    // Also where a start has finished it.
    let halfway = copies.iter().find(|(step, _)| *step == "withdraw.key-renamed").unwrap().1.path();
    assert_eq!(found(halfway), EMPTY);
    for dir in [folder.path(), halfway] {
        let entries = file_names(&dir.join("archive"));
        assert_eq!(entries.len(), 1);
        let entry = dir.join("archive").join(&entries[0]);
        assert_eq!(file_names(&entry), ["sealed_key", "state.redb"]);
        let restored = TempDir::new().unwrap();
        copy_all(&entry, restored.path());
        assert_eq!(found(restored.path()), is_open(SealMode::ProductKey, "old"));
    }
}

// Known gap: the archive held a second name of the live file, which later commits changed with it.
#[test]
fn a_reset_that_fails_after_archiving_leaves_no_second_name_of_the_live_state() {
    let folder = TempDir::new().unwrap();
    let (mut first, _) = watched(folder.path());
    let state = new_state();
    first.create(&state, &put("a", "old")).unwrap();
    drop(first);
    fs::remove_file(folder.path().join("sealed_key")).unwrap();
    let (mut redb, view) = start(folder.path(), CACHE, &*sealing()).unwrap();
    let target = folder.path().join("sealed_key");
    let blocked = target.clone();
    redb.observer = Some(Box::new(move |step| {
        if step == "create.archive-begun" {
            fs::create_dir_all(blocked.join("x")).unwrap();
        }
    }));
    let mut writer = writer(redb, view);
    assert!(writer.create(&new_state(), &put("a", "reset")).is_err());
    fs::remove_dir_all(target).unwrap();
    let opened = writer.try_data_key(&state.data_key).unwrap().unwrap();
    writer.adopt(opened).unwrap();
    assert!(file_names(&folder.path().join("archive")).is_empty());
    commit(&mut writer, vec![put("a", "newer")]).remove(0).unwrap();
    drop(writer);
    assert_eq!(found(folder.path()), is_open(SealMode::ProductKey, "newer"));
    let metadata = fs::metadata(folder.path().join("state.redb")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::nlink(&metadata), 1);
}

#[test]
fn at_no_step_of_a_replacement_has_a_state_two_names() {
    let folder = TempDir::new().unwrap();
    let links = |dir: &Path| {
        let archive = dir.join("archive");
        let archived = if archive.exists() { file_names(&archive) } else { Vec::new() };
        let mut paths: Vec<_> = archived.iter().map(|entry| archive.join(entry).join("state.redb")).collect();
        paths.extend([dir.join("state.redb"), dir.join("state.redb.new")]);
        let metadata = paths.iter().filter_map(|path| fs::metadata(path).ok());
        metadata.map(|file| std::os::unix::fs::MetadataExt::nlink(&file)).max().unwrap_or(1)
    };
    for round in 0..2 {
        let (mut redb, view) = start(folder.path(), CACHE, &*sealing()).unwrap();
        let dir = folder.path().to_owned();
        redb.observer = Some(Box::new(move |step| assert_eq!(links(&dir), 1, "{step}")));
        let mut writer = writer(redb, view);
        writer.create(&new_state(), &put("a", "1")).unwrap();
        if round == 0 {
            drop(writer);
            fs::remove_file(folder.path().join("sealed_key")).unwrap();
        } else {
            commit(&mut writer, vec![to(SealMode::Disabled, put("a", "2"))]).remove(0).unwrap();
        }
    }
}

// L-36
#[test]
fn a_change_of_the_mode_that_fails_early_changes_nothing_and_can_be_tried_again() {
    for (from, into) in [
        (SealMode::ProductKey, SealMode::UniqueKey),
        (SealMode::ProductKey, SealMode::Disabled),
        (SealMode::Disabled, SealMode::UniqueKey),
    ] {
        let folder = TempDir::new().unwrap();
        let (mut writer, _) = watched(folder.path());
        writer.create(&in_mode(from), &put("a", "old")).unwrap();
        let blocked = folder.path().join("sealed_key.new");
        fs::create_dir_all(blocked.join("x")).unwrap();
        let refused = commit(&mut writer, vec![to(into, put("a", "new"))]).remove(0);
        assert!(matches!(refused, Err(CommitError::Store(StoreError::Write(_)))), "{from} to {into}");
        assert_eq!((writer.current().load().seal_mode(), value(&writer)), (Some(from), b"old".to_vec()));
        fs::remove_dir_all(blocked).unwrap();
        // Writes go on in the old mode.
        commit(&mut writer, vec![put("a", "older")]).remove(0).unwrap();
        commit(&mut writer, vec![to(into, put("a", "new"))]).remove(0).unwrap();
        drop(writer);
        let expected = if into == SealMode::Disabled { EMPTY } else { is_open(into, "new") };
        assert_eq!(found(folder.path()), expected);
    }
}

// What a start finds then is the state after the change, so that nothing else may be acknowledged before it.
#[test]
fn a_change_of_the_mode_that_fails_late_stops_all_writes_until_it_is_finished_here_or_by_a_restart() {
    for restart in [true, false] {
        fails_late(restart);
    }
}

fn fails_late(restart: bool) {
    let folder = TempDir::new().unwrap();
    let (mut redb, view) = start(folder.path(), CACHE, &*sealing()).unwrap();
    let (target, archive) = (folder.path().join("state.redb"), folder.path().join("archive"));
    let (blocked, full) = (target.clone(), archive.clone());
    redb.observer = Some(Box::new(move |step| {
        if step == "create.archived" {
            fs::create_dir(&blocked).unwrap();
            fs::write(&full, b"").unwrap();
        }
    }));
    let mut writer = writer(redb, view);
    writer.create(&in_mode(SealMode::Disabled), &put("a", "old")).unwrap();
    let unknown = commit(&mut writer, vec![to(SealMode::UniqueKey, put("a", "new"))]).remove(0);
    assert!(matches!(unknown, Err(CommitError::Store(StoreError::Unknown(_)))), "{unknown:?}");
    let refused = commit(&mut writer, vec![put("a", "lost")]).remove(0);
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Write(_)))), "{refused:?}");
    assert_eq!(value(&writer), b"old");
    fs::remove_dir(target).unwrap();
    fs::remove_file(archive).unwrap();
    if !restart {
        commit(&mut writer, vec![put("b", "later")]).remove(0).unwrap();
        assert_eq!(value(&writer), b"new");
    }
    drop(writer);
    assert_eq!(found(folder.path()), is_open(SealMode::UniqueKey, "new"));
}

// Written when there was but one mode: key file of format 1, head of format 2.
#[test]
fn a_state_from_before_there_were_modes_opens_as_one_of_the_product_key_and_can_change() {
    let folder = TempDir::new().unwrap();
    let (mut first, _) = watched(folder.path());
    let new = new_state();
    first.create(&new, &put("a", "old")).unwrap();
    let view = first.current().load_full();
    drop(first);
    let open = view.open.as_ref().unwrap();
    let mut head = open.state.head().encode();
    assert_eq!(head[0], 3);
    head[0] = 2;
    head.remove(2);
    let head = open.keys.seal(open.state.place(HEAD_NAME), 1, &head, &Random).unwrap();
    let database = ::redb::Database::open(folder.path().join("state.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = ::redb::TableDefinition::<&str, &[u8]>::new("meta");
    transaction.open_table(meta).unwrap().insert("head", head.bytes()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let path = folder.path().join("sealed_key");
    let mut key = fs::read(&path).unwrap();
    key[b"carrara key".len()] = 1;
    key.remove(b"carrara key".len() + 3);
    fs::write(&path, &key).unwrap();
    for _ in 0..2 {
        assert_eq!(found(folder.path()), is_open(SealMode::ProductKey, "old"));
        assert_eq!(fs::read(&path).unwrap(), key, "a start writes nothing");
    }
    let (mut writer, _) = watched(folder.path());
    commit(&mut writer, vec![put("a", "newer")]).remove(0).unwrap();
    commit(&mut writer, vec![to(SealMode::UniqueKey, put("a", "newest"))]).remove(0).unwrap();
    drop(writer);
    assert_eq!(found(folder.path()), is_open(SealMode::UniqueKey, "newest"));
}

// A mode that stays is no change: nothing is wrapped anew.
#[test]
fn the_mode_in_force_is_no_change() {
    for mode in MODES {
        let folder = TempDir::new().unwrap();
        let (mut writer, copies) = watched(folder.path());
        writer.create(&in_mode(mode), &put("a", "old")).unwrap();
        copies.lock().unwrap().clear();
        commit(&mut writer, vec![to(mode, put("a", "new"))]).remove(0).unwrap();
        assert_eq!(value(&writer), b"new");
        let steps: Vec<_> = copies.lock().unwrap().iter().map(|(step, _)| *step).collect();
        let expected: &[&str] =
            if mode == SealMode::Disabled { &[] } else { &["commit.begin", "commit.end"] };
        assert_eq!(steps, expected);
    }
}

#[test]
fn no_change_touches_the_files_that_were_put_in_the_place_of_its_own() {
    for batch in [
        rekeying(put("a", "2")),
        to(SealMode::UniqueKey, put("a", "2")),
        to(SealMode::Disabled, put("a", "2")),
    ] {
        let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut writers: Vec<Writer> = [&folder, &other].map(|dir| watched(dir.path()).0).into();
        for writer in &mut writers {
            writer.create(&new_state(), &put("a", "1")).unwrap();
        }
        drop(writers.pop());
        for name in ["sealed_key", "state.redb"] {
            fs::rename(other.path().join(name), folder.path().join(name)).unwrap();
        }
        let before = (fs::read(folder.path().join("sealed_key")).unwrap(), file_names(folder.path()));
        let error = writers[0].commit_resealing(&batch).unwrap_err();
        assert!(error.to_string().contains("was replaced"), "{error}");
        drop(writers);
        let after = (fs::read(folder.path().join("sealed_key")).unwrap(), file_names(folder.path()));
        assert_eq!(after, before);
        assert_eq!(found(folder.path()).2, Some(b"1".to_vec()));
    }
}
