//! The contract of a store, run against every backend; and what only a backend with files must keep.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod common;

use std::sync::Arc;

use carrara_core::ports::{AUDIT_KEPT, Batch, CommitError, Found, NewState, Snapshot, Store, StoreError};
use carrara_store::{Backend, OpenError, Options, open};
use carrara_types::secret::SecretBytes;
use common::{Random, copy_all, depending, entries, lines, new_state, put, rekeying, sealing};
use tempfile::TempDir;

async fn open_backend(backend: Backend) -> Result<Arc<dyn Store>, OpenError> {
    open(Options { backend, sealing: sealing(), entropy: Arc::new(Random) }).await
}

fn redb(folder: &TempDir) -> Backend {
    Backend::Redb { dir: folder.path().to_owned(), cache_bytes: 1 << 20 }
}

fn read(snapshot: &dyn Snapshot, name: &str) -> Option<String> {
    let value = snapshot.open(name).unwrap()?;
    Some(String::from_utf8(value.expose().to_vec()).unwrap())
}

/// Runs one test body per backend.
macro_rules! for_every_backend {
    ($($(#[$doc:meta])* async fn $name:ident($store:ident) $body:block)*) => {
        $(mod $name {
            use super::*;

            async fn check($store: Arc<dyn Store>) $body

            $(#[$doc])*
            #[tokio::test]
            async fn in_memory() {
                check(open_backend(Backend::Memory).await.unwrap()).await;
            }

            $(#[$doc])*
            #[tokio::test]
            async fn in_redb() {
                let folder = TempDir::new().unwrap();
                check(open_backend(redb(&folder)).await.unwrap()).await;
            }
        })*
    };
}

for_every_backend! {
    // L-14
    async fn a_new_store_is_empty_and_takes_no_commits(store) {
        assert_eq!(store.found(), Found::Empty);
        let snapshot = store.snapshot();
        assert_eq!((snapshot.revision(), snapshot.state_id(), snapshot.log_size()), (0, None, 0));
        assert!(snapshot.open("a").unwrap().is_none() && snapshot.keys("").is_empty());
        assert!(snapshot.log_lines(0, 10).unwrap().is_empty());
        let refused = store.commit(put("a", "1")).await;
        assert!(matches!(refused, Err(CommitError::Store(StoreError::NotOpen))));
    }

    async fn creating_opens_the_store_and_a_second_time_is_a_conflict(store) {
        let mut batch = put("manifest", "m");
        batch.log_lines.push("first".into());
        let committed = store.create(new_state(), batch).await.unwrap();
        assert_eq!((committed.revision, store.found()), (1, Found::Open));
        let snapshot = store.snapshot();
        assert_eq!(read(&*snapshot, "manifest").as_deref(), Some("m"));
        assert_eq!(snapshot.log_lines(0, 10).unwrap(), ["first"]);
        assert!(snapshot.state_id().is_some());
        let again = store.create(new_state(), put("manifest", "other")).await;
        assert!(matches!(again, Err(CommitError::Conflict)));
        assert_eq!(store.snapshot().state_id(), snapshot.state_id());
        assert_eq!(read(&*store.snapshot(), "manifest").as_deref(), Some("m"));
    }

    async fn a_batch_is_applied_as_a_whole(store) {
        store.create(new_state(), put("a", "1")).await.unwrap();
        let mut batch = put("b", "2");
        batch.deletes = vec!["a".into(), "never there".into()];
        batch.log_lines = vec!["x".into(), "y".into()];
        assert_eq!(store.commit(batch).await.unwrap().revision, 2);
        let snapshot = store.snapshot();
        assert_eq!(snapshot.revision(), 2);
        assert_eq!((read(&*snapshot, "a"), read(&*snapshot, "b").as_deref()), (None, Some("2")));
        assert_eq!((snapshot.record_revision("a"), snapshot.record_revision("b")), (None, Some(2)));
        assert_eq!(snapshot.log_lines(0, 10).unwrap(), ["x", "y"]);
    }

    async fn a_record_deleted_and_put_in_one_batch_stays(store) {
        store.create(new_state(), put("a", "1")).await.unwrap();
        let mut batch = put("a", "2");
        batch.deletes.push("a".into());
        store.commit(batch).await.unwrap();
        assert_eq!(read(&*store.snapshot(), "a").as_deref(), Some("2"));
    }

    async fn a_changed_dependency_is_a_conflict_and_changes_nothing(store) {
        store.create(new_state(), put("a", "1")).await.unwrap();
        store.commit(depending(put("a", "2"), "a", Some(1))).await.unwrap();
        for seen in [Some(1), Some(3), None] {
            let mut batch = depending(put("a", "3"), "a", seen);
            batch.log_lines.push("lost".into());
            assert!(matches!(store.commit(batch).await, Err(CommitError::Conflict)), "{seen:?}");
        }
        let snapshot = store.snapshot();
        assert_eq!(read(&*snapshot, "a").as_deref(), Some("2"));
        assert_eq!((snapshot.revision(), snapshot.log_size()), (2, 0));
        store.commit(depending(put("a", "3"), "a", Some(2))).await.unwrap();
    }

    async fn a_dependency_on_absence_holds_until_the_record_appears(store) {
        store.create(new_state(), Batch::default()).await.unwrap();
        store.commit(depending(put("a", "1"), "a", None)).await.unwrap();
        let second = store.commit(depending(put("a", "2"), "a", None)).await;
        assert!(matches!(second, Err(CommitError::Conflict)));
        let absent = store.create(new_state(), depending(put("b", "1"), "b", Some(1))).await;
        assert!(matches!(absent, Err(CommitError::Conflict)));
    }

    async fn readers_keep_their_snapshot_while_others_commit(store) {
        store.create(new_state(), put("a", "1")).await.unwrap();
        let before = store.snapshot();
        let mut batch = put("a", "2");
        batch.log_lines.push("line".into());
        store.commit(batch).await.unwrap();
        assert_eq!(read(&*before, "a").as_deref(), Some("1"));
        assert_eq!((before.revision(), before.log_size(), before.record_revision("a")), (1, 0, Some(1)));
        assert!(before.log_lines(0, 10).unwrap().is_empty());
        assert_eq!(read(&*store.snapshot(), "a").as_deref(), Some("2"));
    }

    async fn names_come_by_prefix_in_byte_order(store) {
        store.create(new_state(), Batch::default()).await.unwrap();
        for name in ["secret:b", "secret:a", "secret", "secreu", "user:a", "secret:\u{e9}", "secret;"] {
            store.commit(put(name, "")).await.unwrap();
        }
        let snapshot = store.snapshot();
        assert_eq!(snapshot.keys("secret:"), ["secret:a", "secret:b", "secret:\u{e9}"]);
        assert_eq!(snapshot.keys("secret").len(), 5);
        assert_eq!(snapshot.keys("").len(), 7);
        assert!(snapshot.keys("zzz").is_empty());
    }

    async fn log_lines_are_read_in_pages(store) {
        store.create(new_state(), lines(&["0", "1"])).await.unwrap();
        store.commit(lines(&["2"])).await.unwrap();
        store.commit(lines(&["3", ""])).await.unwrap();
        let snapshot = store.snapshot();
        assert_eq!(snapshot.log_size(), 5);
        assert_eq!(snapshot.log_lines(0, usize::MAX).unwrap(), ["0", "1", "2", "3", ""]);
        assert_eq!(snapshot.log_lines(1, 2).unwrap(), ["1", "2"]);
        assert_eq!(snapshot.log_lines(4, 2).unwrap(), [""]);
        assert!(snapshot.log_lines(5, 1).unwrap().is_empty());
        assert!(snapshot.log_lines(u64::MAX, 1).unwrap().is_empty());
        assert!(snapshot.log_lines(0, 0).unwrap().is_empty());
    }

    // X-6
    async fn the_log_proves_that_it_only_grew(store) {
        assert_eq!(store.snapshot().log_consistency(0).unwrap(), Some(Vec::new()));
        assert_eq!(store.snapshot().log_consistency(1).unwrap(), None);
        store.create(new_state(), lines(&["0", "1"])).await.unwrap();
        let two = store.snapshot();
        store.commit(lines(&["2"])).await.unwrap();
        let three = store.snapshot();
        assert_ne!(two.log_root(), three.log_root());
        // RFC 6962, section 2.1.3: from two leaves to three, the third one's hash.
        let third: [u8; 32] = {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"\x002");
            digest.as_ref().try_into().unwrap()
        };
        assert_eq!(three.log_consistency(2).unwrap(), Some(vec![third]));
        for size in [0, 3] {
            assert_eq!(three.log_consistency(size).unwrap(), Some(Vec::new()));
        }
        assert_eq!(three.log_consistency(4).unwrap(), None);
        assert_eq!(two.log_consistency(3).unwrap(), None);
    }

    async fn time_never_goes_back_whatever_order_batches_come_in(store) {
        assert_eq!(store.snapshot().last_time_ms(), 0);
        let at = |time_ms| Batch { time_ms, ..Batch::default() };
        store.create(new_state(), at(-5)).await.unwrap();
        assert_eq!(store.snapshot().last_time_ms(), 0);
        for (time_ms, expected) in [(7, 7), (3, 7), (9, 9), (0, 9)] {
            store.commit(at(time_ms)).await.unwrap();
            assert_eq!(store.snapshot().last_time_ms(), expected);
        }
    }

    async fn audit_entries_are_read_by_index_and_refused_with_their_batch(store) {
        assert_eq!((store.snapshot().audit_range(), store.snapshot().audit_lines(0, 9).unwrap()), (0..0, vec![]));
        store.create(new_state(), entries(["0".into()])).await.unwrap();
        let mut batch = depending(put("a", "1"), "a", None);
        batch.audit_lines = vec!["1".into(), "2".into()];
        store.commit(batch).await.unwrap();
        let mut lost = depending(put("a", "2"), "a", None);
        lost.audit_lines = vec!["lost".into()];
        assert!(store.commit(lost).await.is_err());
        assert!(store.commit(entries(["two\nlines".into()])).await.is_err());
        let snapshot = store.snapshot();
        assert_eq!(snapshot.audit_range(), 0..3);
        assert_eq!(snapshot.audit_lines(0, usize::MAX).unwrap(), ["0", "1", "2"]);
        assert_eq!(snapshot.audit_lines(1, 1).unwrap(), ["1"]);
        assert!(snapshot.audit_lines(3, 9).unwrap().is_empty());
        assert!(snapshot.audit_lines(u64::MAX, 9).unwrap().is_empty());
        assert_eq!(snapshot.log_size(), 0, "the trail is no part of the log");
    }

    async fn the_oldest_audit_entries_go_and_no_index_is_used_twice(store) {
        store.create(new_state(), Batch::default()).await.unwrap();
        let some = |range: std::ops::Range<u64>| entries(range.map(|entry| entry.to_string()));
        store.commit(some(0..AUDIT_KEPT)).await.unwrap();
        assert_eq!(store.snapshot().audit_range(), 0..AUDIT_KEPT);
        store.commit(some(AUDIT_KEPT..AUDIT_KEPT + 1)).await.unwrap();
        let snapshot = store.snapshot();
        assert_eq!(snapshot.audit_range(), 1..AUDIT_KEPT + 1);
        assert_eq!(snapshot.audit_lines(0, 2).unwrap(), ["1", "2"]);
        assert_eq!(snapshot.audit_lines(AUDIT_KEPT, 9).unwrap(), [AUDIT_KEPT.to_string()]);
        // More in one batch than are kept.
        store.commit(some(AUDIT_KEPT + 1..2 * AUDIT_KEPT + 5)).await.unwrap();
        let snapshot = store.snapshot();
        assert_eq!(snapshot.audit_range(), AUDIT_KEPT + 5..2 * AUDIT_KEPT + 5);
        assert_eq!(snapshot.audit_lines(0, 1).unwrap(), [(AUDIT_KEPT + 5).to_string()]);
    }

    // L-61
    async fn a_new_data_key_keeps_everything_else(store) {
        let mut batch = put("a", "1");
        batch.log_lines = vec!["x".into()];
        batch.audit_lines = vec!["e".into()];
        store.create(new_state(), batch).await.unwrap();
        let before = store.snapshot();
        let mut batch = rekeying(put("b", "2"));
        batch.log_lines = vec!["y".into()];
        batch.deletes = vec!["a".into()];
        batch.time_ms = 5;
        assert_eq!(store.commit(batch).await.unwrap().revision, 2);
        let after = store.snapshot();
        assert_eq!((after.state_id(), after.revision()), (before.state_id(), 2));
        assert_eq!((read(&*after, "a"), read(&*after, "b").as_deref()), (None, Some("2")));
        assert_eq!((after.log_lines(0, 9).unwrap(), after.audit_lines(0, 9).unwrap()), (vec!["x".into(), "y".into()], vec!["e".into()]));
        assert_eq!(after.last_time_ms(), 5);
        assert_eq!(read(&*before, "a").as_deref(), Some("1"));
        store.commit(depending(put("b", "3"), "b", Some(2))).await.unwrap();
    }

    async fn what_the_format_cannot_hold_is_refused_and_changes_nothing(store) {
        store.create(new_state(), put("a", "1")).await.unwrap();
        let long = "n".repeat((64 << 10) + 1);
        for batch in [put("", "v"), put("\0head", "v"), put(&long, "v"), lines(&["two\nlines"])] {
            let refused = store.commit(batch).await;
            assert!(matches!(refused, Err(CommitError::Store(StoreError::Write(_)))));
        }
        assert_eq!(store.snapshot().revision(), 1);
        store.commit(put(&long[1..], "v")).await.unwrap();
    }

    async fn a_data_key_of_another_length_makes_no_state(store) {
        let short = NewState { data_key: SecretBytes::new("k", vec![0; 16]), ..new_state() };
        assert!(matches!(store.create(short, put("a", "1")).await, Err(CommitError::Store(_))));
        assert_eq!(store.found(), Found::Empty);
        store.create(new_state(), put("a", "1")).await.unwrap();
    }

    async fn many_at_once_are_all_applied_with_revisions_of_their_own(store) {
        store.create(new_state(), Batch::default()).await.unwrap();
        let tasks = (0..600).map(|index| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(put(&format!("r{index}"), "v")).await.unwrap().revision })
        });
        let mut revisions = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            revisions.push(task.await.unwrap());
        }
        revisions.sort_unstable();
        assert_eq!(revisions, (2..602).collect::<Vec<u64>>());
        assert_eq!(store.snapshot().keys("r").len(), 600);
    }

    async fn of_many_that_depend_on_the_same_record_one_wins(store) {
        store.create(new_state(), put("n", "0")).await.unwrap();
        let tasks = (0..50).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(depending(put("n", "1"), "n", Some(1))).await.is_ok() })
        });
        let mut won = 0;
        for task in tasks.collect::<Vec<_>>() {
            won += u32::from(task.await.unwrap());
        }
        assert_eq!(won, 1);
    }
}

// L-15, X-25
#[tokio::test]
async fn a_restart_finds_everything_again() {
    let folder = TempDir::new().unwrap();
    let store = open_backend(redb(&folder)).await.unwrap();
    store.create(new_state(), put("a", "1")).await.unwrap();
    let mut batch = put("b", "2");
    batch.log_lines = vec!["x".into(), "y".into()];
    store.commit(batch).await.unwrap();
    store.commit(Batch { deletes: vec!["a".into()], ..Batch::default() }).await.unwrap();
    let before = store.snapshot();
    drop(store);

    let store = open_backend(redb(&folder)).await.unwrap();
    assert_eq!(store.found(), Found::Open);
    let after = store.snapshot();
    assert_eq!((after.revision(), after.state_id()), (3, before.state_id()));
    assert_eq!((after.record_revision("a"), after.record_revision("b")), (None, Some(2)));
    assert_eq!(read(&*after, "b").as_deref(), Some("2"));
    assert_eq!(after.log_lines(0, 9).unwrap(), ["x", "y"]);
    assert_eq!(store.commit(lines(&["z"])).await.unwrap().revision, 4);
    assert_eq!(store.snapshot().log_lines(2, 9).unwrap(), ["z"]);
}

// L-61
#[tokio::test]
async fn a_restart_finds_a_rekeyed_state_with_its_audit_trail_and_time() {
    let folder = TempDir::new().unwrap();
    let store = open_backend(redb(&folder)).await.unwrap();
    store.create(new_state(), put("a", "1")).await.unwrap();
    let all = AUDIT_KEPT + 3;
    let mut batch = entries((0..all).map(|entry| entry.to_string()));
    batch.time_ms = 1234;
    store.commit(batch).await.unwrap();
    for round in 0..3 {
        // Again and again: the key file never holds more than two keys.
        store.commit(rekeying(put("b", &round.to_string()))).await.unwrap();
    }
    store.commit(lines(&["z"])).await.unwrap();
    let before = store.snapshot();
    drop(store);
    let store = open_backend(redb(&folder)).await.unwrap();
    let after = store.snapshot();
    assert_eq!((store.found(), after.state_id(), after.revision()), (Found::Open, before.state_id(), 6));
    assert_eq!((read(&*after, "a").as_deref(), read(&*after, "b").as_deref()), (Some("1"), Some("2")));
    assert_eq!((after.record_revision("a"), after.record_revision("b")), (Some(1), Some(5)));
    assert_eq!((after.audit_range(), after.last_time_ms()), (3..all, 1234));
    assert_eq!(after.audit_lines(0, 1).unwrap(), ["3"]);
    assert_eq!((after.log_root(), after.log_lines(0, 9).unwrap()), (before.log_root(), vec!["z".into()]));
    assert_eq!(store.commit(entries(["next".into()])).await.unwrap().revision, 7);
    assert_eq!(store.snapshot().audit_lines(all, 9).unwrap(), ["next"]);
}

// X-25: what was acknowledged survives a process that ends without closing anything.
#[tokio::test]
async fn every_acknowledged_commit_survives_a_kill() {
    let folder = TempDir::new().unwrap();
    let store = open_backend(redb(&folder)).await.unwrap();
    store.create(new_state(), put("r0", "v")).await.unwrap();
    for round in 1..6 {
        let tasks = (0..20).map(|index| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(put(&format!("r{round}-{index}"), "v")).await.unwrap() })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        // The files as they are while the store is open.
        let killed = TempDir::new().unwrap();
        copy_all(folder.path(), killed.path());
        let again = open_backend(redb(&killed)).await.unwrap();
        assert_eq!(again.found(), Found::Open);
        assert_eq!(again.snapshot().keys("r").len(), 1 + 20 * round);
        assert_eq!(again.snapshot().revision(), store.snapshot().revision());
    }
}

#[tokio::test]
async fn a_snapshot_outlives_its_store() {
    let folder = TempDir::new().unwrap();
    let store = open_backend(redb(&folder)).await.unwrap();
    store.create(new_state(), put("a", "1")).await.unwrap();
    let snapshot = store.snapshot();
    drop(store);
    assert_eq!(read(&*snapshot, "a").as_deref(), Some("1"));
}
