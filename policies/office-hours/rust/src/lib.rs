//! Some actions are for office hours: `{"actions": ["UpdateManifest"], "days": ["Mon", "Tue"], "from": 8, "to": 17}`.
//!
//! `from` and `to` are hours of the day, `to` itself is outside; `offset` is what local time is ahead of UTC, in minutes. No
//! rule of summer time. The time is the host's: see README.md for whom this binds.

use carrara_policy::authorization::{Decision, Request, allow, deny};
use carrara_policy::settings::{self, SettingsError};

/// 1970-01-01 was a Thursday.
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MINUTES_OF_A_DAY: i64 = 24 * 60;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What is for office hours only; everything where empty.
    #[serde(default)]
    actions: Vec<String>,
    /// Working days, such as `Mon`.
    days: Vec<String>,
    /// The first hour.
    from: i64,
    /// The hour after the last.
    to: i64,
    /// Minutes that local time is ahead of UTC.
    #[serde(default)]
    offset: i64,
}

/// Decides a request.
///
/// # Errors
/// The settings cannot be read.
pub fn authorize(request: &Request) -> Result<Decision, SettingsError> {
    let settings: Settings = request.context.settings()?;
    let concerned = settings.actions.is_empty()
        || settings.actions.iter().any(|action| action.eq_ignore_ascii_case(&request.action));
    if !concerned || open(&settings, request.context.now) {
        return Ok(allow());
    }
    let Settings { days, from, to, .. } = settings;
    let message = format!("{} is for office hours only", request.action);
    Ok(deny("office-hours", message).hint(format!("{} from {from} to {to} o'clock", days.join(", "))))
}

fn open(settings: &Settings, now: u64) -> bool {
    let minutes = i64::try_from(now / 60).unwrap_or(i64::MAX).saturating_add(settings.offset);
    let day = usize::try_from(minutes.div_euclid(MINUTES_OF_A_DAY).rem_euclid(7)).unwrap_or_default();
    let hour = minutes.rem_euclid(MINUTES_OF_A_DAY) / 60;
    let working = DAYS.get(day).is_some_and(|name| settings.days.iter().any(|working| working == name));
    working && (settings.from..settings.to).contains(&hour)
}

/// Judges the settings.
///
/// # Errors
/// What is wrong with them.
pub fn check(json: &str) -> Result<(), SettingsError> {
    let settings: Settings = settings::read(json)?;
    let wrong = |message: String| Err(SettingsError::at(1, 1, message));
    if let Some(day) = settings.days.iter().find(|day| !DAYS.contains(&day.as_str())) {
        return wrong(format!("{day} is no day; write Mon, Tue, Wed, Thu, Fri, Sat, Sun"));
    }
    if !(0 <= settings.from && settings.from < settings.to && settings.to <= 24) {
        return wrong("from must be less than to, both hours from 0 to 24".to_owned());
    }
    if settings.offset.abs() >= MINUTES_OF_A_DAY {
        return wrong("offset must be less than a day, in minutes".to_owned());
    }
    Ok(())
}

carrara_policy::authorizer!(authorize, check);

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str =
        r#"{"actions": ["UpdateManifest"], "days": ["Mon"], "from": 8, "to": 17, "offset": 60}"#;
    /// Monday, 2024-01-01, 07:00 UTC: 8 o'clock an hour ahead.
    const MONDAY_8: u64 = 1_704_092_400;

    fn at(now: u64) -> bool {
        let request = Request::new("ann", "UpdateManifest", "Manifest", [""; 0]).with_settings(SETTINGS);
        authorize(&request.at(now)).unwrap().is_allow()
    }

    #[test]
    fn the_first_minute_is_inside_and_the_last_hour_outside() {
        assert!(!at(MONDAY_8 - 1));
        assert!(at(MONDAY_8));
        assert!(at(MONDAY_8 + 9 * 3600 - 1));
        assert!(!at(MONDAY_8 + 9 * 3600));
        assert!(!at(MONDAY_8 + 86_400), "Tuesday is no working day here");
        assert!(at(MONDAY_8 + 7 * 86_400));
    }

    #[test]
    fn other_actions_are_free() {
        let request = Request::new("ann", "ReadSecret", "Secrets", ["a"]).with_settings(SETTINGS).at(0);
        assert_eq!(authorize(&request), Ok(allow()));
    }

    #[test]
    fn settings_without_sense_are_refused() {
        for (days, from, to) in [("Monday", 8, 17), ("Mon", 17, 8), ("Mon", 8, 8), ("Mon", 0, 25)] {
            let json = format!(r#"{{"days": ["{days}"], "from": {from}, "to": {to}}}"#);
            assert!(check(&json).is_err(), "{json}");
        }
        assert_eq!(check(SETTINGS), Ok(()));
    }
}
