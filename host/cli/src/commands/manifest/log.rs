//! `manifest log HOST`, with `--verify` against the signed checkpoints that were seen before.

mod memory;
mod verify;

use std::path::PathBuf;

use anyhow::{Error, Result};
use carrara_client::{Address, Client, ClientError};
use clap::Args;
use serde_json::{Value, json};

use super::is_wrong_state;
use crate::args::Globals;
use crate::commands::refusal::NO_MANIFEST;
use crate::files;
use crate::output::{Output, escaped};
use crate::session::Session;

/// Read the log of updates, and verify it
///
/// --verify proves that the log is the one that was seen before, with lines added at its end at most: it checks the
/// coordinator's signature over the log's head, that the lines belong to that head, and that the head continues the last
/// one seen, which it keeps in the folder `checkpoints` beside the saved certificates. If not, the coordinator's state
/// was rolled back or forked: both heads are printed, the kept one stays, and the exit code is 6.
#[derive(Debug, Args)]
pub(crate) struct Log {
    /// HOST:PORT
    host: Address,
    /// Save the log instead of printing it
    #[arg(short, long, value_name = "FILE")]
    out_file: Option<PathBuf>,
    /// Verify the log and that it continues what was seen before
    #[arg(long)]
    verify: bool,
    /// The index of the first line, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    from: u64,
    /// At most this many lines
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

pub(crate) async fn run(globals: &Globals, command: &Log, output: &mut Output) -> Result<()> {
    let session = Session::new(globals, &command.host);
    let client = session.cached_client()?;
    let (lines, verified) = match command.verify {
        true => {
            let (all, verified) = verify::run(&session, &client, output).await?;
            output.line(&verified.to_string())?;
            (part(all, command), Some(verified))
        }
        false => {
            (read(&client, command).await.map_err(|error| failed(error, "reading the update log"))?, None)
        }
    };
    match &command.out_file {
        Some(path) => {
            files::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes())?;
            output.line(&format!("Update log written to: {}", path.display()))?;
        }
        None => {
            output.line("Update log:")?;
            lines.iter().try_for_each(|line| output.line(&escaped(line)))?;
        }
    }
    let parsed: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| json!(line))).collect();
    let mut result = json!({ "updateLog": parsed, "file": command.out_file });
    if let (Some(verified), Some(fields)) = (verified, result.as_object_mut()) {
        fields.insert("verified".to_owned(), verified.value());
    }
    output.result(&result)
}

async fn read(client: &Client, command: &Log) -> Result<Vec<String>, ClientError> {
    if (command.from, command.limit) == (0, None) {
        return client.update_log().await;
    }
    client.update_log_range(command.from, command.limit).await
}

fn part(lines: Vec<String>, command: &Log) -> Vec<String> {
    let from = usize::try_from(command.from).unwrap_or(usize::MAX);
    lines.into_iter().skip(from).take(command.limit.unwrap_or(usize::MAX)).collect()
}

fn failed(error: ClientError, doing: &str) -> Error {
    let separator = if is_wrong_state(&error) { "; it begins with a manifest: " } else { "" };
    let remedy = if is_wrong_state(&error) { NO_MANIFEST } else { "" };
    Error::new(error).context(format!("{doing}{separator}{remedy}"))
}
