//! The tables of `tests/README.md` are true: every rule of the behaviour specification stands in them once, every
//! improvement on the original has its row, and every test that they name exists and names the rule itself. The threat
//! model names tests, too, which exist. What this cannot see is whether a test looks at the right thing.

use std::collections::BTreeMap;
use std::path::Path;

use carrara_tests::root;

/// Every rule of the manifest (M-), of secrets and templates (S-), of the Marble API (G-), of the Client API (R-), of the
/// command-line tool (C-), of the life cycle (L-, but distributed operation) and every trap and weakness (X-).
const RULES: &str = "
G-1 G-2 G-3 G-10 G-11 G-12 G-13 G-20 G-21 G-22 G-23 G-24 G-25 G-26 G-27 G-28 G-29 G-30 G-31 G-32 G-33 G-40
G-41 G-42 G-43 G-44 G-45 G-46 G-47 G-48 M-1 M-2 M-3 M-4 M-5 M-6 M-6a M-7 M-8 M-9 M-10 M-11 M-12 M-13 M-14
M-15 M-16 M-17 M-18 M-19 M-19a M-20 M-21 M-30 M-31 M-32 M-33 M-34 M-35 M-36 M-37 M-40 M-41 M-42 M-43 M-44
M-44a M-45 M-50 M-51 M-52 M-53 M-60 M-61 M-62 M-63 M-64 M-70 M-71 M-71a M-72 M-73 M-74 M-75 M-76 M-77 M-78
M-79 M-80 M-81 M-82 M-83 M-84 M-85 M-86 M-87 M-90 M-91 M-92 M-100 M-101 M-102 M-103 M-104 M-105 M-106 M-110
M-111 M-112 R-1 R-2 R-3 R-4 R-10 R-11 R-12 R-13 R-20 R-21 R-22 R-23 R-24 R-25 R-30 R-31 R-32 R-33 R-34 R-35
R-36 R-37 R-38 R-40 R-41 R-42 R-43 R-44 R-45 R-46 R-50 R-51 R-52 R-53 R-54 R-55 R-56 R-57 R-58 R-59 R-60
R-60a S-1 S-2 S-3 S-4 S-10 S-11 S-12 S-13 S-14 S-15 S-16 S-17 S-20 S-21 S-22 S-23 S-24 S-25 S-26 S-30 S-31
S-32 S-33 S-34 S-35 S-40 S-41 S-41a S-42 S-43 S-50 S-51 S-52 S-53 S-54 S-54a S-54b S-55 S-56 S-57 S-60 S-61
S-62 S-63 S-64 S-65 S-70 S-71 S-71a S-72 S-73 S-74 S-75 S-76 S-77 S-80 S-81 S-82 S-83 S-84
C-1 C-2 C-3 C-4 C-5 C-6 C-10 C-11 C-12 C-13 C-14
L-10 L-11 L-12 L-13 L-14 L-15 L-16 L-17 L-18 L-19 L-20 L-30 L-31 L-32 L-33 L-34 L-35 L-36 L-37 L-40 L-41 L-42
L-43 L-44 L-45 L-46 L-47 L-48 L-49 L-49a L-49b L-50 L-51 L-52 L-53 L-54 L-55 L-56 L-60 L-61
X-1 X-2 X-3 X-4 X-5 X-6 X-7 X-8 X-9 X-10 X-11 X-11a X-12 X-13 X-14 X-15 X-16 X-17 X-18 X-19 X-20 X-21 X-22 X-23
X-24 X-25 X-26 X-27 X-28 X-29 X-30 X-31 X-32 X-33 X-34 X-35 X-36 X-37 X-38 X-50 X-51 X-52 X-53 X-54 X-55 X-56
X-57 X-58 X-59 X-60 X-61 X-62 X-63 X-64 X-65 X-66 X-67 X-68 X-69 X-70 X-71";

/// The rules that we follow otherwise than the original, on purpose: each has a row in the section [`BETTER`].
const IMPROVED: &str = "
2.8 L-19 L-20 L-32 L-37 L-46 L-47 L-48 L-49 L-51 L-70 M-2 M-3 M-5 M-33 M-34 M-36 M-52 M-62 M-72 M-75 R-22 R-41
S-35 S-55 S-74 S-81 X-1 X-2 X-3 X-4 X-5 X-6 X-7 X-8 X-9 X-10 X-11 X-11a X-12 X-13 X-14 X-15 X-16 X-17 X-18 X-19
X-20 X-21 X-22 X-23 X-24 X-25 X-26 X-27 X-28 X-29 X-30 X-31 X-32 X-33 X-34 X-35 X-36 X-37 X-38 X-63 X-67 X-70";

/// The heading of the section with what we do better.
const BETTER: &str = "## Where Carrara does better";

/// Documents whose back-quoted `path::test` must exist.
const DOCUMENTS: [&str; 3] = ["SECURITY.md", "host/docs/threat-model.md", "host/docs/upgrade.md"];

/// The commands of the command-line tool's specification but those of Kubernetes and recovery.
const COMMANDS: [&str; 18] = [
    "certificate root",
    "certificate intermediate",
    "certificate chain",
    "manifest set",
    "manifest get",
    "manifest log",
    "manifest signature",
    "manifest verify",
    "manifest update apply",
    "manifest update acknowledge",
    "manifest update cancel",
    "manifest update get",
    "secret set",
    "secret get",
    "package-info",
    "status",
    "version",
    "--insecure",
];

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    rule: String,
    /// `path::test`, as written.
    tests: Vec<String>,
    /// Why there is no test yet; empty where there is one.
    reason: String,
}

#[test]
fn the_table_of_rules_is_complete_and_every_test_in_it_exists_and_names_its_rule() {
    let readme =
        std::fs::read_to_string(root().join("tests/README.md")).expect("tests/README.md is readable");
    let rules: Vec<&str> = RULES.split_whitespace().chain(COMMANDS).collect();
    let found = problems(&readme, &rules, &mut |path| std::fs::read_to_string(root().join(path)).ok());
    assert!(found.is_empty(), "tests/README.md has {} problems:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_improvement_has_a_test_that_exists_and_names_what_it_improves() {
    let readme =
        std::fs::read_to_string(root().join("tests/README.md")).expect("tests/README.md is readable");
    let improved: Vec<&str> = IMPROVED.split_whitespace().collect();
    let found =
        better_problems(&readme, &improved, &mut |path| std::fs::read_to_string(root().join(path)).ok());
    assert!(found.is_empty(), "`{BETTER}` has {} problems:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(root().join(document)).expect("the document is readable");
        let found = named_tests(&text, &mut |path| std::fs::read_to_string(root().join(path)).ok());
        assert!(found.is_empty(), "{document}:\n{}", found.join("\n"));
    }
    let model = std::fs::read_to_string(root().join(DOCUMENTS[1])).expect("the threat model is readable");
    assert!(tests_in(&model).count() >= 20, "the threat model names the test of each mitigation");
}

#[test]
fn the_rules_of_policies_are_numbered_and_every_test_that_they_name_exists() {
    let readme = std::fs::read_to_string(root().join("wit/README.md")).expect("wit/README.md is readable");
    let found = policy_problems(&readme, &mut |path| std::fs::read_to_string(root().join(path)).ok());
    assert!(found.is_empty(), "wit/README.md has {} problems:\n{}", found.len(), found.join("\n"));
}

/// What is wrong with the rules of `wit/README.md`: rows `| P-1 | what holds | tests |`.
fn policy_problems(readme: &str, read: &mut dyn FnMut(&str) -> Option<String>) -> Vec<String> {
    let mut problems = named_tests(readme, read);
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| P-")).collect();
    if rows.is_empty() {
        problems.push("there are no rules".to_owned());
    }
    for (row, number) in rows.into_iter().zip(1..) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let rule = format!("P-{number}");
        match cells.as_slice() {
            [name, ..] if *name != rule => problems.push(format!("{name}: where {rule} should be")),
            [_, what, tests] if !what.is_empty() && tests_in(tests).next().is_some() => {}
            _ => problems.push(format!("{rule}: it names no test")),
        }
    }
    problems
}

#[test]
fn a_rule_of_policies_that_is_out_of_order_or_names_no_test_is_told() {
    let found =
        |table: &str| policy_problems(table, &mut |path| (path == "a/b.rs").then(|| SOURCE.to_owned()));
    assert_eq!(found("| P-1 | what | `a/b.rs::one` |\n"), Vec::<String>::new());
    assert_eq!(found("| P-2 | what | `a/b.rs::one` |\n"), ["P-2: where P-1 should be"]);
    assert_eq!(found("| P-1 | what | - |\n"), ["P-1: it names no test"]);
    assert_eq!(found("| P-1 | what |  |\n"), ["P-1: it names no test"]);
    assert_eq!(
        found("| P-1 | what | `a/b.rs::two` |\n"),
        ["`a/b.rs::two` is not there: no `fn two(` in the file"]
    );
    assert_eq!(found(""), ["there are no rules"]);
}

/// What is wrong with the tests that a document names.
fn named_tests(text: &str, read: &mut dyn FnMut(&str) -> Option<String>) -> Vec<String> {
    tests_in(text)
        .filter_map(|test| {
            let problem = found_test(test, read).err()?;
            Some(format!("`{test}` {problem}"))
        })
        .collect()
}

/// The tests between back quotes: `path.rs::test`.
fn tests_in(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|quoted| quoted.contains(".rs::"))
}

/// Everything that is wrong with the section of improvements.
fn better_problems(
    readme: &str,
    improved: &[&str],
    read: &mut dyn FnMut(&str) -> Option<String>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut listed = Vec::new();
    for line in sections(readme, |heading| heading == BETTER) {
        let Some(mut cells) = line.strip_prefix("| ").map(|row| row.split('|').map(str::trim)) else {
            continue;
        };
        let (Some(rules), Some(_what), Some(covers)) = (cells.next(), cells.next(), cells.next()) else {
            continue;
        };
        if rules == "Rules" {
            continue;
        }
        let rules: Vec<&str> = rules.split(", ").collect();
        listed.extend(rules.iter().map(|rule| (*rule).to_owned()));
        if covers.strip_prefix("not yet:").is_some_and(|reason| !reason.trim().is_empty()) {
            continue;
        }
        problems.extend(improvement_problems(&rules, covers, read));
    }
    let missing = improved.iter().filter(|rule| !listed.iter().any(|listed| listed == *rule));
    problems.extend(missing.map(|rule| format!("{rule}: is improved and not listed")));
    problems
}

/// What is wrong with one improvement: each test names one of its rules, each rule is named by one of its tests.
fn improvement_problems(
    rules: &[&str],
    covers: &str,
    read: &mut dyn FnMut(&str) -> Option<String>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut unnamed = rules.to_vec();
    let mut tests = 0;
    for test in tests_in(covers) {
        tests += 1;
        match found_test(test, read) {
            Err(problem) => problems.push(format!("{}: `{test}` {problem}", rules.join(", "))),
            Ok((name, text)) => {
                // Also a section's number, such as 2.8.
                let names = |rule: &str| has_word(&text, rule) || names_rule(&text, name, rule);
                unnamed.retain(|rule| !names(rule));
                if !rules.iter().any(|rule| names(rule)) {
                    problems.push(format!("{}: `{test}` does not name the rule", rules.join(", ")));
                }
            }
        }
    }
    if tests == 0 {
        problems.push(format!("{}: neither a test nor `not yet: reason`", rules.join(", ")));
    }
    problems.extend(unnamed.iter().map(|rule| format!("{rule}: no test of its row names it")));
    problems
}

/// The lines of the sections whose heading `wanted` accepts.
fn sections<'text>(
    readme: &'text str,
    wanted: impl Fn(&str) -> bool + 'text,
) -> impl Iterator<Item = &'text str> {
    let mut inside = wanted("");
    readme.lines().filter(move |line| {
        if line.starts_with("## ") {
            inside = wanted(line);
        }
        inside
    })
}

/// Everything that is wrong with the table, each with the rule it is about.
fn problems(readme: &str, rules: &[&str], read: &mut dyn FnMut(&str) -> Option<String>) -> Vec<String> {
    let rows = rows(readme);
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        *times.entry(&row.rule).or_default() += 1;
    }
    let missing = rules.iter().filter(|rule| !times.contains_key(*rule));
    let mut problems: Vec<String> = missing.map(|rule| format!("{rule}: is not listed")).collect();
    let twice = times.iter().filter(|(_, count)| **count > 1);
    problems.extend(twice.map(|(rule, count)| format!("{rule}: is listed {count} times")));
    let unknown = times.keys().filter(|rule| is_listed_whole(rule) && !rules.contains(*rule));
    problems.extend(unknown.map(|rule| format!("{rule}: no such rule")));
    let mut files: BTreeMap<String, Option<String>> = BTreeMap::new();
    for row in &rows {
        if row.tests.is_empty() && row.reason.is_empty() {
            problems.push(format!("{}: neither a test nor `not yet: reason`", row.rule));
        }
        for test in &row.tests {
            let problem = test_problem(&row.rule, test, &mut |path| {
                files.entry(path.to_owned()).or_insert_with(|| read(path)).clone()
            });
            problems.extend(problem.map(|problem| format!("{}: `{test}` {problem}", row.rule)));
        }
    }
    problems
}

/// What is wrong with one test of a rule, if anything.
fn test_problem(rule: &str, test: &str, read: &mut dyn FnMut(&str) -> Option<String>) -> Option<String> {
    match found_test(test, read) {
        Err(problem) => Some(problem),
        Ok((name, text)) => (!names_rule(&text, name, rule)).then(|| "does not name the rule".to_owned()),
    }
}

/// A test's name and text, or what is wrong with it.
fn found_test<'test>(
    test: &'test str,
    read: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<(&'test str, String), String> {
    let Some((path, name)) = test.rsplit_once("::") else {
        return Err("is not written as path::test".to_owned());
    };
    let Some(source) = read(path).filter(|_| Path::new(path).is_relative()) else {
        return Err("is in a file that is not there".to_owned());
    };
    let Some(text) = function_with_its_comment(&source, name) else {
        return Err(format!("is not there: no `fn {name}(` in the file"));
    };
    if !text.lines().any(is_test_attribute) {
        return Err("is a function but no test".to_owned());
    }
    Ok((name, text))
}

/// The rows of the tables of rules and commands: `| RULE | what covers it |`.
fn rows(readme: &str) -> Vec<Row> {
    sections(readme, |heading| heading != BETTER).filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let (rule, covers) = (cells.next()?, cells.next()?);
    // A command stands between back quotes.
    let command = rule.strip_prefix('`').and_then(|rule| rule.strip_suffix('`'));
    if command.is_none() && !is_rule(rule) {
        return None;
    }
    let rule = command.unwrap_or(rule);
    let reason = covers.strip_prefix("not yet:").map(str::trim).unwrap_or_default().to_owned();
    // What stands between back quotes, in a row that claims tests.
    let quoted = covers.split('`').skip(1).step_by(2).map(str::to_owned);
    let tests = if reason.is_empty() { quoted.collect() } else { Vec::new() };
    Some(Row { rule: rule.to_owned(), tests, reason })
}

fn is_rule(word: &str) -> bool {
    word.split_once('-').is_some_and(|(kind, number)| {
        ["M", "S", "G", "R", "L", "C", "X"].contains(&kind)
            && number.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Whether all rules of this kind must be in the table; of distributed operation (L-70..L-74) only what is covered is.
fn is_listed_whole(rule: &str) -> bool {
    !rule.starts_with("L-7")
}

/// A function's lines with the comments and attributes directly above it.
fn function_with_its_comment(source: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = source.lines().collect();
    let head = format!("fn {name}(");
    let at = lines.iter().position(|line| {
        line.find(&head)
            .is_some_and(|start| line[..start].trim_start().chars().all(|c| c.is_alphabetic() || c == ' '))
    })?;
    let above = lines[..at].iter().rev().take_while(|line| is_comment_or_attribute(line)).count();
    let indent = &lines[at][..lines[at].len() - lines[at].trim_start().len()];
    let close = format!("{indent}}}");
    let in_one_line = lines[at].ends_with('}');
    let end = lines[at..].iter().position(|line| in_one_line || *line == close);
    let below = end.unwrap_or(lines.len() - at - 1);
    Some(lines[at - above..=at + below].join("\n"))
}

fn is_comment_or_attribute(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with("#[")
}

fn is_test_attribute(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("#[test]") || line.starts_with("#[tokio::test")
}

/// Whether a test says that it is about a rule: `M-33` in its text, or `m_33` in its name. A command it must run: its words
/// as arguments one after the other.
fn names_rule(text: &str, name: &str, rule: &str) -> bool {
    if !is_rule(rule) {
        return text.contains(&format!("\"{}\"", rule.replace(' ', "\", \"")));
    }
    let in_name = rule.to_lowercase().replace('-', "_");
    has_word(text, rule) || has_word(&name.replace('_', " "), &in_name.replace('_', " "))
}

/// Whether the word is there, and not as a part of a longer one: `S-1` is not in `S-10`.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// A file with one good test and one function that is none.
const SOURCE: &str = "
// M-33, with more to say
// on a second line
#[test]
fn one() {
    body();
}

#[tokio::test]
async fn m_34_is_in_the_name() {
    assert!(true, \"S-10\");
}

// M-33
fn no_test() {}

#[test]
fn last() {
    body();
}
";

fn problems_of(table: &str, rules: &[&str]) -> Vec<String> {
    problems(table, rules, &mut |path| (path == "a/b.rs").then(|| SOURCE.to_owned()))
}

#[test]
fn a_true_table_has_no_problems() {
    let table = "| Rule | Tests |\n|---|---|\n| M-33 | `a/b.rs::one` |\n| M-34 | `a/b.rs::m_34_is_in_the_name` |\n\
        | S-10 | `a/b.rs::m_34_is_in_the_name` |\n| M-100 | not yet: later: updates |\n";
    assert_eq!(problems_of(table, &["M-33", "M-34", "S-10", "M-100"]), Vec::<String>::new());
}

#[test]
fn a_command_is_covered_by_a_test_that_runs_it() {
    let source = "#[test]\nfn runs() {\n    run(&[\"secret\", \"set\", \"f\"]);\n}\n";
    let found = |table: &str| problems(table, &["secret set"], &mut |_| Some(source.to_owned()));
    assert_eq!(found("| `secret set` | `a/b.rs::runs` |\n"), Vec::<String>::new());
    assert_eq!(found("| Command | Tests |\n"), ["secret set: is not listed"]);
    let other = "| `secret set` | `a/b.rs::runs` |\n| `secret get` | `a/b.rs::runs` |\n";
    let expected = ["secret get: no such rule", "secret get: `a/b.rs::runs` does not name the rule"];
    assert_eq!(found(other), expected);
}

#[test]
fn missing_double_and_invented_rules_are_all_reported_at_once() {
    let table = "| M-33 | `a/b.rs::one` |\n| M-33 | `a/b.rs::one` |\n| M-99 | not yet: why |\n";
    let expected = ["M-1: is not listed", "M-33: is listed 2 times", "M-99: no such rule"];
    assert_eq!(problems_of(table, &["M-1", "M-33"]), expected);
}

#[test]
fn a_row_needs_a_test_or_a_reason() {
    for covers in ["", "not yet", "not yet:", "a/b.rs::one"] {
        let found = problems_of(&format!("| M-33 | {covers} |\n"), &["M-33"]);
        assert_eq!(found, ["M-33: neither a test nor `not yet: reason`"], "{covers}");
    }
}

#[test]
fn a_named_test_is_there_is_a_test_and_names_the_rule() {
    for (rule, test, expected) in [
        ("M-33", "a/none.rs::one", "is in a file that is not there"),
        ("M-33", "one", "is not written as path::test"),
        ("M-33", "a/b.rs::on", "is not there: no `fn on(` in the file"),
        ("M-33", "a/b.rs::no_test", "is a function but no test"),
        ("M-34", "a/b.rs::one", "does not name the rule"),
        ("M-33", "a/b.rs::last", "does not name the rule"),
        ("S-1", "a/b.rs::m_34_is_in_the_name", "does not name the rule"),
        ("M-3", "a/b.rs::m_34_is_in_the_name", "does not name the rule"),
        ("L-1", "a/b.rs::one", "does not name the rule"),
    ] {
        let found = problems_of(&format!("| {rule} | `a/b.rs::one`, `{test}` |\n"), &[]);
        assert!(found.contains(&format!("{rule}: `{test}` {expected}")), "{found:?}");
    }
}

#[test]
fn an_improvement_needs_a_test_that_names_it_and_each_rule_a_row() {
    let found = |rows: &str, improved: &[&str]| {
        let readme =
            format!("## Rules\n| X-9 | no improvement | - |\n{BETTER}\n| Rules | Better | Tests |\n{rows}");
        better_problems(&readme, improved, &mut |path| (path == "a/b.rs").then(|| SOURCE.to_owned()))
    };
    let good = "| M-34, S-10 | what | `a/b.rs::m_34_is_in_the_name` |\n| M-33 | x | not yet: later |\n";
    assert_eq!(found(good, &["M-33", "M-34", "S-10"]), Vec::<String>::new());
    assert_eq!(found(good, &["X-9"]), ["X-9: is improved and not listed"]);
    let foreign = "| M-33 | what | `a/b.rs::last`, `a/b.rs::one` |\n";
    assert_eq!(found(foreign, &[]), ["M-33: `a/b.rs::last` does not name the rule"]);
    let half = "| M-33, M-34 | what | `a/b.rs::one` |\n| M-33 | what | not yet: |\n";
    let expected = ["M-34: no test of its row names it", "M-33: neither a test nor `not yet: reason`"];
    assert_eq!(found(half, &[])[..2], expected);
    assert_eq!(
        found("| M-33 | what | `a/c.rs::one` |\n", &[])[0],
        "M-33: `a/c.rs::one` is in a file that is not there"
    );
}

#[test]
fn a_document_that_names_a_test_which_is_gone_is_told() {
    let mut read = |path: &str| (path == "a/b.rs").then(|| SOURCE.to_owned());
    let text = "kept by `a/b.rs::one`, `some code` and `a/b.rs::gone`";
    assert_eq!(named_tests(text, &mut read), ["`a/b.rs::gone` is not there: no `fn gone(` in the file"]);
}
