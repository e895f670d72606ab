//! The last checkpoint that was seen of each coordinator, beside the saved certificates: mode 0600, written whole. A
//! second file per address names the coordinators that were seen there: a new root certificate must not hide an old past.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carrara_client::Address;
use carrara_client::checkpoint::Checkpoint;

use crate::files;

/// Beside the saved certificates.
const FOLDER: &str = "checkpoints";

/// Where one coordinator's last checkpoint is kept. A coordinator is its root certificate.
pub(super) struct Memory {
    path: PathBuf,
    fingerprint: String,
    /// Fingerprints, one a line.
    seen: PathBuf,
}

impl Memory {
    /// `certificates` is the file of the saved certificates, `fingerprint` the root's hex SHA-256.
    pub(super) fn beside(certificates: &Path, fingerprint: &str, address: &Address) -> Self {
        let folder = certificates.with_file_name(FOLDER);
        Self {
            path: folder.join(format!("{fingerprint}.note")),
            fingerprint: fingerprint.to_owned(),
            seen: folder.join(format!("{address}.roots")),
        }
    }

    /// The kept checkpoints of other coordinators that were seen at this address.
    pub(super) fn others(&self) -> Result<Vec<PathBuf>> {
        let seen = self.seen()?;
        let others = seen.lines().filter(|fingerprint| *fingerprint != self.fingerprint);
        let paths = others.map(|fingerprint| self.path.with_file_name(format!("{fingerprint}.note")));
        Ok(paths.filter(|path| path.exists()).collect())
    }

    fn seen(&self) -> Result<String> {
        if !self.seen.try_exists().with_context(|| format!("looking for {}", self.seen.display()))? {
            return Ok(String::new());
        }
        Ok(String::from_utf8_lossy(&files::read(&self.seen)?).into_owned())
    }

    /// The checkpoint, verified again; `None` if none was seen yet.
    pub(super) fn recall(&self, root_certificate: &[u8]) -> Result<Option<Checkpoint>> {
        if !self.path.try_exists().with_context(|| format!("looking for {}", self.path.display()))? {
            return Ok(None);
        }
        let note = files::read(&self.path)?;
        let note = String::from_utf8_lossy(&note);
        let Ok(checkpoint) = Checkpoint::verify(&note, root_certificate) else {
            bail!(
                "the local file {}, which keeps the last checkpoint that was seen, is damaged or was changed on this \
                 machine; that says nothing about the coordinator. Restore the file from a backup; without one, delete it \
                 to begin anew: what was seen before can then not be compared any more",
                self.path.display()
            );
        };
        Ok(Some(checkpoint))
    }

    /// Keeps the checkpoint in place of the one before, unless another run has seen a newer one meanwhile.
    pub(super) fn keep(&self, checkpoint: &Checkpoint, root_certificate: &[u8]) -> Result<()> {
        let age = |checkpoint: &Checkpoint| (checkpoint.size(), checkpoint.revision());
        if self.recall(root_certificate)?.is_some_and(|kept| age(&kept) > age(checkpoint)) {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            files::make_folder(folder)?;
        }
        files::write(&self.path, checkpoint.as_note().as_bytes()).context("keeping the checkpoint")?;
        let seen = self.seen()?;
        if seen.lines().any(|line| line == self.fingerprint) {
            return Ok(());
        }
        files::write(&self.seen, format!("{seen}{}\n", self.fingerprint).as_bytes())
            .context("keeping which coordinators were seen at this address")
    }

    /// For messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
