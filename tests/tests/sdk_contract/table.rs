//! The table of cases, and whether an answer is the one that a case expects.

use std::collections::BTreeMap;
use std::path::Path;

use carrara_author::project::Language;
use carrara_author::question::{Answer, Question, RenderError};
use carrara_core::ports::PolicyFailure;
use carrara_tests::root;
use carrara_types::decision::{Denial, Finding, Severity};
use carrara_wasm::{LogLine, SettingsError, World};
use serde::Deserialize;
use serde_json::Value;

use crate::echo;

/// What stands for an error inside a policy, in every language.
const POLICY_ERROR: &str = "policy-error";
const POLICY_ERROR_MESSAGE: &str = "the policy failed";
const POLICY_ERROR_HINT: &str = "the coordinator's log says why";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    pub(crate) settings: Vec<SettingsCase>,
    pub(crate) worlds: BTreeMap<String, Vec<Case>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsCase {
    pub(crate) name: String,
    pub(crate) text: String,
    #[serde(default)]
    errors: Vec<ExpectedSettingsError>,
    /// The check itself fails, with this text in the log.
    failure: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedSettingsError {
    line: u32,
    /// Only where all languages agree on it; then message and hint too.
    column: Option<u32>,
    message: Option<String>,
    hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default)]
    settings: Value,
    request: Value,
    expect: Expected,
    /// Languages that cannot read the request exactly, and say so.
    #[serde(default)]
    refused_by: Vec<String>,
    #[serde(default)]
    log: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Expected {
    Echo,
    Allow,
    Failure,
    PolicyError,
    Deny(Denial),
    Findings(Vec<Finding>),
    Rendered(Vec<String>),
    RenderError(RenderError),
}

impl Table {
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(root().join("sdk/contract/table.yaml")).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("sdk/contract/table.yaml: {error}"))
    }
}

impl Case {
    /// The JSON text of the settings.
    pub(crate) fn settings(&self) -> String {
        self.settings.to_string()
    }

    /// The request. Manifests are texts here, not files: whether one is a manifest is not the SDK's business.
    pub(crate) fn question(&self, world: World) -> Question {
        let request = self.request.clone();
        match world {
            World::ManifestValidation => serde_json::from_value(request).map(Question::Validation).unwrap(),
            _ => Question::read(world, request, Path::new("")).unwrap(),
        }
    }

    /// Whether the answer is the expected one; else both.
    pub(crate) fn verdict(&self, language: Language, world: World, answer: &Answer) -> Result<(), String> {
        let expected = match &self.expect {
            _ if self.is_refused_by(language) => policy_error(world),
            Expected::Failure if matches!(answer, Answer::Failure(_)) => return Ok(()),
            Expected::Failure | Expected::PolicyError => policy_error(world),
            Expected::Echo => echo::answer(&self.question(world), &self.settings()),
            Expected::Allow if world == World::ManifestValidation => Answer::Findings(Vec::new()),
            Expected::Allow => Answer::Allow,
            Expected::Deny(denial) => Answer::Deny(denial.clone()),
            Expected::Findings(findings) => Answer::Findings(findings.clone()),
            Expected::Rendered(texts) => Answer::Rendered(texts.clone()),
            Expected::RenderError(error) => Answer::RenderError(error.clone()),
        };
        if *answer == expected { Ok(()) } else { Err(format!("expected {expected:#?}, got {answer:#?}")) }
    }

    fn is_refused_by(&self, language: Language) -> bool {
        self.refused_by.iter().any(|name| name == language.name())
    }

    /// Whether the lines are the expected ones.
    pub(crate) fn logged(&self, language: Language, lines: &[LogLine]) -> Result<(), String> {
        let as_expected = if self.is_refused_by(language) {
            warned(lines, "cannot read exactly")
        } else if matches!(self.expect, Expected::Failure | Expected::PolicyError) {
            self.log.iter().all(|text| warned(lines, text))
        } else {
            let shown = |line: &LogLine| format!("{}: {}", line.level.to_uppercase(), line.text);
            lines.iter().map(shown).eq(self.log.iter().cloned())
        };
        if as_expected { Ok(()) } else { Err(format!("expected {:?}, got {lines:?}", self.log)) }
    }
}

impl SettingsCase {
    /// Whether the settings were judged as expected.
    pub(crate) fn verdict(
        &self,
        answer: &Result<Vec<SettingsError>, PolicyFailure>,
        log: &[LogLine],
    ) -> Result<(), String> {
        let Some(text) = &self.failure else {
            let errors = answer.as_ref().map_err(|failure| failure.reason.clone())?;
            let same = errors.len() == self.errors.len()
                && errors.iter().zip(&self.errors).all(|(found, expected)| expected.fits(found));
            return if same { Ok(()) } else { Err("not the expected errors".to_owned()) };
        };
        if !warned(log, text) {
            return Err(format!("{text:?} is not in the log: {log:?}"));
        }
        let caught = SettingsError {
            line: 1,
            column: 1,
            message: POLICY_ERROR_MESSAGE.to_owned(),
            hint: Some(POLICY_ERROR_HINT.to_owned()),
        };
        match answer {
            Ok(errors) if *errors != [caught] => Err("the settings were not refused".to_owned()),
            _ => Ok(()),
        }
    }
}

impl ExpectedSettingsError {
    fn fits(&self, found: &SettingsError) -> bool {
        let place = found.line == self.line && self.column.is_none_or(|column| column == found.column);
        let text = self.message.as_ref().is_none_or(|message| *message == found.message);
        place && text && (self.message.is_none() || self.hint == found.hint) && !found.message.is_empty()
    }
}

fn policy_error(world: World) -> Answer {
    let (code, message) = (POLICY_ERROR.to_owned(), POLICY_ERROR_MESSAGE.to_owned());
    let hint = Some(POLICY_ERROR_HINT.to_owned());
    match world {
        World::ManifestValidation => {
            let path = String::new();
            Answer::Findings(vec![Finding { severity: Severity::Error, code, path, message, hint }])
        }
        World::SecretRendering => {
            Answer::RenderError(RenderError { message, hint, ..RenderError::default() })
        }
        _ => Answer::Deny(Denial { code, message, hint, resources: Vec::new() }),
    }
}

/// Whether a warning holds a text.
fn warned(lines: &[LogLine], text: &str) -> bool {
    lines.iter().any(|line| line.level == "warn" && line.text.contains(text))
}
