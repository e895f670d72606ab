//! Components of policies in the sealed state: exactly those that the manifest in force and the pending update name.
//!
//! Their bytes are written in the commit that makes a manifest name them and deleted in the one after which none does. They are read
//! when a set of policies is compiled, shown or stored again, and never on a request's path.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use carrara_types::policy::{Digest, PolicyEntry};

use crate::ports::{Batch, Components, Policies, PolicyEngine, Snapshot, StoreError};
use crate::records;

/// Components by their digests.
pub(crate) type Offered = BTreeMap<Digest, Arc<[u8]>>;

/// The policies of manifests.
pub(crate) type Entries = BTreeMap<String, PolicyEntry>;

/// Components that are at hand, and those of a state.
pub(crate) struct AtHand {
    pub(crate) offered: Offered,
    pub(crate) snapshot: Option<Arc<dyn Snapshot>>,
}

impl Components for AtHand {
    fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(bytes) = self.offered.get(digest) {
            return Ok(Some(bytes.to_vec()));
        }
        self.snapshot.as_ref().map_or(Ok(None), |snapshot| records::component(snapshot.as_ref(), digest))
    }
}

/// Makes sets of policies. That of the built-in ones alone is made once.
pub(crate) struct PolicySets {
    engine: Arc<dyn PolicyEngine>,
    built_in: Arc<dyn Policies>,
}

impl PolicySets {
    pub(crate) fn new(engine: Arc<dyn PolicyEngine>) -> Self {
        let nothing = Arc::new(AtHand { offered: Offered::new(), snapshot: None });
        let built_in = engine.set(&Entries::new(), nothing);
        Self { engine, built_in }
    }

    pub(crate) fn engine(&self) -> &Arc<dyn PolicyEngine> {
        &self.engine
    }

    /// What is in force while no manifest says otherwise.
    pub(crate) fn built_in(&self) -> &Arc<dyn Policies> {
        &self.built_in
    }

    /// The set that a manifest asks for.
    pub(crate) fn of(&self, entries: &Entries, components: AtHand) -> Arc<dyn Policies> {
        if entries.is_empty() {
            return Arc::clone(&self.built_in);
        }
        self.engine.set(entries, Arc::new(components))
    }
}

/// The digests that entries name, each once.
pub(crate) fn named(entries: &Entries) -> BTreeSet<Digest> {
    entries.values().map(|entry| entry.component).collect()
}

/// Changes a batch so that afterwards the state has these components and no others. What is in `offered` is written, also over what
/// is stored: that may be damaged, and to find out takes longer. What is not there either stays away. The batch must depend on
/// [`records::RESTORED`] where the state is open.
pub(crate) fn keep(
    batch: &mut Batch,
    snapshot: Option<&dyn Snapshot>,
    needed: &BTreeSet<Digest>,
    offered: &Offered,
) {
    let needed_keys: BTreeMap<String, &Digest> =
        needed.iter().map(|digest| (records::component_key(digest), digest)).collect();
    let stored = snapshot.map(|snapshot| snapshot.keys(records::COMPONENTS)).unwrap_or_default();
    batch.deletes.extend(stored.into_iter().filter(|key| !needed_keys.contains_key(key)));
    for (key, digest) in needed_keys {
        if let Some(bytes) = offered.get(digest) {
            records::put(batch, key, bytes.to_vec());
        }
    }
}
