//! The manifest that a start names (L-20 as X-26): set once, a no-op when it is in force already, never applied in
//! recovery.

use carrara_types::manifest::ParsedManifest;
use sha2::{Digest, Sha256};

use crate::Coordinator;
use crate::access;
use crate::error::{SetManifestError, StartupManifestError, Unauthorized};
use crate::outcome::{KeepSecrets, ManifestSet};
use crate::phase::Phase;

impl Coordinator {
    /// Sets the startup manifest; `None` if it is in force already. `keep` takes the recovery secrets to where they outlast a crash:
    /// without it a manifest with recovery keys is refused.
    ///
    /// # Errors
    /// An owner is configured, another manifest is in force, the coordinator is in recovery, or the manifest is refused.
    pub async fn apply_startup_manifest(
        &self,
        bytes: &[u8],
        components: Vec<Vec<u8>>,
        keep: Option<KeepSecrets>,
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
        if !parsed.recovery_keys.is_empty() && keep.is_none() {
            return Err(StartupManifestError::RecoveryKeys);
        }
        let grant = access::may_set_manifest(self.owner.as_ref(), None)
            .map_err(|Unauthorized| SetManifestError::Unauthorized)?;
        Ok(Some(self.make_state(grant, bytes, components, keep).await?))
    }
}
