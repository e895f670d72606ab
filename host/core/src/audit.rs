//! The audit trail: who did what to which things, by names and never by values.
//!
//! A change's entry is stored in the change's own commit. Reads and refusals change nothing: they wait in memory, in a
//! bounded queue, until [`Coordinator::write_out_audit`] stores them. What waits is lost with the process. Requests of
//! callers who are no users leave no entry, so that strangers cannot push users' entries out. The form of an entry is
//! described in host/docs/audit.md.

mod waiting;

use std::borrow::Cow;

use carrara_types::decision::Principal;
use serde::Serialize;
use time::OffsetDateTime;

use crate::Coordinator;
use crate::access;
use crate::error::ReadAuditError;
use crate::log;
use crate::outcome::AuditPage;
use crate::ports::{Batch, CommitError, Committed, StoreError};
use crate::records;

pub(crate) use waiting::Trail;

/// Names that one entry lists; a request may name thousands.
const NAMED: usize = 64;

/// Bytes of all names that one entry lists, as they are written, so that no entry is longer than a few kilobytes: a user
/// can fill the whole trail with refusals.
const NAMED_BYTES: usize = 2048;

/// Bytes of one name that are kept.
const NAME_BYTES: usize = 256;

/// Characters of a reason that are kept.
const REASON_CHARS: usize = 512;

/// The most entries of one answer.
pub const AUDIT_PAGE: usize = 1000;

/// What somebody did or tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    ReadSecret,
    WriteSecret,
    SetManifest,
    UpdateSecurityVersion,
    UpdateManifest,
    AcknowledgeUpdate,
    CancelUpdate,
    /// A full update took effect, or failed to.
    ApplyUpdate,
    ReadAudit,
    /// A locked state was opened with recovery secrets.
    Recover,
    /// A sealed copy of the state was handed out.
    Backup,
    /// A policy's component was taken.
    UploadPolicy,
    ReadDecisions,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::ReadSecret => "ReadSecret",
            Self::WriteSecret => "WriteSecret",
            Self::SetManifest => "SetManifest",
            Self::UpdateSecurityVersion => "UpdateSecurityVersion",
            Self::UpdateManifest => "UpdateManifest",
            Self::AcknowledgeUpdate => "AcknowledgeUpdate",
            Self::CancelUpdate => "CancelUpdate",
            Self::ApplyUpdate => "ApplyUpdate",
            Self::ReadAudit => "ReadAudit",
            Self::Recover => "Recover",
            Self::Backup => "Backup",
            Self::UploadPolicy => "UploadPolicy",
            Self::ReadDecisions => "ReadDecisions",
        }
    }
}

/// One entry.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    time: OffsetDateTime,
    user: Option<String>,
    action: Action,
    resources: Vec<String>,
    refused: Option<String>,
}

impl Entry {
    /// Something that was done. `user` is `None` where nobody had to authenticate.
    pub(crate) fn done(
        time: OffsetDateTime,
        user: Option<&Principal>,
        action: Action,
        resources: impl IntoIterator<Item = String>,
    ) -> Self {
        let user = user.map(|user| user.name.clone());
        Self { time, user, action, resources: resources.into_iter().collect(), refused: None }
    }

    /// The same, refused; the reason is the public message.
    pub(crate) fn refused(self, reason: &str) -> Self {
        Self { refused: Some(reason.chars().take(REASON_CHARS).collect()), ..self }
    }

    /// One JSON object without newline.
    fn line(&self) -> String {
        self.shown().stored(self.time, 1)
    }

    /// What is stored, but for the time.
    fn shown(&self) -> Line {
        let resources = self.listed();
        let more = self.resources.len() - resources.len();
        Line {
            user: self.user.clone(),
            action: self.action.name(),
            resources: resources.into_iter().map(Cow::into_owned).collect(),
            more_resources: (more > 0).then_some(more),
            outcome: self.outcome(),
            reason: self.refused.clone(),
        }
    }

    /// The first names, as many as the limits allow.
    fn listed(&self) -> Vec<Cow<'_, str>> {
        let mut left = NAMED_BYTES;
        let names = self.resources.iter().take(NAMED).map(|name| cut(name));
        names
            .map_while(|name| {
                left = left.checked_sub(written_bytes(&name))?;
                Some(name)
            })
            .collect()
    }

    fn outcome(&self) -> &'static str {
        if self.refused.is_some() { "refused" } else { "done" }
    }

    /// Stores the entry with a batch that is not committed by [`Coordinator::commit`]; who commits it announces it.
    pub(crate) fn record(&self, batch: &mut Batch) {
        batch.audit_lines.push(self.line());
    }

    /// The structured log event of the entry.
    pub(crate) fn announce(&self) {
        tracing::info!(
            target: "carrara::audit",
            user = self.user.as_deref().unwrap_or_default(),
            action = self.action.name(),
            resources = ?self.listed(),
            outcome = self.outcome(),
            reason = self.refused.as_deref().unwrap_or_default(),
            "audit"
        );
    }
}

/// What an entry says. Entries that say the same are one, with a count.
#[derive(Debug, PartialEq, Eq, Hash, Serialize)]
struct Line {
    user: Option<String>,
    action: &'static str,
    resources: Vec<String>,
    #[serde(rename = "moreResources", skip_serializing_if = "Option::is_none")]
    more_resources: Option<usize>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// An entry as it is stored. The order of the fields is part of the form.
#[derive(Serialize)]
struct Stored<'a> {
    time: &'a str,
    #[serde(flatten)]
    line: &'a Line,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

impl Line {
    /// One JSON object without newline.
    fn stored(&self, first: OffsetDateTime, count: u64) -> String {
        let time = &log::time_text(first);
        written(&Stored { time, line: self, count: (count > 1).then_some(count) })
    }
}

/// What has nothing but texts and numbers is always written.
fn written(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

/// A name, or the beginning of a very long one.
fn cut(name: &str) -> Cow<'_, str> {
    if name.len() <= NAME_BYTES {
        return Cow::Borrowed(name);
    }
    let kept = name.get(..name.floor_char_boundary(NAME_BYTES)).unwrap_or_default();
    Cow::Owned(format!("{kept}\u{2026}"))
}

/// Bytes of a text in JSON, at most: control characters are written as six.
fn written_bytes(text: &str) -> usize {
    let written = |byte: u8| match byte {
        0..=0x1f => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    text.bytes().map(written).sum()
}

impl Coordinator {
    /// Notes what changes nothing: a read, or a refusal. Stored within a second, by [`Self::write_out_audit`].
    pub(crate) fn note(&self, entry: &Entry) {
        entry.announce();
        self.trail.push(entry.time, entry.shown());
    }

    /// Commits a batch with the audit entries of what it changes; the entries are logged once it is durable.
    pub(crate) async fn commit(
        &self,
        mut batch: Batch,
        now: OffsetDateTime,
        entries: &[Entry],
    ) -> Result<Committed, CommitError> {
        batch.time_ms = unix_milliseconds(now);
        batch.audit_lines.extend(entries.iter().map(Entry::line));
        let ends_pending = batch.deletes.iter().any(|key| key == records::PENDING_UPDATE);
        let committed = self.ports.store.commit(batch).await?;
        if ends_pending {
            self.pending_cache.clear();
        }
        entries.iter().for_each(Entry::announce);
        Ok(committed)
    }

    /// The trail's entries from index `from` on, for users with the action `ReadAudit` (resource type `Manifest`).
    ///
    /// # Errors
    /// Not a user, not permitted, or the state cannot be read.
    pub async fn read_audit(
        &self,
        peer: Option<&[u8]>,
        from: u64,
        limit: usize,
    ) -> Result<AuditPage, ReadAuditError> {
        let view = self.view().map_err(ReadAuditError::Store)?.ok_or(ReadAuditError::Unauthorized)?;
        let user = peer.and_then(|der| view.user(der)).ok_or(ReadAuditError::Unauthorized)?;
        let now = self.now(&view);
        let asked = access::may_read_audit(&view, &user, now).await;
        if let Err(error) = &asked {
            let entry = Entry::done(now, Some(&user), Action::ReadAudit, []);
            self.note(&entry.refused(&error.to_string()));
        }
        let snapshot = asked?.view().snapshot.as_ref();
        let kept = snapshot.audit_range();
        let from = from.clamp(kept.start, kept.end);
        let lines = snapshot.audit_lines(from, limit.min(AUDIT_PAGE)).map_err(ReadAuditError::Store)?;
        Ok(AuditPage { first: kept.start, from, next: from + lines.len() as u64, end: kept.end, lines })
    }

    /// How many different entries wait in memory.
    #[must_use]
    pub fn audit_entries_waiting(&self) -> usize {
        self.trail.len()
    }

    /// Stores the entries that wait. To be called once a second, and before the process ends; not to be dropped
    /// halfway, since what it took would be lost.
    ///
    /// # Errors
    /// The state cannot be written; the entries wait on.
    pub async fn write_out_audit(&self) -> Result<(), StoreError> {
        // Once a second, too.
        self.uploads.expire(self.ports.clock.now());
        let Some(view) = self.view()? else { return Ok(()) };
        let now = self.now(&view);
        let taken = self.trail.take();
        let audit_lines = taken.lines(now);
        if audit_lines.is_empty() {
            return Ok(());
        }
        // It depends on nothing, so that it is in conflict with nobody.
        let batch = Batch { audit_lines, time_ms: unix_milliseconds(now), ..Batch::default() };
        let Err(error) = self.ports.store.commit(batch).await else { return Ok(()) };
        self.trail.put_back(taken);
        match error {
            CommitError::Store(error) => Err(error),
            CommitError::Conflict => Ok(()),
        }
    }
}

/// As [`Batch::time_ms`].
pub(crate) fn unix_milliseconds(now: OffsetDateTime) -> i64 {
    i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2025-03-04 05:06:07.008_9 UTC);

    fn entry(resources: impl IntoIterator<Item = String>) -> Entry {
        let name = "alice \"a\"".to_owned();
        let user = Principal { name, certificate_sha256: [0; 32], roles: Vec::new() };
        Entry::done(NOW, Some(&user), Action::ReadSecret, resources)
    }

    // A golden: entries that were written once must be read for ever (host/docs/audit.md).
    #[test]
    fn the_form_of_an_entry_does_not_change() {
        let named = entry(["a".to_owned(), "b\n".to_owned()]);
        let common = r#"{"time":"2025-03-04T05:06:07.008Z","user":"alice \"a\"","action":"ReadSecret","resources":["a","b\n"]"#;
        assert_eq!(named.line(), format!(r#"{common},"outcome":"done"}}"#));
        assert_eq!(named.refused("no").line(), format!(r#"{common},"outcome":"refused","reason":"no"}}"#));
        let nobody = Entry::done(NOW, None, Action::SetManifest, []);
        assert_eq!(
            nobody.line(),
            r#"{"time":"2025-03-04T05:06:07.008Z","user":null,"action":"SetManifest","resources":[],"outcome":"done"}"#
        );
    }

    fn read(entry: &Entry) -> serde_json::Value {
        serde_json::from_str(&entry.line()).unwrap()
    }

    #[test]
    fn an_entry_lists_64_names_and_counts_the_others() {
        for (names, listed, more) in [(64, 64, None), (65, 64, Some(1)), (5000, 64, Some(4936))] {
            let read = read(&entry((0..names).map(|name| name.to_string())));
            assert_eq!(read["resources"].as_array().unwrap().len(), listed);
            assert_eq!(read["resources"][63], "63");
            assert_eq!(read.get("moreResources").and_then(serde_json::Value::as_u64), more);
        }
    }

    #[test]
    fn long_names_and_reasons_are_cut_and_no_entry_is_long() {
        let cut = read(&entry(["\u{e9}".repeat(128), "x\u{e9}".repeat(128)]));
        assert_eq!(cut["resources"][0], "\u{e9}".repeat(128));
        assert_eq!(cut["resources"][1], format!("{}x\u{2026}", "x\u{e9}".repeat(85)));
        let long = entry((0..64).map(|_| "\u{1}".repeat(9999))).refused(&"\u{1}".repeat(9999));
        assert_eq!(read(&long)["resources"].as_array().unwrap().len(), 1);
        assert_eq!(read(&long)["moreResources"], 63);
        for letters in ["\u{1}", "\"\\", "\n", "\u{10ffff}", "\u{1}x"] {
            let long = entry((0..64).map(|_| letters.repeat(100))).refused(&letters.repeat(9999));
            assert!(long.line().len() < 6 << 10, "{letters:?}: {}", long.line().len());
        }
    }
}
