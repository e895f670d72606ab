//! Numbers that the source names, for tests of documents that repeat them: such a test reads the source, since most constants are private.

use std::fs;

use crate::root;

/// The number that `const NAME` or a default `name:` is in a file of the repository.
///
/// # Panics
/// If the file cannot be read or names no such number.
#[must_use]
pub fn constant(file: &str, name: &str) -> u64 {
    let source = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    said(&source, name).unwrap_or_else(|| panic!("{file} has no {name}"))
}

/// What `const NAME: T = X;` or, in a default, `name: X,` says; the first that is more than a type.
#[must_use]
pub fn said(source: &str, name: &str) -> Option<u64> {
    expressions(source, name).find_map(computed)
}

/// The two numbers of a constant that is `if cfg!(feature = "FEATURE") { WITH } else { WITHOUT }`.
#[must_use]
pub fn said_by_feature(source: &str, name: &str, feature: &str) -> Option<[u64; 2]> {
    expressions(source, name).find_map(|expression| {
        let rest = expression.strip_prefix(&format!("if cfg!(feature = \"{feature}\") {{ "))?;
        let (with, without) = rest.strip_suffix(" }")?.split_once(" } else { ")?;
        Some([computed(with)?, computed(without)?])
    })
}

fn expressions<'a>(source: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (constant, default) = (format!("const {name}:"), format!("{name}:"));
    source.lines().filter_map(move |line| {
        let line = line.trim();
        match line.split_once(&constant) {
            Some((_, rest)) => Some(rest.split_once('=')?.1.strip_suffix(';')?.trim()),
            None => Some(line.strip_prefix(&default)?.strip_suffix(',')?.trim()),
        }
    })
}

fn computed(expression: &str) -> Option<u64> {
    let inside = |begin: &str| expression.strip_prefix(begin)?.strip_suffix(')')?.parse::<u64>().ok();
    // `seconds` is that of the limits of policies: where they are interpreted, so many times as long.
    if let Some(seconds) = inside("Duration::from_secs(").or_else(|| inside("seconds(")) {
        return Some(seconds * 1000);
    }
    if let Some(milliseconds) = inside("Duration::from_millis(") {
        return Some(milliseconds);
    }
    let number = |text: &str| text.trim().replace('_', "").parse::<u64>().ok();
    match expression.split_once("<<") {
        Some((number_of, shift)) => Some(number(number_of)? << number(shift)?),
        None => number(expression),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_read_and_types_are_not() {
        let source = "    a: usize,\n    a: 2 << 10,\npub(crate) const B: Duration = Duration::from_secs(3);\nconst C: u64 = 1_000;\n";
        let read = ["a", "B", "C", "D"].map(|name| said(source, name));
        assert_eq!(read, [Some(2048), Some(3000), Some(1000), None]);
    }

    #[test]
    fn a_number_may_depend_on_a_feature() {
        let source = "const N: usize = if cfg!(feature = \"small\") { 2 } else { 1 << 4 };\n";
        assert_eq!(said_by_feature(source, "N", "small"), Some([2, 16]));
        assert_eq!(said_by_feature(source, "N", "other"), None);
        assert_eq!(said(source, "N"), None);
    }
}
