//! `manifest log HOST`.

use std::path::Path;

use anyhow::{Error, Result};
use carrara_client::Address;
use serde_json::{Value, json};

use super::is_wrong_state;
use crate::args::Globals;
use crate::files;
use crate::output::Output;
use crate::session::Session;

pub(crate) async fn run(
    globals: &Globals,
    host: &Address,
    out_file: Option<&Path>,
    output: &mut Output,
) -> Result<()> {
    let lines = Session::new(globals, host).cached_client()?.update_log().await;
    let lines = lines.map_err(|error| {
        let remedy = if is_wrong_state(&error) { "; it begins with a manifest: set one first" } else { "" };
        Error::new(error).context(format!("reading the update log{remedy}"))
    })?;
    match out_file {
        Some(path) => {
            files::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes())?;
            output.line(&format!("Update log written to: {}", path.display()))?;
        }
        None => {
            output.line("Update log:")?;
            lines.iter().try_for_each(|line| output.line(line))?;
        }
    }
    let parsed: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| json!(line))).collect();
    output.result(&json!({ "updateLog": parsed, "file": out_file }))
}
