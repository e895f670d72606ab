//! What authorizers and admitters answer.

use std::fmt::Display;

/// The code of a denial that stands for an error inside the policy.
pub const POLICY_ERROR: &str = "policy-error";

/// Its message: the caller learns nothing of the inside.
pub(crate) const POLICY_ERROR_MESSAGE: &str = "the policy failed";

/// Its hint.
pub(crate) const POLICY_ERROR_HINT: &str = "the coordinator's log says why";

/// Why something is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denial {
    /// Stable and short, such as `office-hours`: for programs. At most 64 bytes.
    pub code: String,
    /// For people; shown to the caller. At most 4096 bytes.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// What it is about.
    pub resources: Vec<String>,
}

/// Yes or no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No.
    Deny(Denial),
}

/// Yes.
#[must_use]
pub fn allow() -> Decision {
    Decision::Allow
}

/// No: a code for programs and a message for people. Neither may hold secrets: the caller sees both.
pub fn deny(code: impl Into<String>, message: impl Into<String>) -> Decision {
    Decision::Deny(Denial { code: code.into(), message: message.into(), ..Denial::default() })
}

impl Decision {
    /// Adds what the caller can do about a denial. Changes no yes.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Deny(denial) = &mut self {
            denial.hint = Some(hint.into());
        }
        self
    }

    /// Adds what a denial is about, such as the names of secrets. Changes no yes.
    #[must_use]
    pub fn about<T: Into<String>>(mut self, resources: impl IntoIterator<Item = T>) -> Self {
        if let Self::Deny(denial) = &mut self {
            denial.resources.extend(resources.into_iter().map(Into::into));
        }
        self
    }

    /// Whether it is a yes.
    #[must_use]
    pub fn is_allow(&self) -> bool {
        *self == Self::Allow
    }

    /// The denial, where it is one.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        if let Self::Deny(denial) = self { Some(denial) } else { None }
    }
}

/// What a policy's function may return: a [`Decision`], or a [`Result`] of one.
///
/// An error becomes a denial with the code [`POLICY_ERROR`]. Its text goes to the coordinator's log, not to the caller.
pub trait IntoDecision {
    /// The decision.
    fn into_decision(self) -> Decision;
}

impl IntoDecision for Decision {
    fn into_decision(self) -> Decision {
        self
    }
}

impl<E: Display> IntoDecision for Result<Decision, E> {
    fn into_decision(self) -> Decision {
        self.unwrap_or_else(|error| {
            log_error(&error);
            deny(POLICY_ERROR, POLICY_ERROR_MESSAGE).hint(POLICY_ERROR_HINT)
        })
    }
}

/// Writes the text of an error that the caller does not see.
pub(crate) fn log_error(error: &dyn Display) {
    // `#`: errors with causes show them all.
    crate::log::warn(format!("the policy failed: {error:#}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::logged;

    #[test]
    fn a_denial_carries_hint_and_resources_and_a_yes_carries_nothing() {
        let denied = deny("c", "m").hint("h").about(["a", "b"]);
        let expected = Denial {
            code: "c".to_owned(),
            message: "m".to_owned(),
            hint: Some("h".to_owned()),
            resources: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(denied.denial(), Some(&expected));
        assert!(!denied.is_allow());
        assert_eq!(allow().hint("h").about(["a"]), Decision::Allow);
    }

    #[test]
    fn an_error_denies_without_its_text_which_goes_to_the_log() {
        let (decision, log) = logged(|| Err::<Decision, _>("no such key: inner").into_decision());
        let denial = decision.denial().unwrap();
        assert_eq!((denial.code.as_str(), denial.message.as_str()), ("policy-error", "the policy failed"));
        assert_eq!(log, ["WARN: the policy failed: no such key: inner"]);
        assert_eq!(Ok::<_, String>(allow()).into_decision(), allow());
    }
}
