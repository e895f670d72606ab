//! Glue between `wit/` and [`crate::validate`].

use bindings::exports::carrara::policy::configuration::{Guest as Configuration, SettingsError};
use bindings::exports::carrara::policy::manifest_validator::{
    Finding, Guest as ManifestValidator, Proposal, Severity,
};
use carrara_types::decision;

/// What `wit-bindgen` generates from the world.
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated: the ABI needs raw memory"
)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "manifest-validation" });
    use super::Component;
    export!(Component);
}

/// The component's exports.
struct Component;

impl Configuration for Component {
    fn check(settings: String) -> Result<(), Vec<SettingsError>> {
        crate::check_settings(&settings).map_err(|message| {
            let hint = Some("remove Settings from this entry of Policies".to_owned());
            vec![SettingsError { line: 1, column: 1, message: message.to_owned(), hint }]
        })
    }
}

impl ManifestValidator for Component {
    fn validate(proposal: Proposal) -> Vec<Finding> {
        crate::validate(&proposal.change, &proposal.manifest).into_iter().map(Finding::from).collect()
    }
}

impl From<decision::Finding> for Finding {
    fn from(finding: decision::Finding) -> Self {
        let severity = match finding.severity {
            decision::Severity::Error => Severity::Error,
            decision::Severity::Warning => Severity::Warning,
        };
        let decision::Finding { code, path, message, hint, .. } = finding;
        Self { severity, code, path, message, hint }
    }
}
