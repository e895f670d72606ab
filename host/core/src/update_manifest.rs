//! Updating the manifest: security versions of packages, or the whole (manifest.md section 5).

use crate::Coordinator;
use crate::error::UpdateManifestError;
use crate::outcome::{Reporting, UpdateProgress};

impl Coordinator {
    /// Starts an update; it takes effect at once where no further acknowledgement is needed (L-50..L-52).
    ///
    /// # Errors
    /// M-100..M-112. Nothing was changed.
    pub async fn update_manifest(
        &self,
        _peer: Option<&[u8]>,
        _bytes: &[u8],
        _reporting: Reporting,
    ) -> Result<UpdateProgress, UpdateManifestError> {
        Err(UpdateManifestError::Unauthorized)
    }
}
