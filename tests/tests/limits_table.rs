//! The table of limits in host/server/README.md says what the source says, and names every limit of the server.

use std::collections::BTreeSet;
use std::fs;

use carrara_tests::constants::constant;
use carrara_tests::root;

const SERVER: &str = "host/server/src/limits.rs";

/// Where the options for policies are declared.
const POLICIES: &str = "host/coordinator/src/config/policies.rs";

/// A row: value, file, name, option.
fn rows() -> Vec<[String; 4]> {
    let text = fs::read_to_string(root().join("host/server/README.md")).unwrap();
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('|') && line.contains("::")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{line}");
        assert!(!cells[0].is_empty() && !cells[4].is_empty(), "what, or the reason, is missing: {line}");
        let (file, name) = cells[2].trim_matches('`').split_once("::").unwrap();
        rows.push([cells[1], file, name, cells[3]].map(str::to_owned));
    }
    rows
}

/// `16 MiB`, `10 s`, `250 ms`, `2048`: bytes, milliseconds, or a number.
fn told(value: &str) -> u64 {
    let (number, unit) = value.split_once(' ').unwrap_or((value, ""));
    let number: u64 = number.parse().unwrap_or_else(|_| panic!("{value} is no number"));
    match unit {
        "" | "ms" => number,
        "KiB" => number << 10,
        "MiB" => number << 20,
        "s" => number * 1000,
        other => panic!("{other} is no unit"),
    }
}

//
#[test]
fn every_row_has_the_value_of_the_source() {
    let rows = rows();
    assert!(rows.len() > 60, "the table was not found");
    for [value, file, name, _] in rows {
        assert_eq!(constant(&file, &name), told(&value), "{file}::{name} is not {value}");
    }
}

//
#[test]
fn every_limit_of_the_server_has_a_row_and_every_option_its_own() {
    let rows = rows();
    let listed: BTreeSet<&str> =
        rows.iter().filter(|[_, file, ..]| file == SERVER).map(|[_, _, name, _]| name.as_str()).collect();
    let source = fs::read_to_string(root().join(SERVER)).unwrap();
    let (before, defaults) = source.split_once("fn default() -> Self {").unwrap();
    let defaults = defaults.split_once("\n}\n").unwrap().0;
    let fields = defaults.lines().filter_map(|line| Some(line.trim().strip_suffix(',')?.split_once(": ")?.0));
    let constants = source.lines().filter_map(|line| {
        let name = line.strip_prefix("pub(crate) const ")?.split_once(':')?.0;
        Some(name).filter(|name| !name.starts_with("fn "))
    });
    for name in fields.chain(constants) {
        assert!(listed.contains(name), "{SERVER}::{name} is not in the table of host/server/README.md");
    }
    assert!(before.contains("pub struct Limits"));
    let options = |of_the_server: bool| -> BTreeSet<String> {
        let rows = rows.iter().filter(|[_, file, ..]| (file == SERVER) == of_the_server);
        let options = rows.map(|[.., option]| option.trim_matches('`').to_owned());
        options.filter(|option| option != "fixed").collect()
    };
    let known: BTreeSet<String> = source
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix("option(\"")?.split_once('"')?.0.to_owned()))
        .collect();
    assert_eq!(options(true), known);
    let policies = fs::read_to_string(root().join(POLICIES)).unwrap();
    for option in options(false) {
        let declared = format!("\n    {} \"EDG_COORDINATOR_", option.replace('-', "_"));
        assert!(policies.contains(&declared), "{POLICIES} has no option {option}");
    }
}

#[test]
fn a_wrong_value_would_be_noticed() {
    assert_eq!(["2 KiB", "3 s", "1000"].map(told), [2048, 3000, 1000]);
}
