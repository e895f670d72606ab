//! What the policy languages share: settings with places, the document that a policy judges, answers, and the glue to
//! `wit/`.
//!
//! A language is a type that implements [`Language`] and is made of the entry's settings; it is plain Rust and tested
//! natively. [`guest!`] makes a component of it. Invariant: what cannot be read or evaluated is refused; its text goes to
//! the log, not to the caller.

mod answer;
mod glue;
mod nesting;
mod settings;
#[cfg(test)]
mod tests;

pub use answer::{Denial, FAILED, Failure, Finding, POLICY_ERROR, SEE_LOG, failed, failed_finding};
pub use hex;
pub use nesting::{MAX_NESTING, check_nesting};
pub use serde_json;
pub use settings::{Place, Settings, SettingsError};

use serde_json::Value;

/// A policy language with a policy: made of the settings, asked once.
pub trait Language: Sized {
    /// Reads the policy.
    ///
    /// # Errors
    /// What is wrong with it, with places in its text.
    fn read(settings: &Settings) -> Result<Self, Vec<SettingsError>>;

    /// What an authorizer or admitter answers to a document: `None` allows.
    ///
    /// # Errors
    /// Why there is no answer; for the log.
    fn decide(&self, request: &Value) -> Result<Option<Denial>, Failure>;

    /// What a validator finds in a manifest.
    ///
    /// # Errors
    /// Why there is no answer; for the log.
    fn validate(&self, proposal: &Value) -> Result<Vec<Finding>, Failure>;
}

/// Judges settings as `configuration.check` does.
///
/// # Errors
/// What is wrong with them.
pub fn check<L: Language>(settings: &str) -> Result<(), Vec<SettingsError>> {
    L::read(&Settings::parse(settings).map_err(|error| vec![error])?).map(|_| ())
}

/// Answers a document: `None` allows.
///
/// # Errors
/// Why there is no answer; for the log.
pub fn decide<L: Language>(settings: &str, request: &Value) -> Result<Option<Denial>, Failure> {
    read::<L>(settings)?.decide(request)
}

/// Judges a manifest.
///
/// # Errors
/// Why there is no answer; for the log.
pub fn validate<L: Language>(settings: &str, proposal: &Value) -> Result<Vec<Finding>, Failure> {
    read::<L>(settings)?.validate(proposal)
}

fn read<L: Language>(settings: &str) -> Result<L, Failure> {
    let settings = Settings::parse(settings).map_err(|error| Failure(error.to_string()))?;
    L::read(&settings).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure(texts.join("; "))
    })
}
