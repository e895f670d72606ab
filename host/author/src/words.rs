//! Questions and answers for people: a request in one line, its JSON form, an answer in a few words.

use carrara_types::decision::{AuthorizationRequest, Part, Scope, Target};
use serde_json::{Map, Value, json};

use crate::question::{Answer, Question, Rendering};

/// Members whose content is written in full: what looks like a default in them is none.
const IN_FULL: [&str; 6] = ["facts", "identity", "templates", "secrets", "manifest", "current"];

/// The JSON form of a request, as [`Question::read`] takes it; manifests are objects.
#[must_use]
pub fn request_json(question: &Question) -> Value {
    // None of these types has a value without a JSON form.
    let written = match question {
        Question::Authorization(request) => serde_json::to_value(request),
        Question::Admission(request) => serde_json::to_value(request),
        Question::Rendering(rendering) => Ok(rendering_json(rendering)),
        Question::Validation(proposal) => serde_json::to_value(proposal).map(|mut value| {
            for field in ["manifest", "current"] {
                if let Some(place) = value.get_mut(field)
                    && let Some(manifest) = place.as_str().and_then(|text| serde_json::from_str(text).ok())
                {
                    *place = manifest;
                }
            }
            value
        }),
    };
    written.unwrap_or_default()
}

/// The same without what is left at its default.
#[must_use]
pub fn short_json(question: &Question) -> Value {
    let mut value = request_json(question);
    prune(&mut value);
    value
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let members_of = std::mem::take(members);
            for (name, mut member) in members_of {
                if !IN_FULL.contains(&name.as_str()) {
                    prune(&mut member);
                }
                let counts = name.ends_with("activations") && !member.is_null();
                if counts || !is_default(&member) {
                    members.insert(name, member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_u64() == Some(0),
        // Also the digest of nothing in particular.
        Value::String(text) => text.is_empty() || text.len() == 64 && text.bytes().all(|digit| digit == b'0'),
        Value::Array(items) => items.is_empty(),
        // `evidence: {}` is evidence.
        Value::Object(_) => false,
    }
}

fn rendering_json(rendering: &Rendering) -> Value {
    let templates = rendering.templates.iter().map(|template| {
        let target = match template.target {
            Target::File => "file",
            Target::Env => "env",
        };
        json!({ "name": template.name, "target": target, "text": String::from_utf8_lossy(&template.text) })
    });
    let secrets = rendering.secrets.iter().map(|(scope, info)| {
        let scope = match scope {
            Scope::Current => "current",
            Scope::Previous => "previous",
            Scope::Reserved => "reserved",
        };
        json!({
            "name": &*info.name, "scope": scope, "kind": info.kind, "size": info.size, "shared": info.shared,
            "user-defined": info.user_defined, "valid-for": info.valid_for,
            "parts": info.parts.iter().filter_map(|part| part_name(*part)).collect::<Vec<_>>(),
        })
    });
    let mut form = Map::new();
    form.insert("context".to_owned(), serde_json::to_value(&rendering.context).unwrap_or_default());
    form.insert("templates".to_owned(), templates.collect());
    form.insert("secrets".to_owned(), secrets.collect());
    Value::Object(form)
}

fn part_name(part: Part) -> Option<&'static str> {
    match part {
        Part::Whole => None,
        Part::Public => Some("public"),
        Part::Private => Some("private"),
        Part::Certificate => Some("certificate"),
    }
}

/// A request in one line.
#[must_use]
pub fn summary(question: &Question) -> String {
    match question {
        Question::Authorization(request) => authorization_summary(request),
        Question::Admission(request) => format!("{} {}", request.marble_type, request.uuid).trim().to_owned(),
        Question::Validation(proposal) => {
            format!("{} sha256:{}", proposal.change.name(), hex::encode(proposal.manifest_sha256))
        }
        Question::Rendering(rendering) => {
            let names: Vec<&str> =
                rendering.templates.iter().map(|template| template.name.as_str()).collect();
            names.join(", ")
        }
    }
}

fn authorization_summary(request: &AuthorizationRequest) -> String {
    let names = if request.resource_names.is_empty() {
        request.resource_type.clone()
    } else {
        request.resource_names.join(", ")
    };
    format!("{} {} {names}", request.principal.name, request.action).trim().to_owned()
}

/// `allow`, `deny` or `failed`: what a coordinator makes of an answer.
#[must_use]
pub fn verdict(answer: &Answer) -> &'static str {
    match answer {
        Answer::Failure(_) => "failed",
        answer if answer.allows() => "allow",
        _ => "deny",
    }
}

/// An answer in one line: its verdict and why.
#[must_use]
pub fn in_words(answer: &Answer) -> String {
    match answer {
        Answer::Allow => "allow".to_owned(),
        Answer::Deny(denial) => {
            let code = if denial.code.is_empty() { String::new() } else { format!(" {}", denial.code) };
            format!("deny{code}: {}", denial.message)
        }
        Answer::Findings(findings) if findings.is_empty() => "no findings".to_owned(),
        Answer::Findings(findings) => {
            let words = findings.iter().map(|finding| {
                let severity = match finding.severity {
                    carrara_types::decision::Severity::Error => "error",
                    carrara_types::decision::Severity::Warning => "warning",
                };
                format!("{severity} {} at {}: {}", finding.code, finding.path, finding.message)
            });
            words.collect::<Vec<_>>().join("; ")
        }
        Answer::Rendered(texts) => format!("rendered {texts:?}"),
        Answer::RenderError(error) => {
            format!(
                "render error in template {} at {}:{}: {}",
                error.template, error.line, error.column, error.message
            )
        }
        Answer::Failure(reason) => format!("failure: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use carrara_wasm::World;

    use super::*;
    use crate::corpus::samples;

    #[test]
    fn a_request_is_read_back_from_its_json_in_full_and_in_short() {
        for world in World::ALL {
            for sample in samples(world) {
                for value in [request_json(&sample.question), short_json(&sample.question)] {
                    let again = Question::read(world, value.clone(), Path::new(".")).unwrap();
                    assert_eq!(again, sample.question, "{}: {value}", sample.name);
                }
            }
        }
    }

    #[test]
    fn what_is_left_at_its_default_is_not_in_the_short_form() {
        let value = json!({ "action": "ReadSecret", "context": { "facts": [{ "name": "n", "value": { "number": 0 } }] } });
        let question = Question::read(World::RoleAuthorization, value, Path::new(".")).unwrap();
        let short = short_json(&question);
        assert_eq!(short["action"], "ReadSecret");
        assert!(short.get("resource-names").is_none() && short["principal"].get("name").is_none(), "{short}");
        assert_eq!(short["context"]["facts"][0]["value"]["number"], 0);
        assert_eq!(summary(&question), "ReadSecret");
    }
}
