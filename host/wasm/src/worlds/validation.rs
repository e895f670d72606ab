//! World `manifest-validation`: is this manifest acceptable?

use carrara_types::decision::{Finding, Proposal, Severity};

use super::words;
use crate::call::Nonsense;
use crate::text::{MAX_CODE_BYTES, MAX_MESSAGE_BYTES, MAX_NAME_BYTES, clean, clean_hint};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "manifest-validation",
        imports: { default: trappable },
        with: {
            "carrara:policy/types@1.0.0": super::super::words::types,
            "carrara:policy/host@1.0.0": super::super::words::host,
        },
    });
}

pub(crate) use bindings::ManifestValidationPre;
use bindings::exports::carrara::policy::manifest_validator as guest;

/// A manifest of the largest size with an error in every line stays below.
const MAX_FINDINGS: usize = 50_000;

/// The question as the guest reads it.
pub(crate) fn question(proposal: &Proposal, settings: &str) -> guest::Proposal {
    let version = |(name, security_version): &(String, u64)| guest::PackageVersion {
        name: name.clone(),
        security_version: *security_version,
    };
    guest::Proposal {
        context: words::context(&proposal.context, settings),
        change: proposal.change.name().to_owned(),
        manifest: proposal.manifest.clone(),
        manifest_sha256: proposal.manifest_sha256.to_vec(),
        current: proposal.current.clone(),
        current_versions: proposal.current_versions.iter().map(version).collect(),
        proposer: proposal.proposer.as_ref().map(words::principal),
    }
}

/// Reads the answer. An error finding that says nothing, or more findings than a manifest can have, are nonsense.
pub(crate) fn findings(found: Vec<guest::Finding>) -> Result<Vec<Finding>, Nonsense> {
    if found.len() > MAX_FINDINGS {
        return Err(Nonsense(format!("it answered {} findings (limit {MAX_FINDINGS})", found.len())));
    }
    found.into_iter().map(finding).collect()
}

fn finding(found: guest::Finding) -> Result<Finding, Nonsense> {
    let message = clean(&found.message, MAX_MESSAGE_BYTES);
    if message.is_empty() {
        return Err(Nonsense("it answered a finding without a message".to_owned()));
    }
    Ok(Finding {
        severity: match found.severity {
            guest::Severity::Error => Severity::Error,
            guest::Severity::Warning => Severity::Warning,
        },
        code: clean(&found.code, MAX_CODE_BYTES),
        path: clean(&found.path, MAX_NAME_BYTES),
        message,
        hint: clean_hint(found.hint),
    })
}
