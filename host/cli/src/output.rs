//! Text or JSON on stdout, warnings on stderr. A command prints its text as it goes and exactly one JSON value.

use std::io::Write;

use anyhow::{Context, Result};
use serde::Serialize;
use zeroize::Zeroizing;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON value, for programs.
    Json,
}

/// Where results go.
pub(crate) struct Output {
    format: Format,
    sink: Box<dyn Write>,
}

impl Output {
    /// Prints to stdout.
    pub(crate) fn new(format: Format) -> Self {
        Self { format, sink: Box::new(std::io::stdout()) }
    }

    #[cfg(test)]
    pub(crate) fn to(format: Format, sink: Box<dyn Write>) -> Self {
        Self { format, sink }
    }

    /// Prints a line where people read.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        if self.format == Format::Text { self.write(harmless(text).as_bytes()) } else { Ok(()) }
    }

    /// Prints bytes as they are, and a newline unless they end with one, where people read.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if self.format == Format::Text {
            self.write(bytes.strip_suffix(b"\n").unwrap_or(bytes))
        } else {
            Ok(())
        }
    }

    /// Prints the result where programs read.
    pub(crate) fn result(&mut self, value: &impl Serialize) -> Result<()> {
        if self.format == Format::Text {
            return Ok(());
        }
        // Results may hold secrets.
        let text = Zeroizing::new(serde_json::to_vec_pretty(value).context("writing the result as JSON")?);
        self.write(&text)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.sink.write_all(bytes).and_then(|()| self.sink.write_all(b"\n"));
        written.and_then(|()| self.sink.flush()).context("writing to stdout")
    }
}

/// Tells on stderr what is wrong or doubtful.
pub(crate) fn complain(text: &str) {
    // Without stderr there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{}", harmless(text));
}

/// Texts come from servers and manifests, too: what could drive a terminal or reorder its text is shown as U+FFFD.
fn harmless(text: &str) -> String {
    let dangerous = |character: char| {
        character.is_control() && !matches!(character, '\n' | '\t')
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|character| if dangerous(character) { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is printed.
    #[derive(Clone, Default)]
    pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub(crate) fn output(&self, format: Format) -> Output {
            Output::to(format, Box::new(self.clone()))
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_text_cannot_drive_the_terminal() {
        assert_eq!(
            harmless("a\u{1b}[31m\u{9b}1m\r\u{202e}b\n\tc\u{7f}é"),
            "a\u{fffd}[31m\u{fffd}1m\u{fffd}\u{fffd}b\n\tc\u{fffd}é"
        );
        let kept = Kept::default();
        kept.output(Format::Text).line("3: \u{1b}]0;title\u{7}").unwrap();
        assert_eq!(kept.text(), "3: \u{fffd}]0;title\u{fffd}\n");
    }

    #[test]
    fn text_prints_lines_and_json_one_value() {
        for (format, expected) in [(Format::Text, "line\nbytes\n"), (Format::Json, "{\n  \"a\": 1\n}\n")] {
            let kept = Kept::default();
            let mut output = kept.output(format);
            output.line("line").unwrap();
            output.bytes(b"bytes\n").unwrap();
            output.result(&serde_json::json!({ "a": 1 })).unwrap();
            assert_eq!(kept.text(), expected);
        }
    }
}
