//! The real store in memory, with failures on demand.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carrara_core::ports::{
    Backup, Batch, Candidate, CommitError, Committed, Found, KeyPolicy, NewState, Sealing, SealingKind,
    Snapshot, Store, StoreError,
};
use carrara_store::{Backend, Options};
use carrara_types::secret::SecretBytes;
use tokio::sync::{Notify, Semaphore};

use super::snapshot::{Counted, Opened};

/// What only the log may say.
pub const INTERNAL: &str = "sector 4711 of /dev/internal";

/// Wraps the data key.
struct FixedKey(u8);

impl Sealing for FixedKey {
    fn kind(&self) -> SealingKind {
        SealingKind::Tee
    }

    fn key(&self, policy: KeyPolicy) -> Result<SecretBytes, String> {
        let bound_to = if policy == KeyPolicy::Product { 0 } else { 0x80 };
        Ok(SecretBytes::new("sealing key", vec![self.0 ^ bound_to; 32]))
    }
}

/// What a state was made with.
pub struct Created {
    pub data_key: SecretBytes,
    pub recovery_data: Vec<u8>,
}

pub struct TestStore {
    inner: Arc<dyn Store>,
    /// The state does not open until a new one is made.
    pub locked: AtomicBool,
    /// Of the state that was locked last: what `locked` shows.
    recovery_data: Mutex<Option<Vec<u8>>>,
    pub create_fails: AtomicBool,
    pub commit_fails: AtomicBool,
    pub backup_fails: AtomicBool,
    pub adopt_fails: Arc<AtomicBool>,
    /// Told when a state is about to be adopted, or was made.
    pub adopting: Arc<Notify>,
    /// Without a permit no state is adopted, and nobody learns that one was made.
    pub may_adopt: Arc<Semaphore>,
    /// So many commits from now on are in conflict.
    pub conflicts: AtomicUsize,
    pub commits: AtomicUsize,
    /// Whoever commits lets all others read the same snapshot first, as a slow disk would.
    pub slow: AtomicBool,
    /// As if the state had so many records more.
    pub more_records: AtomicUsize,
    /// Of all snapshots together.
    pub opened: Opened,
    pub created: Mutex<Option<Created>>,
    /// The newest data key that a commit brought.
    pub rekeyed: Mutex<Option<Created>>,
}

impl TestStore {
    pub async fn open() -> Self {
        Self::open_on(Backend::Memory, 1).await
    }

    /// In a directory, on the machine with this sealing key.
    pub async fn open_in(dir: &Path, machine: u8) -> Self {
        Self::open_on(Backend::Redb { dir: dir.to_owned(), cache_bytes: 1 << 20 }, machine).await
    }

    async fn open_on(backend: Backend, machine: u8) -> Self {
        let options =
            Options { backend, sealing: Arc::new(FixedKey(machine)), entropy: Arc::new(super::Random) };
        Self {
            inner: carrara_store::open(options).await.unwrap(),
            locked: AtomicBool::new(false),
            recovery_data: Mutex::default(),
            create_fails: AtomicBool::new(false),
            commit_fails: AtomicBool::new(false),
            backup_fails: AtomicBool::new(false),
            adopt_fails: Arc::default(),
            adopting: Arc::default(),
            may_adopt: Arc::new(Semaphore::new(1)),
            conflicts: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
            slow: AtomicBool::new(false),
            more_records: AtomicUsize::new(0),
            opened: Opened::default(),
            created: Mutex::default(),
            rekeyed: Mutex::default(),
        }
    }

    /// Stores a secret as an upload would: version, days of validity, certificate, private and public part.
    pub async fn upload(&self, key: &str, private: &[u8]) {
        let part = |bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            [&[1], length.as_slice(), bytes].concat()
        };
        let record = [vec![1], 0_u64.to_le_bytes().to_vec(), vec![0], part(private), part(private)].concat();
        self.write(key, &record).await;
    }

    /// Writes a record past the use cases.
    pub async fn write(&self, key: &str, bytes: &[u8]) {
        let puts = vec![(key.to_owned(), SecretBytes::new("record", bytes.to_vec()))];
        self.inner.commit(Batch { puts, ..Batch::default() }).await.unwrap();
    }

    fn failure() -> CommitError {
        CommitError::Store(StoreError::Write(INTERNAL.into()))
    }
}

#[async_trait]
impl Store for TestStore {
    fn found(&self) -> Found {
        if self.locked.load(Ordering::SeqCst) { Found::Locked } else { self.inner.found() }
    }

    fn snapshot(&self) -> Arc<dyn Snapshot> {
        let more_records = self.more_records.load(Ordering::SeqCst);
        Arc::new(Counted { inner: self.inner.snapshot(), opened: Arc::clone(&self.opened), more_records })
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        if self.commit_fails.load(Ordering::SeqCst) {
            return Err(Self::failure());
        }
        if self.slow.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        let less = |left: usize| left.checked_sub(1);
        if self.conflicts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err(CommitError::Conflict);
        }
        let rekeyed = batch.rekey.as_ref().map(|state| Created {
            data_key: state.data_key.duplicate(),
            recovery_data: state.recovery_data.clone(),
        });
        let committed = self.inner.commit(batch).await?;
        if rekeyed.is_some() {
            *self.rekeyed.lock().unwrap() = rekeyed;
        }
        Ok(committed)
    }

    async fn create(&self, state: NewState, batch: Batch) -> Result<Committed, CommitError> {
        if self.create_fails.load(Ordering::SeqCst) {
            return Err(Self::failure());
        }
        let created =
            Created { data_key: state.data_key.duplicate(), recovery_data: state.recovery_data.clone() };
        let committed = self.inner.create(state, batch).await?;
        *self.created.lock().unwrap() = Some(created);
        self.locked.store(false, Ordering::SeqCst);
        self.adopting.notify_one();
        let _go = self.may_adopt.acquire().await.unwrap();
        Ok(committed)
    }

    fn recovery_data(&self) -> Option<Vec<u8>> {
        let mut kept = self.recovery_data.lock().unwrap();
        let now = self.inner.recovery_data();
        if now.is_some() {
            kept.clone_from(&now);
        }
        if self.locked.load(Ordering::SeqCst) { kept.clone() } else { now }
    }

    async fn try_data_key(&self, data_key: &SecretBytes) -> Result<Option<Box<dyn Candidate>>, StoreError> {
        let Some(candidate) = self.inner.try_data_key(data_key).await? else { return Ok(None) };
        let fails = Arc::clone(&self.adopt_fails);
        let (adopting, go) = (Arc::clone(&self.adopting), Arc::clone(&self.may_adopt));
        Ok(Some(Box::new(TestCandidate { candidate, fails, adopting, go })))
    }

    async fn backup(&self) -> Result<Backup, StoreError> {
        if self.backup_fails.load(Ordering::SeqCst) {
            return Err(StoreError::Write(INTERNAL.into()));
        }
        self.inner.backup().await
    }
}

/// A candidate that can fail.
struct TestCandidate {
    candidate: Box<dyn Candidate>,
    fails: Arc<AtomicBool>,
    adopting: Arc<Notify>,
    go: Arc<Semaphore>,
}

#[async_trait]
impl Candidate for TestCandidate {
    fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.candidate.snapshot()
    }

    async fn adopt(self: Box<Self>) -> Result<(), StoreError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Write(INTERNAL.into()));
        }
        self.adopting.notify_one();
        let _go = self.go.acquire().await.unwrap();
        self.candidate.adopt().await
    }
}
