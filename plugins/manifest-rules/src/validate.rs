//! What this validator says to a proposal.

use carrara_types::decision::{Change, Finding, Severity};
use carrara_types::manifest::{Known, ManifestError, ParsedManifest, host_findings, order_findings};

use crate::rules;

/// A component cannot know which renderers and names its host has; the host checks those itself.
const KNOWN: Known<'_> = Known { renderers: None, coordinator_names: &[] };

/// Judges normalised JSON. `change` is one of [`Change::name`]; one that is not known is judged like a whole manifest.
///
/// The rules of section 3 are about whole manifests: a package update, which holds packages only, is judged by the use
/// case that applies it (M-100..M-106), here only by whether it can be read.
#[must_use]
pub fn validate(change: &str, manifest: &str) -> Vec<Finding> {
    judge(change, &ParsedManifest::parse(manifest.as_bytes()))
}

/// The same of JSON that was read.
pub(crate) fn judge(change: &str, manifest: &Result<ParsedManifest, ManifestError>) -> Vec<Finding> {
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(error) => return vec![unreadable(&error.message)],
    };
    // What the host read and this component does not know: it is older than its host (a digest pins it).
    let mut found = manifest.warnings.clone();
    if change != Change::PackageUpdate.name() {
        found.extend(host_findings(manifest, &KNOWN));
        found.extend(rules::findings(manifest));
    }
    if change == Change::FullUpdate.name() {
        found.extend(rules::lockout(manifest));
    }
    order_findings(&mut found);
    found
}

/// The host's JSON is not what this component takes for a manifest; it must not accept what it cannot read.
fn unreadable(why: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        code: "unreadable-manifest".to_owned(),
        path: String::new(),
        message: format!("manifest-rules cannot read this manifest: {why}"),
        hint: Some("if Policies pins an older manifest-rules by its digest, name the present one".to_owned()),
    }
}

#[cfg(test)]
mod tests;
