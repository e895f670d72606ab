//! Every kind of damage to every file of a state, at every block: the start refuses it with a message that names the file
//! and the remedy, goes to recovery (only where the key is damaged), or serves exactly what was written.
//!
//! `CARRARA_DAMAGE_MINUTES=N cargo test --release -p carrara-store --test damage -- --nocapture` goes on at random
//! places for N minutes; a finding names its seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use carrara_core::ports::{Found, Store};
use carrara_store::{Backend, OpenError, Options, open};
use common::{Random, copy_all, entries, lines, new_state, put, rekeying, sealing};
use tempfile::TempDir;

const BLOCK: usize = 4096;

/// Longer than any start; only a hang reaches it.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Records, revision, log and audit trail.
type Content = (u64, BTreeMap<String, Vec<u8>>, Vec<String>, Vec<String>);

/// What a start made of a directory.
#[derive(Debug, PartialEq)]
enum Outcome {
    Refused,
    Recovery,
    Serves(Content),
}

async fn start(dir: &Path) -> Result<Arc<dyn Store>, OpenError> {
    let backend = Backend::Redb { dir: dir.to_owned(), cache_bytes: 1 << 20 };
    let options = Options { backend, sealing: sealing(), entropy: Arc::new(Random) };
    tokio::time::timeout(START_LIMIT, open(options)).await.expect("a start does not hang")
}

fn content(store: &dyn Store) -> Content {
    let view = store.snapshot();
    let records = view.keys("").into_iter().map(|name| {
        let value = view.open(&name).unwrap().unwrap().expose().to_vec();
        (name, value)
    });
    let records = records.collect();
    (view.revision(), records, view.log_lines(0, 99).unwrap(), view.audit_lines(0, 99).unwrap())
}

/// A state of several commits, the same some commits before, and another one.
struct Stage {
    folder: TempDir,
    now: Content,
    before: Content,
}

impl Stage {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let [dir, older, other] = ["now", "older", "other"].map(|name| folder.path().join(name));
        let store = start(&dir).await.unwrap();
        store.create(new_state(), put("a", "first")).await.unwrap();
        store.commit(rekeying(put("b", "second"))).await.unwrap();
        for index in 0..40 {
            store.commit(put(&format!("record {index}"), &"x".repeat(500))).await.unwrap();
        }
        let before = content(&*store);
        drop(store);
        copy_all(&dir, &older);
        let store = start(&dir).await.unwrap();
        store.commit(lines(&["line 0", "line 1"])).await.unwrap();
        store.commit(entries(["entry 0".to_owned()])).await.unwrap();
        store.commit(put("a", "last")).await.unwrap();
        let now = content(&*store);
        drop(store);
        let store = start(&other).await.unwrap();
        store.create(new_state(), put("a", "another")).await.unwrap();
        drop(store);
        copy_all(&other, &dir.join("archive/00000000000000000000000000000000-000001"));
        Self { folder, now, before }
    }

    fn file(&self, which: &str, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(which).join(name)).unwrap()
    }

    /// Starts with one file changed. What it says must help; what it serves can be written to.
    async fn outcome(&self, name: &str, bytes: &[u8], what: &str) -> Outcome {
        let work = TempDir::new().unwrap();
        copy_all(&self.folder.path().join("now"), work.path());
        fs::write(work.path().join(name), bytes).unwrap();
        let store = match start(work.path()).await {
            Ok(store) => store,
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(&work.path().display().to_string()), "{what}: {text}");
                let helps = ["restore", "move", "start", "choose"].iter().any(|word| text.contains(word));
                assert!(helps, "{what}: {text}");
                return Outcome::Refused;
            }
        };
        match store.found() {
            Found::Locked => Outcome::Recovery,
            Found::Empty => panic!("{what}: looks empty"),
            Found::Open => {
                let served = content(&*store);
                store.commit(put("later", "written")).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                drop(store);
                let again = start(work.path()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(again.snapshot().open("later").unwrap().unwrap().expose(), b"written", "{what}");
                Outcome::Serves(served)
            }
        }
    }
}

/// How often what came of the damage.
#[derive(Debug, Default)]
struct Count {
    refused: u32,
    recovery: u32,
    served: u32,
}

impl Count {
    fn add(&mut self, stage: &Stage, outcome: &Outcome, key: bool, what: &str) {
        match outcome {
            Outcome::Refused => self.refused += 1,
            Outcome::Recovery => {
                assert!(key, "{what}: recovery without damage to the key");
                self.recovery += 1;
            }
            Outcome::Serves(content) => {
                assert_eq!(content, &stage.now, "{what}: other data");
                self.served += 1;
            }
        }
    }
}

fn blocks(bytes: &[u8]) -> impl Iterator<Item = usize> {
    (0..bytes.len()).step_by(BLOCK)
}

fn is_used(bytes: &[u8], at: usize) -> bool {
    bytes[at..].iter().take(BLOCK).any(|byte| *byte != 0)
}

/// The file with the block replaced.
fn with(bytes: &[u8], at: usize, block: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let end = (at + block.len()).min(changed.len());
    changed[at..end].copy_from_slice(&block[..end - at]);
    changed
}

fn block(bytes: &[u8], at: usize) -> &[u8] {
    &bytes[at..(at + BLOCK).min(bytes.len())]
}

fn flipped(bytes: &[u8], at: usize, bit: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1 << (bit % 8);
    changed
}

// X-25, L-16, L-17
#[tokio::test(flavor = "multi_thread")]
async fn the_state_damaged_at_any_block_is_refused_or_served_exactly() {
    let stage = Stage::new().await;
    let (state, older) = (stage.file("now", "state.redb"), stage.file("older", "state.redb"));
    let used: Vec<usize> = blocks(&state).filter(|&at| is_used(&state, at)).collect();
    let mut faults: Vec<(String, Vec<u8>)> = Vec::new();
    // Cut: at every used block's begin and middle, and at some of the rest.
    for at in blocks(&state).filter(|at| used.contains(at) || at % (BLOCK * 16) == 0) {
        faults.push((format!("cut at {at}"), state[..at].to_vec()));
    }
    for (index, &at) in used.iter().enumerate() {
        let length = block(&state, at).len();
        for place in [0, 1, 8 + index % 40, length / 2, length - 1] {
            faults.push((format!("a bit at {}", at + place), flipped(&state, at + place, index as u8)));
        }
        faults.push((format!("zeros at {at}"), with(&state, at, &[0; BLOCK])));
        let other = used[(index + 1) % used.len()];
        let swapped = with(&with(&state, at, block(&state, other)), other, block(&state, at));
        faults.push((format!("blocks {at} and {other} swapped"), swapped));
        if at + BLOCK <= older.len() && block(&older, at) != block(&state, at) {
            faults.push((format!("an older block at {at}"), with(&state, at, block(&older, at))));
        }
    }
    // The header, which says where everything else is.
    for at in 0..320 {
        faults.push((format!("a bit of the header at {at}"), flipped(&state, at, at as u8)));
    }
    let mut count = Count::default();
    for (what, bytes) in &faults {
        let outcome = stage.outcome("state.redb", bytes, what).await;
        count.add(&stage, &outcome, false, what);
    }
    eprintln!("state.redb: {} faults, {count:?}", faults.len());
    assert!(faults.len() > 500 && count.refused > 100, "{count:?}");
}

// L-16: a damaged key is recovery, never another state
#[tokio::test(flavor = "multi_thread")]
async fn the_key_damaged_at_any_byte_is_recovery_or_refused() {
    let stage = Stage::new().await;
    let key = stage.file("now", "sealed_key");
    let mut count = Count::default();
    for at in 0..key.len() {
        let faults =
            [key[..at].to_vec(), flipped(&key, at, at as u8), with(&key, at, &[key[at].wrapping_add(1)])];
        for (kind, bytes) in faults.iter().enumerate() {
            let what = format!("key, byte {at}, fault {kind}");
            let outcome = stage.outcome("sealed_key", bytes, &what).await;
            assert!(!matches!(outcome, Outcome::Serves(_)), "{what}");
            count.add(&stage, &outcome, true, &what);
        }
    }
    eprintln!("sealed_key: {} faults, {count:?}", 3 * key.len());
    assert!(count.recovery > 100, "{count:?}");
}

// L-37: all of an older copy is the one thing that a start cannot see
#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_state_or_revision_are_never_mixed() {
    let stage = Stage::new().await;
    for (name, which, expected) in [
        ("state.redb", "older", Outcome::Serves(stage.before.clone())),
        ("state.redb", "other", Outcome::Recovery),
        ("sealed_key", "other", Outcome::Recovery),
        ("sealed_key", "older", Outcome::Serves(stage.now.clone())),
    ] {
        let what = format!("{name} of the {which} one");
        assert_eq!(stage.outcome(name, &stage.file(which, name), &what).await, expected, "{what}");
    }
    // Each in the other's place.
    let (state, key) = (stage.file("now", "state.redb"), stage.file("now", "sealed_key"));
    assert_eq!(stage.outcome("sealed_key", &state, "a state as the key").await, Outcome::Recovery);
    assert_eq!(stage.outcome("state.redb", &key, "a key as the state").await, Outcome::Refused);
}

// L-30: what lies beside a state does not change it
#[tokio::test(flavor = "multi_thread")]
async fn leftovers_and_the_archive_do_not_matter_whatever_is_in_them() {
    let stage = Stage::new().await;
    let (state, other) = (stage.file("now", "state.redb"), stage.file("other", "state.redb"));
    let archived = "archive/00000000000000000000000000000000-000001/state.redb";
    let mut count = Count::default();
    for name in ["state.redb.new", "sealed_key.new", "probe.new", "lock", archived] {
        let halves = [&state[..state.len() / 2], &other[..BLOCK]];
        for bytes in [&[][..], &b"garbage"[..], halves[0], halves[1], &other] {
            let what = format!("{} bytes as {name}", bytes.len());
            let outcome = stage.outcome(name, bytes, &what).await;
            assert!(matches!(outcome, Outcome::Serves(_)), "{what}: {outcome:?}");
            count.add(&stage, &outcome, false, &what);
        }
    }
}

/// A sequence that a seed repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below.max(1)
    }
}

/// Some faults at once, at random places.
fn damage(dice: &mut Dice, bytes: &[u8], older: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(bytes.len().saturating_sub(1));
        let start = at / BLOCK * BLOCK;
        match dice.roll(6) {
            0 => bytes.truncate(at),
            1 => bytes = with(&bytes, start, &[0; BLOCK]),
            2 => bytes = with(&bytes, start, &vec![dice.roll(256) as u8; BLOCK]),
            3 if start + BLOCK <= older.len() => bytes = with(&bytes, start, block(older, start)),
            _ if bytes.is_empty() => {}
            _ => bytes = flipped(&bytes, at, dice.roll(8) as u8),
        }
    }
    bytes
}

// random ones; a few here, many in the long form
#[tokio::test(flavor = "multi_thread")]
async fn several_faults_at_once_are_refused_recovery_or_served_exactly() {
    let minutes: u64 =
        std::env::var("CARRARA_DAMAGE_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let stage = Stage::new().await;
    let files =
        ["state.redb", "sealed_key"].map(|name| (name, stage.file("now", name), stage.file("older", name)));
    let mut count = Count::default();
    let mut seed = 0_u64;
    while seed < 100 || Instant::now() < end {
        seed += 1;
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (name, bytes, older) = &files[usize::from(dice.roll(10) == 0)];
        let outcome = stage.outcome(name, &damage(&mut dice, bytes, older), &format!("seed {seed}")).await;
        count.add(&stage, &outcome, *name == "sealed_key", &format!("seed {seed}"));
    }
    eprintln!("random: {seed} faults, {count:?}");
}

/// Also what is missing altogether.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_recovery_or_refused() {
    let stage = Stage::new().await;
    for (name, recovery) in [("sealed_key", true), ("state.redb", false)] {
        let work = TempDir::new().unwrap();
        copy_all(&stage.folder.path().join("now"), work.path());
        let path: PathBuf = work.path().join(name);
        fs::remove_file(path).unwrap();
        match start(work.path()).await {
            Ok(store) => assert_eq!((store.found(), recovery), (Found::Locked, true)),
            Err(error) => assert!(!recovery && error.to_string().contains("restore"), "{error}"),
        }
    }
}
