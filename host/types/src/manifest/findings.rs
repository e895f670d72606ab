//! Puts findings of several judges into one list: each once, in the order of the specification.

use std::collections::HashMap;

use super::position::unescape;
use crate::decision::{Finding, Severity};

/// The order in which the rules are checked: manifest.md section 3, then what follows while a manifest is set.
const ORDER: &[&str] = &[
    "X-9", "M-30", "M-31", "M-32", "M-33", "M-34", "M-37", "M-40", "M-41", "M-42", "M-43", "M-44",
    "renderer", "M-50", "M-51", "M-52", "M-60", "M-61", "M-62", "M-63", "M-70", "M-71", "X-5", "X-11a",
    "M-72", "M-73", "M-74", "M-75", "M-76", "M-77", "policies", "S-10", "S-11", "S-12", "S-13", "S-14",
    "S-23", "M-78", "M-79", "M-53", "M-80",
];

/// Sorts by rule, then by the name of the thing, bytewise. Findings of other rules come last, in their old order.
pub fn order_findings(findings: &mut [Finding]) {
    findings.sort_by_cached_key(|finding| match ORDER.iter().position(|code| *code == finding.code) {
        Some(rank) => (rank, finding.path.split('/').skip(1).take(2).map(unescape).collect()),
        None => (ORDER.len(), Vec::new()),
    });
}

/// Orders findings and removes duplicates (same rule, place and message). Of a duplicate the graver one stays.
#[must_use]
pub fn merge(findings: Vec<Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::with_capacity(findings.len());
    let mut known: HashMap<(String, String, String), usize> = HashMap::with_capacity(findings.len());
    for finding in findings {
        let key = (finding.code.clone(), finding.path.clone(), finding.message.clone());
        match known.get(&key).and_then(|index| merged.get_mut(*index)) {
            Some(kept) if finding.severity == Severity::Error => kept.severity = Severity::Error,
            Some(_) => {}
            None => {
                known.insert(key, merged.len());
                merged.push(finding);
            }
        }
    }
    order_findings(&mut merged);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity, code: &str, path: &str) -> Finding {
        Finding { severity, code: code.into(), path: path.into(), message: "m".into(), hint: None }
    }

    fn merged(findings: &[(Severity, &str, &str)]) -> Vec<(Severity, String, String)> {
        let findings = findings.iter().map(|(severity, code, path)| finding(*severity, code, path)).collect();
        merge(findings).into_iter().map(|finding| (finding.severity, finding.code, finding.path)).collect()
    }

    #[test]
    fn findings_come_in_the_order_of_section_3_and_then_of_names() {
        let order = merged(&[
            (Severity::Error, "corp-2", "/Z"),
            (Severity::Error, "corp-1", "/A"),
            (Severity::Error, "M-53", "/Users/a"),
            (Severity::Error, "M-32", "/Marbles/b/Package"),
            (Severity::Error, "M-32", "/Marbles/a~1/Package"),
            (Severity::Error, "S-10", "/Secrets/a"),
            (Severity::Error, "M-30", "/Packages"),
        ]);
        let order: Vec<_> = order.iter().map(|(_, code, path)| (code.as_str(), path.as_str())).collect();
        assert_eq!(
            order,
            [
                ("M-30", "/Packages"),
                ("M-32", "/Marbles/a~1/Package"),
                ("M-32", "/Marbles/b/Package"),
                ("S-10", "/Secrets/a"),
                ("M-53", "/Users/a"),
                ("corp-2", "/Z"),
                ("corp-1", "/A"),
            ]
        );
    }

    #[test]
    fn of_equal_findings_one_stays_and_it_is_an_error_if_any_is() {
        let (warning, error) = (Severity::Warning, Severity::Error);
        let twice = merged(&[(warning, "M-33", "/a"), (error, "M-33", "/a"), (warning, "M-33", "/a")]);
        assert_eq!(twice, [(error, "M-33".into(), "/a".into())]);
        assert_eq!(merged(&[(error, "M-33", "/a"), (error, "M-33", "/b"), (error, "M-34", "/a")]).len(), 3);
    }
}
