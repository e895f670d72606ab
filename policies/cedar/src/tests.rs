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
fn an_attribute_of_a_role_is_there_however_a_policy_names_it() {
    let request = json!({"principal": {"name": "ann", "roles": [{"name": "r", "resource_type": "Secrets", "resource_names": ["a"], "actions": ["read"]}]},
        "action": "ReadSecret", "resource_type": "Secrets", "resource_names": ["a"]});
    for (condition, permitted) in [
        ("Role::\"r\".resource_names.contains(\"a\")", true),
        ("Role::\"r\"[\"resource_names\"].contains(\"a\")", true),
        ("Role::\"r\"[\"\\u{72}esource_names\"].contains(\"a\")", true),
        ("Role::\"r\" has actions && Role::\"r\".actions.contains(\"read\")", true),
        ("Role::\"r\" has resource_type && Role::\"r\".resource_type == \"Packages\"", false),
        ("Role::\"r\" has name", false),
    ] {
        let policies =
            json!(format!("permit(principal, action, resource) when {{ {condition} }};")).to_string();
        assert_eq!(decide::<Cedar>(&policies, &request).unwrap().is_none(), permitted, "{condition}");
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
