//! What the host alone guarantees of a manifest, whatever a validator lets pass (architecture, "Acceptable and safe").
//!
//! Each rule has the specification's text and code, so that a validator which finds the same is not reported twice.
//! Rules that only keep a manifest tidy are the validators'.

mod config;
mod identities;
mod own_names;
mod policies;
mod references;
mod secrets;
mod users;
mod visible;

pub use self::policies::CODE as POLICIES;
use super::fields::clipped;
use super::position::escape;
use super::{ParsedManifest, merge};
use crate::decision::{Finding, Severity};
use crate::seal_mode::SealMode;

/// What the host knows beyond the manifest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// Built-in renderers, which a File or Env may choose beside the manifest's own; `None` = not judged.
    pub renderers: Option<&'a [String]>,
    /// The coordinator's own DNS names and IP addresses; `localhost`, 127.0.0.1 and ::1 are never counted among them.
    pub coordinator_names: &'a [String],
}

/// A manifest that passed the host's own list.
#[derive(Debug)]
pub struct SafeManifest {
    manifest: ParsedManifest,
}

/// A manifest that the host's list and all validators accept: the only one that use cases take.
#[derive(Debug)]
pub struct AcceptedManifest {
    manifest: ParsedManifest,
    warnings: Vec<Finding>,
}

/// Why a manifest is refused: at least one finding of severity error, in the order of manifest.md section 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// All findings, each once, whoever found them.
    pub findings: Vec<Finding>,
}

/// Judges a manifest by the host's own list; ordered, each finding once. Warnings of the reading are not among them.
#[must_use]
pub fn host_findings(manifest: &ParsedManifest, known: &Known<'_>) -> Vec<Finding> {
    let mut found = Found::default();
    references::judge(manifest, known, &mut found);
    users::judge(manifest, &mut found);
    secrets::judge(manifest, &mut found);
    own_names::judge(manifest, known.coordinator_names, &mut found);
    config::judge(manifest, &mut found);
    policies::judge(manifest, &mut found);
    visible::judge(manifest, &mut found);
    merge(found.findings)
}

impl SafeManifest {
    /// Judges by the host's own list alone.
    ///
    /// # Errors
    /// The host's findings, if one of them is an error.
    pub fn check(manifest: ParsedManifest, known: &Known<'_>) -> Result<Self, Refusal> {
        let findings = host_findings(&manifest, known);
        if has_error(&findings) { Err(Refusal { findings }) } else { Ok(Self { manifest }) }
    }

    /// The manifest that was checked.
    #[must_use]
    pub fn manifest(&self) -> &ParsedManifest {
        &self.manifest
    }
}

impl AcceptedManifest {
    /// Joins what the reader, the host and the validators found.
    ///
    /// # Errors
    /// The merged findings, if one of them is an error.
    pub fn judge(
        manifest: ParsedManifest,
        validators: Vec<Finding>,
        known: &Known<'_>,
    ) -> Result<Self, Refusal> {
        let mut findings = manifest.warnings.clone();
        findings.extend(host_findings(&manifest, known));
        findings.extend(validators);
        let findings = merge(findings);
        if has_error(&findings) {
            return Err(Refusal { findings });
        }
        Ok(Self { manifest, warnings: findings })
    }

    /// A manifest that was accepted before and comes from the sealed state.
    ///
    /// # Errors
    /// The host's findings, if one of them is an error.
    pub fn restore(manifest: ParsedManifest, known: &Known<'_>) -> Result<Self, Refusal> {
        Self::judge(manifest, Vec::new(), known)
    }

    /// How the state is kept. The host's list has refused any other word.
    #[must_use]
    pub fn seal_mode(&self) -> SealMode {
        SealMode::parse(&self.config.seal_mode).unwrap_or_default()
    }

    /// What to tell the caller.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }
}

impl std::ops::Deref for AcceptedManifest {
    type Target = ParsedManifest;

    fn deref(&self) -> &ParsedManifest {
        &self.manifest
    }
}

fn has_error(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Errors, and likewise warnings, beyond this number are dropped: nobody reads more, and anybody may upload a manifest
/// that has hundreds of thousands.
const MAX_FINDINGS: usize = 10_000;

/// Collects findings.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    errors: usize,
    warnings: usize,
}

impl Found {
    /// An error whose text says all that is to say.
    fn error(&mut self, code: &str, path: &[&str], message: String) {
        self.add(Severity::Error, code, path, message, "");
    }

    /// A finding; an empty hint is none.
    fn add(&mut self, severity: Severity, code: &str, path: &[&str], message: String, hint: &str) {
        // Counted apart: warnings must never take an error's place.
        let count = if severity == Severity::Error { &mut self.errors } else { &mut self.warnings };
        if *count >= MAX_FINDINGS {
            return;
        }
        *count += 1;
        let path = path.iter().fold(String::new(), |path, token| path + "/" + &escape(token));
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        self.findings.push(Finding { severity, code: code.to_owned(), path, message, hint });
    }
}

#[cfg(test)]
mod limit_tests;
#[cfg(test)]
#[cfg(feature = "host")]
mod policy_tests;
#[cfg(test)]
#[cfg(feature = "host")]
mod template_tests;
#[cfg(test)]
#[cfg(feature = "host")]
mod tests;
