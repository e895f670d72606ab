//! Uploading a policy's component (policy.md, "In the manifest").
//!
//! Before a manifest is set anybody may, or the owner alone where one is configured; afterwards whoever may update the manifest. A
//! component that the manifest in force names and that does not work is taken from anybody: its bytes are known by their digest.
//! Permission comes before the bytes, and is asked for again where another manifest came into force meanwhile.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use carrara_types::decision::Principal;
use carrara_types::policy::Digest;
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Coordinator;
use crate::access;
use crate::audit::{Action, Entry};
use crate::components::named;
use crate::error::{Unauthorized, UploadPolicyError};
use crate::phase::Phase;
use crate::ports::{Batch, CommitError, ComponentInfo, ComponentRefused};
use crate::records;
use crate::update_manifest::{ATTEMPTS, depend};
use crate::view::View;

/// Uploads of those who need no permission, at once, from before their first byte. Each may hold 32 MiB, and all of them together
/// leave room for one of somebody with permission among the bodies that are read. One more is told to try again.
const STRANGERS: usize = 3;

/// A component that is there and does not compile is compiled again at most this often because a stranger sent it.
const STRANGERS_RETRY: Duration = Duration::minutes(1);

/// What keeps uploads from each other's way: those of strangers never from that of somebody with permission.
pub(crate) struct UploadQueues {
    /// Held while a component of somebody with permission is read.
    known: Arc<tokio::sync::Mutex<()>>,
    /// The same of strangers.
    strangers: Arc<tokio::sync::Mutex<()>>,
    places: Arc<Semaphore>,
    /// When a stranger last had something compiled again.
    retried: Mutex<Option<OffsetDateTime>>,
}

impl Default for UploadQueues {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(STRANGERS));
        Self { known: Arc::default(), strangers: Arc::default(), places, retried: Mutex::default() }
    }
}

/// Permission to upload one component; made by [`Coordinator::permit_upload`] alone, before the bytes are there.
pub struct UploadPermission {
    peer: Option<Vec<u8>>,
    whose: Whose,
    given: Given,
    /// Of a stranger.
    place: Option<OwnedSemaphorePermit>,
}

/// Why somebody may.
enum Whose {
    /// No manifest is set: the owner, or whoever comes first.
    First,
    /// May update the manifest.
    User(Arc<Principal>),
    /// Anybody, these components alone; with any other the refusal is this.
    Lost(BTreeSet<Digest>, UploadPolicyError),
}

/// State and revision of the manifest that a permission is about; `None` where none is set.
type Given = Option<([u8; 16], u64)>;

impl Coordinator {
    /// Whether the caller may upload a component: asked before its bytes are read. `peer` is the certificate (DER) that the
    /// connection proved.
    ///
    /// # Errors
    /// The caller may not, or too many strangers upload at once.
    pub async fn permit_upload(&self, peer: Option<&[u8]>) -> Result<UploadPermission, UploadPolicyError> {
        let given = self.manifest_in_force();
        let (whose, stranger) = self.may_upload(peer).await?;
        let place = if stranger {
            let place = Arc::clone(&self.uploading.places).try_acquire_owned();
            Some(place.map_err(|_| UploadPolicyError::Full)?)
        } else {
            None
        };
        Ok(UploadPermission { peer: peer.map(<[u8]>::to_vec), whose, given, place })
    }

    /// Takes a policy's component.
    ///
    /// # Errors
    /// The caller may not, it is no policy or too large, or it cannot be stored.
    pub async fn upload_policy(
        &self,
        mut permission: UploadPermission,
        component: Vec<u8>,
    ) -> Result<ComponentInfo, UploadPolicyError> {
        let most = self.uploads.limits.component_bytes;
        if component.len() > most {
            return Err(UploadPolicyError::TooLarge { bytes: component.len(), most });
        }
        let (info, bytes) = self.read_upload(&mut permission, component).await?;
        for _ in 0..ATTEMPTS {
            if self.restore(&permission, &info.digest, &bytes).await? {
                return Ok(info);
            }
            // Nothing is waited for between this question and keeping it.
            if self.manifest_in_force() == permission.given {
                return self.keep_upload(permission.whose, info, bytes);
            }
            let peer = permission.peer.take();
            drop(permission);
            permission = self.permit_upload(peer.as_deref()).await?;
        }
        Err(UploadPolicyError::Busy)
    }

    fn keep_upload(
        &self,
        whose: Whose,
        info: ComponentInfo,
        bytes: Arc<[u8]>,
    ) -> Result<ComponentInfo, UploadPolicyError> {
        match whose {
            Whose::Lost(_, refusal) => return Err(refusal),
            Whose::First => {}
            Whose::User(user) => {
                let now = self.view().ok().flatten().map(|view| self.now(&view));
                let now = now.unwrap_or_else(|| self.ports.clock.now());
                self.note(&Entry::done(now, Some(&user), Action::UploadPolicy, [info.digest.to_string()]));
            }
        }
        self.uploads.keep(info.clone(), bytes, self.ports.clock.now());
        Ok(info)
    }

    /// Parses the component. One at a time of strangers, and one of all others: it takes time.
    async fn read_upload(
        &self,
        permission: &mut UploadPermission,
        component: Vec<u8>,
    ) -> Result<(ComponentInfo, Arc<[u8]>), UploadPolicyError> {
        let stranger = permission.place.is_some();
        let turn = if stranger { &self.uploading.strangers } else { &self.uploading.known };
        let turn = Arc::clone(turn).lock_owned().await;
        let wanted = match &permission.whose {
            Whose::Lost(wanted, _) => Some(wanted.clone()),
            Whose::First | Whose::User(_) => None,
        };
        let engine = Arc::clone(self.policies.engine());
        let work = move || {
            let digest = Digest(Sha256::digest(&component).into());
            let unwanted = wanted.is_some_and(|wanted| !wanted.contains(&digest));
            let info = (!unwanted).then(|| engine.inspect(&component));
            drop(turn);
            (info, component)
        };
        let read: (Option<Result<ComponentInfo, ComponentRefused>>, Vec<u8>) =
            tokio::task::spawn_blocking(work).await.map_err(|_| UploadPolicyError::Ended)?;
        match (read, &mut permission.whose) {
            ((Some(info), component), _) => Ok((info.map_err(UploadPolicyError::Refused)?, component.into())),
            ((None, _), Whose::Lost(_, refusal)) => {
                Err(std::mem::replace(refusal, UploadPolicyError::Unauthorized))
            }
            ((None, _), _) => Err(UploadPolicyError::Ended),
        }
    }

    /// Why the caller may, and whether without anybody's permission.
    async fn may_upload(&self, peer: Option<&[u8]>) -> Result<(Whose, bool), UploadPolicyError> {
        if Phase::of(self.ports.store.found()).accepts_manifest() {
            let allowed = access::may_set_manifest(self.owner.as_ref(), peer);
            allowed.map_err(|Unauthorized| UploadPolicyError::Unauthorized)?;
            return Ok((Whose::First, self.owner.is_none()));
        }
        let view = self.view().map_err(UploadPolicyError::Store)?.ok_or(UploadPolicyError::Unauthorized)?;
        let user = peer.and_then(|der| view.user(der));
        let refusal = match &user {
            None => UploadPolicyError::Unauthorized,
            Some(user) => match access::may_upload_policy(&view, user, self.now(&view)).await {
                Ok(_) => return Ok((Whose::User(Arc::clone(user)), false)),
                Err(error) => error,
            },
        };
        let lost = self.lost(&view);
        if !lost.is_empty() {
            return Ok((Whose::Lost(lost, refusal), true));
        }
        if let Some(user) = user {
            let entry = Entry::done(self.now(&view), Some(&user), Action::UploadPolicy, []);
            self.note(&entry.refused(&refusal.to_string()));
        }
        Err(refusal)
    }

    /// What anybody may send again: components of the manifest in force that are not there, or do not work.
    fn lost(&self, view: &View) -> BTreeSet<Digest> {
        let mut lost = named(&view.epoch.manifest.policies);
        let unusable = view.policies().unusable();
        let there =
            |digest: &Digest| view.snapshot.record_revision(&records::component_key(digest)).is_some();
        lost.retain(|digest| unusable.contains(digest) || !there(digest));
        lost
    }

    /// Stores a component that the manifest in force names and the state cannot read, and has one compiled again that does not
    /// work. `false` if that manifest does not name it.
    async fn restore(
        &self,
        permission: &UploadPermission,
        digest: &Digest,
        bytes: &Arc<[u8]>,
    ) -> Result<bool, UploadPolicyError> {
        for _ in 0..ATTEMPTS {
            let Some(view) = self.view().map_err(UploadPolicyError::Store)? else { return Ok(false) };
            if !names(&view, digest) {
                return Ok(false);
            }
            let (snapshot, of) = (Arc::clone(&view.snapshot), *digest);
            let read = move || records::component(snapshot.as_ref(), &of);
            let read = tokio::task::spawn_blocking(read).await.map_err(|_| UploadPolicyError::Ended)?;
            if matches!(read, Ok(Some(_))) {
                if view.policies().unusable().contains(digest) {
                    self.retry(permission)?;
                }
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

    /// Has the policies in force made anew, for what failed may pass: a lack of memory or threads, or a disk that did not answer.
    /// A stranger costs one compilation a minute and no commit.
    fn retry(&self, permission: &UploadPermission) -> Result<(), UploadPolicyError> {
        if permission.place.is_some() {
            let now = self.ports.clock.now();
            let mut retried = self.uploading.retried.lock().unwrap_or_else(PoisonError::into_inner);
            if retried.is_some_and(|last| (now - last).abs() < STRANGERS_RETRY) {
                return Err(UploadPolicyError::Full);
            }
            *retried = Some(now);
        }
        self.remake_policies().map_err(UploadPolicyError::Store)
    }

    fn manifest_in_force(&self) -> Given {
        if Phase::of(self.ports.store.found()).accepts_manifest() {
            return None;
        }
        let snapshot = self.ports.store.snapshot();
        Some((snapshot.state_id()?, snapshot.record_revision(records::MANIFEST)?))
    }
}

fn names(view: &View, digest: &Digest) -> bool {
    named(&view.epoch.manifest.policies).contains(digest)
}
