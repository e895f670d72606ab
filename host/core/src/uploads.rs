//! Components that were uploaded and that no manifest names yet: in memory, bounded, gone on restart (policy.md).
//!
//! Whatever is kept here was parsed and fits a world; nothing of it is compiled before a manifest names it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carrara_types::policy::Digest;
use time::{Duration, OffsetDateTime};

use crate::ports::ComponentInfo;

/// How much is kept of what nobody uses yet, and how much a manifest may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Bytes of one component: those of Python bring their interpreter, which has 15 to 20 MiB.
    pub component_bytes: usize,
    /// Components at a time: as many as a manifest may name.
    pub count: usize,
    /// Bytes of all of them. Before a manifest is set anybody may upload.
    pub bytes: usize,
    /// How long one is kept: long enough for whoever agrees on a manifest first.
    pub kept: Duration,
    /// Bytes of all components that one manifest names, each digest once. They are stored and backed up with the state, and
    /// compiled they take more memory than that. Seven of Python's fit, and hundreds of others.
    pub named_bytes: usize,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            component_bytes: 32 << 20,
            count: 64,
            bytes: 128 << 20,
            kept: Duration::hours(24),
            named_bytes: 256 << 20,
        }
    }
}

/// An uploaded component.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) info: ComponentInfo,
    pub(crate) bytes: Arc<[u8]>,
    since: OffsetDateTime,
}

/// The components, the oldest first.
pub(crate) struct Uploads {
    pub(crate) limits: UploadLimits,
    kept: Mutex<VecDeque<Upload>>,
}

impl Uploads {
    pub(crate) fn new(limits: UploadLimits) -> Self {
        Self { limits, kept: Mutex::default() }
    }

    /// Keeps a component, the oldest ones out where there is no room. Once more, it counts as new.
    pub(crate) fn keep(&self, info: ComponentInfo, bytes: Arc<[u8]>, now: OffsetDateTime) {
        let mut kept = self.at(now);
        kept.retain(|upload| upload.info.digest != info.digest);
        kept.push_back(Upload { info, bytes, since: now });
        let mut sum: usize = kept.iter().map(|upload| upload.bytes.len()).sum();
        while kept.len() > self.limits.count || sum > self.limits.bytes {
            let Some(oldest) = kept.pop_front() else { return };
            sum -= oldest.bytes.len();
        }
    }

    /// A component's bytes.
    pub(crate) fn component(&self, digest: &Digest, now: OffsetDateTime) -> Option<Arc<[u8]>> {
        let kept = self.at(now);
        kept.iter().find(|upload| upload.info.digest == *digest).map(|upload| Arc::clone(&upload.bytes))
    }

    /// All of them.
    pub(crate) fn infos(&self, now: OffsetDateTime) -> Vec<ComponentInfo> {
        self.at(now).iter().map(|upload| upload.info.clone()).collect()
    }

    /// Drops what the state has now.
    pub(crate) fn forget<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for digest in digests {
            kept.retain(|upload| upload.info.digest != *digest);
        }
    }

    /// Drops what is too old.
    pub(crate) fn expire(&self, now: OffsetDateTime) {
        drop(self.at(now));
    }

    fn at(&self, now: OffsetDateTime) -> MutexGuard<'_, VecDeque<Upload>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|upload| now - upload.since < self.limits.kept);
        kept
    }
}

#[cfg(test)]
mod tests {
    use carrara_types::policy::World;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2031-02-03 04:05:06 UTC);

    fn uploads(count: usize, bytes: usize) -> Uploads {
        Uploads::new(UploadLimits { count, bytes, ..UploadLimits::default() })
    }

    fn keep(uploads: &Uploads, name: u8, size: usize, now: OffsetDateTime) {
        let worlds = vec![World::MarbleAdmission];
        uploads.keep(
            ComponentInfo { digest: Digest([name; 32]), worlds, size },
            vec![name; size].into(),
            now,
        );
    }

    fn names(uploads: &Uploads, now: OffsetDateTime) -> Vec<u8> {
        uploads.infos(now).iter().map(|info| info.digest.0[0]).collect()
    }

    // policy.md: "bounded in number and bytes, oldest out"
    #[test]
    fn the_oldest_ones_make_room_for_new_ones() {
        let few = uploads(2, 1000);
        for name in [1, 2, 1, 3] {
            keep(&few, name, 1, NOW);
        }
        assert_eq!(names(&few, NOW), [1, 3], "1 came once more");
        let small = uploads(9, 10);
        for (name, size) in [(1, 4), (2, 4), (3, 2), (4, 1)] {
            keep(&small, name, size, NOW);
        }
        assert_eq!(names(&small, NOW), [2, 3, 4]);
        keep(&small, 5, 11, NOW);
        assert_eq!(names(&small, NOW), [0; 0]);
    }

    // policy.md: "others expire after 24 hours"
    #[test]
    fn what_nobody_names_is_gone_after_a_day() {
        let uploads = uploads(9, 1000);
        keep(&uploads, 1, 1, NOW);
        keep(&uploads, 2, 1, NOW + Duration::hours(1));
        let day = NOW + Duration::hours(24);
        assert_eq!(names(&uploads, day - Duration::SECOND), [1, 2]);
        assert_eq!(names(&uploads, day), [2]);
        assert!(uploads.component(&Digest([1; 32]), day).is_none());
        assert!(uploads.component(&Digest([2; 32]), day).is_some());
        uploads.forget(&[Digest([2; 32])]);
        assert_eq!(names(&uploads, day), [0; 0]);
    }
}
