//! Running the tools of languages: found or named with the command that installs them; what they print is passed on.

use std::io::{BufRead as _, BufReader, ErrorKind, Read};
use std::process::{Command, Stdio};

use super::{BuildError, Progress};

/// A program that a language needs.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// The program.
    pub program: &'static str,
    /// The language, as a sentence names it.
    pub language: &'static str,
    /// How to get it.
    pub install: &'static str,
}

impl Tool {
    /// What `program ARGUMENTS` prints, such as its version.
    ///
    /// # Errors
    /// [`BuildError::MissingTool`] if it is not there.
    pub fn output(&self, arguments: &[&str]) -> Result<String, BuildError> {
        let output = Command::new(self.program).args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| self.not_started(error))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Refuses a version that is too old. Versions are numbers with dots, after whatever `prefix` there is.
    ///
    /// # Errors
    /// [`BuildError::OldTool`].
    pub fn at_least(&self, found: &str, needed: &'static str) -> Result<(), BuildError> {
        if numbers(found) >= numbers(needed) {
            return Ok(());
        }
        let Self { program: tool, language, install } = *self;
        Err(BuildError::OldTool { tool, language, found: found.to_owned(), needed, install })
    }

    /// The error of a program that does not start.
    #[must_use]
    pub fn not_started(&self, error: std::io::Error) -> BuildError {
        let Self { program: tool, language, install } = *self;
        match error.kind() {
            ErrorKind::NotFound => BuildError::MissingTool { tool, language, install },
            _ => BuildError::Run { program: tool.to_owned(), source: error },
        }
    }
}

fn numbers(version: &str) -> Vec<u32> {
    let digits = version.trim_start_matches(|character: char| !character.is_ascii_digit());
    let end = digits.find(|character: char| !character.is_ascii_digit() && character != '.');
    let digits = digits.get(..end.unwrap_or(digits.len())).unwrap_or_default();
    digits.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

/// Runs a step to its end and passes on what it prints to stderr, line by line. Returns what it printed to stdout.
///
/// # Errors
/// [`BuildError::Failed`] if it ended with an error.
pub fn run(
    tool: &Tool,
    step: &str,
    command: &mut Command,
    progress: &dyn Progress,
) -> Result<String, BuildError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| tool.not_started(error))?;
    let failed = |source| BuildError::Run { program: tool.program.to_owned(), source };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let printed = std::thread::scope(|scope| {
        let printed = scope.spawn(move || {
            let mut printed = Vec::new();
            stdout.map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut printed)).map(|_| printed)
        });
        if let Some(stderr) = stderr {
            pass_on(stderr, progress);
        }
        printed.join().unwrap_or_else(|_| Ok(Vec::new()))
    });
    let status = child.wait().map_err(failed)?;
    let printed = String::from_utf8_lossy(&printed.map_err(failed)?).into_owned();
    if status.success() {
        return Ok(printed);
    }
    let what = match status.code() {
        Some(_) => "its messages are above".to_owned(),
        None => "it was killed; is there enough memory?".to_owned(),
    };
    Err(BuildError::Failed { step: step.to_owned(), what })
}

fn pass_on(stderr: impl Read, progress: &dyn Progress) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    // A stream that breaks off ends the messages; the tool's status tells the rest.
    while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
        progress.tool_output(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const SHELL: Tool = Tool { program: "sh", language: "tests", install: "apt-get install dash" };

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Progress for Kept {
        fn step(&self, _: &str) {}

        fn tool_output(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
    }

    #[test]
    fn what_a_tool_prints_is_passed_on_line_by_line_and_its_result_is_returned() {
        let kept = Kept::default();
        let mut command = Command::new("sh");
        command.args(["-c", "echo warning: x >&2; echo '  --> f:1' >&2; echo result"]);
        assert_eq!(run(&SHELL, "sh", &mut command, &kept).unwrap(), "result\n");
        assert_eq!(kept.0.into_inner().unwrap(), ["warning: x", "  --> f:1"]);
    }

    #[test]
    fn a_tool_that_fails_is_an_error_that_points_at_its_messages() {
        let mut command = Command::new("sh");
        let error =
            run(&SHELL, "the shell", command.args(["-c", "exit 3"]), &super::super::Quiet).unwrap_err();
        assert_eq!(error.to_string(), "the shell failed: its messages are above");
        let mut command = Command::new("sh");
        let error = run(&SHELL, "the shell", command.args(["-c", "kill -9 $$"]), &super::super::Quiet);
        assert!(error.unwrap_err().to_string().contains("enough memory"));
    }

    #[test]
    fn a_missing_tool_is_named_with_the_command_that_installs_it() {
        let tool =
            Tool { program: "no-such-tool", language: "Cobol", install: "apt-get install no-such-tool" };
        let error = tool.output(&["--version"]).unwrap_err().to_string();
        assert!(error.contains("no-such-tool is not installed") && error.contains("Cobol"), "{error}");
        assert!(error.ends_with("install it: apt-get install no-such-tool"), "{error}");
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (found, needed, is_enough) in [
            ("go1.26.8", "1.25", true),
            ("go1.25", "1.25", true),
            ("go1.9", "1.25", false),
            ("v20.1.0", "20", true),
            ("Python 3.11.7", "3.9", true),
            ("rustc 1.94.0-nightly", "1.95", false),
        ] {
            assert_eq!(SHELL.at_least(found, needed).is_ok(), is_enough, "{found} {needed}");
        }
    }
}
