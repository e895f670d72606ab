//! The host's own list about the section `Policies`.

use super::tests::{error, findings};
use super::*;

fn policy(name: &str, world: &str, fields: &str) -> String {
    format!(r#""{name}":{{"World":"{world}","Component":"sha256:{}"{fields}}}"#, "ab".repeat(32))
}

fn policies(entries: &[String]) -> Vec<(Severity, String, String, String)> {
    findings(&format!(r#"{{"Policies":{{{}}}}}"#, entries.join(",")))
}

fn wrong(path: &str, message: &str) -> Vec<(Severity, String, String, String)> {
    error("policies", path, message)
}

// policy.md, In the manifest: "An entry adds; only `Replaces` removes one", "A shadow entry replaces nothing, and a renderer
// cannot be a shadow"
#[test]
fn an_entry_replaces_one_built_in_policy_of_its_own_world_and_no_shadow_does() {
    let authorizer = |fields: &str| vec![policy("p", "role-authorization", fields)];
    assert_eq!(policies(&authorizer(r#","Replaces":"rbac""#)), []);
    assert_eq!(policies(&authorizer(r#","Mode":"shadow""#)), []);
    assert_eq!(
        policies(&authorizer(r#","Replaces":"rback""#)),
        wrong("/Policies/p/Replaces", "policy p replaces rback, which is not built in")
    );
    assert_eq!(
        policies(&authorizer(r#","Replaces":"liquid""#)),
        wrong(
            "/Policies/p/Replaces",
            "policy p is of world role-authorization, but liquid is of world secret-rendering"
        )
    );
    assert_eq!(
        policies(&authorizer(r#","Replaces":"rbac","Mode":"shadow""#)),
        wrong("/Policies/p/Replaces", "policy p is a shadow and would replace rbac")
    );
    assert_eq!(
        policies(&[policy("p", "secret-rendering", r#","Mode":"shadow""#)]),
        wrong("/Policies/p/Mode", "policy p renders, and a renderer cannot be a shadow")
    );
    let both = ["a", "b"].map(|name| policy(name, "role-authorization", r#","Replaces":"rbac""#));
    assert_eq!(policies(&both), wrong("/Policies/b/Replaces", "policies a and b both replace rbac"));
}

// policy.md, In the manifest
#[test]
fn names_settings_and_the_number_of_policies_are_bounded() {
    let named = |name: &str| policies(&[policy(name, "marble-admission", "")]);
    assert_eq!(named(&"n".repeat(64)), []);
    assert_eq!(named("rbac"), wrong("/Policies/rbac", "rbac is the name of a built-in policy"));
    let text = "a policy's name must be 1 to 64 letters, digits and - _ .";
    for name in ["", "a b", "\u{e9}", &"n".repeat(65)] {
        assert_eq!(named(name), wrong(&format!("/Policies/{name}"), text));
    }
    let settings = |bytes: usize| {
        let text = format!(r#","Settings":"{}""#, "x".repeat(bytes - 2));
        policies(&[policy("p", "marble-admission", &text)])
    };
    assert_eq!(settings(256 << 10), []);
    let text = "the settings of policy p have more than 262144 bytes";
    assert_eq!(settings((256 << 10) + 1), wrong("/Policies/p/Settings", text));
    let many = |number: usize| {
        let entries: Vec<_> = (0..number).map(|n| policy(&n.to_string(), "marble-admission", "")).collect();
        policies(&entries)
    };
    assert_eq!(many(64), []);
    assert_eq!(many(65), wrong("/Policies", "65 policies are too many: at most 64 are possible"));
}

// policy.md: "A renderer is chosen per File or Env"
#[test]
fn the_manifest_s_renderers_are_known_and_replaced_ones_are_not() {
    let judged = |renderer: &str, world: &str, fields: &str| {
        let env = format!(r#"{{"E":{{"Data":"","Renderer":"{renderer}"}}}}"#);
        let text = format!(
            r#"{{"Packages":{{"p":{{"UniqueID":"ab"}}}},"Marbles":{{"m":{{"Package":"p","Parameters":{{"Env":{env}}}}}}},
                "Policies":{{{}}}}}"#,
            policy("handlebars", world, fields)
        );
        let manifest = ParsedManifest::parse(text.as_bytes()).unwrap();
        let built_in = ["go-template".to_owned(), "liquid".to_owned()];
        let known = Known { renderers: Some(&built_in), coordinator_names: &[] };
        host_findings(&manifest, &known).len()
    };
    assert_eq!(judged("handlebars", "secret-rendering", ""), 0);
    assert_eq!(judged("liquid", "secret-rendering", ""), 0);
    assert_eq!(judged("mustache", "secret-rendering", ""), 1);
    assert_eq!(judged("handlebars", "marble-admission", ""), 1);
    assert_eq!(judged("liquid", "secret-rendering", r#","Replaces":"liquid""#), 1);
}
