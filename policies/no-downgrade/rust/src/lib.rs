//! A full update lowers no package's `SecurityVersion` below the one that is in force after package updates.
//!
//! The manifest's own rules check package updates; a full update may otherwise lower what such an update has raised. A package
//! that goes away is reported: coming back later it could have any version.

use carrara_policy::validation::{Finding, PackageVersion, Proposal, error, escape, warning};
use serde_json::Value;

const CODE: &str = "no-downgrade";

/// Judges a manifest.
///
/// # Errors
/// The settings or the manifest cannot be read.
pub fn validate(proposal: &Proposal) -> Result<Vec<Finding>, serde_json::Error> {
    if proposal.change != "full-update" {
        return Ok(Vec::new());
    }
    let manifest: Value = serde_json::from_str(&proposal.manifest)?;
    Ok(proposal.current_versions.iter().filter_map(|version| judge(&manifest, version)).collect())
}

fn judge(
    manifest: &Value,
    PackageVersion { name, security_version: current }: &PackageVersion,
) -> Option<Finding> {
    let package = format!("/Packages/{}", escape(name));
    let path = format!("{package}/SecurityVersion");
    if manifest.pointer(&package).is_none() {
        let message = format!("package {name} goes away, and with it its SecurityVersion {current}");
        return Some(warning(CODE, "/Packages", message));
    }
    match manifest.pointer(&path).and_then(Value::as_u64) {
        Some(proposed) if proposed >= *current => None,
        Some(proposed) => {
            let message = format!("SecurityVersion of package {name} falls from {current} to {proposed}");
            Some(error(CODE, path, message).hint(format!("set it to {current} or more")))
        }
        None => {
            let message = format!("package {name} loses its SecurityVersion, which is {current}");
            Some(error(CODE, package, message).hint(format!("set it to {current} or more")))
        }
    }
}

carrara_policy::validator!(validate);

#[cfg(test)]
mod tests {
    use carrara_policy::validation::Severity;

    use super::*;

    fn judged(manifest: &str) -> Vec<Finding> {
        validate(&Proposal::of(manifest).updating("{}").with_version("web", 3)).unwrap()
    }

    #[test]
    fn a_version_may_stay_or_rise_but_not_fall() {
        assert_eq!(judged(r#"{"Packages": {"web": {"SecurityVersion": 3}}}"#), []);
        assert_eq!(judged(r#"{"Packages": {"web": {"SecurityVersion": 4}}}"#), []);
        let findings = judged(r#"{"Packages": {"web": {"SecurityVersion": 2}}}"#);
        assert_eq!(findings[0].message, "SecurityVersion of package web falls from 3 to 2");
        assert_eq!(findings[0].path, "/Packages/web/SecurityVersion");
    }

    #[test]
    fn a_version_that_goes_away_is_refused_and_a_package_that_does_is_reported() {
        let lost = judged(r#"{"Packages": {"web": {}}}"#);
        assert_eq!((lost[0].severity, lost[0].path.as_str()), (Severity::Error, "/Packages/web"));
        assert_eq!(judged(r#"{"Packages": {}}"#)[0].severity, Severity::Warning);
    }

    #[test]
    fn first_manifests_and_package_updates_are_not_judged() {
        let proposal =
            Proposal::of(r#"{"Packages": {"web": {"SecurityVersion": 1}}}"#).with_version("web", 3);
        assert_eq!(validate(&proposal).unwrap(), []);
    }
}
