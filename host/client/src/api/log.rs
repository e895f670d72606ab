//! The log of updates and its signed head.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::Version;
use crate::answer::data;
use crate::checkpoint::Hash;
use crate::error::ClientError;
use crate::transport::Client;

/// Lines that are asked for at once of a log that is too long for one answer. A line has 64 KiB at most, so that a page is
/// smaller than the limit of an answer.
const PAGE: usize = 500;

/// The signed head of the update log, not verified yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LogHead {
    /// A C2SP tlog-checkpoint: see [`crate::checkpoint`].
    pub checkpoint: String,
    /// RFC 6962 consistency proof from the size that was asked for.
    #[serde(deserialize_with = "hashes")]
    pub consistency: Vec<Hash>,
}

#[derive(Deserialize)]
struct LogData {
    #[serde(rename = "updateLog")]
    lines: Option<Vec<String>>,
}

impl Client {
    /// All lines of the update log. It may be longer than one answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn update_log(&self) -> Result<Vec<String>, ClientError> {
        match self.log("/api/v2/update").await {
            Err(ClientError::TooLarge { .. }) => self.log_by_pages().await,
            other => other.map(|(lines, _)| lines),
        }
    }

    /// At most `limit` lines of the update log, from the line with the index `from` (0 is the first) on. Servers that
    /// know no ranges send the whole log; it is cut here where that can be told.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn update_log_range(
        &self,
        from: u64,
        limit: Option<usize>,
    ) -> Result<Vec<String>, ClientError> {
        let query = limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
        let (lines, version) = self.log(&format!("/api/v2/update?from={from}{query}")).await?;
        let limit = limit.unwrap_or(usize::MAX);
        if version == Version::Two && lines.len() <= limit {
            return Ok(lines);
        }
        Ok(lines.into_iter().skip(usize::try_from(from).unwrap_or(usize::MAX)).take(limit).collect())
    }

    /// The signed head of the update log with the proof that it continues a log of `from` lines; 0 asks for none.
    ///
    /// # Errors
    /// [`ClientError::NotOffered`] by servers that sign no checkpoints.
    pub async fn log_head(&self, from: u64) -> Result<LogHead, ClientError> {
        const WHAT: &str = "signed checkpoints of the update log";
        let path = format!("/api/v2/update/head?from={from}");
        data(&self.get_new(WHAT, &path).await?, WHAT)
    }

    /// Servers that know no ranges send too much again, which is the error then.
    async fn log_by_pages(&self) -> Result<Vec<String>, ClientError> {
        let mut lines = Vec::new();
        loop {
            let page = self.update_log_range(lines.len() as u64, Some(PAGE)).await?;
            let is_last = page.len() < PAGE;
            lines.extend(page);
            if is_last {
                return Ok(lines);
            }
        }
    }

    async fn log(&self, two: &str) -> Result<(Vec<String>, Version), ClientError> {
        const WHAT: &str = "the update log";
        let (answer, version) = self.get(WHAT, two, "/update").await?;
        let lines = match version {
            Version::One => data::<String>(&answer, WHAT)?.lines().map(str::to_owned).collect(),
            Version::Two => data::<LogData>(&answer, WHAT)?.lines.unwrap_or_default(),
        };
        Ok((lines, version))
    }
}

fn hashes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Hash>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
    let hash = |text: String| {
        let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        Hash::try_from(bytes).map_err(|_| D::Error::custom("a hash does not have 32 bytes"))
    };
    texts.into_iter().map(hash).collect()
}
