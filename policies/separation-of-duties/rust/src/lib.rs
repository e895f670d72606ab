//! Who may do one thing may not do the other. Without settings: who may write a secret may not update the manifest.
//!
//! `{"pairs": [["WriteSecret", "UpdateManifest"]]}`: whoever holds a role with the first action is refused the second.

use carrara_policy::authorization::{Decision, Request, allow, deny};
use carrara_policy::settings;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What is held, what is refused.
    #[serde(default = "default_pairs")]
    pairs: Vec<(String, String)>,
}

fn default_pairs() -> Vec<(String, String)> {
    vec![("WriteSecret".to_owned(), "UpdateManifest".to_owned())]
}

/// Decides a request.
///
/// # Errors
/// The settings cannot be read.
pub fn authorize(request: &Request) -> Result<Decision, settings::SettingsError> {
    let settings: Settings = request.context.settings()?;
    // The manifest's actions do not tell upper from lower case.
    let refused = settings.pairs.iter().filter(|(_, refused)| refused.eq_ignore_ascii_case(&request.action));
    for (held, refused) in refused {
        let holds = |actions: &[String]| actions.iter().any(|action| action.eq_ignore_ascii_case(held));
        if let Some(role) = request.principal.roles.iter().find(|role| holds(&role.actions)) {
            let message = format!("whoever may {held} may not {refused}");
            let hint = format!("take the role {} from {}", role.name, request.principal.name);
            return Ok(deny("separation-of-duties", message).hint(hint));
        }
    }
    Ok(allow())
}

carrara_policy::authorizer!(authorize, settings::check::<Settings>);

#[cfg(test)]
mod tests {
    use super::*;

    fn ann(action: &str) -> Request {
        Request::new("ann", action, "Manifest", [""; 0])
    }

    #[test]
    fn who_may_write_a_secret_may_not_update_the_manifest() {
        let writer = ann("UpdateManifest").with_role("writer", "Secrets", ["a"], ["writesecret"]);
        let decision = authorize(&writer).unwrap();
        assert_eq!(decision.denial().unwrap().message, "whoever may WriteSecret may not UpdateManifest");
    }

    #[test]
    fn whoever_may_not_is_free_and_so_is_every_other_action() {
        let reader = ann("UpdateManifest").with_role("reader", "Secrets", ["a"], ["ReadSecret"]);
        assert_eq!(authorize(&reader), Ok(allow()));
        let writer = ann("WriteSecret").with_role("writer", "Secrets", ["a"], ["WriteSecret"]);
        assert_eq!(authorize(&writer), Ok(allow()));
    }

    #[test]
    fn the_settings_name_other_pairs() {
        let request = ann("ReadSecret").with_role("w", "Secrets", ["a"], ["WriteSecret"]);
        let request = request.with_settings(r#"{"pairs": [["WriteSecret", "ReadSecret"]]}"#);
        assert!(!authorize(&request).unwrap().is_allow());
    }
}
