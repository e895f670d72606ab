//! An expression: read once, evaluated over a document.

use std::collections::HashMap;
use std::sync::Arc;

use carrara_policy_language::{
    Denial, Failure, Finding, Language, Place, Settings, SettingsError, check_nesting,
};
use cel::objects::{Key, Map};
use cel::{Context, Program, Value as CelValue};
use serde_json::Value;

use crate::names;

/// The member of the settings that holds the expression.
const EXPRESSION: &str = "expression";

/// What settings may hold.
const MEMBERS: [&str; 4] = [EXPRESSION, "message", "code", "hint"];

/// The code of a refusal whose settings name none.
const DEFAULT_CODE: &str = "cel";

/// The message of a refusal whose settings hold none.
const DEFAULT_MESSAGE: &str = "the policy's expression is false";

/// A policy: an expression and what its refusals say.
#[derive(Debug)]
pub struct Cel {
    program: Program,
    refusal: Denial,
}

impl Language for Cel {
    fn read(settings: &Settings) -> Result<Self, Vec<SettingsError>> {
        settings.only(&MEMBERS)?;
        let one = |error| vec![error];
        let text = settings.text(EXPRESSION).map_err(one)?;
        check_nesting(text).map_err(|error| one(settings.locate(EXPRESSION, error)))?;
        let program = compile(text).map_err(|errors| {
            errors.into_iter().map(|error| settings.locate(EXPRESSION, error)).collect::<Vec<_>>()
        })?;
        let member = |name: &str, default: &str| {
            let text = settings.optional_text(name).map_err(one)?;
            Ok::<_, Vec<SettingsError>>(text.unwrap_or(default).to_owned())
        };
        let refusal = Denial {
            code: member("code", DEFAULT_CODE)?,
            message: member("message", DEFAULT_MESSAGE)?,
            hint: settings.optional_text("hint").map_err(one)?.map(ToOwned::to_owned),
            resources: Vec::new(),
        };
        Ok(Self { program, refusal })
    }

    fn decide(&self, request: &Value) -> Result<Option<Denial>, Failure> {
        let allowed = self.holds(request)?;
        let names = request.get("resource_names").and_then(Value::as_array).into_iter().flatten();
        let resources = names.filter_map(Value::as_str).map(ToOwned::to_owned).collect();
        Ok((!allowed).then(|| Denial { resources, ..self.refusal.clone() }))
    }

    fn validate(&self, proposal: &Value) -> Result<Vec<Finding>, Failure> {
        if self.holds(proposal)? {
            return Ok(Vec::new());
        }
        let Denial { code, message, hint, .. } = self.refusal.clone();
        Ok(vec![Finding { code, message, hint, ..Finding::default() }])
    }
}

impl Cel {
    /// Whether the expression is true.
    fn holds(&self, document: &Value) -> Result<bool, Failure> {
        let mut context = Context::default();
        for variable in ["manifest", "current"] {
            let value = document.get(variable).unwrap_or(&Value::Null);
            context.add_variable_from_value(variable, to_cel(value));
        }
        // Manifests are large, and variables of their own.
        let request = match document {
            Value::Object(members) => {
                to_map(members.iter().filter(|(name, _)| !["manifest", "current"].contains(&name.as_str())))
            }
            other => to_cel(other),
        };
        context.add_variable_from_value("request", request);
        match self.program.execute(&context) {
            Ok(CelValue::Bool(holds)) => Ok(holds),
            Ok(other) => Err(Failure(format!("the expression is no truth value but {}", other.type_of()))),
            Err(error) => Err(Failure(error.to_string())),
        }
    }
}

/// Parses an expression and refuses the names that each request would trip over.
fn compile(text: &str) -> Result<Program, Vec<SettingsError>> {
    let program = Program::compile(text).map_err(|errors| {
        let error = |error: cel::ParseError| {
            let count = |position: isize| usize::try_from(position).unwrap_or_default();
            SettingsError::at(Place::new(count(error.pos.0), count(error.pos.1)), short(&error.msg))
        };
        errors.errors.into_iter().map(error).collect::<Vec<_>>()
    })?;
    let unknown = names::unknown(&program);
    let place = |id| {
        let offset = program.source_info().offset_for(id).map_or(0, |(start, _)| start as usize);
        Place::of(text, offset)
    };
    let error = |name: names::Unknown| {
        SettingsError::at(place(name.id), format!("unknown name: {}", name.name)).with_hint(name.hint)
    };
    let errors: Vec<SettingsError> = unknown.into_iter().map(error).collect();
    if errors.is_empty() { Ok(program) } else { Err(errors) }
}

/// The parser lists every token that would have fitted; what did not fit says enough.
fn short(message: &str) -> &str {
    message.split(" expecting {").next().unwrap_or(message)
}

fn to_cel(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(truth) => CelValue::Bool(*truth),
        // Integers are `int` wherever they fit: an expression's literals are, and CEL does not mix the two in sums.
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => CelValue::Int(number),
            (None, Some(number)) => CelValue::UInt(number),
            (None, None) => CelValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => CelValue::List(Arc::new(values.iter().map(to_cel).collect())),
        Value::Object(members) => to_map(members.iter()),
    }
}

fn to_map<'a>(members: impl Iterator<Item = (&'a String, &'a Value)>) -> CelValue {
    let members: HashMap<Key, CelValue> =
        members.map(|(name, value)| (Key::String(Arc::new(name.clone())), to_cel(value))).collect();
    CelValue::Map(Map { map: Arc::new(members) })
}
