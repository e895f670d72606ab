//! GET update: the update log, and its signed head.

use std::sync::Arc;

use carrara_core::outcome::LogHead;
use serde::Serialize;

use super::findings::Base64;
use super::{Api, Call, Response, Version, query, success};
use crate::edge::Mishap;
use crate::limits::LOG_FEW_LINES;
use crate::problem::Failure;

#[derive(Serialize)]
struct LogV2 {
    #[serde(rename = "updateLog")]
    lines: Vec<String>,
}

#[derive(Serialize)]
struct Head {
    /// A signed note (C2SP tlog-checkpoint).
    checkpoint: String,
    /// RFC 6962, section 2.1.2.
    consistency: Vec<Base64>,
}

/// v2 takes `from`, the index of the first line, and `limit`, the number of lines; v1 knows neither.
pub(super) async fn get(call: &mut Call) -> Result<Response, Failure> {
    let (from, limit) = match call.version {
        Version::V1 => (0, None),
        Version::V2 => {
            let limit = query::number(&call.query, "limit")?;
            let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
            (query::number(&call.query, "from")?.unwrap_or_default(), limit)
        }
    };
    let lines = lines(&Arc::clone(&call.api), from, limit).await?;
    match call.version {
        Version::V1 => success(joined(&lines)),
        Version::V2 => success(LogV2 { lines }),
    }
}

/// Reads many lines off the async workers, few such readings at once; not many wait.
async fn lines(api: &Api, from: u64, limit: Option<usize>) -> Result<Vec<String>, Failure> {
    let coordinator = Arc::clone(&api.coordinator);
    if limit.is_some_and(|limit| limit <= LOG_FEW_LINES) {
        return coordinator.update_log(from, limit).map_err(Failure::Log);
    }
    let full = |_| Failure::Mishap(Mishap::Overload);
    let _place = api.log_readers.try_acquire().map_err(full)?;
    let _turn = api.log_readings.acquire().await.map_err(|_| Failure::Mishap(Mishap::Overload))?;
    let reading = tokio::task::spawn_blocking(move || coordinator.update_log(from, limit)).await;
    reading.map_err(|_| Failure::Mishap(Mishap::Panic))?.map_err(Failure::Log)
}

/// `from`: the size of the log that the caller has seen.
pub(super) async fn head(call: &mut Call) -> Result<Response, Failure> {
    let from = query::number(&call.query, "from")?;
    let LogHead { checkpoint, consistency } =
        call.api.coordinator.log_head(from).await.map_err(Failure::LogHead)?;
    success(Head { checkpoint, consistency: consistency.iter().map(|hash| Base64::of(hash)).collect() })
}

fn joined(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::joined;

    //
    #[test]
    fn v1_joins_the_lines_and_ends_with_a_newline() {
        assert_eq!(joined(&["a".to_owned(), "b".to_owned()]), "a\nb\n");
        assert_eq!(joined(&[]), "");
    }
}
