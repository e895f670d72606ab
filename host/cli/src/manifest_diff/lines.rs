//! Changes as lines for people: nothing that matters is cut, and no padding pushes it out of sight.

use serde_json::Value;

use super::{Change, Kind};

/// Longer texts are shown by their beginning, what is around their first difference, and their end.
const MAX_SHOWN: usize = 240;
/// How many characters of each of these are shown.
const PART: usize = 72;
/// What is shown before the first difference.
const CONTEXT: usize = 24;
/// A change of two values, and a list, stay on one line up to this length.
const MAX_LINE: usize = 72;
/// So many spaces in a row are shown as their number.
const RUN: usize = 4;

/// The first line, without what is dangerous, and what belongs below it.
///
/// `~ /Packages/svc/SecurityVersion: 2 -> 1`; what has fields is shown field by field.
pub(crate) fn of(change: &Change) -> (String, Vec<String>) {
    let sign = match change.kind {
        Kind::Added => '+',
        Kind::Removed => '-',
        Kind::Changed => '~',
        Kind::Effect => '=',
    };
    let start = format!("{sign} {}", visible(&change.path));
    let is_whole = is_parameter(&change.path);
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => {
            let (old, new) = (old.to_string(), new.to_string());
            let first = old.chars().zip(new.chars()).take_while(|(old, new)| old == new).count();
            let (old, new) = (shown(&old, first, is_whole), shown(&new, first, is_whole));
            match old.chars().count().max(new.chars().count()) {
                0..=MAX_LINE => (format!("{start}: {old} -> {new}"), Vec::new()),
                _ => (start, vec![format!("- {old}"), format!("+ {new}")]),
            }
        }
        (Some(value), None) | (None, Some(value)) if is_one_line(value) => {
            (format!("{start}: {}", shown(&value.to_string(), 0, is_whole)), Vec::new())
        }
        (Some(value), None) | (None, Some(value)) => {
            let mut lines = Vec::new();
            leaves(&change.path, "", value, &mut lines);
            (start, lines)
        }
        (None, None) => (start, Vec::new()),
    }
}

/// What a Marble is started with: the last character of a command counts as much as the first.
fn is_parameter(path: &str) -> bool {
    path.starts_with("/Marbles/") && path.contains("/Parameters/")
}

fn is_one_line(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => {
            let is_flat = items.iter().all(|item| !item.is_object() && !item.is_array());
            is_flat && value.to_string().chars().count() <= MAX_LINE
        }
        _ => true,
    }
}

/// One line for each leaf, `Parameters/Env/A: "x"`, in the order of the normal form.
fn leaves(above: &str, path: &str, value: &Value, lines: &mut Vec<String>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}/{name}"),
    };
    match value {
        _ if is_one_line(value) => {
            let is_whole = is_parameter(&format!("{above}/{path}"));
            lines.push(format!("{}: {}", visible(path), shown(&value.to_string(), 0, is_whole)));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                leaves(above, &below(&name.replace('~', "~0").replace('/', "~1")), value, lines);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                leaves(above, &below(&index.to_string()), value, lines);
            }
        }
        _ => {}
    }
}

/// A text; of a long one, unless it is shown whole, the parts that tell most, and its length.
fn shown(text: &str, difference: usize, is_whole: bool) -> String {
    let length = text.chars().count();
    if is_whole || length <= MAX_SHOWN {
        return visible(text);
    }
    let middle = difference.saturating_sub(CONTEXT);
    let parts = [(0, PART), (middle, middle + PART), (length - PART, length)];
    let (mut out, mut end) = (String::new(), 0);
    for (from, to) in parts {
        if from > end {
            out.push_str(&format!("[... {} characters ...]", from - end));
        }
        let from = from.max(end);
        let to = to.min(length);
        let part: String = text.chars().skip(from).take(to.saturating_sub(from)).collect();
        out.push_str(&visible(&part));
        end = end.max(to);
    }
    format!("{out} ({length} characters; see --output json)")
}

/// Runs of spaces as their number; other blanks, and what cannot be seen, as escapes.
fn visible(text: &str) -> String {
    let (mut out, mut spaces) = (String::with_capacity(text.len()), 0);
    for character in text.chars().map(Some).chain([None]) {
        if character == Some(' ') {
            spaces += 1;
            continue;
        }
        match spaces {
            0..RUN => out.extend(std::iter::repeat_n(' ', spaces)),
            _ => out.push_str(&format!("[{spaces} spaces]")),
        }
        spaces = 0;
        match character {
            Some(blank) if is_blank(blank) => out.extend(blank.escape_unicode()),
            other => out.extend(other),
        }
    }
    out
}

fn is_blank(character: char) -> bool {
    let is_unseen = matches!(
        character,
        '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{2800}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e007f}'
    );
    is_unseen || !character.is_ascii() && character.is_whitespace()
}
