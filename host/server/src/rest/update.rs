//! GET update: the update log.

use serde::Serialize;

use super::{Call, Response, Version, success};
use crate::problem::Failure;

#[derive(Serialize)]
struct LogV2 {
    #[serde(rename = "updateLog")]
    lines: Vec<String>,
}

pub(super) async fn get(call: Call) -> Result<Response, Failure> {
    let lines = call.api.coordinator.update_log(0, None).map_err(Failure::Log)?;
    match call.version {
        Version::V1 => success(joined(&lines)),
        Version::V2 => success(LogV2 { lines }),
    }
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
