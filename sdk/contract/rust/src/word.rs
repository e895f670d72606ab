//! The settings: one word.

use carrara_policy::Context;
use carrara_policy::settings::{self, SettingsError};
use serde_json::Value;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "../README.md says what each does")]
pub enum Word {
    Echo,
    Allow,
    Plain,
    Several,
    Facts,
    Log,
    Count,
    Fail,
    Error,
    Refuse,
}

impl Word {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "echo" => Self::Echo,
            "allow" => Self::Allow,
            "plain" => Self::Plain,
            "several" => Self::Several,
            "facts" => Self::Facts,
            "log" => Self::Log,
            "count" => Self::Count,
            "fail" => Self::Fail,
            "error" => Self::Error,
            "refuse" => Self::Refuse,
            _ => return None,
        })
    }
}

/// The word that a request's settings hold.
///
/// # Errors
/// Settings that hold none.
pub fn word(context: &Context) -> Result<Word, SettingsError> {
    let unknown = || SettingsError::at(1, 1, "no word");
    match context.settings::<Value>()? {
        Value::Null => Ok(Word::Echo),
        Value::String(text) => {
            let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
            last.map_or(Some(Word::Echo), Word::of).ok_or_else(unknown)
        }
        Value::Object(object) => match object.get("do") {
            None => Ok(Word::Echo),
            Some(word) => word.as_str().and_then(Word::of).ok_or_else(unknown),
        },
        _ => Err(unknown()),
    }
}

/// Judges settings.
///
/// # Errors
/// All that is wrong.
pub fn check(text: &str) -> Result<(), Vec<SettingsError>> {
    let errors = match settings::read::<Value>(text).map_err(|error| vec![error])? {
        Value::Null => Vec::new(),
        Value::String(text) => lines(&text),
        Value::Object(object) => object.iter().filter_map(|(key, value)| entry(key, value)).collect(),
        _ => vec![SettingsError::at(1, 1, "Settings must be a text or an object").hint("write \"echo\"")],
    };
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn lines(text: &str) -> Vec<SettingsError> {
    let mut errors = Vec::new();
    for (line, number) in text.split('\n').zip(1..) {
        let word = line.trim();
        let column = line.chars().take_while(|character| character.is_whitespace()).count() + 1;
        match Word::of(word) {
            #[allow(clippy::panic, reason = "the contract asks what becomes of a panic")]
            Some(Word::Refuse) => panic!("contract: the check broke"),
            None if !word.is_empty() => {
                let column = u32::try_from(column).unwrap_or(u32::MAX);
                errors.push(SettingsError::at(number, column, format!("unknown word: {word}")));
            }
            _ => {}
        }
    }
    errors
}

fn entry(key: &str, value: &Value) -> Option<SettingsError> {
    if key != "do" {
        return Some(SettingsError::at(1, 1, format!("unknown key: {key}")).hint("the only key is do"));
    }
    let known = value.as_str().and_then(Word::of).is_some_and(|word| word != Word::Refuse);
    (!known).then(|| SettingsError::at(1, 1, "do must be a word"))
}
