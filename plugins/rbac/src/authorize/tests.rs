//! Each permission beside its refusal.

use super::*;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// A role as the manifest writes it: name, type, names, actions.
struct Held(&'static str, &'static str, Vec<String>, Vec<String>);

fn held(name: &'static str, resource_type: &'static str, resources: &[&str], actions: &[&str]) -> Held {
    Held(name, resource_type, names(resources), names(actions))
}

fn ask(roles: &[Held], action: &str, resource_type: &str, resources: &[&str]) -> Result<(), Denial> {
    let roles: Vec<Role<'_>> = roles
        .iter()
        .map(|Held(name, resource_type, resource_names, actions)| Role {
            name,
            resource_type,
            resource_names,
            actions,
        })
        .collect();
    let resource_names = &names(resources);
    authorize(&Request { user: "ops", roles: &roles, action, resource_type, resource_names })
}

#[test]
fn a_user_with_the_role_may_read_the_secret_and_no_other() {
    let roles = [held("r", "Secrets", &["a"], &["ReadSecret"])];
    assert_eq!(ask(&roles, "ReadSecret", "Secrets", &["a"]), Ok(()));
    let denial = ask(&roles, "ReadSecret", "Secrets", &["b"]).unwrap_err();
    assert_eq!(denial.code, "no-role");
    assert_eq!(denial.resources, ["b"]);
}

#[test]
fn a_user_without_roles_is_refused_everything() {
    for (action, resource_type, resources) in [
        ("ReadSecret", "Secrets", &["a"][..]),
        ("ReadSecret", "Secrets", &["a", "b"]),
        ("ReadSecret", "Secrets", &[]),
        ("UpdateSecurityVersion", "Packages", &[]),
        ("UpdateManifest", "Manifest", &[]),
    ] {
        assert!(ask(&[], action, resource_type, resources).is_err(), "{action} {resources:?}");
    }
}

#[test]
fn a_role_for_one_action_does_not_allow_another() {
    let roles = [held("r", "Secrets", &["a"], &["ReadSecret"])];
    assert!(ask(&roles, "WriteSecret", "Secrets", &["a"]).is_err());
    assert!(ask(&roles, "ReadSecre", "Secrets", &["a"]).is_err());
    assert!(ask(&roles, "ReadSecrets", "Secrets", &["a"]).is_err());
    assert!(ask(&roles, "", "Secrets", &["a"]).is_err());
}

// M-60
#[test]
fn a_package_role_allows_its_packages_and_no_secret_of_the_same_name() {
    let roles = [held("r", "Packages", &["a"], &["UpdateSecurityVersion"])];
    assert_eq!(ask(&roles, "UpdateSecurityVersion", "Packages", &["a"]), Ok(()));
    assert!(ask(&roles, "UpdateSecurityVersion", "Packages", &["a", "b"]).is_err());
    assert!(ask(&roles, "UpdateSecurityVersion", "Secrets", &["a"]).is_err());
}

// X-66, M-60, M-61, M-62
#[test]
fn actions_ignore_case_and_resource_types_and_names_do_not() {
    let roles = [held("r", "Secrets", &["a"], &["rEADsECRET"])];
    assert_eq!(ask(&roles, "ReadSecret", "Secrets", &["a"]), Ok(()));
    assert!(ask(&roles, "ReadSecret", "secrets", &["a"]).is_err());
    assert!(ask(&roles, "ReadSecret", "Secrets", &["A"]).is_err());
    // U+017F is an s to Unicode, not to ASCII.
    assert!(ask(&roles, "Read\u{17f}ecret", "Secrets", &["a"]).is_err());
}

// M-61
#[test]
fn one_refused_name_refuses_the_request_and_only_it_is_named() {
    let roles = [held("r", "Secrets", &["a", "c", "e"], &["ReadSecret"])];
    let denial = ask(&roles, "ReadSecret", "Secrets", &["a", "b", "c", "d"]).unwrap_err();
    assert_eq!(denial.resources, ["b", "d"]);
    assert_eq!(denial.message, "no role of user ops allows ReadSecret on Secrets: b, d");
}

#[test]
fn roles_add_up_over_the_names_of_one_request() {
    let roles = [
        held("one", "Secrets", &["a"], &["ReadSecret"]),
        held("two", "Secrets", &["b"], &["WriteSecret", "ReadSecret"]),
        held("three", "Secrets", &["c"], &["WriteSecret"]),
    ];
    assert_eq!(ask(&roles, "ReadSecret", "Secrets", &["a", "b"]), Ok(()));
    let denial = ask(&roles, "ReadSecret", "Secrets", &["a", "b", "c"]).unwrap_err();
    assert_eq!(denial.resources, ["c"]);
}

#[test]
fn a_name_and_an_action_of_different_roles_do_not_join() {
    let roles = [held("names", "Secrets", &["a"], &[]), held("actions", "Secrets", &[], &["ReadSecret"])];
    assert!(ask(&roles, "ReadSecret", "Secrets", &["a"]).is_err());
    let types = [
        held("names", "Secrets", &["a"], &["ReadSecret"]),
        held("types", "Packages", &["b"], &["ReadSecret"]),
    ];
    assert!(ask(&types, "ReadSecret", "Secrets", &["a", "b"]).is_err());
}

// M-64
#[test]
fn a_role_without_actions_allows_nothing() {
    assert!(ask(&[held("r", "Manifest", &[], &[])], "UpdateManifest", "Manifest", &[]).is_err());
    assert!(ask(&[held("r", "Secrets", &["a"], &[])], "ReadSecret", "Secrets", &["a"]).is_err());
}

// M-62
#[test]
fn an_action_on_the_manifest_needs_no_names_and_stands_at_any_position() {
    let roles = [held("r", "Manifest", &[], &["ReadAudit", "UpdateManifest"])];
    assert_eq!(ask(&roles, "UpdateManifest", "Manifest", &[]), Ok(()));
    assert_eq!(ask(&roles, "ReadAudit", "Manifest", &[]), Ok(()));
    let denial = ask(&roles, "Backup", "Manifest", &[]).unwrap_err();
    assert_eq!(denial.message, "no role of user ops allows Backup on Manifest");
    assert!(denial.resources.is_empty());
    assert!(ask(&roles, "UpdateManifest", "Manifest", &["x"]).is_err());
}

// M-100
#[test]
fn a_request_without_names_needs_the_bare_permission() {
    let roles = [held("r", "Packages", &["a"], &["UpdateSecurityVersion"])];
    assert_eq!(ask(&roles, "UpdateSecurityVersion", "Packages", &[]), Ok(()));
    assert!(ask(&roles, "ReadSecret", "Secrets", &[]).is_err());
    assert!(ask(&roles, "UpdateManifest", "Packages", &[]).is_err());
}

#[test]
fn unsorted_and_repeated_names_are_decided_the_same() {
    let roles = [held("r", "Secrets", &["c", "a"], &["ReadSecret"])];
    assert_eq!(ask(&roles, "ReadSecret", "Secrets", &["c", "a", "c"]), Ok(()));
    let denial = ask(&roles, "ReadSecret", "Secrets", &["z", "c", "b", "z", "a"]).unwrap_err();
    assert_eq!(denial.resources, ["b", "z"]);
}

#[test]
fn a_message_names_a_bounded_number_of_resources_and_the_denial_all() {
    let wanted: Vec<String> = (0..NAMED_IN_MESSAGE + 2).map(|index| format!("s{index:02}")).collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let denial = ask(&[], "ReadSecret", "Secrets", &wanted).unwrap_err();
    assert!(denial.message.ends_with(", s15 and 2 more"), "{}", denial.message);
    assert_eq!(denial.resources, wanted);
    let denial = ask(&[], "ReadSecret", "Secrets", &wanted[..NAMED_IN_MESSAGE]).unwrap_err();
    assert!(denial.message.ends_with(", s15"), "{}", denial.message);
}

#[test]
fn the_hint_names_the_role_to_extend_or_the_role_to_give() {
    let roles = [held("reader", "Secrets", &["a"], &["ReadSecret"])];
    assert_eq!(
        ask(&roles, "ReadSecret", "Secrets", &["b"]).unwrap_err().hint,
        "Add what is missing to ResourceNames of role reader in the manifest, or give ops another role with \
         ResourceType Secrets and action ReadSecret that lists what is missing."
    );
    assert_eq!(
        ask(&roles, "UpdateManifest", "Manifest", &[]).unwrap_err().hint,
        "Give ops a role of the manifest with ResourceType Manifest and action UpdateManifest."
    );
}
