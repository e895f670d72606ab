//! Texts from policies: bounded and without control characters before anyone sees them.

/// Codes are short and stable.
pub(crate) const MAX_CODE_BYTES: usize = 64;
/// Messages and hints: long enough for a template engine's error with the node that it quotes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4096;
/// Names and JSON pointers.
pub(crate) const MAX_NAME_BYTES: usize = 4096;

/// Cuts at `max` bytes (at a character), and makes a space of each line break or tab and nothing of any other control or
/// direction character, which could forge lines of a log or reorder a terminal's text.
pub(crate) fn clean(text: &str, max: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max));
    for character in text.chars() {
        let kept = match character {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            other if other.is_control() || reorders(other) => continue,
            other => other,
        };
        if clean.len() + kept.len_utf8() > max {
            break;
        }
        clean.push(kept);
    }
    clean
}

/// The same for a text that may be absent; an empty one is none.
pub(crate) fn clean_hint(hint: Option<String>) -> Option<String> {
    hint.map(|hint| clean(&hint, MAX_MESSAGE_BYTES)).filter(|hint| !hint.is_empty())
}

fn reorders(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_removed_and_line_breaks_become_spaces() {
        assert_eq!(clean("a\nb\tc\u{1b}[31m\0\u{202e}d\u{85}", 100), "a b c[31md");
        assert_eq!(clean("ä ö 漢字 🦀", 100), "ä ö 漢字 🦀");
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        assert_eq!(clean("aä", 2), "a");
        assert_eq!(clean("aä", 3), "aä");
        assert_eq!(clean("abc", 0), "");
    }

    #[test]
    fn an_empty_hint_is_none() {
        assert_eq!(clean_hint(Some("\0".to_owned())), None);
        assert_eq!(clean_hint(Some("x".to_owned())), Some("x".to_owned()));
    }
}
