//! Glue between `wit/` and [`crate::validate`].

use std::mem::ManuallyDrop;

use bindings::exports::carrara::policy::manifest_validator::{
    Finding, Guest as ManifestValidator, Proposal, Severity,
};
use carrara_types::decision;
use carrara_types::manifest::ParsedManifest;

use crate::validate::judge;

carrara_plugin_support::guest!("manifest-validation", "manifest-rules");

impl ManifestValidator for Component {
    fn validate(proposal: Proposal) -> Vec<Finding> {
        // An instance lives for one call, and its memory goes as a whole: to take the manifest apart first is only work.
        let manifest = ManuallyDrop::new(ParsedManifest::parse(proposal.manifest.as_bytes()));
        judge(&proposal.change, &manifest).into_iter().map(Finding::from).collect()
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
