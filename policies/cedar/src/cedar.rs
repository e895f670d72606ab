//! A set of Cedar policies: read once, asked for each name of a request.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use carrara_policy_language::{
    Denial, Failure, Finding, Language, Place, Settings, SettingsError, check_nesting,
};
use cedar_policy::{
    Authorizer, Decision, Policy, PolicyId, PolicySet, Response, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;
use serde_json::Value;

use crate::entities::{Question, attributes_of_roles};

/// The member of the settings that holds the policies.
const POLICIES: &str = "policies";

/// The member that holds the schema, in Cedar's own form.
const SCHEMA: &str = "schema";

/// The code where no policy permits.
const NOT_PERMITTED: &str = "not-permitted";

/// The code where a policy without `@code` forbids.
const FORBIDDEN: &str = "forbidden";

/// The names that a message spells out; all of them are in the denial's resources.
const NAMED_IN_MESSAGE: usize = 16;

/// The policies of an entry.
#[derive(Debug)]
pub struct Cedar {
    policies: PolicySet,
    attributes_of_roles: Vec<&'static str>,
}

impl Language for Cedar {
    fn read(settings: &Settings) -> Result<Self, Vec<SettingsError>> {
        settings.only(&[POLICIES, SCHEMA])?;
        let text = settings.text(POLICIES).map_err(|error| vec![error])?;
        check_nesting(text).map_err(|error| vec![settings.locate(POLICIES, error)])?;
        let policies = PolicySet::from_str(text).map_err(|errors| {
            errors.iter().map(|error| settings.locate(POLICIES, located(text, error))).collect::<Vec<_>>()
        })?;
        if policies.templates().next().is_some() {
            let error = SettingsError::whole("a template (with ?principal or ?resource) is never used")
                .with_hint("write policies without slots");
            return Err(vec![settings.locate(POLICIES, error)]);
        }
        validate_with_schema(settings, text, &policies)?;
        Ok(Self { policies, attributes_of_roles: attributes_of_roles(text) })
    }

    fn decide(&self, request: &Value) -> Result<Option<Denial>, Failure> {
        let question = Question::new(request, &self.attributes_of_roles)?;
        let (authorizer, mut refused, mut forbidding) = (Authorizer::new(), Vec::new(), BTreeSet::new());
        for (name, asked) in &question.requests {
            let response = authorizer.is_authorized(asked, &self.policies, &question.entities);
            no_errors(&response)?;
            if response.decision() == Decision::Deny {
                forbidding.extend(response.diagnostics().reason().cloned());
                refused.push(name.clone());
            }
        }
        Ok((!refused.is_empty()).then(|| self.denial(request, refused, &forbidding)))
    }

    fn validate(&self, _proposal: &Value) -> Result<Vec<Finding>, Failure> {
        Err(Failure("Cedar decides requests of users, not manifests".to_owned()))
    }
}

impl Cedar {
    fn denial(
        &self,
        request: &Value,
        refused: Vec<Option<String>>,
        forbidding: &BTreeSet<PolicyId>,
    ) -> Denial {
        let by: Vec<&Policy> = forbidding.iter().filter_map(|id| self.policies.policy(id)).collect();
        let annotation =
            |name: &str| by.iter().find_map(|policy| policy.annotation(name)).map(ToOwned::to_owned);
        let word = |member: &str| request.get(member).and_then(Value::as_str).unwrap_or_default();
        let resources: Vec<String> = refused.into_iter().flatten().collect();
        let (default_code, verb) = if by.is_empty() {
            (NOT_PERMITTED, "no policy permits")
        } else {
            (FORBIDDEN, "a policy forbids")
        };
        let default_message = || {
            let mut message = format!("{verb} {} on {}", word("action"), word("resource_type"));
            for (index, name) in resources.iter().take(NAMED_IN_MESSAGE).enumerate() {
                message += if index == 0 { ": " } else { ", " };
                message += name;
            }
            let more = resources.len().saturating_sub(NAMED_IN_MESSAGE);
            if more > 0 { format!("{message} and {more} more") } else { message }
        };
        Denial {
            code: annotation("code").unwrap_or_else(|| default_code.to_owned()),
            message: annotation("message").unwrap_or_else(default_message),
            hint: annotation("hint"),
            resources,
        }
    }
}

/// A policy that fails may be the one that forbids.
fn no_errors(response: &Response) -> Result<(), Failure> {
    let mut errors: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
    errors.sort();
    if errors.is_empty() { Ok(()) } else { Err(Failure(errors.join("; "))) }
}

fn validate_with_schema(
    settings: &Settings,
    text: &str,
    policies: &PolicySet,
) -> Result<(), Vec<SettingsError>> {
    let Some(schema_text) = settings.optional_text(SCHEMA).map_err(|error| vec![error])? else {
        return Ok(());
    };
    check_nesting(schema_text).map_err(|error| vec![error.within(SCHEMA)])?;
    let (schema, _) = Schema::from_cedarschema_str(schema_text)
        .map_err(|error| vec![located(schema_text, &error).within(SCHEMA)])?;
    let result = Validator::new(schema).validate(policies, ValidationMode::Strict);
    let mut errors: Vec<SettingsError> =
        result.validation_errors().map(|error| located(text, error).within(POLICIES)).collect();
    errors.sort_by_key(|error| (error.place.line, error.place.column));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// An error with the place of its first label.
fn located(text: &str, error: &(impl Diagnostic + ?Sized)) -> SettingsError {
    let label = error.labels().and_then(|mut labels| labels.next());
    let place = label.map_or(Place::START, |label| Place::of(text, label.offset()));
    let located = SettingsError::at(place, error.to_string());
    match error.help() {
        Some(help) => located.with_hint(help.to_string()),
        None => located,
    }
}
