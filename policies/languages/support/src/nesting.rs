//! Bounds how deep a policy's text is nested, before a parser that recurses sees it.
//!
//! Not a parser: it passes over what looks like a string in double quotes or a comment in any of the languages. What it
//! misses - other strings, long chains of operators - ends in the parser's own limit or the guest's stack limit, which deny.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::{Place, SettingsError};

/// A guest's stack holds several times as much in each of the languages.
pub const MAX_NESTING: usize = 48;

/// The most prefix operators (`!` or `-`) in a row.
const MAX_PREFIXES: usize = 16;

/// Refuses text that is nested deeper than [`MAX_NESTING`].
///
/// # Errors
/// The place of the first bracket, or prefix operator, that is too deep.
pub fn check_nesting(text: &str) -> Result<(), SettingsError> {
    let (mut depth, mut prefixes) = (0_usize, 0_usize);
    let mut characters = text.char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        match character {
            '"' => pass_string(&mut characters),
            '#' => pass_line(&mut characters),
            '/' if next == Some('/') => pass_line(&mut characters),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match character {
            '!' | '-' => prefixes += 1,
            ' ' | '\t' | '\r' | '\n' => {}
            _ => prefixes = 0,
        }
        if depth > MAX_NESTING || prefixes > MAX_PREFIXES {
            let message = format!("nested deeper than {MAX_NESTING} levels");
            return Err(SettingsError::at(Place::of(text, offset), message).with_hint("split it up"));
        }
    }
    Ok(())
}

/// To the closing quote, at most to the end of the line.
fn pass_string(characters: &mut Peekable<CharIndices<'_>>) {
    let mut escaped = false;
    for (_, character) in characters.by_ref() {
        match character {
            '"' if !escaped => return,
            '\n' => return,
            _ => escaped = character == '\\' && !escaped,
        }
    }
}

fn pass_line(characters: &mut Peekable<CharIndices<'_>>) {
    characters.by_ref().find(|(_, character)| *character == '\n');
}
