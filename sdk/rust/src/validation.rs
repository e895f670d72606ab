//! World `manifest-validation`: is this manifest acceptable? Asked when a manifest is set or updated, and by the CLI offline.
//!
//! ```
//! use carrara_policy::validation::{Finding, Proposal, error, warning};
//!
//! /// A package whose security version falls is refused, one whose version leaps is reported.
//! fn validate(proposal: &Proposal) -> Result<Vec<Finding>, serde_json::Error> {
//!     let manifest: serde_json::Value = serde_json::from_str(&proposal.manifest)?;
//!     let mut findings = Vec::new();
//!     for version in &proposal.current_versions {
//!         let path = format!("/Packages/{}/SecurityVersion", carrara_policy::validation::escape(&version.name));
//!         let proposed = manifest.pointer(&path).and_then(serde_json::Value::as_u64);
//!         match proposed {
//!             Some(proposed) if proposed < version.security_version => findings.push(
//!                 error("no-downgrade", path, format!("{} is in force", version.security_version))
//!                     .hint("keep the version or raise it"),
//!             ),
//!             Some(proposed) if proposed > version.security_version + 1 => {
//!                 findings.push(warning("leap", path, "the version leaps"));
//!             }
//!             _ => {}
//!         }
//!     }
//!     Ok(findings)
//! }
//!
//! carrara_policy::validator!(validate);
//!
//! let proposal = Proposal::of(r#"{"Packages":{"web":{"SecurityVersion":1}}}"#).with_version("web", 2);
//! let findings = validate(&proposal).unwrap();
//! assert_eq!(findings[0].path, "/Packages/web/SecurityVersion");
//! ```

use std::fmt::Display;

use crate::decision::{POLICY_ERROR, POLICY_ERROR_HINT, POLICY_ERROR_MESSAGE, log_error};
use crate::words::{Context, Principal};

/// A package's security version in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageVersion {
    /// The package.
    pub name: String,
    /// Its version, after package updates.
    pub security_version: u64,
}

/// A manifest that somebody wants to set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Time, revision, settings, facts.
    pub context: Context,
    /// `initial`, `reset`, `package-update` or `full-update`.
    pub change: String,
    /// Normalised JSON: canonical field names, no duplicates.
    pub manifest: String,
    /// SHA-256 of the uploaded bytes.
    pub manifest_sha256: Vec<u8>,
    /// The manifest in force, normalised; none at the first one.
    pub current: Option<String>,
    /// Security versions in force.
    pub current_versions: Vec<PackageVersion>,
    /// Who proposes it, where a user does.
    pub proposer: Option<Principal>,
}

/// Whether a finding refuses the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Refuses it.
    Error,
    /// Is reported.
    Warning,
}

/// Something about a manifest that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it refuses the manifest.
    pub severity: Severity,
    /// The rule's id: stable and short.
    pub code: String,
    /// RFC 6901 pointer into the manifest; the coordinator shows the line of the upload for it.
    pub path: String,
    /// For people.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A finding that refuses the manifest.
pub fn error(code: impl Into<String>, path: impl Into<String>, message: impl Into<String>) -> Finding {
    let (code, path, message) = (code.into(), path.into(), message.into());
    Finding { severity: Severity::Error, code, path, message, hint: None }
}

/// A finding that is reported and refuses nothing.
pub fn warning(code: impl Into<String>, path: impl Into<String>, message: impl Into<String>) -> Finding {
    Finding { severity: Severity::Warning, ..error(code, path, message) }
}

/// A key as a part of a finding's path: `~` and `/` are escaped (RFC 6901, section 3).
#[must_use]
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// What a policy's function may return: findings, or a [`Result`] of them.
///
/// An error becomes an error finding with the code [`POLICY_ERROR`]. Its text goes to the coordinator's log, not to the caller.
pub trait IntoFindings {
    /// The findings.
    fn into_findings(self) -> Vec<Finding>;
}

impl IntoFindings for Vec<Finding> {
    fn into_findings(self) -> Vec<Finding> {
        self
    }
}

impl<E: Display> IntoFindings for Result<Vec<Finding>, E> {
    fn into_findings(self) -> Vec<Finding> {
        self.unwrap_or_else(|failure| {
            log_error(&failure);
            vec![error(POLICY_ERROR, "", POLICY_ERROR_MESSAGE).hint(POLICY_ERROR_HINT)]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::logged;

    #[test]
    fn an_error_is_one_error_finding_and_its_text_is_in_the_log() {
        let (findings, log) = logged(|| Err::<Vec<Finding>, _>("inner").into_findings());
        let expected = error("policy-error", "", "the policy failed").hint("the coordinator's log says why");
        assert_eq!(findings, [expected]);
        assert_eq!(log, ["WARN: the policy failed: inner"]);
    }

    #[test]
    fn a_key_is_escaped_as_a_pointer_needs_it() {
        assert_eq!(escape("a/b~c"), "a~1b~0c");
        assert_eq!(warning("c", "/p", "m").severity, Severity::Warning);
    }
}
