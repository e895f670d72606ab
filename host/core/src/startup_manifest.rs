//! The manifest that a start names (L-20 as X-26): set once, a no-op when it is in force already, never applied in
//! recovery.

use carrara_types::manifest::ParsedManifest;
use sha2::{Digest, Sha256};

use crate::Coordinator;
use crate::error::{SetManifestError, StartupManifestError};
use crate::outcome::ManifestSet;
use crate::phase::Phase;

impl Coordinator {
    /// Sets the startup manifest; `None` if it is in force already. `keeps_recovery_secrets` says whether the caller
    /// will keep the recovery secrets: without that a manifest with recovery keys is refused.
    ///
    /// # Errors
    /// An owner is configured, another manifest is in force, the coordinator is in recovery, or the manifest is refused.
    pub async fn apply_startup_manifest(
        &self,
        bytes: &[u8],
        keeps_recovery_secrets: bool,
    ) -> Result<Option<ManifestSet>, StartupManifestError> {
        // Who starts the process is the host, which the owner certificate is against.
        if self.owner.is_some() {
            return Err(StartupManifestError::Owner);
        }
        match Phase::of(self.ports.store.found()) {
            Phase::Recovery => return Err(StartupManifestError::Recovery),
            Phase::AcceptingMarbles => {
                let in_force = self.manifest()?.map(|answer| answer.fingerprint.clone()).unwrap_or_default();
                let same = in_force == hex::encode(Sha256::digest(bytes));
                return if same { Ok(None) } else { Err(StartupManifestError::Different(in_force)) };
            }
            Phase::AcceptingManifest => {}
        }
        let parsed = ParsedManifest::parse(bytes).map_err(SetManifestError::Parse)?;
        if !parsed.recovery_keys.is_empty() && !keeps_recovery_secrets {
            return Err(StartupManifestError::RecoveryKeys);
        }
        Ok(Some(self.set_manifest(None, bytes).await?))
    }
}
