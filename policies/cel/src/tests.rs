//! Expressions over documents, natively.

use carrara_policy_language::{Denial, Place, check, decide, validate};
use serde_json::{Value, json};

use super::Cel;

fn settings(text: &str) -> String {
    json!(text).to_string()
}

fn decided(text: &str, request: &Value) -> Result<Option<Denial>, String> {
    decide::<Cel>(&settings(text), request).map_err(|failure| failure.0)
}

#[test]
fn what_does_not_parse_or_is_not_there_is_refused_at_its_place() {
    for (text, line, column, message) in [
        ("a +", 1, 4, "Syntax error: mismatched input '<EOF>'"),
        ("\n  request.action ==\n  ) x", 3, 3, "Syntax error: extraneous input ')'"),
        ("foo == 1", 1, 1, "unknown name: foo"),
        ("request.nope()", 1, 13, "unknown name: nope()"),
        ("'ä' == '' && nope", 1, 14, "unknown name: nope"),
        ("[1,2].all(x, y)", 1, 14, "unknown name: y"),
    ] {
        let errors = check::<Cel>(&settings(text)).unwrap_err();
        assert_eq!(
            (errors[0].place, errors[0].message.as_str()),
            (Place { line, column }, message),
            "{text}"
        );
    }
    assert!(check::<Cel>(&settings("[1, 2].all(x, x > 0)")).is_ok());
}

#[test]
fn only_true_allows() {
    let text = "request.now - 5 > 2 && request.x.all(a, a == 'b')";
    assert_eq!(decided(text, &json!({"now": 8, "x": ["b"]})), Ok(None));
    let denial = decided(text, &json!({"now": 7, "x": ["b"]})).unwrap().unwrap();
    assert_eq!(denial.code, "cel");
    assert_eq!(decided("request.nope", &json!({})), Err("No such key: nope".to_owned()));
    assert_eq!(decided("1", &json!({})), Err("the expression is no truth value but int".to_owned()));
}

#[test]
fn a_manifest_is_a_variable_of_its_own() {
    let proposal = json!({"manifest": {"a": 1}});
    assert_eq!(validate::<Cel>(&settings("manifest.a == 1"), &proposal), Ok(Vec::new()));
    assert_eq!(validate::<Cel>(&settings("manifest.a == 2"), &proposal).unwrap().len(), 1);
}
