//! Names that are not what they look like. Users choose names freely, so this is a warning.

use super::Found;
use crate::decision::Severity;
use crate::manifest::ParsedManifest;

const CODE: &str = "control-characters";
const HINT: &str =
    "names are shown in logs, tables and audit entries: write them in letters that everybody can see";

pub(super) fn judge(manifest: &ParsedManifest, found: &mut Found) {
    section("Packages", manifest.packages.keys(), found);
    section("Infrastructures", manifest.infrastructures.keys(), found);
    section("Marbles", manifest.marbles.keys(), found);
    section("Secrets", manifest.secrets.keys(), found);
    section("Users", manifest.users.keys(), found);
    section("Roles", manifest.roles.keys(), found);
    section("TLS", manifest.tls.keys(), found);
    section("RecoveryKeys", manifest.recovery_keys.keys(), found);
}

fn section<'a>(section: &str, names: impl Iterator<Item = &'a String>, found: &mut Found) {
    // Nearly all names are plain ASCII, which is seen without decoding it.
    let suspect = |name: &&String| !name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    for name in names.filter(suspect).filter(|name| name.chars().any(is_control)) {
        let message = format!("the name \"{}\" in {section} has control characters", name.escape_debug());
        found.add(Severity::Warning, CODE, &[section, name], message, HINT);
    }
}

/// What a terminal obeys or hides: control characters, line separators, and what turns the direction of writing.
fn is_control(character: char) -> bool {
    let is_format = matches!(
        character,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    );
    character.is_control() || is_format
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Known, host_findings};

    /// Severity, code, path and text of all findings.
    fn findings(text: &str) -> Vec<(Severity, String, String, String)> {
        let manifest = ParsedManifest::parse(text.as_bytes()).unwrap();
        let all = host_findings(&manifest, &Known::default());
        all.into_iter().map(|found| (found.severity, found.code, found.path, found.message)).collect()
    }

    // Names are free: a warning, never an error.
    #[test]
    fn names_with_control_characters_are_warned_of_in_every_section() {
        let sections = [
            ("Packages", r#"{"UniqueID":"aa"}"#),
            ("Infrastructures", "{}"),
            ("Marbles", r#"{"Package":"p"}"#),
            ("Secrets", r#"{"Type":"plain","UserDefined":true}"#),
            ("Users", "{}"),
            ("Roles", r#"{"ResourceType":"Manifest","Actions":["ReadAudit"]}"#),
            ("TLS", "{}"),
        ];
        for (section, definition) in sections {
            let with = |name: &str| {
                let rest = if section == "Marbles" { r#","Packages":{"p":{"UniqueID":"aa"}}"# } else { "" };
                findings(&format!(r#"{{"{section}":{{"{name}":{definition}}}{rest}}}"#))
            };
            assert!(with("a b-\u{e4}\u{1f600}").iter().all(|found| found.1 != CODE), "{section}");
            for (written, shown, path) in [
                (r"a\nb", r"a\nb", "a\nb"),
                (r"\u001b[1m", r"\u{1b}[1m", "\u{1b}[1m"),
                (r"x\u202ey", r"x\u{202e}y", "x\u{202e}y"),
                (r"\u2066x", r"\u{2066}x", "\u{2066}x"),
                (r"x\u0085", r"x\u{85}", "x\u{85}"),
                (r"x\u200b", r"x\u{200b}", "x\u{200b}"),
            ] {
                let warning = (
                    Severity::Warning,
                    CODE.to_owned(),
                    format!("/{section}/{path}"),
                    format!("the name \"{shown}\" in {section} has control characters"),
                );
                assert!(with(written).contains(&warning), "{:?}", with(written));
            }
        }
        let keys = findings(r#"{"RecoveryKeys":{"a\tb":""}}"#);
        assert!(keys.iter().any(|found| found.1 == CODE && found.2 == "/RecoveryKeys/a\tb"));
    }
}
