//! `version`.

use anyhow::Result;
use serde_json::json;

use crate::output::Output;

/// Set where a release is built.
const COMMIT: &str = match option_env!("CARRARA_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

pub(crate) fn run(output: &mut Output) -> Result<()> {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    output.line(&format!("CLI Version: {version}"))?;
    output.line(&format!("Commit: {COMMIT}"))?;
    output.result(&json!({ "version": version, "commit": COMMIT }))
}
