//! Where an answer is not the expected one.

use std::fmt::Debug;

use carrara_types::decision::{Denial, Finding, Severity};
use carrara_wasm::SettingsError;
use serde::Serialize;

use super::expect::{DenialPattern, Expected, FindingPattern, RenderErrorPattern, SettingsPattern};
use crate::question::{Answer, RenderError};
use crate::words::in_words;

/// The code that SDKs give to an uncaught error.
const POLICY_ERROR: &str = "policy-error";

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Such as `code`, or `findings[1].path`.
    pub what: String,
    /// What the case says.
    pub expected: String,
    /// What came.
    pub got: String,
}

impl Difference {
    pub(super) fn new(what: impl Into<String>, expected: impl Into<String>, got: String) -> Self {
        Self { what: what.into(), expected: expected.into(), got }
    }
}

/// Where an answer differs.
pub(super) fn answer(expected: &Expected, answer: &Answer) -> Vec<Difference> {
    match (expected, answer) {
        (Expected::Deny(pattern), Answer::Deny(denial)) => denial_differences(pattern, denial),
        (Expected::Findings(patterns), Answer::Findings(found)) => findings(patterns, found),
        (Expected::Rendered(expected), Answer::Rendered(texts)) => rendered(expected, texts),
        (Expected::RenderError(pattern), Answer::RenderError(error)) => render_error(pattern, error),
        (Expected::Allow, Answer::Allow | Answer::Findings(_)) if answer.allows() => Vec::new(),
        (Expected::Failure, answer) if is_failure(answer) => Vec::new(),
        (expected, answer) => vec![Difference::new("answer", name(expected), in_words(answer))],
    }
}

fn name(expected: &Expected) -> &'static str {
    match expected {
        Expected::Allow => "allow",
        Expected::Deny(_) => "deny",
        Expected::Findings(_) => "findings",
        Expected::Rendered(_) => "rendered",
        Expected::RenderError(_) => "render error",
        Expected::Failure => "failure",
        Expected::RefusedSettings(_) => "refused settings",
    }
}

fn is_failure(answer: &Answer) -> bool {
    match answer {
        Answer::Failure(_) => true,
        Answer::Deny(denial) => denial.code == POLICY_ERROR,
        Answer::Findings(findings) => {
            findings.iter().any(|finding| finding.code == POLICY_ERROR && finding.severity == Severity::Error)
        }
        _ => false,
    }
}

/// Collects what differs, with where it stands.
struct Differences {
    place: String,
    found: Vec<Difference>,
}

impl Differences {
    fn within(place: String) -> Self {
        Self { place, found: Vec::new() }
    }

    fn field<T: PartialEq + Debug>(&mut self, name: &str, expected: Option<&T>, got: &T) {
        if let Some(expected) = expected
            && expected != got
        {
            let what = format!("{}{name}", self.place);
            self.found.push(Difference::new(what, format!("{expected:?}"), format!("{got:?}")));
        }
    }

    fn hint(&mut self, expected: Option<&String>, got: Option<&String>) {
        self.field("hint", expected.map(Some).as_ref(), &got);
    }
}

fn denial_differences(pattern: &DenialPattern, denial: &Denial) -> Vec<Difference> {
    let mut differences = Differences::within(String::new());
    differences.field("code", pattern.code.as_ref(), &denial.code);
    differences.field("message", pattern.message.as_ref(), &denial.message);
    differences.hint(pattern.hint.as_ref(), denial.hint.as_ref());
    differences.field("resources", pattern.resources.as_ref(), &denial.resources);
    differences.found
}

fn findings(patterns: &[FindingPattern], found: &[Finding]) -> Vec<Difference> {
    if patterns.len() != found.len() {
        let expected = format!("{} findings", patterns.len());
        let got = format!("{}: {}", found.len(), in_words(&Answer::Findings(found.to_vec())));
        return vec![Difference::new("findings", expected, got)];
    }
    let pairs = patterns.iter().zip(found).enumerate();
    pairs.flat_map(|(index, (pattern, finding))| finding_differences(index, pattern, finding)).collect()
}

fn finding_differences(index: usize, pattern: &FindingPattern, finding: &Finding) -> Vec<Difference> {
    let mut differences = Differences::within(format!("findings[{index}]."));
    differences.field("severity", pattern.severity.as_ref(), &finding.severity);
    differences.field("code", pattern.code.as_ref(), &finding.code);
    differences.field("path", pattern.path.as_ref(), &finding.path);
    differences.field("message", pattern.message.as_ref(), &finding.message);
    differences.hint(pattern.hint.as_ref(), finding.hint.as_ref());
    differences.found
}

fn rendered(expected: &[String], texts: &[String]) -> Vec<Difference> {
    let mut differences = Differences::within("rendered".to_owned());
    differences.field(".length", Some(&expected.len()), &texts.len());
    for (index, (expected, text)) in expected.iter().zip(texts).enumerate() {
        differences.field(&format!("[{index}]"), Some(expected), text);
    }
    differences.found
}

fn render_error(pattern: &RenderErrorPattern, error: &RenderError) -> Vec<Difference> {
    let mut differences = Differences::within(String::new());
    differences.field("template", pattern.template.as_ref(), &error.template);
    differences.field("line", pattern.line.as_ref(), &error.line);
    differences.field("column", pattern.column.as_ref(), &error.column);
    differences.field("message", pattern.message.as_ref(), &error.message);
    differences.hint(pattern.hint.as_ref(), error.hint.as_ref());
    differences.found
}

/// Where the errors of settings differ.
pub(super) fn settings(patterns: &[SettingsPattern], errors: &[SettingsError]) -> Vec<Difference> {
    if patterns.len() != errors.len() || errors.is_empty() {
        let expected = format!("{} errors", patterns.len().max(1));
        let got = format!("{}: {}", errors.len(), settings_in_words(errors));
        return if patterns.is_empty() && !errors.is_empty() {
            Vec::new()
        } else {
            vec![Difference::new("refused-settings", expected, got)]
        };
    }
    let pairs = patterns.iter().zip(errors).enumerate();
    pairs
        .flat_map(|(index, (pattern, error))| {
            let mut differences = Differences::within(format!("refused-settings[{index}]."));
            differences.field("line", pattern.line.as_ref(), &error.line);
            differences.field("column", pattern.column.as_ref(), &error.column);
            differences.field("message", pattern.message.as_ref(), &error.message);
            differences.hint(pattern.hint.as_ref(), error.hint.as_ref());
            differences.found
        })
        .collect()
}

/// What a policy says of settings, in one line.
pub(super) fn settings_in_words(errors: &[SettingsError]) -> String {
    if errors.is_empty() {
        return "accepted".to_owned();
    }
    let line = |error: &SettingsError| format!("{}:{}: {}", error.line, error.column, error.message);
    format!("refused at {}", errors.iter().map(line).collect::<Vec<_>>().join("; "))
}
