//! Where collateral comes from: a PCCS, a bundle, or a PCCS with a bundle for when it is down.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Collateral;
use super::bundle::{Bundle, MOST_BYTES};
use super::check::Root;
use super::key::Key;
use super::pccs::Pccs;
use crate::snp::SnpCollateral;

/// How long what was read for SEV-SNP counts. Anybody can send such evidence, and a bundle may have megabytes.
pub(crate) const SNP_KEPT: Duration = Duration::from_secs(10);

/// Where collateral comes from. There is no default: somebody else's service would learn which platforms attest.
#[derive(Debug)]
pub struct Source {
    pccs: Option<Pccs>,
    bundle: Option<PathBuf>,
    /// What the bundle had for SEV-SNP, and when. Locked while it is read: once for all who wait.
    snp: Arc<Mutex<Option<(Instant, SnpOutcome)>>>,
    snp_kept: Duration,
}

type SnpOutcome = Result<Arc<SnpCollateral>, FetchError>;

impl Default for Source {
    fn default() -> Self {
        Self { pccs: None, bundle: None, snp: Arc::default(), snp_kept: SNP_KEPT }
    }
}

/// Why no source had collateral that can be used: every one of them with its reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(String);

/// What was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// The collateral.
    pub collateral: Collateral,
    /// Why it is the bundle's, where a PCCS is to be asked first.
    pub passed_over: Option<FetchError>,
}

impl FetchError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Source {
    /// Asks this PCCS, and looks into the bundle only where that gives nothing that can be used.
    #[must_use]
    pub fn with_pccs(mut self, pccs: Pccs) -> Self {
        self.pccs = Some(pccs);
        self
    }

    /// Reads this bundle, each time anew: it can be replaced while the process runs.
    #[must_use]
    pub fn with_bundle(mut self, path: PathBuf) -> Self {
        self.bundle = Some(path);
        self
    }

    #[cfg(test)]
    pub(crate) fn keeping_snp_for(self, snp_kept: Duration) -> Self {
        Self { snp_kept, ..self }
    }

    /// Whether there is any.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.pccs.is_some() || self.bundle.is_some()
    }

    /// Collateral that is for `key`, signed, and valid at `now`.
    ///
    /// # Errors
    /// No source has it.
    pub async fn fetch(&self, key: Key, root: &Root, now: i64) -> Result<Fetched, FetchError> {
        let asked = self.ask(key, root, now).await;
        self.or_bundle(asked, key, root, now).await
    }

    /// What the PCCS has, or why it gave nothing; none where there is no PCCS.
    pub(super) async fn ask(&self, key: Key, root: &Root, now: i64) -> Option<Result<Collateral, String>> {
        Some(asked(self.pccs.as_ref()?, key, root, now).await)
    }

    /// What the PCCS gave, or what the bundle has in its place. The bundle is not the PCCS's time or turn to lose: it is
    /// there for when that hangs.
    pub(super) async fn or_bundle(
        &self,
        asked: Option<Result<Collateral, String>>,
        key: Key,
        root: &Root,
        now: i64,
    ) -> Result<Fetched, FetchError> {
        let mut reasons = Vec::new();
        match (asked, &self.pccs) {
            (Some(Ok(collateral)), _) => return Ok(Fetched { collateral, passed_over: None }),
            (Some(Err(reason)), Some(pccs)) => reasons.push(format!("the PCCS {}: {reason}", pccs.url())),
            (Some(Err(_)) | None, _) => {}
        }
        if let Some(path) = &self.bundle {
            match looked_up(path, key, root, now).await {
                Ok(collateral) => {
                    let passed_over = (!reasons.is_empty()).then(|| FetchError(reasons.join("; ")));
                    return Ok(Fetched { collateral, passed_over });
                }
                Err(reason) => reasons.push(format!("the bundle {}: {reason}", path.display())),
            }
        }
        if reasons.is_empty() {
            reasons.push("no source is configured; name a PCCS or a bundle of collateral".to_owned());
        }
        Err(FetchError(reasons.join("; ")))
    }

    /// What the bundle has for SEV-SNP's evidence, as of some seconds ago at most; nothing where there is no bundle. Nothing
    /// of it is checked here.
    ///
    /// # Errors
    /// There is a bundle, but it cannot be read.
    pub async fn snp(&self) -> SnpOutcome {
        let Some(path) = &self.bundle else { return Ok(Arc::default()) };
        let mut kept = Arc::clone(&self.snp).lock_owned().await;
        if let Some((read_at, outcome)) = &*kept
            && read_at.elapsed() < self.snp_kept
        {
            return outcome.clone();
        }
        let path = path.clone();
        // With the lock, so that who stops waiting makes nobody read it again meanwhile.
        let reading = tokio::task::spawn_blocking(move || {
            let failed = |reason| FetchError(format!("the bundle {}: {reason}", path.display()));
            let outcome = read(&path).map(|bundle| Arc::new(bundle.snp().clone())).map_err(failed);
            *kept = Some((Instant::now(), outcome.clone()));
            outcome
        });
        reading.await.map_err(|error| FetchError(error.to_string()))?
    }
}

async fn asked(pccs: &Pccs, key: Key, root: &Root, now: i64) -> Result<Collateral, String> {
    let parts = pccs.fetch(key).await.map_err(|error| error.to_string())?;
    let root = *root;
    computed(move || {
        let collateral = Collateral::from_parts(parts).map_err(|error| error.to_string())?;
        if collateral.key() != key {
            return Err(format!("it answered for {}", collateral.key()));
        }
        collateral.check(&root, now).map_err(|error| error.to_string())?;
        Ok(collateral)
    })
    .await
}

async fn looked_up(path: &Path, key: Key, root: &Root, now: i64) -> Result<Collateral, String> {
    let (path, root) = (path.to_owned(), *root);
    computed(move || {
        let bundle = read(&path)?;
        let found = bundle.find(key).ok_or("it has none for this platform")?;
        found.check(&root, now).map_err(|error| error.to_string())?;
        Ok(found.clone())
    })
    .await
}

/// Off the async workers: a source can give as much as is accepted.
async fn computed<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

fn read(path: &Path) -> Result<Bundle, String> {
    // Opening a pipe would wait for whoever writes it.
    if !std::fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MOST_BYTES as u64 + 1).read_to_end(&mut text))
        .map_err(|error| error.to_string())?;
    Bundle::from_json(&text).map_err(|error| error.to_string())
}
