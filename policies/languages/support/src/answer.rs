//! What a policy answers.

use std::fmt;

/// The code of an answer that stands for none.
pub const POLICY_ERROR: &str = "policy-error";

/// What the caller learns of a policy that gave no answer.
pub const FAILED: &str = "the policy failed";

/// What the caller may do about it.
pub const SEE_LOG: &str = "the coordinator's log says why";

/// Why something is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denial {
    /// Stable and short.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// What is refused.
    pub resources: Vec<String>,
}

/// One thing in a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// Reported, but no reason to refuse.
    pub warning: bool,
    /// The rule's id.
    pub code: String,
    /// RFC 6901 pointer into the manifest.
    pub path: String,
    /// For people.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Why there is no answer; for the log only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// The denial that stands for no answer.
#[must_use]
pub fn failed() -> Denial {
    Denial {
        code: POLICY_ERROR.to_owned(),
        message: FAILED.to_owned(),
        hint: Some(SEE_LOG.to_owned()),
        resources: Vec::new(),
    }
}

/// The finding that stands for no answer: an error about the whole manifest.
#[must_use]
pub fn failed_finding() -> Finding {
    let Denial { code, message, hint, .. } = failed();
    Finding { warning: false, code, path: String::new(), message, hint }
}
