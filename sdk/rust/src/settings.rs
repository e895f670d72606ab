//! The `Settings` of a policy's entry in the manifest: read when asked, judged when the manifest is set.

/// What is wrong with the settings, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// For people.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl SettingsError {
    /// An error at a place of the settings' text (of the decoded text where the settings are a string).
    pub fn at(line: u32, column: u32, message: impl Into<String>) -> Self {
        Self { line, column, message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "settings, line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for SettingsError {}

/// What a check of settings may return: a [`Result`] with one [`SettingsError`] or several.
pub trait IntoErrors {
    /// All that is wrong.
    fn into_errors(self) -> Vec<SettingsError>;
}

impl IntoErrors for Result<(), SettingsError> {
    fn into_errors(self) -> Vec<SettingsError> {
        self.err().into_iter().collect()
    }
}

impl IntoErrors for Result<(), Vec<SettingsError>> {
    /// An empty list of errors is an error, too: `Err` never accepts.
    fn into_errors(self) -> Vec<SettingsError> {
        match self {
            Ok(()) => Vec::new(),
            Err(errors) if errors.is_empty() => {
                vec![SettingsError::at(1, 1, "the policy refuses its settings and does not say why")]
            }
            Err(errors) => errors,
        }
    }
}

/// The check of a policy that has no settings: takes `null` and `{}` only. What a policy's macro uses when it is given none.
///
/// # Errors
/// Settings that hold anything.
pub fn none(settings: &str) -> Result<(), SettingsError> {
    let text = settings.trim_matches(is_json_space);
    let inside = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if text == "null" || inside.is_some_and(|inside| inside.chars().all(is_json_space)) {
        return Ok(());
    }
    let error = SettingsError::at(1, 1, "this policy has no settings");
    Err(error.hint("remove Settings from this entry of Policies"))
}

/// The check of a policy whose settings are a `T`: `authorizer!(authorize, settings::check::<T>)`.
///
/// # Errors
/// Settings that are no `T`, with line and column.
#[cfg(feature = "serde")]
pub fn check<T: serde::de::DeserializeOwned>(settings: &str) -> Result<(), SettingsError> {
    read::<T>(settings).map(drop)
}

/// Reads settings into a type; see [`Context::settings`](crate::Context::settings).
///
/// # Errors
/// Settings that are no `T`, with line and column.
#[cfg(feature = "serde")]
pub fn read<T: serde::de::DeserializeOwned>(settings: &str) -> Result<T, SettingsError> {
    let error = match serde_json::from_str(settings) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if settings.trim_matches(is_json_space) == "null" {
        return serde_json::from_str("{}").map_err(|error| {
            SettingsError::at(1, 1, format!("Settings are missing: {}", without_place(&error)))
        });
    }
    Err(SettingsError::at(line(&error), column(settings, &error), without_place(&error)))
}

/// RFC 8259, section 2.
fn is_json_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

#[cfg(feature = "serde")]
fn line(error: &serde_json::Error) -> u32 {
    u32::try_from(error.line()).unwrap_or(u32::MAX).max(1)
}

/// serde_json counts bytes up to the one at which it stopped.
#[cfg(feature = "serde")]
fn column(settings: &str, error: &serde_json::Error) -> u32 {
    let line = settings.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let before = line.char_indices().take_while(|(start, _)| *start < error.column()).count();
    u32::try_from(before).unwrap_or(u32::MAX).max(1)
}

/// serde_json's text ends with the place.
#[cfg(feature = "serde")]
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_without_errors_is_a_refusal() {
        let several = |result: Result<(), Vec<SettingsError>>| result.into_errors();
        assert_eq!(several(Ok(())), []);
        assert_eq!(several(Err(Vec::new())).len(), 1);
        let error = SettingsError::at(1, 2, "x");
        assert_eq!(several(Err(vec![error.clone()])), std::slice::from_ref(&error));
        assert_eq!(Err(error.clone()).into_errors(), [error]);
    }

    #[test]
    fn a_policy_without_settings_takes_null_and_an_empty_object_only() {
        for settings in ["null", " null\n", "{}", "{ \r\n\t}"] {
            assert_eq!(none(settings), Ok(()), "{settings:?}");
        }
        for settings in [r#"{"a":1}"#, "{", "}", "[]", "0", r#""""#, "", "true"] {
            assert_eq!(none(settings).unwrap_err().message, "this policy has no settings", "{settings:?}");
        }
    }

    #[cfg(feature = "serde")]
    mod typed {
        use super::*;

        #[derive(Debug, PartialEq, Eq, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Days {
            #[serde(default)]
            days: u32,
        }

        #[test]
        fn settings_are_read_into_a_type() {
            assert_eq!(read(r#"{"days":3}"#), Ok(Days { days: 3 }));
            assert_eq!(read("null"), Ok(Days { days: 0 }), "absent settings are the defaults");
            assert_eq!(read::<Option<u32>>("null"), Ok(None), "a type that takes null gets it");
            assert_eq!(check::<Days>("{}"), Ok(()));
        }

        #[test]
        fn wrong_settings_are_refused_at_their_place_in_characters() {
            let error = read::<Days>("{\n  \"days\": \"ä\"}").unwrap_err();
            assert_eq!((error.line, error.column), (2, 13), "{error}");
            assert_eq!(error.message, "invalid type: string \"ä\", expected u32");
            let error = check::<Days>(r#"{"daze":1}"#).unwrap_err();
            assert_eq!((error.line, error.column), (1, 7), "{error}");
            assert!(error.message.starts_with("unknown field `daze`"), "{error}");
            let error = check::<Days>("").unwrap_err();
            assert_eq!((error.line, error.column), (1, 1), "{error}");
        }

        #[test]
        fn missing_settings_are_told_apart_from_wrong_ones() {
            let error = read::<Vec<u32>>("null").unwrap_err();
            assert!(error.message.starts_with("Settings are missing: "), "{error}");
        }
    }
}
