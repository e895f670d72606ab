//! A directory that others change: while the coordinator runs, and before it starts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use carrara_core::ports::{Batch, Found, SealMode, Store};
use carrara_store::{Backend, OpenError, Options, Verdict, check, open};
use common::{Random, new_state, put, rekeying, sealing};
use tempfile::TempDir;

async fn start(dir: &Path) -> Result<Arc<dyn Store>, OpenError> {
    let backend = Backend::Redb { dir: dir.to_owned(), cache_bytes: 1 << 20 };
    open(Options { backend, sealing: sealing(), entropy: Arc::new(Random) }).await
}

async fn set_up() -> (TempDir, Arc<dyn Store>) {
    let folder = TempDir::new().unwrap();
    let store = start(folder.path()).await.unwrap();
    store.create(new_state(), put("secret:a", "one")).await.unwrap();
    (folder, store)
}

async fn assert_open_with(folder: &TempDir, value: &str) {
    let store = start(folder.path()).await.unwrap();
    assert_eq!(store.found(), Found::Open);
    assert_eq!(store.snapshot().open("secret:a").unwrap().unwrap().expose(), value.as_bytes());
}

/// A commit of a kind: with the state's key, with another one, in another seal mode, or in none.
fn commit_of(kind: usize) -> Batch {
    let mut batch = put("secret:a", "two");
    match kind {
        0 => {}
        1 => batch = rekeying(batch),
        2 => batch.seal_mode = Some(SealMode::UniqueKey),
        _ => batch.seal_mode = Some(SealMode::Disabled),
    }
    batch
}

// what is acknowledged must not need a recovery
#[tokio::test]
async fn a_key_file_that_was_removed_while_the_coordinator_runs_is_written_again() {
    for (kind, started) in [(0, false), (0, true), (1, true), (2, false)] {
        let (folder, mut store) = set_up().await;
        if started {
            drop(store);
            store = start(folder.path()).await.unwrap();
        }
        fs::remove_file(folder.path().join("sealed_key")).unwrap();
        store.commit(commit_of(kind)).await.unwrap();
        drop(store);
        assert_open_with(&folder, "two").await;
    }
}

//
#[tokio::test]
async fn a_key_file_that_was_replaced_is_left_alone_and_no_write_is_taken_until_it_is_gone() {
    let (other, _store) = set_up().await;
    let foreign = fs::read(other.path().join("sealed_key")).unwrap();
    for kind in 0..4 {
        let (folder, store) = set_up().await;
        store.commit(put("secret:b", "seen")).await.unwrap();
        let key = folder.path().join("sealed_key");
        let own = fs::read(&key).unwrap();
        // In its place, and written over.
        for bytes in [&foreign[..], b"", &own[..own.len() - 1]] {
            fs::write(&key, bytes).unwrap();
            let error = store.commit(commit_of(kind)).await.unwrap_err().to_string();
            assert!(error.contains("sealed_key was replaced") && error.contains("move away"), "{error}");
            assert_eq!(fs::read(&key).unwrap(), bytes);
            assert_eq!(store.snapshot().open("secret:a").unwrap().unwrap().expose(), b"one");
        }
        fs::remove_file(&key).unwrap();
        symlink(other.path().join("sealed_key"), &key).unwrap();
        let error = store.commit(commit_of(kind)).await.unwrap_err().to_string();
        assert!(error.contains("sealed_key is a link"), "{error}");
        assert_eq!(fs::read(other.path().join("sealed_key")).unwrap(), foreign);
        // Back from a copy it is the same, though another file.
        fs::remove_file(&key).unwrap();
        fs::write(&key, &own).unwrap();
        store.commit(put("secret:a", "back")).await.unwrap();
        assert_eq!(fs::read(&key).unwrap(), own);
        fs::remove_file(&key).unwrap();
        store.commit(put("secret:a", "three")).await.unwrap();
        assert_eq!(fs::read(&key).unwrap(), own);
        drop(store);
        assert_open_with(&folder, "three").await;
    }
}

/// Starts in a thread of its own, which a pipe must not keep for ever.
fn start_in_time(dir: &Path) -> Result<Arc<dyn Store>, OpenError> {
    let (dir, (done, answer)) = (dir.to_owned(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        done.send(runtime.block_on(start(&dir)))
    });
    answer.recv_timeout(Duration::from_secs(60)).expect("the start ends")
}

fn text_of(error: &OpenError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

#[tokio::test]
async fn a_start_is_not_held_up_by_pipes_and_follows_no_links() {
    for name in ["lock", "sealed_key", "state.redb"] {
        for kind in ["pipe", "link", "directory"] {
            let (folder, store) = set_up().await;
            drop(store);
            let (path, victim) = (folder.path().join(name), folder.path().join("victim"));
            fs::rename(&path, &victim).unwrap();
            let before = fs::read(&victim).unwrap();
            match kind {
                "pipe" => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
                "link" => symlink(&victim, &path).unwrap(),
                _ => fs::create_dir(&path).unwrap(),
            }
            let Err(error) = start_in_time(folder.path()) else { panic!("{name}: {kind}") };
            let text = text_of(&error);
            let what = if kind == "link" { "is a link" } else { "is no file" };
            assert!(text.contains(&format!("{name} {what}")), "{name}, {kind}: {text}");
            assert_eq!(fs::read(&victim).unwrap(), before, "{name}, {kind}");
            let report = check(folder.path(), Some(&*sealing()));
            assert!(
                matches!(report.verdict(), Verdict::Damaged | Verdict::Unknown),
                "{name}, {kind}: {report}"
            );
            assert!(report.to_string().contains(name), "{name}, {kind}: {report}");
            // The remedy.
            if kind == "directory" {
                fs::remove_dir(&path).unwrap()
            } else {
                fs::remove_file(&path).unwrap()
            }
            fs::rename(&victim, &path).unwrap();
            assert_open_with(&folder, "one").await;
        }
    }
}
