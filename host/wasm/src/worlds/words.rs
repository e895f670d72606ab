//! The words that all worlds share, between the host's types and the guests'.

use carrara_types::decision::{Context, Decision, Denial, Fact, HeldRole, Principal, Value};

use crate::call::{LogBook, Nonsense};
use crate::text::{MAX_CODE_BYTES, MAX_MESSAGE_BYTES, MAX_NAME_BYTES, clean, clean_hint};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "marble-admission",
        imports: { default: trappable },
    });
}

pub use bindings::carrara::policy::{host, types};

/// The most resources that a denial may name; more are left out.
const MAX_DENIED_RESOURCES: usize = 1000;

impl types::Host for LogBook {}

impl host::Host for LogBook {
    fn log(&mut self, level: host::Level, message: String) -> wasmtime::Result<()> {
        self.write(level, &message)
    }
}

pub(crate) fn context(context: &Context, settings: &str) -> types::Context {
    types::Context {
        settings: settings.to_owned(),
        now: context.now,
        revision: context.revision,
        facts: facts(&context.facts),
    }
}

pub(crate) fn facts(facts: &[Fact]) -> Vec<types::Fact> {
    let value = |value: &Value| match value {
        Value::Text(text) => types::Value::Text(text.clone()),
        Value::Number(number) => types::Value::Number(*number),
        Value::Truth(truth) => types::Value::Truth(*truth),
        Value::Bytes(bytes) => types::Value::Bytes(bytes.clone()),
        Value::Texts(texts) => types::Value::Texts(texts.clone()),
    };
    facts.iter().map(|fact| types::Fact { name: fact.name.clone(), value: value(&fact.value) }).collect()
}

pub(crate) fn principal(principal: &Principal) -> types::Principal {
    let role = |role: &HeldRole| types::Role {
        name: role.name.clone(),
        resource_type: role.resource_type.clone(),
        resource_names: role.resource_names.clone(),
        actions: role.actions.clone(),
    };
    types::Principal {
        name: principal.name.clone(),
        certificate_sha256: principal.certificate_sha256.to_vec(),
        roles: principal.roles.iter().map(role).collect(),
    }
}

/// Reads a decision; a denial without any word of a reason is nonsense.
pub(crate) fn decision(decision: types::Decision) -> Result<Decision, Nonsense> {
    let types::Decision::Deny(denial) = decision else { return Ok(Decision::Allow) };
    let (code, message) = (clean(&denial.code, MAX_CODE_BYTES), clean(&denial.message, MAX_MESSAGE_BYTES));
    if code.is_empty() && message.is_empty() {
        return Err(Nonsense("it denied without a code or a message".to_owned()));
    }
    let resources = denial.resources.iter().take(MAX_DENIED_RESOURCES);
    Ok(Decision::Deny(Denial {
        code,
        message,
        hint: clean_hint(denial.hint),
        resources: resources.map(|name| clean(name, MAX_NAME_BYTES)).collect(),
    }))
}
