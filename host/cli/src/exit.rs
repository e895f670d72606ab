//! What the program ends with. The codes are stable: scripts depend on them.
//!
//! Whatever MarbleRun's CLI ends with 1 ends with 1 here too; only commands that it does not have use other codes.

use std::fmt;

/// Shown below `--help` and in the documentation.
pub(crate) const HELP: &str = "\
Exit codes:
  0  the command did what it says
  1  an error: a wrong command line, no connection, no trust, a refusal by the coordinator;
     `policy test` found a case that fails or a property that does not hold
  5  `manifest check` found errors; `manifest diff --exit-code` found differences; `policy check` found that a
     coordinator would refuse the component, `policy run` that the policy refuses its settings, `policy diff`
     answers that differ; `policy replay --exit-code` found decisions that would be others, or could not
     replay all of them
  6  `manifest log --verify` found that the log contradicts what was seen before
  141  whoever read stdout closed it, such as `head`: ended without a word, as programs do that SIGPIPE ends

Environment:
  NO_COLOR           no colours, unless it is empty (or --color always is given)
  CARRARA_PKCS11_PIN the PIN of the token that --pkcs11-config names, where the file gives none";

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Done.
    Success = 0,
    /// Anything that went wrong.
    Error = 1,
    /// What was looked for was found: errors in a manifest, differences between two.
    Findings = 5,
    /// A log contradicts what was seen of it before.
    Contradiction = 6,
    /// Whoever read stdout closed it: 128 and the number of SIGPIPE.
    Unread = 141,
}

/// An error that ends the program with a code of its own; put at the root of an [`anyhow::Error`].
#[derive(Debug)]
pub(crate) struct Ending {
    code: ExitCode,
    text: String,
}

impl Ending {
    /// Ends with this code after this text was shown as an error.
    pub(crate) fn new(code: ExitCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Ending {}

impl ExitCode {
    /// The code for an error.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        error.downcast_ref::<Ending>().map_or(Self::Error, |ending| ending.code)
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn an_ending_keeps_its_code_below_any_context_and_all_else_is_1() {
        let ending = anyhow::Error::new(Ending::new(ExitCode::Contradiction, "forked")).context("verifying");
        assert_eq!(ExitCode::of(&ending), ExitCode::Contradiction);
        assert_eq!(format!("{ending:#}"), "verifying: forked");
        assert_eq!(ExitCode::of(&anyhow!("other")), ExitCode::Error);
    }

    #[test]
    fn the_codes_are_stable_and_in_the_help() {
        let codes = [
            ExitCode::Success,
            ExitCode::Error,
            ExitCode::Findings,
            ExitCode::Contradiction,
            ExitCode::Unread,
        ];
        assert_eq!(codes.map(|code| code as u8), [0, 1, 5, 6, 141]);
        for code in codes {
            assert!(HELP.contains(&format!("\n  {}  ", code as u8)), "{code:?}");
        }
    }
}
