//! The interface that every policy exports: is an entry's `Settings` text one that the policy understands?

use wasmtime::component::InstancePre;

use crate::call::{CallState, Nonsense};
use crate::text::{MAX_MESSAGE_BYTES, clean, clean_hint};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package carrara:hosting;
            world configured { export carrara:policy/configuration@1.0.0; }
        ",
    });
}

pub(crate) use bindings::ConfiguredPre;
use bindings::exports::carrara::policy::configuration as guest;

/// More errors in one settings text help nobody.
const MAX_ERRORS: usize = 100;

/// What is wrong with a policy entry's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// For people.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

pub(crate) fn prepare<S>(pre: &InstancePre<CallState<S>>) -> wasmtime::Result<ConfiguredPre<CallState<S>>> {
    ConfiguredPre::new(pre.clone())
}

/// Reads the answer: no error is a yes, a refusal without errors is nonsense.
pub(crate) fn errors(answer: Result<(), Vec<guest::SettingsError>>) -> Result<Vec<SettingsError>, Nonsense> {
    let Err(errors) = answer else { return Ok(Vec::new()) };
    if errors.is_empty() {
        return Err(Nonsense("it refused its settings without an error".to_owned()));
    }
    let error = |error: guest::SettingsError| SettingsError {
        line: error.line,
        column: error.column,
        message: clean(&error.message, MAX_MESSAGE_BYTES),
        hint: clean_hint(error.hint),
    };
    Ok(errors.into_iter().take(MAX_ERRORS).map(error).collect())
}
