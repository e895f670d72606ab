//! The settings of `liquid`: there are none.

/// Judges a policy entry's `Settings`: only an absent value (`null`) and an empty object mean what they say.
///
/// # Errors
/// A text for people, where the settings hold anything.
pub fn check_settings(settings: &str) -> Result<(), &'static str> {
    let text = settings.trim_matches(is_json_space);
    let inside = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let empty = inside.is_some_and(|inside| inside.chars().all(is_json_space));
    if text == "null" || empty { Ok(()) } else { Err("liquid has no settings") }
}

/// RFC 8259, section 2.
fn is_json_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_empty_settings_are_accepted() {
        for settings in ["null", " null\n", "{}", "{ \r\n\t}"] {
            assert_eq!(check_settings(settings), Ok(()), "{settings:?}");
        }
    }

    #[test]
    fn settings_that_hold_anything_are_refused() {
        for settings in [r#"{"a":1}"#, "{", "}", "[]", "{{}}", "0", r#""""#, "", "Null", "true"] {
            assert!(check_settings(settings).is_err(), "{settings:?}");
        }
    }
}
