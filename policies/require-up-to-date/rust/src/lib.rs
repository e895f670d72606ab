//! A Marble starts only on a platform whose TCB is up to date; the manifest may accept more for other packages.
//!
//! In simulation there is no evidence: such a Marble is refused unless the settings say `{"simulation": true}`.

use carrara_policy::admission::{Decision, Request, allow, deny};
use carrara_policy::settings;

const CODE: &str = "require-up-to-date";

#[derive(serde::Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Whether a Marble without evidence may start.
    simulation: bool,
    /// Packages that this is about; all where empty.
    packages: Vec<String>,
}

/// Decides whether a Marble may start.
///
/// # Errors
/// The settings cannot be read.
pub fn admit(request: &Request) -> Result<Decision, settings::SettingsError> {
    let settings: Settings = request.context.settings()?;
    if !settings.packages.is_empty() && !settings.packages.contains(&request.package_name) {
        return Ok(allow());
    }
    Ok(match &request.evidence {
        None if settings.simulation => allow(),
        None => deny(CODE, "there is no evidence of a platform that is up to date"),
        Some(evidence) if evidence.tcb_status == "UpToDate" => allow(),
        Some(evidence) => deny(CODE, format!("the platform's TCB status is {}", evidence.tcb_status))
            .hint("update microcode, firmware and platform software")
            .about(evidence.advisories.clone()),
    })
}

carrara_policy::admitter!(admit, settings::check::<Settings>);

#[cfg(test)]
mod tests {
    use carrara_policy::admission::Evidence;

    use super::*;

    fn on(status: &str) -> Request {
        Request::new("web").with_evidence(Evidence { tcb_status: status.to_owned(), ..Evidence::default() })
    }

    #[test]
    fn only_a_platform_that_is_up_to_date_is_admitted() {
        assert_eq!(admit(&on("UpToDate")), Ok(allow()));
        for status in ["SWHardeningNeeded", "OutOfDate", "uptodate", ""] {
            assert!(!admit(&on(status)).unwrap().is_allow(), "{status}");
        }
    }

    #[test]
    fn without_evidence_the_settings_decide() {
        assert!(!admit(&Request::new("web")).unwrap().is_allow());
        let simulated = Request::new("web").with_settings(r#"{"simulation": true}"#);
        assert_eq!(admit(&simulated), Ok(allow()));
    }

    #[test]
    fn packages_that_it_is_not_about_are_admitted() {
        let request = Request { package_name: "dev".to_owned(), ..on("OutOfDate") };
        assert_eq!(admit(&request.clone().with_settings(r#"{"packages": ["prod"]}"#)), Ok(allow()));
        assert!(!admit(&request.with_settings(r#"{"packages": ["dev"]}"#)).unwrap().is_allow());
    }
}
