//! Formats across versions: what the first release wrote opens for ever, and what a later one wrote is refused by name.
//!
//! `fixtures/first` holds a state directory as text (`common/folded.rs`). It was made with the formats mark 2, head 3, key
//! file 2, record 1, redb 4, and is never made again: who changes a format adds a folder beside it. What a coordinator writes
//! into records is in `tests/fixtures/first` of the repository.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod common;
#[path = "common/folded.rs"]
mod folded;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use carrara_core::ports::{Found, NewState, SealMode, Sealing, SealingKind, Snapshot, Store};
use carrara_store::{Backend, OpenError, Options, Verdict, check, open};
use carrara_types::secret::SecretBytes;
use common::{FixedKey, Random, entries, lines, put, sealing};
use redb::{Database, ReadableDatabase as _, ReadableTable, TableDefinition};
use tempfile::TempDir;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

async fn start_with(dir: &Path, sealing: Arc<dyn Sealing>) -> Result<Arc<dyn Store>, OpenError> {
    let backend = Backend::Redb { dir: dir.to_owned(), cache_bytes: 1 << 20 };
    open(Options { backend, sealing, entropy: Arc::new(Random) }).await
}

async fn start(dir: &Path) -> Result<Arc<dyn Store>, OpenError> {
    start_with(dir, sealing()).await
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Makes a directory of what was written down.
fn unfold(name: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    folded::unfold(&fixtures().join(name), folder.path());
    folder
}

const DATA_KEY: [u8; 32] = [0x77; 32];

/// A state with one of everything.
async fn fill(dir: &Path) {
    let store = start(dir).await.unwrap();
    let data_key = SecretBytes::new("data key", DATA_KEY.to_vec());
    let state =
        NewState { data_key, recovery_data: b"recovery data".to_vec(), seal_mode: SealMode::ProductKey };
    let mut first = put("secret:a", "one");
    first.time_ms = 1_700_000_000_000;
    store.create(state, first).await.unwrap();
    store.commit(lines(&["line 0", "line 1", "line 2"])).await.unwrap();
    store.commit(entries(["{\"entry\":0}".to_owned(), "{\"entry\":1}".to_owned()])).await.unwrap();
    store.commit(put("monotonicCounter:n", "seven")).await.unwrap();
}

fn text(snapshot: &dyn Snapshot, name: &str) -> String {
    String::from_utf8(snapshot.open(name).unwrap().unwrap().expose().to_vec()).unwrap()
}

fn assert_filled(snapshot: &dyn Snapshot) {
    assert_eq!(snapshot.keys(""), ["monotonicCounter:n", "secret:a"]);
    assert_eq!(
        (text(snapshot, "secret:a"), text(snapshot, "monotonicCounter:n")),
        ("one".into(), "seven".into())
    );
    assert_eq!(snapshot.log_lines(0, 9).unwrap(), ["line 0", "line 1", "line 2"]);
    assert_eq!(snapshot.audit_lines(0, 9).unwrap(), ["{\"entry\":0}", "{\"entry\":1}"]);
    assert_eq!((snapshot.revision(), snapshot.last_time_ms()), (4, 1_700_000_000_000));
    assert_eq!(snapshot.seal_mode(), Some(SealMode::ProductKey));
}

#[tokio::test]
async fn a_state_of_the_first_release_opens_and_is_written_on() {
    // Set once, by whoever adds a folder of fixtures.
    if let Some(name) = std::env::var_os("CARRARA_WRITE_DOWN") {
        let folder = TempDir::new().unwrap();
        fill(folder.path()).await;
        folded::write_down(folder.path(), &fixtures().join(name));
    }
    let folder = unfold("first");
    assert_eq!(check(folder.path(), Some(&*sealing())).verdict(), Verdict::Sound);
    let store = start(folder.path()).await.unwrap();
    assert_eq!(store.found(), Found::Open);
    assert_filled(store.snapshot().as_ref());
    // This version's formats may lie beside the first one's.
    store.commit(put("secret:b", "two")).await.unwrap();
    store.commit(lines(&["line 3"])).await.unwrap();
    drop(store);
    let store = start(folder.path()).await.unwrap();
    assert_eq!(text(store.snapshot().as_ref(), "secret:b"), "two");
    assert_eq!(store.snapshot().log_size(), 4);
    store.backup().await.unwrap();
}

#[tokio::test]
async fn a_state_of_the_first_release_is_recovered_with_its_data_key() {
    let folder = unfold("first");
    let elsewhere = start_with(folder.path(), Arc::new(FixedKey(SealingKind::Tee, 9))).await.unwrap();
    assert_eq!(elsewhere.found(), Found::Locked);
    assert_eq!(elsewhere.recovery_data().unwrap(), b"recovery data");
    let candidate =
        elsewhere.try_data_key(&SecretBytes::new("data key", DATA_KEY.to_vec())).await.unwrap().unwrap();
    assert_filled(candidate.snapshot().as_ref());
}

/// The key file, and the clear and sealed values of the state; redb notes in the file who opened it.
fn content(dir: &Path) -> Vec<Vec<u8>> {
    let database = Database::open(dir.join("state.redb")).unwrap();
    let meta = database.begin_read().unwrap().open_table(META).unwrap();
    let values = meta.iter().unwrap().map(|entry| entry.unwrap().1.value().to_vec());
    [fs::read(dir.join("sealed_key")).unwrap()].into_iter().chain(values).collect()
}

async fn assert_newer(dir: &Path, file: &str) {
    let before = content(dir);
    let error = start(dir).await.err().expect("the start is refused");
    assert!(matches!(&error, OpenError::Newer { path } if path.ends_with(file)), "{error}");
    assert!(error.to_string().contains("or a newer one"), "{error}");
    let report = check(dir, Some(&*sealing()));
    assert_eq!(report.verdict(), Verdict::Unknown, "{report}");
    assert_eq!(report.faults().len(), 0, "it is no damage: {report}");
    assert_eq!(content(dir), before, "nothing in it is changed");
}

#[tokio::test]
async fn what_a_later_version_wrote_is_refused_by_name_and_called_no_damage() {
    for (name, index) in [("mark", b"carrara state".len()), ("head", 0)] {
        let folder = unfold("first");
        let database = Database::open(folder.path().join("state.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut meta = transaction.open_table(META).unwrap();
            let mut value = meta.get(name).unwrap().unwrap().value().to_vec();
            value[index] += 1;
            meta.insert(name, value.as_slice()).unwrap();
        }
        transaction.commit().unwrap();
        drop(database);
        assert_newer(folder.path(), "state.redb").await;
    }
    let folder = unfold("first");
    let key = folder.path().join("sealed_key");
    let mut bytes = fs::read(&key).unwrap();
    bytes[b"carrara key".len()] = 4;
    fs::write(&key, bytes).unwrap();
    assert_newer(folder.path(), "sealed_key").await;
}
