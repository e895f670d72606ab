//! Listing policies' components and handing them out: for everybody who can read the manifest, so that whoever verified it can audit
//! the code, too.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
pub(crate) struct Sizes {
    known: Arc<Mutex<Known>>,
    /// Held while components are read, also when whoever asked went away: anybody may ask, and each reads megabytes.
    reading: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Known {
    sizes: BTreeMap<Digest, u64>,
    /// What did not read at this revision of the state.
    unreadable: BTreeSet<Digest>,
    revision: u64,
}

impl Known {
    fn of(&self, digests: &[Digest]) -> BTreeMap<Digest, u64> {
        digests.iter().filter_map(|digest| Some((*digest, *self.sizes.get(digest)?))).collect()
    }

    fn unread(&self, revision: u64, digests: &[Digest]) -> Vec<Digest> {
        let failed = |digest: &Digest| self.revision == revision && self.unreadable.contains(digest);
        let unread = |digest: &&Digest| !self.sizes.contains_key(digest) && !failed(digest);
        digests.iter().filter(unread).copied().collect()
    }
}

impl Sizes {
    /// The lengths of those that can be read. One caller reads at a time, and the others find what it read.
    async fn of<R>(&self, revision: u64, digests: Vec<Digest>, read: R) -> BTreeMap<Digest, u64>
    where
        R: FnOnce(&[Digest]) -> BTreeMap<Digest, u64> + Send + 'static,
    {
        if !lock(&self.known).unread(revision, &digests).is_empty() {
            let reading = Arc::clone(&self.reading).lock_owned().await;
            let (known, wanted) = (Arc::clone(&self.known), digests.clone());
            let work = move || {
                let _reading = reading;
                let unread = lock(&known).unread(revision, &wanted);
                if unread.is_empty() {
                    return;
                }
                let read = read(&unread);
                let mut known = lock(&known);
                if known.revision != revision {
                    known.unreadable.clear();
                    known.revision = revision;
                }
                known.unreadable.extend(unread.iter().filter(|digest| !read.contains_key(digest)));
                known.sizes.extend(read);
                // Of what is listed now, so that it does not grow for ever.
                known.sizes.retain(|digest, _| wanted.contains(digest));
                known.unreadable.retain(|digest| wanted.contains(digest));
            };
            // Where it ended unexpectedly, the lengths are not known.
            let _ = tokio::task::spawn_blocking(work).await;
        }
        lock(&self.known).of(&digests)
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

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

    /// The lengths of stored components, but for those that cannot be read.
    pub(crate) async fn sizes(&self, view: &View, digests: Vec<Digest>) -> BTreeMap<Digest, u64> {
        let snapshot = Arc::clone(&view.snapshot);
        let read = move |unread: &[Digest]| read_sizes(snapshot.as_ref(), unread);
        self.sizes.of(view.snapshot.revision(), digests, read).await
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const GOOD: Digest = Digest([1; 32]);
    const BAD: Digest = Digest([2; 32]);

    /// Reads all but [`BAD`], and counts what it was asked for.
    fn reader(reads: &Arc<AtomicUsize>) -> impl FnOnce(&[Digest]) -> BTreeMap<Digest, u64> + Send + 'static {
        let reads = Arc::clone(reads);
        move |unread| {
            reads.fetch_add(unread.len(), Ordering::SeqCst);
            unread.iter().filter(|digest| **digest != BAD).map(|digest| (*digest, 5)).collect()
        }
    }

    #[tokio::test]
    async fn many_who_list_at_once_read_each_component_once_also_one_that_does_not_read() {
        let (sizes, reads) = (Sizes::default(), Arc::new(AtomicUsize::new(0)));
        let list = |revision| sizes.of(revision, vec![GOOD, BAD], reader(&reads));
        let known = BTreeMap::from([(GOOD, 5)]);
        let three = tokio::join!(list(1), list(1), list(1));
        assert_eq!(three, (known.clone(), known.clone(), known.clone()));
        assert_eq!(reads.load(Ordering::SeqCst), 2);
        assert_eq!(list(1).await, known);
        assert_eq!(reads.load(Ordering::SeqCst), 2);
        assert_eq!(list(2).await, known);
        assert_eq!(
            reads.load(Ordering::SeqCst),
            3,
            "what did not read is tried again when the state has changed"
        );
    }

    #[tokio::test]
    async fn what_is_not_listed_any_more_is_forgotten() {
        let (sizes, reads) = (Sizes::default(), Arc::new(AtomicUsize::new(0)));
        let (first, second) = (Digest([3; 32]), Digest([4; 32]));
        for digest in [first, second, first] {
            sizes.of(1, vec![digest], reader(&reads)).await;
        }
        assert_eq!(reads.load(Ordering::SeqCst), 3);
    }
}
