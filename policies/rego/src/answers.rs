//! What the elements of `deny` and `warn` say: a text, or an object with `msg` and more.

use carrara_policy_language::{Denial, Failure, Finding};
use serde_json::{Map, Value};

/// The code of an answer that has none.
const DEFAULT_CODE: &str = "rego";

/// The members of an object.
const MEMBERS: [&str; 5] = ["msg", "code", "path", "hint", "resources"];

/// One element of `deny` or `warn`.
pub(crate) struct Answer {
    message: String,
    code: String,
    path: String,
    hint: Option<String>,
    resources: Vec<String>,
}

impl Answer {
    /// Reads the elements of a rule's value, in its order: Rego sorts sets.
    pub(crate) fn all(rule: &str, value: &Value) -> Result<Vec<Self>, Failure> {
        match value {
            Value::Array(elements) => elements.iter().map(|element| Self::one(rule, element)).collect(),
            _ => Err(Failure(format!("{rule} must be a set or an array"))),
        }
    }

    fn one(rule: &str, element: &Value) -> Result<Self, Failure> {
        let object = match element {
            Value::String(message) => &Map::from_iter([("msg".to_owned(), Value::from(message.as_str()))]),
            Value::Object(object) => object,
            _ => return Err(Failure(format!("an element of {rule} must be a text or an object"))),
        };
        if let Some(member) = object.keys().find(|member| !MEMBERS.contains(&member.as_str())) {
            return Err(Failure(format!("an element of {rule} has an unknown member: {member}")));
        }
        let text = |member: &str| match object.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Failure(format!("{member} of an element of {rule} must be a text"))),
        };
        let resources = match object.get("resources") {
            None => Vec::new(),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
            }
            Some(_) => return Err(Failure(format!("resources of an element of {rule} must be an array"))),
        };
        Ok(Self {
            message: text("msg")?.ok_or_else(|| Failure(format!("an element of {rule} has no msg")))?,
            code: text("code")?.unwrap_or_else(|| DEFAULT_CODE.to_owned()),
            path: text("path")?.unwrap_or_default(),
            hint: text("hint")?,
            resources,
        })
    }

    pub(crate) fn into_finding(self, warning: bool) -> Finding {
        let Self { code, path, message, hint, .. } = self;
        Finding { warning, code, path, message, hint }
    }

    /// One denial of several answers: the first one's code and hint, every message, every resource.
    pub(crate) fn denial(answers: Vec<Self>) -> Option<Denial> {
        let messages: Vec<&str> = answers.iter().map(|answer| answer.message.as_str()).collect();
        let message = messages.join("; ");
        let mut resources: Vec<String> =
            answers.iter().flat_map(|answer| answer.resources.iter().cloned()).collect();
        resources.sort();
        resources.dedup();
        let first = answers.into_iter().next()?;
        Some(Denial { code: first.code, message, hint: first.hint, resources })
    }
}
