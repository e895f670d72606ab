//! The settings of a policy that has none.

/// What to do about settings that are refused.
pub const SETTINGS_HINT: &str = "remove Settings from this entry of Policies";

/// Judges the `Settings` of an entry of `policy`: only an absent value (`null`) and an empty object mean what they say.
///
/// # Errors
/// A text for people, where the settings hold anything.
pub fn check_settings(policy: &str, settings: &str) -> Result<(), String> {
    let text = settings.trim_matches(is_json_space);
    let inside = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let empty = inside.is_some_and(|inside| inside.chars().all(is_json_space));
    if text == "null" || empty { Ok(()) } else { Err(format!("{policy} has no settings")) }
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
            assert_eq!(check_settings("rbac", settings), Ok(()), "{settings:?}");
        }
    }

    #[test]
    fn settings_that_hold_anything_are_refused() {
        for settings in [r#"{"a":1}"#, "{", "}", "[]", "{{}}", "0", r#""""#, "", "Null", "true"] {
            assert_eq!(
                check_settings("rbac", settings),
                Err("rbac has no settings".to_owned()),
                "{settings:?}"
            );
        }
    }
}
