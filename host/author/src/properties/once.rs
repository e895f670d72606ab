//! Properties that are tried once: settings, and the largest requests.

use carrara_wasm::World;
use serde_json::{Map, Value, json};

use super::Tried;
use crate::asked::Asked;
use crate::corpus::{read, samples};
use crate::question::{Answer, Question};

/// JSON texts that are not what a policy expects. A coordinator gives it no text that is no JSON.
fn odd_settings() -> Vec<String> {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{0}\u{1b}[2J"),
        json!("permit(\n  nonsense"),
        json!([]),
        json!([[], {}]),
        json!({}),
        json!({ "x-carrara-unknown": 1 }),
        json!({ "": { "": null } }),
        json!("x".repeat(200_000)),
    ];
    values.iter().map(Value::to_string).chain([deep]).collect()
}

/// Each is judged, and what is accepted can be asked with.
pub(super) fn settings(asked: &dyn Asked, own: &str) -> Tried {
    let mut tried = Tried::default();
    let question = samples(asked.world()).into_iter().next().map(|sample| sample.question);
    for text in odd_settings().into_iter().chain([own.to_owned()]) {
        tried.asked += 1;
        let broken = match asked.check_settings(&text) {
            Err(reason) => Some((format!("they are neither accepted nor refused: {reason}"), None)),
            Ok(errors) if errors.iter().any(|error| error.message.is_empty()) => {
                Some(("they are refused without a text".to_owned(), None))
            }
            Ok(errors) if errors.is_empty() => {
                question.as_ref().and_then(|question| match asked.ask(&text, question).0 {
                    Answer::Failure(reason) => {
                        let text = format!("they are accepted, and then there is no answer: {reason}");
                        Some((text, Some(question.clone())))
                    }
                    _ => None,
                })
            }
            Ok(_) => None,
        };
        if broken.is_some() {
            return Tried { broken, settings: Some(text), ..tried };
        }
    }
    tried
}

/// Names in one request, and in each of the user's roles.
const NAMES: usize = 1000;
/// Roles of a user.
const ROLES: usize = 20;
/// Facts: user-defined secrets of a manifest.
const FACTS: usize = 1000;
/// Packages, Marbles and secrets each: a manifest of about half a megabyte.
const MEMBERS: usize = 1000;

/// The largest requests that are met in practice, against half of what a call may use.
pub(super) fn limits(asked: &dyn Asked, settings: &str) -> Tried {
    let world = asked.world();
    let Some(question) = read(world, large(world)) else { return Tried::default() };
    let limits = asked.limits();
    let (answer, report) = asked.ask(settings, &question);
    let explanation = match answer {
        Answer::Failure(reason) => Some(format!("there is no answer: {reason}")),
        _ if report.fuel > limits.fuel / 2 => {
            Some(format!("it takes {} of fuel; the limit is {}", report.fuel, limits.fuel))
        }
        _ if report.duration > limits.deadline / 2 => Some(format!(
            "it takes {} ms; the limit is {} ms",
            report.duration.as_millis(),
            limits.deadline.as_millis()
        )),
        _ => None,
    };
    let explained = explanation.map(|text| format!("a request of {}: {text}", about(&question)));
    Tried { asked: 1, broken: explained.map(|text| (text, None)), settings: None }
}

fn about(question: &Question) -> String {
    match question {
        Question::Authorization(_) => format!("{NAMES} names by a user with {ROLES} roles of {NAMES} names"),
        Question::Admission(_) => format!("{NAMES} DNS names with {FACTS} facts"),
        Question::Validation(_) => format!("a manifest with {MEMBERS} packages, Marbles and secrets"),
        Question::Rendering(_) => format!("{NAMES} templates with {FACTS} secrets"),
    }
}

fn large(world: World) -> Value {
    let names = |word: &str, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("{word}-{number:04}")).collect()
    };
    let facts: Vec<Value> = names("secret-last-set:secret", FACTS)
        .iter()
        .map(|name| json!({ "name": name, "value": { "number": 1 } }))
        .collect();
    let context = json!({ "now": crate::corpus::NOON, "facts": facts });
    match world {
        World::RoleAuthorization => {
            let role = |name: &String| {
                json!({ "name": name, "resource-type": "Secrets", "resource-names": names("secret", NAMES),
                    "actions": ["ReadSecret", "WriteSecret"] })
            };
            let roles: Vec<Value> = names("role", ROLES).iter().map(role).collect();
            json!({ "principal": { "name": "alice", "roles": roles }, "action": "ReadSecret", "resource-type": "Secrets",
                "resource-names": names("secret", NAMES), "context": context })
        }
        World::MarbleAdmission => json!({
            "marble-type": "frontend", "package-name": "web", "dns-names": names("host.example", NAMES),
            "evidence": { "tee": "sgx", "tcb-status": "SWHardeningNeeded", "advisories": names("INTEL-SA", 100) },
            "context": context,
        }),
        World::ManifestValidation => json!({ "manifest": large_manifest(&names), "context": context }),
        World::SecretRendering => {
            let template = |name: &String| json!({ "name": name, "text": "plain text without any secret\n" });
            let templates: Vec<Value> = names("/etc/app/file", NAMES).iter().map(template).collect();
            let secrets: Vec<Value> =
                names("secret", FACTS).iter().map(|name| json!({ "name": name })).collect();
            json!({ "templates": templates, "secrets": secrets, "context": context })
        }
    }
}

fn large_manifest(names: &dyn Fn(&str, usize) -> Vec<String>) -> Value {
    let section = |word: &str, member: &dyn Fn(usize) -> Value| -> Map<String, Value> {
        names(word, MEMBERS).into_iter().enumerate().map(|(index, name)| (name, member(index))).collect()
    };
    let package = |index: usize| json!({ "UniqueID": format!("{index:064x}") });
    let marble = |index: usize| {
        json!({ "Package": format!("package-{index:04}"), "Parameters": { "Argv": ["serve", "--port", "8080"],
            "Env": { "TOKEN": "{{ hex .Secrets.shared }}", "MODE": "production" } } })
    };
    let secret = |_: usize| json!({ "Type": "symmetric-key", "Size": 128, "Shared": true });
    json!({ "Packages": section("package", &package), "Marbles": section("marble", &marble),
        "Secrets": section("secret", &secret) })
}
