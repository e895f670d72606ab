//! The last checkpoint that was seen of each coordinator, beside the saved certificates: mode 0600, written whole.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use carrara_client::checkpoint::Checkpoint;

use crate::files;

/// Beside the saved certificates.
const FOLDER: &str = "checkpoints";

/// Where one coordinator's last checkpoint is kept. A coordinator is its root certificate.
pub(super) struct Memory {
    path: PathBuf,
}

impl Memory {
    /// `certificates` is the file of the saved certificates, `fingerprint` the root's hex SHA-256.
    pub(super) fn beside(certificates: &Path, fingerprint: &str) -> Self {
        Self { path: certificates.with_file_name(FOLDER).join(format!("{fingerprint}.note")) }
    }

    /// The checkpoint, verified again; `None` if none was seen yet.
    pub(super) fn recall(&self, root_certificate: &[u8]) -> Result<Option<Checkpoint>> {
        if !self.path.try_exists().with_context(|| format!("looking for {}", self.path.display()))? {
            return Ok(None);
        }
        let note = files::read(&self.path)?;
        let note = String::from_utf8_lossy(&note);
        let checkpoint = Checkpoint::verify(&note, root_certificate).with_context(|| {
            format!(
                "using the checkpoint seen before, {}; somebody changed it: restore it, or delete it to begin anew",
                self.path.display()
            )
        })?;
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
        files::write(&self.path, checkpoint.as_note().as_bytes()).context("keeping the checkpoint")
    }

    /// For messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
