//! Some packages change by the hand of some users only: `{"packages": ["core"], "role": "release"}`.
//!
//! An update that changes or removes such a package is refused unless its proposer holds the role. A first manifest, and a new
//! one in recovery, has nothing to protect yet. What counts is the package in force: its text with the `SecurityVersion` to
//! which package updates have raised it, so that the old text alone would take that back.

use carrara_policy::settings;
use carrara_policy::validation::{Finding, PackageVersion, Proposal, error, escape};
use serde_json::Value;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The packages.
    packages: Vec<String>,
    /// Whose users may change them.
    role: String,
}

/// Judges a manifest.
///
/// # Errors
/// The settings or the manifest cannot be read.
pub fn validate(proposal: &Proposal) -> Result<Vec<Finding>, Box<dyn std::error::Error>> {
    let settings: Settings = proposal.context.settings()?;
    let trusted = proposal.proposer.as_ref().is_some_and(|proposer| proposer.holds(&settings.role));
    let Some(current) = proposal.current.as_ref().filter(|_| !trusted) else { return Ok(Vec::new()) };
    let current: Value = serde_json::from_str(current)?;
    let manifest: Value = serde_json::from_str(&proposal.manifest)?;
    let finding = |name: &String| {
        let path = format!("/Packages/{}", escape(name));
        let before = in_force(current.pointer(&path)?, name, &proposal.current_versions);
        let after = manifest.pointer(&path);
        // The manifest of a package update names only the packages that it changes.
        let left_alone = after == Some(&before) || (after.is_none() && proposal.change == "package-update");
        let hint = format!("ask a user with the role {}", settings.role);
        (!left_alone).then(|| {
            let path = if after.is_some() { path } else { "/Packages".to_owned() };
            error("protected-packages", path, format!("package {name} is protected")).hint(hint)
        })
    };
    Ok(settings.packages.iter().filter_map(finding).collect())
}

/// The package with the version to which package updates have raised it.
fn in_force(package: &Value, name: &str, versions: &[PackageVersion]) -> Value {
    let mut package = package.clone();
    let raised = versions.iter().find(|version| version.name == name);
    if let (Some(version), Some(members)) = (raised, package.as_object_mut()) {
        members.insert("SecurityVersion".to_owned(), version.security_version.into());
    }
    package
}

carrara_policy::validator!(validate, settings::check::<Settings>);

#[cfg(test)]
mod tests {
    use carrara_policy::{Principal, Role};

    use super::*;

    const CURRENT: &str = r#"{"Packages": {"core": {"SecurityVersion": 1}, "web": {}}}"#;
    const SETTINGS: &str = r#"{"packages": ["core"], "role": "release"}"#;

    fn update(manifest: &str, role: &str) -> Vec<Finding> {
        let mut proposal = Proposal::of(manifest).updating(CURRENT).with_settings(SETTINGS);
        let roles = vec![Role { name: role.to_owned(), ..Role::default() }];
        proposal.proposer = Some(Principal { roles, ..Principal::default() });
        validate(&proposal).unwrap()
    }

    #[test]
    fn a_protected_package_is_changed_and_removed_by_the_role_only() {
        let changed = r#"{"Packages": {"core": {"SecurityVersion": 2}}}"#;
        assert_eq!(update(changed, "dev")[0].path, "/Packages/core");
        assert_eq!(update(r#"{"Packages": {}}"#, "dev")[0].path, "/Packages");
        assert_eq!(update(changed, "release"), []);
    }

    #[test]
    fn what_is_not_protected_or_stays_the_same_may_be_updated_by_anybody() {
        assert_eq!(update(r#"{"Packages": {"core": {"SecurityVersion": 1}, "new": {}}}"#, "dev"), []);
        assert_eq!(validate(&Proposal::of("{}").with_settings(SETTINGS)).unwrap(), []);
    }

    #[test]
    fn a_package_update_protects_what_it_names() {
        let package_update = |manifest: &str| {
            let mut proposal = Proposal::of(manifest).updating(CURRENT).with_settings(SETTINGS);
            proposal.change = "package-update".to_owned();
            validate(&proposal).unwrap().len()
        };
        assert_eq!(package_update(r#"{"Packages": {"core": {"SecurityVersion": 2}}}"#), 1);
        assert_eq!(package_update(r#"{"Packages": {"web": {"SecurityVersion": 2}}}"#), 0);
    }
    #[test]
    fn the_old_text_takes_back_what_a_package_update_has_raised() {
        let full_update = |version: u64| {
            let manifest = format!(r#"{{"Packages": {{"core": {{"SecurityVersion": {version}}}}}}}"#);
            let proposal = Proposal::of(manifest).updating(CURRENT).with_version("core", 3);
            validate(&proposal.with_settings(SETTINGS)).unwrap().len()
        };
        assert_eq!([1, 2, 3, 4].map(full_update), [1, 1, 0, 1]);
    }
}
