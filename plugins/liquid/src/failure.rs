//! Why a template does not render.

use carrara_plugin_support::Failure;

use crate::mark::Marks;

/// What is answered to whatever would look into a secret.
pub(crate) const INSPECTED: &str = "secret values cannot be inspected; use hex, base64, pem, raw or string";

/// An error without a place.
pub(crate) fn without_place(cause: &str) -> Failure {
    Failure { line: 0, column: 0, message: format!("template: data: {cause}") }
}

/// The template names a secret that does not exist.
pub(crate) fn missing(name: &str) -> Failure {
    without_place(&format!("secret does not exist: {name}"))
}

/// Something would look into a secret.
pub(crate) fn inspected() -> Failure {
    without_place(INSPECTED)
}

/// The output has a mark that nobody made.
pub(crate) fn broken() -> Failure {
    without_place("the output holds characters that are reserved for secrets")
}

/// Every character that could mark a secret is in the text.
pub(crate) fn no_mark() -> Failure {
    without_place("the text uses all private characters of Unicode")
}

/// The same, after `before` of the template's bytes, unless the place is known.
pub(crate) fn at(failure: Failure, before: &[u8]) -> Failure {
    if failure.line > 0 {
        return failure;
    }
    let newlines = before.iter().filter(|byte| **byte == b'\n').count();
    let line = u32::try_from(newlines + 1).unwrap_or(u32::MAX);
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    let column = u32::try_from(column).unwrap_or(u32::MAX);
    let place = format!("template: data:{line}:{column}: ");
    Failure { line, column, message: failure.message.replacen("template: data: ", &place, 1) }
}

/// An error of the engine, in one line and without marks.
pub(crate) fn of_engine(error: &liquid::Error, marks: &Marks) -> Failure {
    let text = marks.erase(&error.to_string());
    let (line, column) = place(&text).unwrap_or((0, 0));
    let cause = cause(&text);
    let position = if line == 0 { String::new() } else { format!("{line}:{column}:") };
    Failure { line, column, message: format!("template: data:{position} {cause}") }
}

/// The same, where the engine read the text with its line ends as spaces.
pub(crate) fn in_one_line(error: &liquid::Error, marks: &Marks, text: &str) -> Failure {
    let text_of_error = marks.erase(&error.to_string());
    let Some((_, offset)) = place(&text_of_error) else { return of_engine(error, marks) };
    let before = text.chars().take(usize::try_from(offset).unwrap_or(usize::MAX));
    let (line, column) =
        before.fold((1, 0), |(line, column), c| if c == '\n' { (line + 1, 0) } else { (line, column + 1) });
    Failure { line, column, message: format!("template: data:{line}:{column}: {}", cause(&text_of_error)) }
}

/// The engine writes ` --> LINE:COLUMN`, both from 1.
fn place(text: &str) -> Option<(u32, u32)> {
    let (_, after) = text.split_once("--> ")?;
    let (line, column) = after.lines().next()?.trim().split_once(':')?;
    Some((line.parse().ok()?, column.parse::<u32>().ok()?.saturating_sub(1)))
}

/// The line that says why, and the filter it is about.
fn cause(text: &str) -> String {
    let explained = text.lines().find_map(|line| line.trim_start().strip_prefix("= "));
    let first = text.lines().next().unwrap_or_default().trim_start_matches("liquid: ");
    let context = |key: &str| text.lines().find_map(|line| line.trim_start().strip_prefix(key));
    let mut cause = explained.unwrap_or(first).trim().to_owned();
    if let Some(filter) = context("filter=") {
        cause = format!("error calling {filter}: {cause}");
    }
    for key in ["requested index=", "requested variable=", "requested filter=", "variable="] {
        if let Some(value) = context(key) {
            cause.push_str(&format!(" ({}{value})", key.replace('=', " ")));
            break;
        }
    }
    cause
}
