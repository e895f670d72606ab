//! `manifest check FILE`: what a coordinator would say to a manifest, without one.
//!
//! The same reader, host list and built-in policies judge, and the manifest's own ones whose components are given; their findings
//! come with file, line and column. What only a coordinator knows is left out: its own names (L-12), the policies of the manifest
//! in force, and values that users upload.

mod findings;
mod judge;
mod policies;
mod source;

use std::path::PathBuf;

use anstyle::Style;
use anyhow::Result;
use clap::Args;
use serde_json::json;

use self::findings::{Found, Report};
use crate::color::{BAD, DOUBTFUL, HINT};
use crate::exit::{Ending, ExitCode};
use crate::output::Output;

/// Check a manifest offline, as a coordinator would: JSON or YAML
///
/// The built-in policies judge it, and those of its own whose components are given; and every template is rendered once with dummies for the secrets. Exit code 5 if there
/// are errors; warnings alone are none.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The manifest
    file: PathBuf,
    /// Check it as an update of this manifest
    #[arg(long, value_name = "FILE")]
    update_of: Option<PathBuf>,
    /// The component of a policy that the manifest names, which judges too; as often as needed
    #[arg(long = "policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
}

pub(crate) fn run(command: &Check, output: &mut Output) -> Result<()> {
    let given = policies::given(&command.policies)?;
    let report = judge::judge(&command.file, command.update_of.as_deref(), &given)?;
    show(&report, output)?;
    output.result(&json!({
        "file": command.file, "errors": report.errors(), "warnings": report.warnings(), "findings": report.findings,
    }))?;
    match report.errors() {
        0 => output.line(&format!("{}: {}", report.file, counted(report.warnings(), "warning"))),
        errors => {
            let text = format!("{} has {}", report.file, counted(errors, "error"));
            Err(Ending::new(ExitCode::Findings, text).into())
        }
    }
}

fn show(report: &Report, output: &mut Output) -> Result<()> {
    for Found { severity, code, line, column, message, hint, .. } in &report.findings {
        let place = format!("{}:{line}:{column}: ", report.file);
        let style = if *severity == "error" { BAD } else { DOUBTFUL };
        let plain = Style::new();
        output.styled(&[
            (&place, plain.bold()),
            (&format!("{severity}[{code}]"), style),
            (&format!(": {message}"), plain),
        ])?;
        if let Some(hint) = hint {
            output.styled(&[("  hint: ", HINT), (hint, plain)])?;
        }
    }
    Ok(())
}

fn counted(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests;
