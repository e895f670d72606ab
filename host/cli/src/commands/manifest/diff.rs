//! `manifest diff OLD NEW` or `manifest diff FILE HOST`: what a manifest would change.

use std::path::{Path, PathBuf};

use anstyle::Style;
use anyhow::{Context, Result, bail};
use carrara_client::Address;
use clap::Args;
use serde_json::{Value, json};

use super::get;
use crate::args::Globals;
use crate::color::{BAD, DOUBTFUL, NEW, OLD};
use crate::exit::{Ending, ExitCode};
use crate::manifest_diff::{Change, Kind, diff, lines};
use crate::manifest_file;
use crate::output::Output;
use crate::session::Session;

/// Show what a manifest would change: two files, or a file and the coordinator that has another
///
/// Names, not text, are compared: order, white space and the case of fields do not matter. Certificates and keys are
/// shown by their SHA-256. A package update is shown as what the manifest becomes by it. What may harm is marked (!).
/// Runs of spaces are shown as their number; long values, but those of Marbles' parameters, by their beginning and end.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The manifest as it is; with a HOST the one that is proposed
    #[arg(value_name = "FILE")]
    first: PathBuf,
    /// The manifest that is proposed, or the coordinator (HOST:PORT, attested) whose manifest is in force
    #[arg(value_name = "FILE|HOST")]
    second: String,
    /// End with exit code 5 if there are differences
    #[arg(long)]
    exit_code: bool,
}

pub(crate) async fn run(globals: &Globals, command: &Diff, output: &mut Output) -> Result<()> {
    let first = load(&command.first)?;
    let second = Path::new(&command.second);
    let changes = if second.exists() {
        diff(&first, &load(second)?)
    } else {
        let Ok(host) = command.second.parse::<Address>() else {
            bail!("{:?} is neither a file that exists nor a coordinator (HOST:PORT)", command.second);
        };
        diff(&in_force(globals, &host).await?, &first)
    };
    show(&changes, output)?;
    output.result(&json!({ "changes": changes }))?;
    if command.exit_code && !changes.is_empty() {
        return Err(Ending::new(ExitCode::Findings, "the manifests differ").into());
    }
    Ok(())
}

/// Prints changes, and how many of them need a second look.
pub(crate) fn show(changes: &[Change], output: &mut Output) -> Result<()> {
    if changes.is_empty() {
        return output.line("No differences");
    }
    changes.iter().try_for_each(|change| show_one(change, "", output))?;
    let dangers = changes.iter().filter(|change| change.danger.is_some()).count();
    let plural = if changes.len() == 1 { "" } else { "s" };
    output.line(&format!("{} difference{plural}, {dangers} marked (!)", changes.len()))
}

/// Prints one change behind `indent`: a line, or several where it is long.
pub(crate) fn show_one(change: &Change, indent: &str, output: &mut Output) -> Result<()> {
    let style = match change.kind {
        Kind::Added => NEW,
        Kind::Removed => OLD,
        Kind::Changed => DOUBTFUL,
        Kind::Effect => Style::new(),
    };
    let (first, rest) = lines::of(change);
    let danger = change.danger.as_ref().map(|danger| format!("  (!) {danger}")).unwrap_or_default();
    output.styled(&[(indent, Style::new()), (&first, style), (&danger, BAD)])?;
    rest.iter()
        .try_for_each(|line| output.styled(&[(indent, Style::new()), ("    ", Style::new()), (line, style)]))
}

fn load(path: &Path) -> Result<Value> {
    let manifest = manifest_file::load(path)?;
    serde_json::from_slice(&manifest).with_context(|| format!("reading the manifest {}", path.display()))
}

/// The coordinator's manifest with the security versions of later package updates.
async fn in_force(globals: &Globals, host: &Address) -> Result<Value> {
    let session = Session::new(globals, host);
    let client = session.attested_client(&session.attest().await?);
    let manifest = client.manifest().await?.manifest;
    let consolidated = get::consolidate(&manifest, &client.update_log().await?)?;
    serde_json::from_slice(&consolidated).context("reading the coordinator's manifest as JSON")
}
