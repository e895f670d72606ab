//! Whether texts are coloured: by `--color`, `NO_COLOR` and what stdout and stderr are. Data is never coloured.

use std::io::{Stderr, Stdout};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// When texts are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set and not empty, or TERM is dumb.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Errors, and what is dangerous.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Warnings, and what is changed.
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
/// What is added.
pub(crate) const NEW: Style = AnsiColor::Green.on_default();
/// What is removed.
pub(crate) const OLD: Style = AnsiColor::Red.on_default();
/// What helps.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
/// What is said beside the matter, by `--verbose`.
pub(crate) const ASIDE: Style = Style::new().dimmed();

/// Decides for the whole program, before anything is printed.
pub(crate) fn decide(color: Color) {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
    .write_global();
}

/// Whether stdout is coloured.
pub(crate) fn on_stdout(stdout: &Stdout) -> bool {
    AutoStream::choice(stdout) != ColorChoice::Never
}

/// Whether stderr is coloured.
pub(crate) fn on_stderr(stderr: &Stderr) -> bool {
    AutoStream::choice(stderr) != ColorChoice::Never
}

/// The text in this style where `on`; nothing around no text.
pub(crate) fn paint(text: &str, style: Style, on: bool) -> String {
    if on && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_coloured_where_colours_are_on_and_else_as_it_is() {
        assert_eq!(paint("x", NEW, true), "\u{1b}[32mx\u{1b}[0m");
        assert_eq!(paint("x", NEW, false), "x");
        assert_eq!(paint("", BAD, true), "");
    }
}
