//! The words that all worlds share, and the log.

use super::bindings::words::carrara::policy::{host, types};
use crate::log::Level;
use crate::{Context, Decision, Fact, Principal, Role, Value};

/// Writes a line to the coordinator's log.
pub(crate) fn log(level: Level, text: &str) {
    let level = match level {
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
    };
    host::log(level, text);
}

/// A panic ends the call without a word: its text goes to the log first.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no text");
        let place = panic.location().map(|place| format!(" ({place})")).unwrap_or_default();
        log(Level::Warn, &format!("the policy panicked: {text}{place}"));
    }));
}

pub(crate) fn context(context: types::Context) -> Context {
    let types::Context { settings, now, revision, facts: found } = context;
    Context { settings, now, revision, facts: facts(found) }
}

pub(crate) fn facts(found: Vec<types::Fact>) -> Vec<Fact> {
    let value = |value| match value {
        types::Value::Text(text) => Value::Text(text),
        types::Value::Number(number) => Value::Number(number),
        types::Value::Truth(truth) => Value::Truth(truth),
        types::Value::Bytes(bytes) => Value::Bytes(bytes),
        types::Value::Texts(texts) => Value::Texts(texts),
    };
    found.into_iter().map(|fact| Fact { name: fact.name, value: value(fact.value) }).collect()
}

pub(crate) fn principal(principal: types::Principal) -> Principal {
    let role = |role: types::Role| Role {
        name: role.name,
        resource_type: role.resource_type,
        resource_names: role.resource_names,
        actions: role.actions,
    };
    Principal {
        name: principal.name,
        certificate_sha256: principal.certificate_sha256,
        roles: principal.roles.into_iter().map(role).collect(),
    }
}

pub(crate) fn decision(decision: Decision) -> types::Decision {
    match decision {
        Decision::Allow => types::Decision::Allow,
        Decision::Deny(denial) => types::Decision::Deny(types::Denial {
            code: denial.code,
            message: denial.message,
            hint: denial.hint,
            resources: denial.resources,
        }),
    }
}
