//! The section Policies.

use super::*;

// policy.md, In the manifest: "only `Replaces` removes one, which the validator reports as a warning"
#[test]
fn a_policy_that_replaces_a_built_in_one_is_a_warning_and_one_that_adds_is_none() {
    let judged = |fields: &str| {
        let text = format!(
            r#"{{"Packages":{{"p":{{"UniqueID":"ab"}}}},"Marbles":{{"m":{{"Package":"p"}}}},"Policies":{{"corp":{{
                "World":"role-authorization","Component":"sha256:{}"{fields}}}}}}}"#,
            "ab".repeat(32)
        );
        let found = validate("initial", &text);
        found.into_iter().map(|f| (f.severity, f.code, f.path, f.message)).collect::<Vec<_>>()
    };
    assert_eq!(judged(""), []);
    let message = "policy corp replaces rbac, which is not asked any more".to_owned();
    let path = "/Policies/corp/Replaces".to_owned();
    assert_eq!(judged(r#","Replaces":"rbac""#), [(Severity::Warning, "policies".to_owned(), path, message)]);
}
