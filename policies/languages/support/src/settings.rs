//! An entry's settings: a policy's text, or an object that holds it under a name.
//!
//! Places count in the decoded text, so that they are those of the file that was pasted.

use std::fmt;

use serde_json::{Map, Value};

/// From 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

impl Place {
    /// Where everything begins.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place of a byte of a text.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        Self::new(before.matches('\n').count() + 1, column + 1)
    }

    /// From counts that are no greater than a text's length.
    #[must_use]
    pub fn new(line: usize, column: usize) -> Self {
        let count = |number: usize| u32::try_from(number.max(1)).unwrap_or(u32::MAX);
        Self { line: count(line), column: count(column) }
    }
}

/// What is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// Where.
    pub place: Place,
    /// For people.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl SettingsError {
    /// At a place.
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None }
    }

    /// About the settings as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        Self::at(Place::START, message)
    }

    /// With what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the member of the settings that the place counts in.
    #[must_use]
    pub fn within(mut self, member: &str) -> Self {
        self.message = format!("{member}: {}", self.message);
        self
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings, line {}, column {}: {}", self.place.line, self.place.column, self.message)
    }
}

/// An entry's settings, parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum Settings {
    /// The policy's text.
    Text(String),
    /// Named members.
    Members(Map<String, Value>),
}

impl Settings {
    /// Reads the JSON text that the host hands over.
    ///
    /// # Errors
    /// It is no JSON, or neither a string nor an object.
    pub fn parse(json: &str) -> Result<Self, SettingsError> {
        match serde_json::from_str(json) {
            Ok(Value::String(text)) => Ok(Self::Text(text)),
            Ok(Value::Object(members)) => Ok(Self::Members(members)),
            Ok(Value::Null) => Err(SettingsError::whole("Settings are missing")
                .with_hint("put the policy's text into Settings of this entry of Policies")),
            Ok(_) => Err(SettingsError::whole("Settings must be a text or an object")),
            Err(error) => Err(SettingsError::at(Place::new(error.line(), error.column()), error.to_string())),
        }
    }

    /// The policy's text: the settings themselves or the member of that name.
    ///
    /// # Errors
    /// It is not there, no text, or blank.
    pub fn text(&self, member: &str) -> Result<&str, SettingsError> {
        let text = match self {
            Self::Text(text) => text,
            Self::Members(members) => match members.get(member) {
                Some(Value::String(text)) => text,
                Some(_) => return Err(SettingsError::whole(format!("{member} must be a text"))),
                None => return Err(SettingsError::whole(format!("{member} is missing"))),
            },
        };
        if text.trim().is_empty() {
            return Err(SettingsError::whole("the policy is empty"));
        }
        Ok(text)
    }

    /// A text besides the policy.
    ///
    /// # Errors
    /// It is there and no text.
    pub fn optional_text(&self, member: &str) -> Result<Option<&str>, SettingsError> {
        match self.member(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(SettingsError::whole(format!("{member} must be a text"))),
        }
    }

    /// A member; none where the settings are a text.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Text(_) => None,
            Self::Members(members) => members.get(name),
        }
    }

    /// An error of the text of `member`, with the member's name where the settings are an object.
    #[must_use]
    pub fn locate(&self, member: &str, error: SettingsError) -> SettingsError {
        match self {
            Self::Text(_) => error,
            Self::Members(_) => error.within(member),
        }
    }

    /// Refuses members that nobody reads.
    ///
    /// # Errors
    /// Each of them.
    pub fn only(&self, known: &[&str]) -> Result<(), Vec<SettingsError>> {
        let Self::Members(members) = self else { return Ok(()) };
        let unknown: Vec<SettingsError> = members
            .keys()
            .filter(|key| !known.contains(&key.as_str()))
            .map(|key| {
                SettingsError::whole(format!("unknown key: {key}"))
                    .with_hint(format!("the keys are {}", known.join(", ")))
            })
            .collect();
        if unknown.is_empty() { Ok(()) } else { Err(unknown) }
    }
}
