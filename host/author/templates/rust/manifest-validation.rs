//! Asked when a manifest is set or updated: is it acceptable?

use carrara_policy::validation::{Finding, Proposal, error, escape};

/// No package may allow debug mode.
fn validate(proposal: &Proposal) -> Result<Vec<Finding>, serde_json::Error> {
    let manifest: serde_json::Value = serde_json::from_str(&proposal.manifest)?;
    let packages = manifest["Packages"].as_object().into_iter().flatten();
    let debug = packages.filter(|(_, package)| package["Debug"] == true);
    let findings = debug.map(|(name, _)| {
        let path = format!("/Packages/{}/Debug", escape(name));
        // edit here: what the user reads
        error("debug-package", path, "packages in debug mode are not allowed")
    });
    Ok(findings.collect())
}

carrara_policy::validator!(validate);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_package_is_refused() {
        let findings = validate(&Proposal::of(r#"{"Packages":{"a/b":{"Debug":true},"c":{}}}"#)).unwrap();
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].path, "/Packages/a~1b/Debug");
    }
}
