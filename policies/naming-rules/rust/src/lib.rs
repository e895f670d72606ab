//! How things in a manifest may be called: `{"Secrets": ["team-*", "shared-*"], "Marbles": ["*-prod"]}`.
//!
//! The keys are sections of the manifest, the values patterns in which `*` stands for any characters. Every name of such a
//! section must fit one of its patterns; other sections are free.

use std::collections::BTreeMap;

use carrara_policy::settings::{self, SettingsError};
use carrara_policy::validation::{Finding, Proposal, error, escape};
use serde_json::Value;

/// Those whose members have names.
const SECTIONS: [&str; 9] = [
    "Infrastructures",
    "Marbles",
    "Packages",
    "Policies",
    "RecoveryKeys",
    "Roles",
    "Secrets",
    "TLS",
    "Users",
];

type Settings = BTreeMap<String, Vec<String>>;

/// Judges a manifest.
///
/// # Errors
/// The settings or the manifest cannot be read.
pub fn validate(proposal: &Proposal) -> Result<Vec<Finding>, Box<dyn std::error::Error>> {
    let settings: Settings = proposal.context.settings()?;
    let manifest: Value = serde_json::from_str(&proposal.manifest)?;
    let mut findings = Vec::new();
    for (section, patterns) in &settings {
        let names = manifest.get(section).and_then(Value::as_object);
        for name in names.into_iter().flat_map(|names| names.keys()) {
            if !patterns.iter().any(|pattern| fits(pattern, name)) {
                let path = format!("/{section}/{}", escape(name));
                let finding = error("naming-rules", path, format!("{name} is no name for {section}"));
                findings.push(finding.hint(format!("names that fit: {}", patterns.join(", "))));
            }
        }
    }
    Ok(findings)
}

/// The text before the first `*` begins the name, that after the last ends it, the others stand between in order.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some((_, after)) = name.split_once(part) else { return false };
        name = after;
    }
    name.ends_with(end)
}

/// Judges the settings.
///
/// # Errors
/// What is wrong with them.
pub fn check(json: &str) -> Result<(), SettingsError> {
    let settings: Settings = settings::read(json)?;
    match settings.keys().find(|section| !SECTIONS.contains(&section.as_str())) {
        Some(section) => Err(SettingsError::at(1, 1, format!("there is no section {section}"))
            .hint(format!("the sections are {}", SECTIONS.join(", ")))),
        None => Ok(()),
    }
}

carrara_policy::validator!(validate, check);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in
            [("a", "a"), ("*", ""), ("a*", "ab"), ("*a", "ba"), ("a*b*c", "a1b2c"), ("a**b", "ab")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a*", "ba"), ("*a", "ab"), ("ab*ba", "aba"), ("a*b*c", "acb")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn names_that_fit_no_pattern_of_their_section_are_refused() {
        let manifest = r#"{"Secrets": {"team-a": {}, "b/c": {}}, "Users": {"x": {}}}"#;
        let findings = validate(&Proposal::of(manifest).with_settings(r#"{"Secrets": ["team-*"]}"#)).unwrap();
        assert_eq!(findings.len(), 1);
        assert_eq!(
            (findings[0].path.as_str(), findings[0].message.as_str()),
            ("/Secrets/b~1c", "b/c is no name for Secrets")
        );
    }

    #[test]
    fn settings_name_sections_that_there_are() {
        assert!(check(r#"{"Secrets": ["*"], "TLS": ["*"]}"#).is_ok());
        assert!(check(r#"{"secrets": ["*"]}"#).is_err());
    }
}
