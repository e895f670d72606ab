//! No package of a manifest may be debuggable, but those that the settings allow: `{"allow": ["dev"]}`.
//!
//! The host of an enclave in debug mode reads its memory, secrets included.

use carrara_policy::settings;
use carrara_policy::validation::{Finding, Proposal, error, escape};

const CODE: &str = "no-debug-packages";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Settings {
    /// Packages that may be debuggable.
    allow: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    #[serde(default)]
    packages: std::collections::BTreeMap<String, Package>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Package {
    #[serde(default)]
    debug: bool,
}

/// Judges a manifest.
///
/// # Errors
/// The settings or the manifest cannot be read.
pub fn validate(proposal: &Proposal) -> Result<Vec<Finding>, Box<dyn std::error::Error>> {
    let settings: Settings = proposal.context.settings()?;
    let manifest: Manifest = serde_json::from_str(&proposal.manifest)?;
    let debuggable = manifest.packages.into_iter().filter(|(_, package)| package.debug);
    let refused = debuggable.filter(|(name, _)| !settings.allow.contains(name));
    let finding = |(name, _): (String, Package)| {
        let path = format!("/Packages/{}/Debug", escape(&name));
        error(CODE, path, format!("package {name} may not be debuggable"))
            .hint("build it without debug mode and remove Debug")
    };
    Ok(refused.map(finding).collect())
}

carrara_policy::validator!(validate, settings::check::<Settings>);

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"{"Packages": {"dev": {"Debug": true}, "a/b": {"Debug": true}, "web": {}}}"#;

    #[test]
    fn debuggable_packages_are_refused_but_for_those_that_are_allowed() {
        let findings = validate(&Proposal::of(MANIFEST).with_settings(r#"{"allow": ["dev"]}"#)).unwrap();
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].path, "/Packages/a~1b/Debug");
        assert_eq!(validate(&Proposal::of(MANIFEST)).unwrap().len(), 2, "without settings none is allowed");
    }

    #[test]
    fn settings_with_an_unknown_key_are_refused() {
        assert!(settings::check::<Settings>(r#"{"allowed": []}"#).is_err());
    }
}
