//! A crash between every two steps of a replacement.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use carrara_core::ports::{CommitError, Found, KeyPolicy, SealingKind, Snapshot, StoreError};
use carrara_types::secret::SecretBytes;
use tempfile::TempDir;

use crate::common::{Random, copy_all, lines, new_state, put, rekeying, sealing};
use crate::error::OpenError;
use crate::key_file::{Binding, KeyFile};
use crate::start::start;
use crate::writer::Writer;
use crate::writer_tests::{commit, value, writer};

const CACHE: usize = 1 << 20;
const STEPS: [&str; 6] = [
    "create.state-written",
    "create.key-written",
    "create.archive-begun",
    "create.key-renamed",
    "create.archived",
    "create.state-renamed",
];

/// Runs `create` in `dir`; gives a copy of the directory as it was after every step.
fn create_watched(dir: &Path, value: &str) -> Vec<(&'static str, TempDir)> {
    let copies = Arc::new(Mutex::new(Vec::new()));
    let (mut redb, view) = start(dir, CACHE, &*sealing()).unwrap();
    let (kept, from) = (copies.clone(), PathBuf::from(dir));
    redb.observer = Some(Box::new(move |step| {
        let copy = TempDir::new().unwrap();
        copy_all(&from, copy.path());
        kept.lock().unwrap().push((step, copy));
    }));
    writer(redb, view).create(&new_state(), &put("a", value)).unwrap();
    std::mem::take(&mut *copies.lock().unwrap())
}

fn found(dir: &Path) -> (Found, Option<Vec<u8>>) {
    let (_redb, view) = start(dir, CACHE, &*sealing()).unwrap();
    (view.found, Snapshot::open(&view, "a").unwrap().map(|value| value.expose().to_vec()))
}

fn file_names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

// X-25, L-30
#[test]
fn a_crash_while_the_first_state_is_made_leaves_none_or_all_of_it() {
    let folder = TempDir::new().unwrap();
    let copies = create_watched(folder.path(), "new");
    assert_eq!(copies.iter().map(|(step, _)| *step).collect::<Vec<_>>(), STEPS);
    for (step, copy) in &copies {
        let decided = matches!(*step, "create.key-renamed" | "create.archived" | "create.state-renamed");
        let expected = if decided { (Found::Open, Some(b"new".to_vec())) } else { (Found::Empty, None) };
        // Twice: the first start leaves nothing undone.
        for _ in 0..2 {
            assert_eq!(found(copy.path()), expected, "{step}");
        }
        let files: &[&str] = if decided { &["lock", "sealed_key", "state.redb"] } else { &["lock"] };
        assert_eq!(file_names(copy.path()), files, "{step}");
    }
}

//
#[test]
fn a_crash_while_a_locked_state_is_replaced_leaves_the_old_or_the_new_one() {
    let folder = TempDir::new().unwrap();
    create_watched(folder.path(), "old");
    let old_key = std::fs::read(folder.path().join("sealed_key")).unwrap();
    std::fs::remove_file(folder.path().join("sealed_key")).unwrap();
    for (step, copy) in create_watched(folder.path(), "new") {
        let decided = matches!(step, "create.key-renamed" | "create.archived" | "create.state-renamed");
        let expected = if decided { (Found::Open, Some(b"new".to_vec())) } else { (Found::Locked, None) };
        for _ in 0..2 {
            assert_eq!(found(copy.path()), expected, "{step}");
        }
        if !decided {
            // Still the old one: its key opens it.
            std::fs::write(copy.path().join("sealed_key"), &old_key).unwrap();
            assert_eq!(found(copy.path()), (Found::Open, Some(b"old".to_vec())), "{step}");
        } else {
            assert_eq!(file_names(&copy.path().join("archive")).len(), 1, "{step}");
        }
    }
}

#[test]
fn a_half_written_new_state_is_no_state() {
    let folder = TempDir::new().unwrap();
    let copies = create_watched(folder.path(), "new");
    let (_, before) = &copies[1];
    let path = before.path().join("state.redb.new");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 3]).unwrap();
    assert_eq!(found(before.path()), (Found::Empty, None));
    // After the deciding step it is damage, and nothing is thrown away.
    let (_, after) = &copies[3];
    let path = after.path().join("state.redb.new");
    std::fs::write(&path, &whole[..whole.len() / 3]).unwrap();
    assert!(start(after.path(), CACHE, &*sealing()).is_err());
    assert!(path.exists() && after.path().join("sealed_key").exists());
}

#[test]
fn a_replacement_that_fails_early_leaves_everything_and_can_be_tried_again() {
    let folder = TempDir::new().unwrap();
    let (redb, view) = start(folder.path(), CACHE, &*sealing()).unwrap();
    let mut writer = writer(redb, view);
    // A directory where the new file should go.
    let blocked = folder.path().join("state.redb.new");
    std::fs::create_dir(&blocked).unwrap();
    std::fs::write(blocked.join("x"), b"").unwrap();
    let refused = writer.create(&new_state(), &put("a", "1"));
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Write(_)))));
    assert_eq!(writer.current().load().found, Found::Empty);
    std::fs::remove_dir_all(blocked).unwrap();
    assert_eq!(writer.create(&new_state(), &put("a", "1")).unwrap().revision, 1);
}

#[test]
fn a_replacement_that_fails_late_is_finished_as_soon_as_the_disk_works() {
    let folder = TempDir::new().unwrap();
    let (mut redb, view) = start(folder.path(), CACHE, &*sealing()).unwrap();
    let (target, archive) = (folder.path().join("state.redb"), folder.path().join("archive"));
    let (blocked, full) = (target.clone(), archive.clone());
    redb.observer = Some(Box::new(move |step| {
        if step == "create.archived" {
            std::fs::create_dir(&blocked).unwrap();
            std::fs::write(&full, b"").unwrap();
        }
    }));
    let mut failing = writer(redb, view);
    let unknown = failing.create(&new_state(), &put("a", "new"));
    assert!(matches!(unknown, Err(CommitError::Store(StoreError::Unknown(_)))), "{unknown:?}");
    assert_eq!(failing.current().load().found, Found::Empty);
    // This one is not tried, so that nothing of it is stored.
    let refused = failing.create(&new_state(), &put("a", "newer"));
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Write(_)))), "{refused:?}");
    std::fs::remove_dir(target).unwrap();
    std::fs::remove_file(archive).unwrap();
    assert!(matches!(failing.create(&new_state(), &put("a", "newer")), Err(CommitError::Conflict)));
    assert_eq!(value(&failing), b"new");
    drop(failing);
    assert_eq!(found(folder.path()), (Found::Open, Some(b"new".to_vec())));
}

// While a commit changes the data key, both are there; whichever opens the head is right.
#[test]
fn a_key_file_with_two_keys_opens_the_state_and_one_without_the_right_key_is_damage() {
    let folder = TempDir::new().unwrap();
    create_watched(folder.path(), "value");
    let path = folder.path().join("sealed_key");
    let own = std::fs::read(&path).unwrap();
    let id = start(folder.path(), CACHE, &*sealing()).unwrap().1.state_id().unwrap();
    let wrong = SecretBytes::new("data key", vec![9; 32]);
    let binding = Binding { kind: SealingKind::Tee, policy: KeyPolicy::Product, state_id: id };
    let other = KeyFile::wrap(binding, &wrong, &*sealing(), &Random).unwrap().encode();
    let entries = own.len() - 77;
    for (first, second) in [(&own, &other), (&other, &own)] {
        let mut both = [first.as_slice(), &second[entries..]].concat();
        both[entries - 1] = 2;
        std::fs::write(&path, both).unwrap();
        assert_eq!(found(folder.path()), (Found::Open, Some(b"value".to_vec())));
    }
    std::fs::write(&path, other).unwrap();
    assert!(matches!(start(folder.path(), CACHE, &*sealing()), Err(OpenError::Damaged { .. })));
}

const REKEY_STEPS: [&str; 7] = [
    "rekey.both-written",
    "rekey.both-renamed",
    "commit.begin",
    "commit.end",
    "rekey.state-written",
    "rekey.new-written",
    "rekey.new-renamed",
];

/// A state with a bit of everything, and copies of its directory as it was after every step of a rekeying.
fn rekey_watched(dir: &Path) -> (Writer, Vec<(&'static str, TempDir)>) {
    let copies = Arc::new(Mutex::new(Vec::new()));
    let (mut redb, view) = start(dir, CACHE, &*sealing()).unwrap();
    let (kept, from) = (copies.clone(), PathBuf::from(dir));
    redb.observer = Some(Box::new(move |step| {
        let copy = TempDir::new().unwrap();
        copy_all(&from, copy.path());
        kept.lock().unwrap().push((step, copy));
    }));
    let mut writer = writer(redb, view);
    writer.create(&new_state(), &put("a", "old")).unwrap();
    let mut batch = lines(&["line 0", "line 1"]);
    batch.audit_lines = vec!["entry 0".into()];
    assert!(commit(&mut writer, vec![batch, put("b", "kept")]).iter().all(Result::is_ok));
    copies.lock().unwrap().clear();
    let mut batch = rekeying(put("a", "new"));
    batch.log_lines = vec!["line 2".into()];
    commit(&mut writer, vec![batch]).remove(0).unwrap();
    let copies = std::mem::take(&mut *copies.lock().unwrap());
    (writer, copies)
}

/// Records, revisions, log and audit trail of a directory.
fn content(dir: &Path) -> (Vec<u8>, Option<u64>, Vec<String>, Vec<String>) {
    let (_redb, view) = start(dir, CACHE, &*sealing()).unwrap();
    assert_eq!(view.found, Found::Open);
    assert_eq!(Snapshot::open(&view, "b").unwrap().unwrap().expose(), b"kept");
    let value = Snapshot::open(&view, "a").unwrap().unwrap().expose().to_vec();
    (value, view.record_revision("b"), view.log_lines(0, 9).unwrap(), view.audit_lines(0, 9).unwrap())
}

// L-61, X-25
#[test]
fn a_crash_while_the_data_key_changes_leaves_the_old_or_the_new_state_open() {
    let folder = TempDir::new().unwrap();
    let (writer, copies) = rekey_watched(folder.path());
    assert_eq!(copies.iter().map(|(step, _)| *step).collect::<Vec<_>>(), REKEY_STEPS);
    let id = writer.current().load().state_id();
    drop(writer);
    let entries = || vec!["entry 0".to_owned()];
    let all = || vec!["line 0".to_owned(), "line 1".to_owned(), "line 2".to_owned()];
    let old = (b"old".to_vec(), Some(3), all()[..2].to_vec(), entries());
    let new = (b"new".to_vec(), Some(3), all(), entries());
    let one_key = std::fs::read(folder.path().join("sealed_key")).unwrap().len();
    for (step, copy) in &copies {
        let decided = !step.starts_with("rekey.both") && *step != "commit.begin";
        // Twice: the first start leaves nothing undone, so that neither key stays that opens nothing.
        for _ in 0..2 {
            assert_eq!(&content(copy.path()), if decided { &new } else { &old }, "{step}");
            assert_eq!(std::fs::read(copy.path().join("sealed_key")).unwrap().len(), one_key, "{step}");
            assert_eq!(file_names(copy.path()), ["lock", "sealed_key", "state.redb"], "{step}");
        }
        assert_eq!(start(copy.path(), CACHE, &*sealing()).unwrap().1.state_id(), id);
    }
    assert_eq!(content(folder.path()), new);
}

// L-61: who kept the old key reads nothing any more.
#[test]
fn the_old_key_does_not_open_a_rekeyed_state() {
    let folder = TempDir::new().unwrap();
    let (writer, copies) = rekey_watched(folder.path());
    drop(writer);
    let both = std::fs::read(copies[1].1.path().join("sealed_key")).unwrap();
    // The first of the two entries of 77 bytes is the old key's.
    let mut old = both[..both.len() - 77].to_vec();
    let count = old.len() - 78;
    old[count] = 1;
    std::fs::write(folder.path().join("sealed_key"), old).unwrap();
    assert!(matches!(start(folder.path(), CACHE, &*sealing()), Err(OpenError::Damaged { .. })));
    let mut new = both[..count + 1].to_vec();
    new[count] = 1;
    new.extend_from_slice(&both[both.len() - 77..]);
    std::fs::write(folder.path().join("sealed_key"), new).unwrap();
    content(folder.path());
}

#[test]
fn a_rekeying_whose_key_file_cannot_be_written_changes_nothing_and_can_be_tried_again() {
    let folder = TempDir::new().unwrap();
    let (redb, view) = start(folder.path(), CACHE, &*sealing()).unwrap();
    let mut writer = writer(redb, view);
    writer.create(&new_state(), &put("a", "old")).unwrap();
    let blocked = folder.path().join("sealed_key.new");
    std::fs::create_dir(&blocked).unwrap();
    std::fs::write(blocked.join("x"), b"").unwrap();
    assert!(commit(&mut writer, vec![rekeying(put("a", "new"))])[0].is_err());
    assert_eq!(value(&writer), b"old");
    // Writes go on, under the old key.
    commit(&mut writer, vec![put("a", "older")]).remove(0).unwrap();
    std::fs::remove_dir_all(blocked).unwrap();
    commit(&mut writer, vec![rekeying(put("a", "new"))]).remove(0).unwrap();
    drop(writer);
    assert_eq!(found(folder.path()), (Found::Open, Some(b"new".to_vec())));
}

// What is durable cannot fail the caller any more; the next start does what is left.
#[test]
fn a_rekeying_whose_last_step_fails_is_done_and_a_start_removes_the_old_key() {
    let folder = TempDir::new().unwrap();
    let (mut redb, view) = start(folder.path(), CACHE, &*sealing()).unwrap();
    let blocked = folder.path().join("sealed_key.new");
    let target = blocked.clone();
    redb.observer = Some(Box::new(move |step| {
        if step == "rekey.both-renamed" {
            std::fs::create_dir_all(target.join("x")).unwrap();
        }
    }));
    let mut writer = writer(redb, view);
    writer.create(&new_state(), &put("a", "old")).unwrap();
    let path = folder.path().join("sealed_key");
    let one_key = std::fs::read(&path).unwrap().len();
    commit(&mut writer, vec![rekeying(put("a", "new"))]).remove(0).unwrap();
    assert_eq!(value(&writer), b"new");
    assert_eq!(std::fs::read(&path).unwrap().len(), one_key + 77);
    std::fs::remove_dir_all(blocked).unwrap();
    drop(writer);
    assert_eq!(found(folder.path()), (Found::Open, Some(b"new".to_vec())));
    assert_eq!(std::fs::read(&path).unwrap().len(), one_key);
}

// L-49a, X-25
#[test]
fn a_crash_while_a_recovered_state_is_adopted_leaves_it_locked_or_open() {
    let folder = TempDir::new().unwrap();
    let (redb, view) = start(folder.path(), CACHE, &*sealing()).unwrap();
    let state = new_state();
    let data_key = state.data_key.duplicate();
    writer(redb, view).create(&state, &put("a", "old")).unwrap();
    let lost = std::fs::read(folder.path().join("sealed_key")).unwrap();
    // A key file of another machine, and none at all.
    for other_key in [true, false] {
        std::fs::remove_file(folder.path().join("sealed_key")).unwrap();
        if other_key {
            let mut other = lost.clone();
            *other.last_mut().unwrap() ^= 1;
            std::fs::write(folder.path().join("sealed_key"), other).unwrap();
        }
        let copies = Arc::new(Mutex::new(Vec::new()));
        let (mut redb, view) = start(folder.path(), CACHE, &*sealing()).unwrap();
        assert_eq!(view.found, Found::Locked);
        let (kept, from) = (copies.clone(), PathBuf::from(folder.path()));
        redb.observer = Some(Box::new(move |step| {
            let copy = TempDir::new().unwrap();
            copy_all(&from, copy.path());
            kept.lock().unwrap().push((step, copy));
        }));
        let mut writer = writer(redb, view);
        let opened = writer.try_data_key(&data_key).unwrap().unwrap();
        writer.adopt(opened).unwrap();
        drop(writer);
        let copies = std::mem::take(&mut *copies.lock().unwrap());
        let steps: Vec<_> = copies.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, ["adopt.key-written", "adopt.key-renamed"]);
        for (step, copy) in &copies {
            let open = *step == "adopt.key-renamed";
            let expected = if open { (Found::Open, Some(b"old".to_vec())) } else { (Found::Locked, None) };
            // Twice: the first start leaves nothing undone.
            for _ in 0..2 {
                assert_eq!(found(copy.path()), expected, "{step}");
                assert!(!copy.path().join("sealed_key.new").exists(), "{step}");
            }
        }
        assert_eq!(found(folder.path()), (Found::Open, Some(b"old".to_vec())));
    }
}
