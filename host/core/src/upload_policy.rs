//! Uploading a policy's component (policy.md, "In the manifest").
//!
//! Before a manifest is set anybody may, or the owner alone where one is configured; afterwards whoever may update the manifest. A
//! component that the manifest in force names and the state lost is taken from anybody: its bytes are known by their digest.

use std::sync::Arc;

use carrara_types::policy::Digest;
use sha2::{Digest as _, Sha256};

use crate::Coordinator;
use crate::access;
use crate::audit::{Action, Entry};
use crate::components::named;
use crate::error::{Unauthorized, UploadPolicyError};
use crate::phase::Phase;
use crate::ports::{Batch, CommitError, ComponentInfo};
use crate::records;
use crate::update_manifest::{ATTEMPTS, depend};
use crate::view::View;

impl Coordinator {
    /// Takes a policy's component. `peer` is the certificate (DER) that the connection proved.
    ///
    /// # Errors
    /// The caller may not, it is no policy or too large, or it cannot be stored.
    pub async fn upload_policy(
        &self,
        peer: Option<&[u8]>,
        component: Vec<u8>,
    ) -> Result<ComponentInfo, UploadPolicyError> {
        let most = self.uploads.limits.component_bytes;
        if component.len() > most {
            return Err(UploadPolicyError::TooLarge { bytes: component.len(), most });
        }
        // One at a time: reading a component takes time, and anybody may send one before a manifest is set.
        let turn = Arc::clone(&self.uploading).lock_owned().await;
        let hash = move || {
            let digest = Digest(Sha256::digest(&component).into());
            (component, digest, turn)
        };
        let (component, digest, turn) =
            tokio::task::spawn_blocking(hash).await.map_err(|_| UploadPolicyError::Ended)?;
        let wanted = self.may_upload(peer, &digest).await?;
        let engine = Arc::clone(self.policies.engine());
        let inspect = move || {
            let info = engine.inspect(&component);
            drop(turn);
            (info, component)
        };
        let (info, component) =
            tokio::task::spawn_blocking(inspect).await.map_err(|_| UploadPolicyError::Ended)?;
        let info = info.map_err(UploadPolicyError::Refused)?;
        let bytes: Arc<[u8]> = component.into();
        if !wanted || !self.restore(&digest, &bytes).await? {
            self.uploads.keep(info.clone(), bytes, self.ports.clock.now());
        }
        Ok(info)
    }

    /// Whether the caller may send this component, and whether the manifest in force names it.
    async fn may_upload(&self, peer: Option<&[u8]>, digest: &Digest) -> Result<bool, UploadPolicyError> {
        if Phase::of(self.ports.store.found()).accepts_manifest() {
            let allowed = access::may_set_manifest(self.owner.as_ref(), peer);
            return allowed.map(|_| false).map_err(|Unauthorized| UploadPolicyError::Unauthorized);
        }
        let view = self.view().map_err(UploadPolicyError::Store)?.ok_or(UploadPolicyError::Unauthorized)?;
        if names(&view, digest) {
            return Ok(true);
        }
        let user = peer.and_then(|der| view.user(der)).ok_or(UploadPolicyError::Unauthorized)?;
        let now = self.now(&view);
        let entry = Entry::done(now, Some(&user), Action::UploadPolicy, [digest.to_string()]);
        match access::may_upload_policy(&view, &user, now).await {
            Ok(_) => {
                self.note(&entry);
                Ok(false)
            }
            Err(error) => {
                self.note(&entry.refused(&error.to_string()));
                Err(error)
            }
        }
    }

    /// Stores a component that the manifest in force names and the state cannot read. `false` if that names it no longer.
    async fn restore(&self, digest: &Digest, bytes: &Arc<[u8]>) -> Result<bool, UploadPolicyError> {
        for _ in 0..ATTEMPTS {
            let Some(view) = self.view().map_err(UploadPolicyError::Store)? else { return Ok(false) };
            if !names(&view, digest) {
                return Ok(false);
            }
            let (snapshot, of) = (Arc::clone(&view.snapshot), *digest);
            let read = move || records::component(snapshot.as_ref(), &of);
            let read = tokio::task::spawn_blocking(read).await.map_err(|_| UploadPolicyError::Ended)?;
            if matches!(read, Ok(Some(_))) {
                return Ok(true);
            }
            let mut batch = Batch { depends: view.dependencies(), ..Batch::default() };
            let key = records::component_key(digest);
            depend(&mut batch.depends, &view, &key);
            depend(&mut batch.depends, &view, records::RESTORED);
            records::put(&mut batch, key, bytes.to_vec());
            records::put(&mut batch, records::RESTORED, vec![1]);
            let now = self.now(&view);
            let entry = Entry::done(now, None, Action::UploadPolicy, [digest.to_string()]);
            match self.commit(batch, now, &[entry]).await {
                Ok(_) => {
                    // Compiled from now on and not at the next request.
                    let _ = self.view();
                    return Ok(true);
                }
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(UploadPolicyError::Store(error)),
            }
        }
        Err(UploadPolicyError::Busy)
    }
}

fn names(view: &View, digest: &Digest) -> bool {
    named(&view.epoch.manifest.policies).contains(digest)
}
