//! What policies decided: a bounded ring in memory, gone on restart (policy.md, "Decision records").
//!
//! Holds no secret and no manifest. Whoever records never waits for whoever reads longer than it takes to copy pointers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carrara_types::decision::Decision;
use carrara_types::decision_record::{Answer, DecisionRecord, Question};
use carrara_types::policy::World;

use crate::Coordinator;
use crate::access;
use crate::audit::{Action, Entry};
use crate::decision_size;
use crate::error::ReadDecisionsError;
use crate::outcome::{DecisionFilter, DecisionPage};
use crate::ports::{PolicyCall, PolicyObserver};

/// Records in memory, unless it is configured.
const KEPT: usize = 4096;

/// Their bytes, unless it is configured.
const KEPT_BYTES: usize = 16 << 20;

/// How many decisions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionLimits {
    /// Records: an hour of one a second, and a burst.
    pub kept: usize,
    /// Bytes of all of them, about: requests may name thousands of secrets, and findings are texts of policies. The largest
    /// record has 64 KiB.
    pub kept_bytes: usize,
}

impl Default for DecisionLimits {
    fn default() -> Self {
        Self { kept: KEPT, kept_bytes: KEPT_BYTES }
    }
}

/// Records of one answer.
pub const DECISION_PAGE: usize = 1000;

/// The newest decisions, with numbers from 1 that are never used twice.
#[derive(Default)]
pub struct DecisionRing {
    limits: DecisionLimits,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    records: VecDeque<(usize, Arc<DecisionRecord>)>,
    bytes: usize,
    last: u64,
}

impl DecisionRing {
    /// A ring with room for so many.
    #[must_use]
    pub fn new(limits: DecisionLimits) -> Self {
        Self { limits, kept: Mutex::default() }
    }

    /// Keeps a record under the next number, cut where it is large; the oldest ones make room.
    pub fn record(&self, mut record: DecisionRecord) {
        let bytes = decision_size::fit(&mut record);
        let mut kept = self.lock();
        kept.last += 1;
        record.sequence = kept.last;
        kept.records.push_back((bytes, Arc::new(record)));
        kept.bytes += bytes;
        while kept.records.len() > self.limits.kept || kept.bytes > self.limits.kept_bytes {
            let Some((bytes, _)) = kept.records.pop_front() else { return };
            kept.bytes -= bytes;
        }
    }

    /// Up to `limit` records with numbers above `after` that the filter lets through, the oldest first.
    #[must_use]
    pub fn read(&self, after: u64, limit: usize, filter: &DecisionFilter) -> DecisionPage {
        let kept = self.lock();
        let first = kept.records.front().map_or(kept.last + 1, |(_, record)| record.sequence);
        let (mut records, mut next) = (Vec::new(), kept.last.max(after));
        for (_, record) in kept.records.iter().filter(|(_, record)| record.sequence > after) {
            if records.len() >= limit.min(DECISION_PAGE) {
                next = record.sequence - 1;
                break;
            }
            if passes(filter, record) {
                records.push(Arc::clone(record));
            }
        }
        DecisionPage { first, next, last: kept.last, records }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PolicyObserver for DecisionRing {
    fn called(&self, _call: &PolicyCall<'_>) {}

    fn decided(&self, record: DecisionRecord) {
        if !lets_read(&record) {
            self.record(record);
        }
    }
}

impl Coordinator {
    /// The decisions after the one with this number, for users with the action `ReadDecisions` (resource type `Manifest`).
    ///
    /// # Errors
    /// Not a user, not permitted, or the state cannot be read.
    pub async fn read_decisions(
        &self,
        peer: Option<&[u8]>,
        after: u64,
        limit: usize,
        filter: &DecisionFilter,
    ) -> Result<DecisionPage, ReadDecisionsError> {
        let view = self.view().map_err(ReadDecisionsError::Store)?.ok_or(ReadDecisionsError::Unauthorized)?;
        let user = peer.and_then(|der| view.user(der)).ok_or(ReadDecisionsError::Unauthorized)?;
        let now = self.now(&view);
        if let Err(error) = access::may_read_decisions(&view, &user, now).await {
            let entry = Entry::done(now, Some(&user), Action::ReadDecisions, []);
            self.note(&entry.refused(&error.to_string()));
            return Err(error);
        }
        Ok(self.ports.decisions.read(after, limit, filter))
    }
}

/// Whether it allows reading the ring: who follows it would fill it with that. Refusals are kept.
fn lets_read(record: &DecisionRecord) -> bool {
    let Question::Authorization(request) = &record.request else { return false };
    request.action == access::READ_DECISIONS && record.answer == Answer::Decision(Decision::Allow)
}

fn passes(filter: &DecisionFilter, record: &DecisionRecord) -> bool {
    let DecisionFilter { policy, world, mode, verdict } = filter;
    policy.as_ref().is_none_or(|policy| *policy == record.policy)
        && world.is_none_or(|world: World| world == record.world)
        && mode.is_none_or(|mode| mode == record.mode)
        && verdict.as_ref().is_none_or(|verdict| verdict == record.answer.verdict())
}

#[cfg(test)]
mod tests {
    use carrara_types::decision::AuthorizationRequest;
    use carrara_types::policy::{Digest, Mode};

    use super::*;

    fn record(policy: &str, names: usize) -> DecisionRecord {
        let resource_names = (0..names).map(|name| name.to_string()).collect();
        DecisionRecord {
            sequence: 0,
            time_ms: 1,
            revision: 2,
            world: World::RoleAuthorization,
            policy: policy.to_owned(),
            digest: Digest([1; 32]),
            mode: Mode::Enforce,
            settings: Digest([2; 32]),
            request: Question::Authorization(AuthorizationRequest { resource_names, ..Default::default() }),
            answer: Answer::Decision(Decision::Allow),
            fuel: 3,
            duration_us: 4,
            cut: false,
        }
    }

    fn kept() -> usize {
        DecisionLimits::default().kept
    }

    fn numbers(page: &DecisionPage) -> Vec<u64> {
        page.records.iter().map(|record| record.sequence).collect()
    }

    // policy.md, Decision records: "A bounded ring in memory"
    #[test]
    fn the_oldest_go_first_and_the_gap_is_seen() {
        let ring = DecisionRing::default();
        let all = DecisionFilter::default();
        let empty = ring.read(0, 10, &all);
        assert_eq!((empty.first, empty.next, empty.last), (1, 0, 0));
        for _ in 0..kept() + 2 {
            ring.record(record("rbac", 0));
        }
        let page = ring.read(0, 2, &all);
        assert_eq!((page.first, page.next, numbers(&page)), (3, 4, vec![3, 4]), "1 and 2 are lost");
        let last = kept() as u64 + 2;
        let page = ring.read(last - 1, 9, &all);
        assert_eq!((page.next, page.last, numbers(&page)), (last, last, vec![last]));
        assert_eq!(ring.read(0, usize::MAX, &all).records.len(), DECISION_PAGE);
        let beyond = ring.read(last + 5, 9, &all);
        assert_eq!((beyond.next, beyond.records.len()), (last + 5, 0));
    }

    #[test]
    fn large_records_push_more_of_the_others_out() {
        let ring = DecisionRing::default();
        for _ in 0..500 {
            ring.record(record("rbac", 700));
        }
        let page = ring.read(0, 1000, &DecisionFilter::default());
        assert!(page.first > 50 && page.records.len() < 450, "{}", page.records.len());
        assert_eq!(page.last, 500);
    }

    #[test]
    fn one_request_of_very_many_names_pushes_nothing_out() {
        let ring = DecisionRing::default();
        ring.record(record("rbac", 1));
        ring.record(record("rbac", DecisionLimits::default().kept_bytes / 64 + 1));
        assert_eq!(numbers(&ring.read(0, 9, &DecisionFilter::default())), [1, 2]);
    }

    #[test]
    fn the_ring_has_the_room_that_is_configured() {
        let all = DecisionFilter::default();
        let few = DecisionRing::new(DecisionLimits { kept: 2, ..DecisionLimits::default() });
        let small = DecisionRing::new(DecisionLimits { kept_bytes: 128 << 10, ..DecisionLimits::default() });
        for _ in 0..9 {
            few.record(record("rbac", 0));
            small.record(record("rbac", 700));
        }
        assert_eq!(numbers(&few.read(0, 9, &all)), [8, 9]);
        let page = small.read(0, 9, &all);
        assert!(page.first > 1 && page.last == 9 && !page.records.is_empty(), "{page:?}");
    }

    // policy.md, Decision records: who follows the ring must not fill it.
    #[test]
    fn that_somebody_may_read_the_ring_is_not_kept_and_that_somebody_may_not_is() {
        let ring = DecisionRing::default();
        let asked = |action: &str, answer: Answer| {
            let action = action.to_owned();
            let request = AuthorizationRequest { action, ..Default::default() };
            DecisionRecord { request: Question::Authorization(request), answer, ..record("rbac", 0) }
        };
        let allow = || Answer::Decision(Decision::Allow);
        ring.decided(asked("ReadDecisions", allow()));
        ring.decided(asked("ReadAudit", allow()));
        ring.decided(asked("ReadDecisions", Answer::Failed("x".to_owned())));
        ring.decided(asked("ReadDecisions", Answer::Decision(Decision::Deny(Default::default()))));
        let page = ring.read(0, 9, &DecisionFilter::default());
        let verdicts: Vec<_> = page.records.iter().map(|record| record.answer.verdict()).collect();
        assert_eq!(verdicts, ["allow", "failed", "deny"]);
    }

    #[test]
    fn a_filter_lets_through_what_it_names_and_reading_goes_on_behind_the_rest() {
        let ring = DecisionRing::default();
        for policy in ["a", "b", "a", "b"] {
            ring.record(record(policy, 0));
        }
        let of = |policy: &str| DecisionFilter { policy: Some(policy.to_owned()), ..Default::default() };
        let page = ring.read(0, 1, &of("b"));
        assert_eq!((numbers(&page), page.next), (vec![2], 2));
        assert_eq!(numbers(&ring.read(page.next, 9, &of("b"))), [4]);
        for filter in [
            of("c"),
            DecisionFilter { world: Some(World::MarbleAdmission), ..Default::default() },
            DecisionFilter { mode: Some(Mode::Shadow), ..Default::default() },
            DecisionFilter { verdict: Some("deny".to_owned()), ..Default::default() },
        ] {
            let page = ring.read(0, 9, &filter);
            assert_eq!((numbers(&page), page.next), (vec![], 4));
        }
        let allowed = DecisionFilter { verdict: Some("allow".to_owned()), ..Default::default() };
        assert_eq!(numbers(&ring.read(0, 9, &allowed)), [1, 2, 3, 4]);
    }
}
