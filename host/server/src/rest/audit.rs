//! GET audit: who did what, for users with the action ReadAudit.

use carrara_core::audit::AUDIT_PAGE;
use carrara_core::outcome::AuditPage;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Call, Response, query, success};
use crate::problem::Failure;

#[derive(Serialize)]
struct Page {
    first: u64,
    from: u64,
    next: u64,
    end: u64,
    entries: Vec<Map<String, Value>>,
}

/// `from`: the index of the first entry wanted. `limit`: how many at most; more than a page are never given.
pub(super) async fn get(call: &mut Call) -> Result<Response, Failure> {
    call.authenticate()?;
    let from = query::number(&call.query, "from")?.unwrap_or_default();
    let limit = query::number(&call.query, "limit")?;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(AUDIT_PAGE).min(AUDIT_PAGE);
    let page = call.api.coordinator.read_audit(call.peer.der(), from, limit).await.map_err(Failure::Audit)?;
    success(shown(page).map_err(|_| Failure::Encoding)?)
}

fn shown(page: AuditPage) -> Result<Page, serde_json::Error> {
    let AuditPage { first, from, next, end, lines } = page;
    let entry = |(index, line): (u64, String)| -> Result<Map<String, Value>, serde_json::Error> {
        let mut entry: Map<String, Value> = serde_json::from_str(&line)?;
        entry.insert("index".to_owned(), Value::from(index));
        Ok(entry)
    };
    let entries = (from..).zip(lines).map(entry).collect::<Result<_, _>>()?;
    Ok(Page { first, from, next, end, entries })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lines: &[&str]) -> AuditPage {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        AuditPage { first: 3, from: 7, next: 9, end: 20, lines }
    }

    #[test]
    fn entries_are_objects_with_their_index() {
        let text = crate::json::to_vec(&shown(page(&[r#"{"user":"a"}"#, "{}"])).unwrap(), 0).unwrap();
        let expected = "{\"first\":3,\"from\":7,\"next\":9,\"end\":20,\
            \"entries\":[{\"index\":7,\"user\":\"a\"},{\"index\":8}]}\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn an_entry_that_is_no_object_is_an_error() {
        assert!(shown(page(&["["])).is_err());
        assert!(shown(page(&["1"])).is_err());
    }
}
