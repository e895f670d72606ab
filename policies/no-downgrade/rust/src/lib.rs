//! A full update lowers no package's `SecurityVersion` below the one that is in force after package updates.
//!
//! The manifest's own rules check package updates; a full update may otherwise lower what such an update has raised. A package
//! that goes away is reported: coming back later it could have any version. The same code under another name, with the
//! `SignerID` and `ProductID` of a package in force, is held to that package's version too.

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
    let current: Value = proposal.current.as_deref().map_or(Ok(Value::Null), serde_json::from_str)?;
    let by_name = proposal.current_versions.iter().filter_map(|version| judge(&manifest, version));
    let renamed =
        packages(&manifest).filter_map(|proposed| judge_code(&current, &proposal.current_versions, proposed));
    Ok(by_name.chain(renamed).collect())
}

/// Judges a proposed package by its code: the highest version of the same code in force binds it, whatever its name.
fn judge_code(
    current: &Value,
    versions: &[PackageVersion],
    (name, package): (&String, &Value),
) -> Option<Finding> {
    let code = Code::of(package)?;
    let runs_before = |name: &str| {
        let known = current.pointer(&format!("/Packages/{}", escape(name))).and_then(Code::of);
        known.is_some_and(|known| code.admits(&known))
    };
    // What ran this code before is judged by its name: two packages of one code may have two versions.
    if runs_before(name) {
        return None;
    }
    let same = versions.iter().filter(|version| runs_before(&version.name));
    let known = same.max_by_key(|version| version.security_version)?;
    let proposed = package.get("SecurityVersion").and_then(Value::as_u64);
    // One build alone needs no version to be no older.
    if proposed.map_or(code.is_one_build(), |proposed| proposed >= known.security_version) {
        return None;
    }
    let PackageVersion { name: other, security_version } = known;
    let message =
        format!("package {name} runs the code of {other} below its SecurityVersion {security_version}");
    let path = format!("/Packages/{}", escape(name));
    Some(error(CODE, path, message).hint(format!("set SecurityVersion to {security_version} or more")))
}

/// Whose code a package runs; versions of the same code can be compared.
enum Code {
    /// One build.
    Build(String),
    /// A signer's builds, of one product where the package names it.
    Product(String, Option<u64>),
}

impl Code {
    fn of(package: &Value) -> Option<Self> {
        let id = |member: &str| {
            let id = package.get(member)?.as_str()?;
            (!id.is_empty()).then(|| id.to_ascii_lowercase())
        };
        let product = package.get("ProductID").and_then(Value::as_u64);
        id("UniqueID").map(Self::Build).or_else(|| Some(Self::Product(id("SignerID")?, product)))
    }

    fn is_one_build(&self) -> bool {
        matches!(self, Self::Build(_))
    }

    /// Whether a package of this code starts what one of the other code starts.
    fn admits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Build(this), Self::Build(other)) => this == other,
            (Self::Product(signer, product), Self::Product(other, known)) => {
                signer == other && (product.is_none() || product == known)
            }
            _ => false,
        }
    }
}

fn packages(manifest: &Value) -> impl Iterator<Item = (&String, &Value)> {
    manifest.get("Packages").and_then(Value::as_object).into_iter().flatten()
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

    #[test]
    fn another_name_does_not_lower_the_version_of_the_same_code() {
        let current = r#"{"Packages": {
            "web": {"SignerID": "AB", "ProductID": 1, "SecurityVersion": 2},
            "old": {"SignerID": "ab", "ProductID": 1, "SecurityVersion": 1},
            "one": {"UniqueID": "cd"}}}"#;
        let errors = |package: &str| {
            let manifest = format!(r#"{{"Packages": {{"web2": {package}}}}}"#);
            let proposal = Proposal::of(manifest).updating(current).with_version("web", 3);
            let proposal = proposal.with_version("old", 1).with_version("one", 4);
            let findings = validate(&proposal).unwrap();
            findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect::<Vec<_>>()
        };
        let found = errors(r#"{"SignerID": "aB", "ProductID": 1, "SecurityVersion": 2}"#);
        assert_eq!(found[0].message, "package web2 runs the code of web below its SecurityVersion 3");
        assert_eq!(found[0].path, "/Packages/web2");
        for lower in [
            r#"{"SignerID": "ab", "ProductID": 1}"#,
            r#"{"SignerID": "ab", "SecurityVersion": 2}"#,
            r#"{"UniqueID": "CD", "SecurityVersion": 3}"#,
        ] {
            assert_eq!(errors(lower).len(), 1, "{lower}");
        }
        for free in [
            r#"{"SignerID": "ab", "ProductID": 1, "SecurityVersion": 3}"#,
            r#"{"SignerID": "ab", "ProductID": 2, "SecurityVersion": 1}"#,
            r#"{"SignerID": "ac", "ProductID": 1, "SecurityVersion": 1}"#,
            r#"{"UniqueID": "cd"}"#,
            r#"{"UniqueID": "cd", "SecurityVersion": 4}"#,
        ] {
            assert_eq!(errors(free), [], "{free}");
        }
    }

    #[test]
    fn two_packages_of_one_code_keep_their_own_versions() {
        let text = r#"{"Packages": {
            "web": {"SignerID": "ab", "ProductID": 1, "SecurityVersion": 3},
            "old": {"SignerID": "ab", "ProductID": 1, "SecurityVersion": 1}}}"#;
        let proposal = Proposal::of(text).updating(text).with_version("web", 3).with_version("old", 1);
        assert_eq!(validate(&proposal).unwrap(), []);
    }
}
