//! Policies over documents, natively.

use carrara_policy_language::{Place, check, decide, validate};
use serde_json::json;

use super::Rego;

fn settings(text: &str) -> String {
    json!(text).to_string()
}

#[test]
fn what_does_not_parse_or_answers_nothing_is_refused_at_its_place() {
    for (text, line, column, message) in [
        ("package a\ndeny contains msg if {\n  msg := \n}", 3, 7, "expecting `}` while parsing set"),
        ("package a\nx := 1", 1, 1, "the policy has neither a rule deny nor a rule allow"),
        ("package a\nallow if { time.now_ns() > 5 }", 2, 23, "could not find function time.now_ns"),
        ("package a\nallow if { http.send({}) }", 2, 21, "could not find function http.send"),
        ("package a[\"b c\"]\nallow if true", 1, 1, "the package's name must be words with dots between"),
        ("deny := 1", 1, 1, "expecting `package` Missing package declaration."),
    ] {
        let errors = check::<Rego>(&settings(text)).unwrap_err();
        assert_eq!(
            (errors[0].place, errors[0].message.as_str()),
            (Place { line, column }, message),
            "{text}"
        );
    }
}

#[test]
fn every_element_of_deny_is_in_the_message() {
    let text = settings(
        "package a\ndeny contains {\"msg\": sprintf(\"no %v\", [x]), \"code\": \"c\"} if { some x in input.names; x != \"ok\" }",
    );
    let denial = decide::<Rego>(&text, &json!({"names": ["ok", "b", "a"]})).unwrap().unwrap();
    assert_eq!((denial.code.as_str(), denial.message.as_str()), ("c", "no a; no b"));
    assert_eq!(decide::<Rego>(&text, &json!({"names": ["ok"]})), Ok(None));
    assert_eq!(validate::<Rego>(&text, &json!({"names": ["bad"]})).unwrap()[0].message, "no bad");
}

#[test]
fn allow_that_is_not_true_denies_and_rules_in_conflict_fail() {
    let text = settings("package a\nallow if input.x == 1");
    assert_eq!(decide::<Rego>(&text, &json!({"x": 1})), Ok(None));
    assert_eq!(decide::<Rego>(&text, &json!({"x": 2})).unwrap().unwrap().code, "not-allowed");
    let text = settings("package a\nallow := 1 if input.x == 1\nallow := 2 if input.x == 1");
    assert!(decide::<Rego>(&text, &json!({"x": 1})).unwrap_err().0.contains("rule conflicts"));
}
