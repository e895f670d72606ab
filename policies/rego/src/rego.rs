//! A Rego policy: read once, its rules evaluated over a document.

use carrara_policy_language::{
    Denial, Failure, Finding, Language, Place, Settings, SettingsError, check_nesting,
};
use regorus::{Engine, Value as RegoValue};
use serde_json::Value;

use crate::answers::Answer;

/// The member of the settings that holds the policy.
const POLICY: &str = "policy";

/// The member that becomes `data`.
const DATA: &str = "data";

/// What errors call the text.
const FILE: &str = "policy.rego";

/// The code of a refusal because `allow` is not true.
const NOT_ALLOWED: &str = "not-allowed";

/// A policy and the rules that it has.
pub struct Rego {
    engine: Engine,
    package: String,
    deny: bool,
    warn: bool,
    allow: bool,
}

impl Language for Rego {
    fn read(settings: &Settings) -> Result<Self, Vec<SettingsError>> {
        settings.only(&[POLICY, DATA])?;
        Self::load(settings).map_err(|error| vec![error])
    }

    fn decide(&self, request: &Value) -> Result<Option<Denial>, Failure> {
        let mut engine = self.engine_for(request);
        let answers = self.answers(&mut engine, self.deny, "deny")?;
        if let Some(denial) = Answer::denial(answers) {
            return Ok(Some(denial));
        }
        Ok((!self.allows(&mut engine)?).then(not_allowed))
    }

    fn validate(&self, proposal: &Value) -> Result<Vec<Finding>, Failure> {
        let mut engine = self.engine_for(proposal);
        let mut findings: Vec<Finding> = Vec::new();
        for (has, rule) in [(self.deny, "deny"), (self.warn, "warn")] {
            let answers = self.answers(&mut engine, has, rule)?;
            findings.extend(answers.into_iter().map(|answer| answer.into_finding(rule == "warn")));
        }
        if !self.allows(&mut engine)? {
            let Denial { code, message, .. } = not_allowed();
            findings.push(Finding { code, message, ..Finding::default() });
        }
        Ok(findings)
    }
}

impl Rego {
    fn load(settings: &Settings) -> Result<Self, SettingsError> {
        let text = settings.text(POLICY)?;
        let here = |error| settings.locate(POLICY, error);
        check_nesting(text).map_err(here)?;
        let mut engine = Engine::new();
        // Undefined would let `deny` pass over what it cannot read.
        engine.set_strict_builtin_errors(true);
        let wrong = |error: &dyn std::fmt::Display| here(located(&format!("{error:#}")));
        let package = engine.add_policy(FILE.to_owned(), text.to_owned()).map_err(|error| wrong(&error))?;
        if !package.split('.').all(is_name) {
            return Err(here(SettingsError::whole("the package's name must be words with dots between")));
        }
        if let Some(data) = settings.member(DATA) {
            if !data.is_object() {
                return Err(SettingsError::whole("data must be an object"));
            }
            engine
                .add_data(RegoValue::from(data.clone()))
                .map_err(|error| located(&error.to_string()).within(DATA))?;
        }
        let has = |rule: &str| engine.has_declared_rule_rooted_at(FILE, rule).map_err(|error| wrong(&error));
        let (deny, warn, allow) = (has("deny")?, has("warn")?, has("allow")?);
        if !deny && !allow {
            let error = SettingsError::whole("the policy has neither a rule deny nor a rule allow");
            return Err(here(error.with_hint("write `deny contains msg if ...` or `allow if ...`")));
        }
        let policy = Self { engine, package, deny, warn, allow };
        policy.try_out().map_err(|error| wrong(&error))?;
        Ok(policy)
    }

    /// Prepares the rules, which finds variables that are never bound, and runs them over nothing, which finds some of the
    /// functions that do not exist. What else fails there need not fail on a request.
    fn try_out(&self) -> Result<(), Failure> {
        let mut engine = self.engine.clone();
        let rule = if self.deny { "deny" } else { "allow" };
        let path = format!("{}.{rule}", self.package);
        engine.compile_with_entrypoint(&path.as_str().into()).map_err(|error| failure(&error))?;
        engine.set_input(RegoValue::new_object());
        for rule in [(self.deny, "deny"), (self.warn, "warn"), (self.allow, "allow")] {
            if let (true, Err(error)) = (rule.0, self.eval(&mut engine, rule.1))
                && error.0.contains("could not find function")
            {
                return Err(error);
            }
        }
        Ok(())
    }

    fn engine_for(&self, document: &Value) -> Engine {
        let mut engine = self.engine.clone();
        engine.set_input(RegoValue::from(document.clone()));
        engine
    }

    fn eval(&self, engine: &mut Engine, rule: &str) -> Result<RegoValue, Failure> {
        engine.eval_rule(format!("{}.{rule}", self.package)).map_err(|error| failure(&error))
    }

    /// The elements of `deny` or `warn`; none where the policy has no such rule.
    fn answers(&self, engine: &mut Engine, has: bool, rule: &str) -> Result<Vec<Answer>, Failure> {
        if !has {
            return Ok(Vec::new());
        }
        let value = self.eval(engine, rule)?;
        if value == RegoValue::Undefined {
            // A set that has no element is empty; what is undefined is some other kind of rule.
            return Err(Failure(format!("{rule} is undefined")));
        }
        let json = value.to_json_str().map_err(|error| failure(&error))?;
        let value = serde_json::from_str(&json).map_err(|error| Failure(error.to_string()))?;
        Answer::all(rule, &value)
    }

    /// Whether `allow` is true, where the policy has it.
    fn allows(&self, engine: &mut Engine) -> Result<bool, Failure> {
        Ok(!self.allow || self.eval(engine, "allow")? == RegoValue::Bool(true))
    }
}

fn not_allowed() -> Denial {
    Denial {
        code: NOT_ALLOWED.to_owned(),
        message: "the policy does not allow it".to_owned(),
        ..Denial::default()
    }
}

fn failure(error: &(impl std::fmt::Display + ?Sized)) -> Failure {
    Failure(error.to_string().trim().to_owned())
}

fn is_name(word: &str) -> bool {
    let mut characters = word.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// The engine's text is `--> policy.rego:LINE:COLUMN`, the line with a mark below it, and `error: MESSAGE`.
fn located(text: &str) -> SettingsError {
    let place = text.split(&format!("--> {FILE}:")).nth(1).and_then(|rest| {
        let mut numbers = rest.split(|character: char| !character.is_ascii_digit());
        let mut number = || numbers.next()?.parse::<usize>().ok();
        Some(Place::new(number()?, number()?))
    });
    let message = text.rsplit("error: ").next().unwrap_or(text).trim();
    SettingsError::at(place.unwrap_or(Place::START), message)
}
