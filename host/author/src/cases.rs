//! Tables of cases: requests with the answers that are expected.

mod compare;
mod expect;
mod read;

use std::collections::BTreeMap;

use carrara_wasm::{CallReport, SettingsError, World};
use serde::Serialize;

pub use compare::Difference;
pub use expect::{DenialPattern, Expected, FindingPattern, RenderErrorPattern, SettingsPattern};
pub use read::CasesError;

use crate::asked::Asked;
use crate::question::{Answer, Question};

/// What the file of a project is called.
pub const CASES_FILE: &str = "cases.yaml";

/// A table of cases.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseTable {
    /// Which question all of them ask.
    pub world: World,
    /// The JSON text of the settings of cases that have none of their own.
    pub settings: String,
    /// In the file's order; at least one.
    pub cases: Vec<Case>,
}

/// A request and what must be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Unique in its table.
    pub name: String,
    /// Where it stands in the file, from 1.
    pub line: u64,
    /// The JSON text of its settings.
    pub settings: String,
    /// None only where [`Expected::RefusedSettings`].
    pub question: Option<Question>,
    /// What must be answered.
    pub expected: Expected,
}

/// What came of a case.
#[derive(Debug, Clone)]
pub struct CaseOutcome {
    /// What was answered; `None` where the settings were refused.
    pub answer: Option<Answer>,
    /// What the call used.
    pub report: CallReport,
    /// Where that is not what was expected; empty: passed.
    pub differences: Vec<Difference>,
}

impl CaseOutcome {
    /// Whether everything was as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Settings by their text: what a policy says of them.
#[derive(Default)]
pub struct JudgedSettings(BTreeMap<String, Result<Vec<SettingsError>, String>>);

impl JudgedSettings {
    /// Asks once for each text.
    pub fn judge(&mut self, asked: &dyn Asked, settings: &str) -> Result<&[SettingsError], &str> {
        let judged =
            self.0.entry(settings.to_owned()).or_insert_with(|| asked.check_settings(settings)).as_ref();
        judged.map(Vec::as_slice).map_err(String::as_str)
    }
}

/// Asks one case. Settings that the policy refuses fail it, as a coordinator would refuse the manifest, unless just that is
/// expected.
pub fn run(asked: &dyn Asked, case: &Case, judged: &mut JudgedSettings) -> CaseOutcome {
    let refused = match judged.judge(asked, &case.settings) {
        Ok(errors) => errors,
        Err(reason) => {
            let difference = Difference::new("settings", "judged", format!("failure: {reason}"));
            return without_answer(vec![difference]);
        }
    };
    if let Expected::RefusedSettings(patterns) = &case.expected {
        return without_answer(compare::settings(patterns, refused));
    }
    if !refused.is_empty() {
        return without_answer(vec![Difference::new(
            "settings",
            "accepted",
            compare::settings_in_words(refused),
        )]);
    }
    let Some(question) = &case.question else {
        return without_answer(vec![Difference::new("request", "a request", "none".to_owned())]);
    };
    let (answer, report) = asked.ask(&case.settings, question);
    let differences = compare::answer(&case.expected, &answer);
    CaseOutcome { answer: Some(answer), report, differences }
}

fn without_answer(differences: Vec<Difference>) -> CaseOutcome {
    CaseOutcome { answer: None, report: CallReport::default(), differences }
}

/// How many of a table's cases passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// As expected.
    pub passed: usize,
    /// Not.
    pub failed: usize,
}

impl Tally {
    /// Counts one more.
    pub fn count(&mut self, outcome: &CaseOutcome) {
        if outcome.passed() {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }
}

#[cfg(test)]
mod tests;
