//! Policies over documents, natively.

use carrara_policy_language::{Place, check, decide};
use serde_json::json;

use super::Cedar;

#[test]
fn what_does_not_parse_is_refused_at_its_place_and_templates_are() {
    for (text, line, column) in [
        ("permit(principal, action, resource);\n  permit(principal;", 2, 19),
        ("permit(principal == ?principal, action, resource);", 1, 1),
    ] {
        let errors = check::<Cedar>(&json!(text).to_string()).unwrap_err();
        assert_eq!(errors[0].place, Place { line, column }, "{text}");
    }
}

#[test]
fn each_name_is_asked_for_and_what_is_refused_is_named() {
    let policies = json!("permit(principal, action, resource == Secrets::\"a\");").to_string();
    let request = |names: &[&str]| json!({"principal": {"name": "ann"}, "action": "ReadSecret", "resource_type": "Secrets", "resource_names": names});
    assert_eq!(decide::<Cedar>(&policies, &request(&["a"])), Ok(None));
    let denial = decide::<Cedar>(&policies, &request(&["a", "b"])).unwrap().unwrap();
    assert_eq!((denial.code.as_str(), denial.resources), ("not-permitted", vec!["b".to_owned()]));
}
