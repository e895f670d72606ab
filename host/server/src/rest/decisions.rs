//! GET decisions: what policies decided, for users with the action ReadDecisions.

use std::sync::Arc;

use carrara_core::decisions::DECISION_PAGE;
use carrara_core::outcome::{DecisionFilter, DecisionPage};
use carrara_types::decision_record::DecisionRecord;
use serde::Serialize;

use super::{Call, Response, query, success};
use crate::problem::Failure;

/// What a verdict may be.
const VERDICTS: [&str; 3] = ["allow", "deny", "failed"];

#[derive(Serialize)]
struct Page {
    first: u64,
    next: u64,
    last: u64,
    records: Vec<Shared>,
}

/// A record that the ring keeps, too.
#[derive(Serialize)]
#[serde(transparent)]
struct Shared(#[serde(serialize_with = "shared")] Arc<DecisionRecord>);

fn shared<S: serde::Serializer>(record: &Arc<DecisionRecord>, serializer: S) -> Result<S::Ok, S::Error> {
    record.as_ref().serialize(serializer)
}

/// `after`: the number of the last decision that is known. `limit`: how many at most; more than a page are never given. `policy`,
/// `verdict`: those alone.
pub(super) async fn get(call: &mut Call) -> Result<Response, Failure> {
    call.authenticate()?;
    let after = query::number(&call.query, "after")?.unwrap_or_default();
    let limit = query::number(&call.query, "limit")?;
    let limit =
        limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DECISION_PAGE).min(DECISION_PAGE);
    let filter = filter(&call.query)?;
    let page = call.api.coordinator.read_decisions(call.peer.der(), after, limit, &filter).await;
    success(shown(page.map_err(Failure::Decisions)?))
}

/// A policy that does not exist has decided nothing; a verdict that does not exist is a mistake.
fn filter(text: &str) -> Result<DecisionFilter, Failure> {
    let value = |name| query::values(text, name).into_iter().next();
    let verdict = value("verdict");
    if verdict.as_deref().is_some_and(|verdict| !VERDICTS.contains(&verdict)) {
        return Err(Failure::Query("invalid query: \"verdict\" must be allow, deny or failed".to_owned()));
    }
    Ok(DecisionFilter { policy: value("policy"), verdict, ..DecisionFilter::default() })
}

fn shown(page: DecisionPage) -> Page {
    let DecisionPage { first, next, last, records } = page;
    Page { first, next, last, records: records.into_iter().map(Shared).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_narrowed_by_policy_and_verdict() {
        assert_eq!(filter("after=3").unwrap(), DecisionFilter::default());
        let narrowed = filter("policy=a+b&verdict=deny").unwrap();
        assert_eq!((narrowed.policy.as_deref(), narrowed.verdict.as_deref()), (Some("a b"), Some("deny")));
        assert!(
            matches!(filter("verdict=maybe"), Err(Failure::Query(text)) if text.contains("allow, deny or failed"))
        );
    }

    #[test]
    fn an_empty_ring_is_an_empty_page() {
        let page = DecisionPage { first: 1, next: 7, last: 0, records: Vec::new() };
        let text = crate::json::to_vec(&shown(page), 0).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "{\"first\":1,\"next\":7,\"last\":0,\"records\":[]}\n");
    }
}
