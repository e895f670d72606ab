//! The rules of manifest.md section 3 that the host leaves to validators, one file per section of the manifest.
//!
//! A rule says what it found with the specification's exact text, the rule's id as code and a pointer to the smallest
//! thing in the manifest that is there: where something is missing, to what misses it.

mod lockout;
mod packages;
mod policies;
mod roles;
mod secrets;
mod tls;

use carrara_types::decision::{Finding, Severity};
use carrara_types::manifest::ParsedManifest;

pub(crate) use lockout::lockout;

/// Judges a whole manifest by the rules of this crate, in no particular order.
pub(crate) fn findings(manifest: &ParsedManifest) -> Vec<Finding> {
    let mut found = Vec::new();
    required_sections(manifest, &mut found);
    packages::judge(manifest, &mut found);
    policies::judge(manifest, &mut found);
    tls::judge(manifest, &mut found);
    roles::judge(manifest, &mut found);
    secrets::judge(manifest, &mut found);
    found
}

/// M-30, M-31.
fn required_sections(manifest: &ParsedManifest, found: &mut Vec<Finding>) {
    if manifest.packages.is_empty() {
        let hint = "describe at least one enclave under Packages";
        found.push(error("M-30", pointer(&[]), "no allowed packages defined".to_owned(), hint));
    }
    if manifest.marbles.is_empty() {
        let hint = "describe at least one service under Marbles";
        found.push(error("M-31", pointer(&[]), "no allowed marbles defined".to_owned(), hint));
    }
}

fn error(code: &str, path: String, message: String, hint: &str) -> Finding {
    Finding { severity: Severity::Error, code: code.to_owned(), path, message, hint: Some(hint.to_owned()) }
}

fn warning(code: &str, path: String, message: String, hint: &str) -> Finding {
    Finding { severity: Severity::Warning, ..error(code, path, message, hint) }
}

/// An RFC 6901 pointer to the place that these names lead to.
fn pointer(names: &[&str]) -> String {
    let mut text = String::with_capacity(names.iter().map(|name| name.len() + 1).sum());
    for name in names {
        text.push('/');
        for character in name.chars() {
            match character {
                '~' => text.push_str("~0"),
                '/' => text.push_str("~1"),
                other => text.push(other),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_escape_what_rfc_6901_reserves() {
        assert_eq!(pointer(&[]), "");
        assert_eq!(pointer(&["Roles", "a/b~c", ""]), "/Roles/a~1b~0c/");
    }
}
