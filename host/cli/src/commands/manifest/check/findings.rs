//! Findings with their places.

use carrara_types::decision::{Finding, Severity};
use serde::Serialize;

use super::source::Source;

/// What was found in one file.
pub(super) struct Report {
    /// As the user named it.
    pub(super) file: String,
    /// In the order of the specification.
    pub(super) findings: Vec<Found>,
}

/// One finding.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    /// `error` or `warning`.
    pub(super) severity: &'static str,
    /// The rule.
    pub(super) code: String,
    /// RFC 6901 pointer into the manifest.
    pub(super) path: String,
    /// From 1.
    pub(super) line: u64,
    /// From 1, in characters.
    pub(super) column: u64,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) hint: Option<String>,
}

impl Report {
    /// How many errors there are.
    pub(super) fn errors(&self) -> usize {
        self.findings.iter().filter(|found| found.severity == "error").count()
    }

    /// How many warnings there are.
    pub(super) fn warnings(&self) -> usize {
        self.findings.len() - self.errors()
    }
}

impl Found {
    /// A finding at its place in the file.
    pub(super) fn at(source: &Source, finding: Finding) -> Self {
        let (line, column) = source.locate(&finding.path);
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Finding { code, path, message, hint, .. } = finding;
        Self { severity, code, path, line, column, message, hint }
    }

    /// An error that ended the reading.
    pub(super) fn unreadable(place: (u64, u64), path: String, message: String) -> Self {
        let (line, column) = place;
        Self { severity: "error", code: "syntax".to_owned(), path, line, column, message, hint: None }
    }
}
