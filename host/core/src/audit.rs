//! The audit trail: who did what to which things, by names and never by values.
//!
//! A change's entry is stored in the change's own commit. Reads and refusals change nothing: they wait in memory, in a
//! bounded ring, until [`Coordinator::write_out_audit`] stores them. What waits is lost with the process. Requests of
//! callers who are no users leave no entry, so that strangers cannot push users' entries out.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use carrara_types::decision::Principal;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::Coordinator;
use crate::access;
use crate::error::ReadAuditError;
use crate::log;
use crate::outcome::AuditPage;
use crate::ports::{Batch, CommitError, Committed, StoreError};

/// Entries that wait in memory. More than this within the time between two writes are counted, not kept.
const WAITING: usize = 4096;

/// Names that one entry lists; a request may name thousands.
const NAMED: usize = 64;

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
        let mut entry = json!({
            "time": log::time_text(self.time),
            "user": self.user,
            "action": self.action.name(),
            "resources": self.resources.iter().take(NAMED).collect::<Vec<_>>(),
            "outcome": self.outcome(),
        });
        let more = self.resources.len().saturating_sub(NAMED);
        let extra = [
            (more > 0).then(|| ("moreResources", Value::from(more))),
            self.refused.as_ref().map(|reason| ("reason", Value::from(reason.as_str()))),
        ];
        if let Some(fields) = entry.as_object_mut() {
            fields.extend(extra.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)));
        }
        entry.to_string()
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
            resources = ?self.resources.get(..NAMED).unwrap_or(&self.resources),
            outcome = self.outcome(),
            reason = self.refused.as_deref().unwrap_or_default(),
            "audit"
        );
    }
}

/// What waits to be stored.
#[derive(Default)]
pub(crate) struct Trail(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    lines: VecDeque<String>,
    dropped: u64,
}

impl Trail {
    fn push(&self, line: String) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.lines.len() < WAITING {
            ring.lines.push_back(line);
        } else {
            ring.dropped += 1;
        }
    }

    /// Everything that waits, with a last entry that tells how many were not kept.
    fn take(&self, now: OffsetDateTime) -> Vec<String> {
        let ring = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut lines = Vec::from(ring.lines);
        if ring.dropped > 0 {
            let time = log::time_text(now);
            lines
                .push(json!({ "time": time, "action": "EntriesDropped", "count": ring.dropped }).to_string());
        }
        lines
    }
}

impl Coordinator {
    /// Notes what changes nothing: a read, or a refusal. Stored within a second, by [`Self::write_out_audit`].
    pub(crate) fn note(&self, entry: &Entry) {
        entry.announce();
        self.trail.push(entry.line());
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
        let committed = self.ports.store.commit(batch).await?;
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
        let asked = access::may_read_audit(&view, self.ports.policies.as_ref(), &user, now).await;
        if let Err(error @ ReadAuditError::Denied(_)) = &asked {
            let entry = Entry::done(now, Some(&user), Action::ReadAudit, []);
            self.note(&entry.refused(&error.to_string()));
        }
        let snapshot = asked?.view().snapshot.as_ref();
        let kept = snapshot.audit_range();
        let from = from.clamp(kept.start, kept.end);
        let lines = snapshot.audit_lines(from, limit.min(AUDIT_PAGE)).map_err(ReadAuditError::Store)?;
        Ok(AuditPage { first: kept.start, from, next: from + lines.len() as u64, end: kept.end, lines })
    }

    /// How many entries wait in memory.
    #[must_use]
    pub fn audit_entries_waiting(&self) -> usize {
        self.trail.0.lock().unwrap_or_else(PoisonError::into_inner).lines.len()
    }

    /// Stores the entries that wait. To be called once a second, and before the process ends.
    ///
    /// # Errors
    /// The state cannot be written; the entries wait on.
    pub async fn write_out_audit(&self) -> Result<(), StoreError> {
        let Some(view) = self.view()? else { return Ok(()) };
        let now = self.now(&view);
        let audit_lines = self.trail.take(now);
        if audit_lines.is_empty() {
            return Ok(());
        }
        let batch =
            Batch { audit_lines: audit_lines.clone(), time_ms: unix_milliseconds(now), ..Batch::default() };
        match self.ports.store.commit(batch).await {
            Ok(_) => Ok(()),
            Err(error) => {
                audit_lines.into_iter().for_each(|line| self.trail.push(line));
                match error {
                    CommitError::Store(error) => Err(error),
                    // It depends on nothing.
                    CommitError::Conflict => Ok(()),
                }
            }
        }
    }
}

/// As [`Batch::time_ms`].
pub(crate) fn unix_milliseconds(now: OffsetDateTime) -> i64 {
    i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
