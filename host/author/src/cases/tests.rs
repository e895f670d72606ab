use std::path::Path;

use carrara_types::decision::{Finding, Severity};
use serde_json::{Value, json};

use super::*;
use crate::fake::{Fake, deny};
use crate::pack::template;
use crate::question::RenderError;

fn parse(text: &str) -> Result<CaseTable, CasesError> {
    CaseTable::parse(text, Path::new("dir/cases.yaml"))
}

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

/// An authorizer's table with this one case.
fn case(expect: &str) -> Case {
    let text =
        format!("world: role-authorization\ncases:\n  - name: n\n    request: {{}}\n    expect: {expect}\n");
    parse(&text).unwrap().cases.remove(0)
}

fn ran(case: &Case, answer: Answer) -> CaseOutcome {
    let fake = Fake::new(World::RoleAuthorization, move |_, _| answer.clone());
    run(&fake, case, &mut JudgedSettings::default())
}

#[test]
fn the_tables_of_new_projects_are_read() {
    for world in World::ALL {
        let table = parse(template(&format!("cases/{world}.yaml")).unwrap()).unwrap();
        assert_eq!((table.world, table.settings.as_str()), (world, "null"));
        assert!(table.cases.iter().all(|case| case.question.as_ref().unwrap().world() == world));
    }
}

#[test]
fn settings_of_a_case_go_before_those_of_the_table_and_null_is_settings_too() {
    let table = parse(
        "world: role-authorization
settings:
  b: [1, x]
  a: |
    two
    lines
cases:
  - {name: one, request: {action: ReadSecret}, expect: allow}
  - {name: two, settings: null, request: {}, expect: failure}
  - {name: three, settings: text, request: {}, expect: {deny: {}}}
",
    )
    .unwrap();
    let settings: Vec<&str> = table.cases.iter().map(|case| case.settings.as_str()).collect();
    let first: Value = serde_json::from_str(settings[0]).unwrap();
    assert_eq!(first, json!({ "a": "two\nlines\n", "b": [1, "x"] }));
    assert_eq!(settings[1..], ["null", "\"text\""]);
    assert_eq!((table.cases[0].line, table.cases[2].line), (8, 10));
    let Some(Question::Authorization(request)) = &table.cases[0].question else { panic!() };
    assert_eq!(request.action, "ReadSecret");
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_column() {
    let table = |case: &str| format!("world: role-authorization\ncases:\n  - name: n\n{case}");
    for (text, place, part) in [
        (table("    request:\n      verb: x\n    expect: allow\n"), "5:7", "verb"),
        (table("    request:\n      context: {now: soon}\n    expect: allow\n"), "5:22", "u64"),
        (table("    request:\n      principal:\n        roles:\n          - name: r\n            nope: 1\n    expect: allow\n"), "8:13", "nope"),
        (table("    request: {}\n    expect: maybe\n"), "5:13", "maybe"),
        (table("    request: {}\n    expect: {findings: []}\n"), "5:13", "answer with `allow` or `deny`"),
        (table("    request: {}\n    expect: {deny: {kode: x}}\n"), "5:21", "kode"),
        (table("    expect: allow\n"), "3:5", "request"),
        (table("    request: {}\n    expect: allow\n  - name: n\n    request: {}\n    expect: allow\n"), "6:11", "already"),
        ("world: role-authorization\ncases: []\n".to_owned(), "2:8", "no cases"),
        ("world: roles\ncases: []\n".to_owned(), "1:8", "roles"),
        ("world: role-authorization\ncases: [\n".to_owned(), "2:8", "unclosed"),
        ("world: manifest-validation\ncases:\n  - name: n\n    request:\n      change: initial\n      manifest: {Packages: 1}\n    expect: allow\n".to_owned(), "6:17", "is no manifest"),
        ("world: manifest-validation\ncases:\n  - name: n\n    request:\n      change: initial\n      manifest: nowhere.json\n    expect: allow\n".to_owned(), "6:17", "nowhere.json"),
        ("world: secret-rendering\ncases:\n  - name: n\n    request:\n      secret: []\n    expect: failure\n".to_owned(), "5:15", "secret"),
    ] {
        let error = refusal(&text);
        assert!(error.starts_with(&format!("dir/cases.yaml:{place}: ")), "{error}\n{text}");
        assert!(error.contains(part) && !error.contains(" at line "), "{error}");
    }
}

#[test]
fn a_manifest_is_looked_for_beside_the_table() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.json"), r#"{"Packages":{"p":{"Debug":true}}}"#).unwrap();
    let path = folder.path().join("cases.yaml");
    let text = "world: manifest-validation\ncases:\n  - {name: n, request: {manifest: m.json}, expect: {findings: []}}\n";
    std::fs::write(&path, text).unwrap();
    let table = CaseTable::read(&path).unwrap();
    assert!(
        matches!(&table.cases[0].question, Some(Question::Validation(proposal)) if proposal.manifest.contains("Debug"))
    );
    let missing = CaseTable::read(&folder.path().join("none.yaml")).unwrap_err().to_string();
    assert!(missing.contains("none.yaml"), "{missing}");
}

#[test]
fn an_answer_passes_or_fails_by_what_is_said_of_it() {
    assert!(ran(&case("allow"), Answer::Allow).passed());
    assert!(!ran(&case("allow"), deny("c")).passed());
    assert!(!ran(&case("{deny: {}}"), Answer::Allow).passed());
    for pattern in ["{}", "{code: c}", "{code: c, message: m, resources: []}"] {
        assert!(ran(&case(&format!("{{deny: {pattern}}}")), deny("c")).passed(), "{pattern}");
    }
    for (pattern, what) in [
        ("{code: d}", "code"),
        ("{message: M}", "message"),
        ("{hint: h}", "hint"),
        ("{resources: [a]}", "resources"),
    ] {
        let outcome = ran(&case(&format!("{{deny: {pattern}}}")), deny("c"));
        assert_eq!(outcome.differences.len(), 1);
        assert_eq!(outcome.differences[0].what, what);
    }
    let code = &ran(&case("{deny: {code: d}}"), deny("c")).differences[0];
    assert_eq!((code.expected.as_str(), code.got.as_str()), ("\"d\"", "\"c\""));
}

#[test]
fn a_failure_is_a_trap_or_an_uncaught_error_and_nothing_else_expects_a_trap() {
    let trap = Answer::Failure("it trapped".to_owned());
    assert!(
        ran(&case("failure"), trap.clone()).passed() && ran(&case("failure"), deny("policy-error")).passed()
    );
    assert!(!ran(&case("failure"), deny("c")).passed() && !ran(&case("failure"), Answer::Allow).passed());
    assert!(!ran(&case("{deny: {}}"), trap.clone()).passed() && !ran(&case("allow"), trap).passed());
}

#[test]
fn findings_are_compared_in_number_order_and_what_is_said_of_each() {
    let finding = |severity, code: &str| Finding {
        severity,
        code: code.to_owned(),
        path: "/p".to_owned(),
        message: "m".to_owned(),
        hint: Some("h".to_owned()),
    };
    let found = vec![finding(Severity::Error, "a"), finding(Severity::Warning, "b")];
    let differences = |expect: &str, found: &[Finding]| {
        let text =
            format!("world: manifest-validation\ncases: [{{name: n, request: {{}}, expect: {expect}}}]\n");
        let case = parse(&text).unwrap().cases.remove(0);
        compare::answer(&case.expected, &Answer::Findings(found.to_vec()))
    };
    assert!(differences("{findings: [{severity: error, code: a}, {path: /p, hint: h}]}", &found).is_empty());
    let swapped = differences("{findings: [{code: b}, {code: a}]}", &found);
    assert_eq!(swapped[1].what, "findings[1].code");
    assert_eq!(differences("{findings: [{code: a}]}", &found)[0].what, "findings");
    assert_eq!(differences("{findings: []}", &found).len(), 1);
    assert_eq!(differences("allow", &found).len(), 1, "an error refuses");
    assert!(differences("allow", &found[1..]).is_empty(), "a warning does not");
}

#[test]
fn rendered_texts_and_errors_of_templates_are_compared() {
    let expected = |expect: &str| {
        let text =
            format!("world: secret-rendering\ncases: [{{name: n, request: {{}}, expect: {expect}}}]\n");
        parse(&text).unwrap().cases.remove(0).expected
    };
    let rendered = Answer::Rendered(vec!["a".to_owned(), "b".to_owned()]);
    assert!(compare::answer(&expected("{rendered: [a, b]}"), &rendered).is_empty());
    assert_eq!(compare::answer(&expected("{rendered: [a, c]}"), &rendered)[0].what, "rendered[1]");
    assert_eq!(compare::answer(&expected("{rendered: [a]}"), &rendered)[0].what, "rendered.length");
    let error = Answer::RenderError(RenderError { line: 3, ..RenderError::default() });
    assert!(compare::answer(&expected("{render-error: {line: 3, template: 0}}"), &error).is_empty());
    assert_eq!(compare::answer(&expected("{render-error: {line: 4}}"), &error)[0].what, "line");
}

#[test]
fn settings_that_the_policy_refuses_fail_a_case_unless_that_is_expected() {
    let fake = Fake::new(World::RoleAuthorization, |_, _| Answer::Allow).judging(|settings| match settings {
        "1" => Ok(vec![SettingsError { line: 2, column: 3, message: "no".to_owned(), hint: None }]),
        "2" => Err("it trapped".to_owned()),
        _ => Ok(Vec::new()),
    });
    let outcome = |settings: u32, expect: &str| {
        let text = format!(
            "world: role-authorization\ncases: [{{name: n, settings: {settings}, request: {{}}, expect: {expect}}}]\n"
        );
        run(&fake, &parse(&text).unwrap().cases[0], &mut JudgedSettings::default())
    };
    let refused = outcome(1, "allow");
    assert!(!refused.passed() && refused.answer.is_none());
    assert!(refused.differences[0].got.contains("2:3: no"), "{:?}", refused.differences);
    assert!(outcome(1, "{refused-settings: []}").passed(), "whatever the errors are");
    assert!(outcome(1, "{refused-settings: [{line: 2, column: 3, message: no}]}").passed());
    assert!(!outcome(1, "{refused-settings: [{line: 1}]}").passed());
    assert!(!outcome(1, "{refused-settings: [{}, {}]}").passed());
    assert!(!outcome(0, "{refused-settings: []}").passed() && !outcome(2, "{refused-settings: []}").passed());
    assert!(outcome(0, "allow").passed());
}

#[test]
fn settings_are_judged_once_for_each_text() {
    let count = std::rc::Rc::new(std::cell::Cell::new(0));
    let counter = std::rc::Rc::clone(&count);
    let fake = Fake::new(World::RoleAuthorization, |_, _| Answer::Allow).judging(move |_| {
        counter.set(counter.get() + 1);
        Ok(Vec::new())
    });
    let (mut judged, mut tally) = (JudgedSettings::default(), Tally::default());
    for expect in ["allow", "allow", "failure"] {
        tally.count(&run(&fake, &case(expect), &mut judged));
    }
    assert_eq!((count.get(), tally), (1, Tally { passed: 2, failed: 1 }));
}
