//! Why a template does not render, in the words of Go's text/template.

/// An error in a template. `Display` is the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// From 1.
    pub line: u32,
    /// From 0; 0 where only the line is known.
    pub column: u32,
    /// `template: data:LINE: ...` or `template: data:LINE:COL: executing ...`.
    pub message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The name that the original gives to every template; errors show it.
pub(crate) const TEMPLATE_NAME: &str = "data";

impl Failure {
    /// An error found while parsing, at the line of `pos`.
    pub(crate) fn parsing(text: &[u8], pos: usize, cause: &str) -> Self {
        let (line, _) = place(text, pos);
        Self { line, column: 0, message: format!("template: {TEMPLATE_NAME}:{line}: {cause}") }
    }

    /// An error found while executing `node` of the template `template` at `pos`.
    pub(crate) fn executing(text: &[u8], pos: usize, template: &[u8], node: &str, cause: &str) -> Self {
        let (line, column) = place(text, pos);
        let template = crate::text::quote(template);
        let message =
            format!("template: {TEMPLATE_NAME}:{line}:{column}: executing {template} at <{node}>: {cause}");
        Self { line, column, message }
    }
}

/// Line (from 1) and column in bytes (from 0).
pub(crate) fn place(text: &[u8], pos: usize) -> (u32, u32) {
    let before = text.get(..pos).unwrap_or(text);
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(before.len() - start).unwrap_or(u32::MAX))
}
