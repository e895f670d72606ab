//! The audit trail.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answer::data;
use crate::error::ClientError;
use crate::transport::Client;

/// Entries of the audit trail.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AuditPage {
    /// The index of the oldest entry that is kept.
    pub first: u64,
    /// The index of the first entry here.
    pub from: u64,
    /// Where to go on.
    pub next: u64,
    /// One past the newest entry.
    pub end: u64,
    /// The entries, oldest first.
    pub entries: Vec<AuditEntry>,
}

/// What somebody did or tried.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AuditEntry {
    /// Counted from 0 over the coordinator's life.
    pub index: u64,
    /// As in the update log.
    #[serde(default)]
    pub time: String,
    /// `None` where nobody had to authenticate.
    #[serde(default)]
    pub user: Option<String>,
    /// Such as `ReadSecret`.
    #[serde(default)]
    pub action: String,
    /// Names of secrets or packages, or a manifest's fingerprint; never values.
    #[serde(default)]
    pub resources: Vec<String>,
    /// `done` or `refused`.
    #[serde(default)]
    pub outcome: String,
    /// Why it was refused.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whatever else there is.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Client {
    /// At most `limit` entries of the audit trail from the index `from` on, or from the oldest that is kept; without a
    /// limit as many as the coordinator gives at once.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] without the certificate of a user; [`ClientError::Api`] without the right.
    pub async fn audit(&self, from: u64, limit: Option<usize>) -> Result<AuditPage, ClientError> {
        const WHAT: &str = "the audit trail";
        let limit = limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
        data(&self.get_new(WHAT, &format!("/api/v2/audit?from={from}{limit}")).await?, WHAT)
    }
}
