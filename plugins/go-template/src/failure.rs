//! Why a template does not render, in the words of Go's text/template.

use carrara_plugin_support::Failure;

/// The name that the original gives to every template; errors show it.
pub(crate) const TEMPLATE_NAME: &str = "data";

/// An error found while parsing, at the line of `pos`.
pub(crate) fn parsing(text: &[u8], pos: usize, cause: &str) -> Failure {
    let (line, _) = place(text, pos);
    Failure { line, column: 0, message: format!("template: {TEMPLATE_NAME}:{line}: {cause}") }
}

/// An error found while executing `node` of the template `template` at `pos`.
pub(crate) fn executing(text: &[u8], pos: usize, template: &[u8], node: &str, cause: &str) -> Failure {
    let (line, column) = place(text, pos);
    let template = crate::text::quote(template);
    let message =
        format!("template: {TEMPLATE_NAME}:{line}:{column}: executing {template} at <{node}>: {cause}");
    Failure { line, column, message }
}

/// Line (from 1) and column in bytes (from 0).
pub(crate) fn place(text: &[u8], pos: usize) -> (u32, u32) {
    let before = text.get(..pos).unwrap_or(text);
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(before.len() - start).unwrap_or(u32::MAX))
}
