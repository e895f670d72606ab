//! No Marble starts while a secret that it needs was not set for too long:
//! `{"days": 30, "secrets": {"web": ["db-password"], "*": ["api-token"]}}`.
//!
//! The keys of `secrets` are Marble types, and `*` is for all. The fact `secret-last-set:NAME` says when a user last set the
//! secret; a secret without that fact was never set, and its Marble does not start.

use std::collections::BTreeMap;

use carrara_policy::Value;
use carrara_policy::admission::{Decision, Request, allow, deny};
use carrara_policy::settings;

const SECONDS_OF_A_DAY: u64 = 86_400;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The greatest age.
    days: u64,
    /// The secrets that each type of Marble needs.
    secrets: BTreeMap<String, Vec<String>>,
}

/// Decides whether a Marble may start.
///
/// # Errors
/// The settings cannot be read.
pub fn admit(request: &Request) -> Result<Decision, settings::SettingsError> {
    let settings: Settings = request.context.settings()?;
    let greatest = settings.days.saturating_mul(SECONDS_OF_A_DAY);
    let age = |secret: &str| {
        let set = request.context.fact(&format!("secret-last-set:{secret}")).and_then(Value::as_number)?;
        Some(request.context.now.saturating_sub(set))
    };
    let lists = [request.marble_type.as_str(), "*"].into_iter().filter_map(|key| settings.secrets.get(key));
    let stale: Vec<&str> = lists
        .flatten()
        .map(String::as_str)
        .filter(|secret| age(secret).is_none_or(|age| age > greatest))
        .collect();
    if stale.is_empty() {
        return Ok(allow());
    }
    let message = format!("not set for {} days or never: {}", settings.days, stale.join(", "));
    Ok(deny("fresh-secrets", message).hint("set the secrets again, with new values").about(stale))
}

carrara_policy::admitter!(admit, settings::check::<Settings>);

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = r#"{"days": 2, "secrets": {"web": ["db"], "*": ["token"]}}"#;

    fn request(now: u64) -> Request {
        let request = Request::new("web").with_settings(SETTINGS).at(now);
        request.with_fact("secret-last-set:db", 1_000_u64).with_fact("secret-last-set:token", 2_000_u64)
    }

    #[test]
    fn a_secret_may_be_as_old_as_the_limit_and_no_older() {
        assert_eq!(admit(&request(1_000 + 2 * SECONDS_OF_A_DAY)), Ok(allow()));
        let denied = admit(&request(1_001 + 2 * SECONDS_OF_A_DAY)).unwrap();
        assert_eq!(denied.denial().unwrap().resources, ["db"]);
    }

    #[test]
    fn a_secret_that_was_never_set_keeps_its_marble_from_starting() {
        let decision = admit(&Request::new("web").with_settings(SETTINGS)).unwrap();
        assert_eq!(decision.denial().unwrap().resources, ["db", "token"]);
        let other = Request::new("db").with_settings(r#"{"days": 2, "secrets": {"web": ["db"]}}"#);
        assert_eq!(admit(&other), Ok(allow()), "which needs none");
    }

    #[test]
    fn settings_must_name_the_days() {
        assert!(settings::check::<Settings>("null").is_err());
        assert!(settings::check::<Settings>(r#"{"days": -1, "secrets": {}}"#).is_err());
    }
}
