//! Text, JSON or YAML on stdout, warnings on stderr. A command prints its text as it goes and exactly one value.

use std::io::{ErrorKind, Write};

use anstyle::Style;
use anyhow::{Context, Error, Result};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::color::{self, paint};
use crate::exit::{Ending, ExitCode};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[value(name = "table", alias = "text")]
    Text,
    /// One JSON value, for programs.
    Json,
    /// One YAML document, for programs and people.
    Yaml,
}

/// Where results go.
pub(crate) struct Output {
    format: Format,
    colored: bool,
    sink: Box<dyn Write>,
}

impl Output {
    /// Prints to stdout.
    pub(crate) fn new(format: Format) -> Self {
        let stdout = std::io::stdout();
        Self { format, colored: color::on_stdout(&stdout), sink: Box::new(stdout) }
    }

    #[cfg(test)]
    pub(crate) fn to(format: Format, sink: Box<dyn Write>) -> Self {
        Self { format, colored: false, sink }
    }

    /// Prints a line where people read.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        if self.format == Format::Text { self.write(harmless(text).as_bytes()) } else { Ok(()) }
    }

    /// Prints one line, whatever the pieces hold, each in its style, where people read.
    pub(crate) fn styled(&mut self, pieces: &[(&str, Style)]) -> Result<()> {
        if self.format != Format::Text {
            return Ok(());
        }
        let piece = |(text, style): &(&str, Style)| paint(&escaped(text), *style, self.colored);
        let line: String = pieces.iter().map(piece).collect();
        self.write(line.as_bytes())
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
        // Results may hold secrets.
        let text = match self.format {
            Format::Text => return Ok(()),
            Format::Json => {
                Zeroizing::new(serde_json::to_vec_pretty(value).context("writing the result as JSON")?)
            }
            Format::Yaml => {
                let text = serde_saphyr::to_string(value).context("writing the result as YAML")?;
                Zeroizing::new(text.into_bytes())
            }
        };
        self.write(text.strip_suffix(b"\n").unwrap_or(&text))
    }

    /// Prints one of any number of results where programs read: a line of JSON, or a YAML document.
    pub(crate) fn item(&mut self, value: &impl Serialize) -> Result<()> {
        match self.format {
            Format::Text => Ok(()),
            Format::Json => {
                let text = Zeroizing::new(serde_json::to_vec(value).context("writing a result as JSON")?);
                self.write(&text)
            }
            Format::Yaml => {
                self.write(b"---")?;
                self.result(value)
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.sink.write_all(bytes).and_then(|()| self.sink.write_all(b"\n"));
        written.and_then(|()| self.sink.flush()).map_err(|error| match error.kind() {
            // Such as `head`, when it has seen enough.
            ErrorKind::BrokenPipe => Ending::new(ExitCode::Unread, "stdout was closed").into(),
            _ => Error::new(error).context("writing to stdout"),
        })
    }
}

/// Tells on stderr what is wrong or doubtful.
pub(crate) fn complain(text: &str) {
    let mut stderr = std::io::stderr();
    let colored = color::on_stderr(&stderr);
    let text = harmless(text);
    let styled = |word: &str, style| {
        text.strip_prefix(word).map(|rest| paint(word, style, colored) + rest).filter(|_| colored)
    };
    let line = styled("Error:", color::BAD).or_else(|| styled("Warning:", color::DOUBTFUL));
    // Without stderr there is nobody left to tell.
    let _ = writeln!(stderr, "{}", line.unwrap_or(text));
}

/// Warns on stderr of what a coordinator says, in one line.
pub(crate) fn warn(text: &impl std::fmt::Display) {
    complain(&format!("Warning: {}", escaped(&text.to_string())));
}

/// Tells on stderr what goes on, for `--verbose`.
pub(crate) fn remark(text: &str) {
    let mut stderr = std::io::stderr();
    let line = paint(&harmless(text), color::ASIDE, color::on_stderr(&stderr));
    let _ = writeln!(stderr, "{line}");
}

/// What names and reasons come to where people read: on one line, and nothing in it drives a terminal, reorders text or
/// looks like the beginning of another line. What would is shown as an escape: `\n`, `\u{202e}`.
pub(crate) fn escaped(text: &str) -> String {
    escape(text, |_| false)
}

/// The same for texts of several lines, which may hold tabs.
fn harmless(text: &str) -> String {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

fn escape(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_dangerous(character) && !is_kept(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}

/// Control characters, line and paragraph separators, and whatever sets the direction of text.
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
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
            "a\\u{1b}[31m\\u{9b}1m\\r\\u{202e}b\n\tc\\u{7f}é"
        );
        let kept = Kept::default();
        kept.output(Format::Text).line("3: \u{1b}]0;title\u{7}").unwrap();
        assert_eq!(kept.text(), "3: \\u{1b}]0;title\\u{7}\n");
    }

    #[test]
    fn a_name_stays_on_its_line_and_in_its_order() {
        assert_eq!(escaped("a\n  7 b\tc\r\u{2028}é\\n"), "a\\n  7 b\\tc\\r\\u{2028}é\\n");
        for bidi in ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            assert_eq!(escaped(&format!("x{bidi}")), format!("x\\u{{{:x}}}", bidi as u32));
        }
        let kept = Kept::default();
        kept.output(Format::Text).styled(&[("a\nb", Style::new()), ("\tc", color::BAD)]).unwrap();
        assert_eq!(kept.text(), "a\\nb\\tc\n");
    }

    #[test]
    fn colours_are_put_around_a_text_after_it_was_made_harmless() {
        let kept = Kept::default();
        let mut output = Output { colored: true, ..kept.output(Format::Text) };
        output.styled(&[("+ \u{1b}[0m", color::NEW), (" x", Style::new()), ("", color::BAD)]).unwrap();
        assert_eq!(kept.text(), "\u{1b}[32m+ \\u{1b}[0m\u{1b}[0m x\n");
    }

    // YAML 1.1 readers take `no` for false: such texts must be quoted.
    #[test]
    fn yaml_reads_back_as_the_same_value() {
        let value =
            serde_json::json!({ "a": ["no", "1", "", "x: y", null, true, 7], "b": { "c": "1\n2\n" } });
        let kept = Kept::default();
        kept.output(Format::Yaml).result(&value).unwrap();
        let read: serde_json::Value = serde_saphyr::from_str(&kept.text()).unwrap();
        assert_eq!(read, value, "{}", kept.text());
    }

    #[test]
    fn items_are_lines_of_json_or_yaml_documents() {
        for (format, expected) in [
            (Format::Text, ""),
            (Format::Json, "{\"a\":1}\n{\"a\":1}\n"),
            (Format::Yaml, "---\na: 1\n---\na: 1\n"),
        ] {
            let kept = Kept::default();
            let mut output = kept.output(format);
            output.item(&serde_json::json!({ "a": 1 })).unwrap();
            output.item(&serde_json::json!({ "a": 1 })).unwrap();
            assert_eq!(kept.text(), expected);
        }
    }

    #[test]
    fn text_prints_lines_and_json_and_yaml_one_value() {
        let expectations = [
            (Format::Text, "line\nbytes\nred and plain\n"),
            (Format::Json, "{\n  \"a\": 1\n}\n"),
            (Format::Yaml, "a: 1\n"),
        ];
        for (format, expected) in expectations {
            let kept = Kept::default();
            let mut output = kept.output(format);
            output.line("line").unwrap();
            output.bytes(b"bytes\n").unwrap();
            output.styled(&[("red", color::BAD), (" and plain", Style::new())]).unwrap();
            output.result(&serde_json::json!({ "a": 1 })).unwrap();
            assert_eq!(kept.text(), expected);
        }
    }
}
