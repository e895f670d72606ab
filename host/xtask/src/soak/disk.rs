//! How long the disk takes to keep a few bytes, measured beside the requests: commits wait for it, and whoever else writes
//! to the same disk makes it slower.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks; a commit a second is no load.
const EVERY: Duration = Duration::from_secs(1);

/// What a small commit writes.
const BLOCK: [u8; 4096] = [7; 4096];

/// Looks at a disk until it is dropped.
pub(crate) struct Probe {
    times: Arc<Mutex<Vec<f64>>>,
    looking: JoinHandle<()>,
}

impl Probe {
    /// Looks at the disk of `folder`, in a file of its own.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(folder).context("making a file to measure the disk with")?;
        let (file, times) = (Arc::new(file), Arc::<Mutex<Vec<f64>>>::default());
        let kept = Arc::clone(&times);
        let looking = tokio::spawn(async move {
            let mut turns = interval(EVERY);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                turns.tick().await;
                let file = Arc::clone(&file);
                if let Ok(Some(time)) = tokio::task::spawn_blocking(move || synced(&file)).await {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(time);
                }
            }
        });
        Ok(Self { times, looking })
    }

    /// The times since the last call, in microseconds, sorted.
    pub(crate) fn take(&self) -> Vec<f64> {
        let mut times = std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner));
        times.sort_unstable_by(f64::total_cmp);
        times
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// Writes a block and waits until it is kept: microseconds; `None` if the disk refuses.
fn synced(file: &File) -> Option<f64> {
    let began = Instant::now();
    file.write_all_at(&BLOCK, 0).ok()?;
    file.sync_data().ok()?;
    Some(began.elapsed().as_secs_f64() * 1e6)
}
