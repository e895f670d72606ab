//! Questions to whoever sits at the terminal.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, Result, bail};

/// How a question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Yes.
    Yes,
    /// Anything else.
    No,
}

/// Asks `question` on stderr; only `y` or `yes` is a yes. `yes` is the flag `--yes`, which answers it.
///
/// # Errors
/// There is nobody to ask.
pub(crate) fn ask(question: &str, yes: bool) -> Result<Answer> {
    if yes {
        return Ok(Answer::Yes);
    }
    let (stdin, mut stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        bail!("{question} Nobody can be asked here: give --yes if that is meant");
    }
    write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()).context("asking on stderr")?;
    let mut line = String::new();
    stdin.lock().read_line(&mut line).context("reading the answer")?;
    Ok(read(&line))
}

fn read(line: &str) -> Answer {
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Answer::Yes,
        _ => Answer::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_a_yes() {
        for line in ["y\n", "Y\n", " yes \n", "YES"] {
            assert_eq!(read(line), Answer::Yes, "{line:?}");
        }
        for line in ["", "\n", "n\n", "yeah\n", "yy", "1"] {
            assert_eq!(read(line), Answer::No, "{line:?}");
        }
    }

    #[test]
    fn the_flag_answers() {
        assert_eq!(ask("Sure?", true).unwrap(), Answer::Yes);
    }
}
