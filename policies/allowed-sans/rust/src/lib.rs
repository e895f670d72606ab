//! Which DNS names and IP addresses a Marble may have certified: `{"web": ["*.example.org", "10.0.0.7"], "*": []}`.
//!
//! The keys are Marble types; `*` is for those that have no key, and without it they may have no names. `*.example.org`
//! allows every name that ends with `.example.org`, whatever stands before.

use std::collections::BTreeMap;

use carrara_policy::admission::{Decision, Request, allow, deny};
use carrara_policy::settings;

type Settings = BTreeMap<String, Vec<String>>;

/// Decides whether a Marble may start.
///
/// # Errors
/// The settings cannot be read.
pub fn admit(request: &Request) -> Result<Decision, settings::SettingsError> {
    let settings: Settings = request.context.settings()?;
    let allowed = settings.get(&request.marble_type).or_else(|| settings.get("*"));
    let fits =
        |name: &str| allowed.is_some_and(|allowed| allowed.iter().any(|pattern| matches(pattern, name)));
    let names = request.dns_names.iter().chain(&request.ip_addresses);
    let refused: Vec<&str> = names.map(String::as_str).filter(|name| !fits(name)).collect();
    if refused.is_empty() {
        return Ok(allow());
    }
    let message = format!("{} may not be certified for {}", request.marble_type, refused.join(", "));
    Ok(deny("allowed-sans", message).about(refused))
}

/// DNS names do not tell upper from lower case (RFC 4343).
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(end) if end.starts_with('.') => {
            let (name, end) = (name.to_ascii_lowercase(), end.to_ascii_lowercase());
            name.len() > end.len() && name.ends_with(&end)
        }
        _ => pattern.eq_ignore_ascii_case(name),
    }
}

carrara_policy::admitter!(admit, settings::check::<Settings>);

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(marble: &str, names: &[&str]) -> Decision {
        let settings = r#"{"web": ["*.example.org", "localhost", "10.0.0.7"], "*": ["localhost"]}"#;
        let mut request = Request::new(marble).with_settings(settings);
        request.dns_names = names.iter().map(|name| (*name).to_owned()).collect();
        admit(&request).unwrap()
    }

    #[test]
    fn names_that_a_pattern_allows_are_certified() {
        assert_eq!(decide("web", &["a.example.org", "A.B.Example.org", "localhost"]), allow());
        assert_eq!(decide("db", &["localhost"]), allow(), "other types have the key *");
        assert_eq!(decide("db", &[]), allow());
    }

    #[test]
    fn every_other_name_is_refused_and_named() {
        let decision = decide("web", &["a.example.org", "example.org", "evil-example.org", ".example.org"]);
        let expected = ["example.org", "evil-example.org", ".example.org"];
        assert_eq!(decision.denial().unwrap().resources, expected);
        assert!(!decide("db", &["a.example.org"]).is_allow());
    }

    #[test]
    fn addresses_are_judged_too_and_absent_settings_allow_no_name() {
        let mut request = Request::new("web");
        request.ip_addresses = vec!["10.0.0.8".to_owned()];
        assert!(!admit(&request).unwrap().is_allow());
    }
}
