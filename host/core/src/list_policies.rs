//! Listing policies' components and handing them out: for everybody who can read the manifest, so that whoever verified it can audit
//! the code, too.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use carrara_types::policy::{Digest, World};

use crate::Coordinator;
use crate::components::Entries;
use crate::error::{ManifestReadError, PendingUpdateError};
use crate::outcome::PolicyListing;
use crate::ports::{Snapshot, StoreError};
use crate::records;
use crate::view::View;

/// The lengths of components that were read. A digest's never changes, and to read megabytes for a list is too much.
#[derive(Default)]
pub(crate) struct Sizes(Mutex<BTreeMap<Digest, u64>>);

impl Coordinator {
    /// The components of the built-in policies, of the manifest in force, of the pending update, and those that were uploaded;
    /// by their digests.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn list_policies(&self) -> Result<Vec<PolicyListing>, ManifestReadError> {
        let mut listed = BTreeMap::new();
        for own in self.policies.engine().built_in() {
            let listing = at(&mut listed, own.digest);
            listing.worlds.push(own.world);
            listing.built_in = Some(own.name.to_owned());
            listing.size = Some(own.component.len() as u64);
        }
        for info in self.uploads.infos(self.ports.clock.now()) {
            let listing = at(&mut listed, info.digest);
            listing.worlds = info.worlds;
            listing.size = Some(info.size as u64);
        }
        if let Some(view) = self.view().map_err(ManifestReadError::Store)? {
            name(&mut listed, &view.epoch.manifest.policies, |listing, name| listing.used_by.push(name));
            let pending = self.pending_policies(&view).map_err(ManifestReadError::Store)?;
            name(&mut listed, &pending, |listing, name| listing.pending.push(name));
            let unknown = listed.values().filter(|listing| listing.size.is_none());
            let sizes = self.sizes(&view, unknown.map(|listing| listing.digest).collect()).await;
            for listing in listed.values_mut() {
                listing.size = listing.size.or_else(|| sizes.get(&listing.digest).copied());
            }
        }
        Ok(listed.into_values().collect())
    }

    /// A component's bytes; `None` where the coordinator does not have it.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn policy_component(
        &self,
        digest: &Digest,
    ) -> Result<Option<Cow<'static, [u8]>>, ManifestReadError> {
        if let Some(own) = self.policies.engine().built_in().into_iter().find(|own| own.digest == *digest) {
            return Ok(Some(Cow::Borrowed(own.component)));
        }
        if let Some(bytes) = self.uploads.component(digest, self.ports.clock.now()) {
            return Ok(Some(Cow::Owned(bytes.to_vec())));
        }
        let Some(view) = self.view().map_err(ManifestReadError::Store)? else { return Ok(None) };
        let (snapshot, digest) = (Arc::clone(&view.snapshot), *digest);
        let read = move || records::component(snapshot.as_ref(), &digest);
        let read = tokio::task::spawn_blocking(read).await.unwrap_or(Err(StoreError::Closed));
        read.map(|bytes| bytes.map(Cow::Owned)).map_err(ManifestReadError::Store)
    }

    /// The policies of the pending update; none where none is pending.
    pub(crate) fn pending_policies(&self, view: &View) -> Result<Arc<Entries>, StoreError> {
        match self.pending_with_policies(view) {
            Ok((_, policies)) => Ok(policies),
            Err(PendingUpdateError::Store(error)) => Err(error),
            Err(_) => Ok(Arc::default()),
        }
    }

    async fn sizes(&self, view: &View, digests: Vec<Digest>) -> BTreeMap<Digest, u64> {
        let lock = || self.sizes.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().clone();
        let mut sizes: BTreeMap<Digest, u64> =
            digests.iter().filter_map(|digest| Some((*digest, *known.get(digest)?))).collect();
        let unread: Vec<Digest> = digests.into_iter().filter(|digest| !sizes.contains_key(digest)).collect();
        if !unread.is_empty() {
            let snapshot = Arc::clone(&view.snapshot);
            let read = move || read_sizes(snapshot.as_ref(), &unread);
            sizes.extend(tokio::task::spawn_blocking(read).await.unwrap_or_default());
        }
        // Of what is listed now, so that it does not grow for ever.
        lock().clone_from(&sizes);
        sizes
    }
}

fn read_sizes(snapshot: &dyn Snapshot, digests: &[Digest]) -> BTreeMap<Digest, u64> {
    let size = |digest: &Digest| {
        let bytes = records::component(snapshot, digest).ok()??;
        Some((*digest, bytes.len() as u64))
    };
    digests.iter().filter_map(size).collect()
}

fn at(listed: &mut BTreeMap<Digest, PolicyListing>, digest: Digest) -> &mut PolicyListing {
    listed.entry(digest).or_insert_with(|| PolicyListing {
        digest,
        worlds: Vec::new(),
        built_in: None,
        size: None,
        used_by: Vec::new(),
        pending: Vec::new(),
    })
}

fn name(
    listed: &mut BTreeMap<Digest, PolicyListing>,
    entries: &Entries,
    mut add: impl FnMut(&mut PolicyListing, String),
) {
    for (name, entry) in entries {
        let listing = at(listed, entry.component);
        let world: World = entry.world;
        if !listing.worlds.contains(&world) {
            listing.worlds.push(world);
        }
        add(listing, name.clone());
    }
}
