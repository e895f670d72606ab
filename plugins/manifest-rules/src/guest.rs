//! Glue between `wit/` and [`crate::validate`].

use bindings::exports::carrara::policy::manifest_validator::{
    Finding, Guest as ManifestValidator, Proposal, Severity,
};
use carrara_types::decision;

carrara_plugin_support::guest!("manifest-validation", "manifest-rules");

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
