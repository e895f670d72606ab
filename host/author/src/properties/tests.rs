//! Each property holds for a policy that is right and not for one that is wrong in just that.
//!
//! What a component in its engine cannot be, such as different each time, is played by a stand-in; components that break
//! what components can are in `tests/properties.rs`.

use std::cell::Cell;
use std::time::Duration;

use carrara_types::decision::{AuthorizationRequest, Value as FactValue};
use carrara_wasm::SettingsError;

use super::*;
use crate::corpus::samples;
use crate::fake::{Fake, deny};
use crate::question::Answer;

const WORLD: World = World::RoleAuthorization;

fn outcome(name: &str, policy: &Fake) -> Outcome {
    let property = of_world(policy.world()).find(|property| property.name == name).unwrap();
    property.run(policy, "null", &samples(policy.world()))
}

/// An authorizer that denies with a code where `denies`.
fn authorizer(denies: impl Fn(&AuthorizationRequest) -> bool + 'static) -> Fake {
    Fake::new(WORLD, move |_, question| match question {
        Question::Authorization(request) if denies(request) => deny("no"),
        _ => Answer::Allow,
    })
}

fn broken(name: &str, policy: &Fake) -> Counterexample {
    let outcome = outcome(name, policy);
    outcome.broken.unwrap_or_else(|| panic!("{name} holds"))
}

/// What is left of a request after shrinking, without what a request always has.
fn request(counterexample: &Counterexample) -> &Value {
    counterexample.request.as_ref().unwrap()
}

#[test]
fn a_policy_that_is_right_has_all_properties() {
    // As `rbac` does it, in short.
    let right = authorizer(|request| {
        !request.resource_names.iter().all(|name| {
            request.principal.roles.iter().any(|role| {
                role.resource_type == request.resource_type
                    && role.resource_names.contains(name)
                    && role.actions.contains(&request.action)
            })
        })
    });
    for property in of_world(WORLD) {
        let outcome = property.run(&right, "null", &samples(WORLD));
        assert!(outcome.broken.is_none(), "{outcome:?}");
        assert!(outcome.tried > 0, "{}", property.name);
    }
}

#[test]
fn names_are_single_and_each_world_has_its_properties() {
    let names: std::collections::BTreeSet<_> = PROPERTIES.iter().map(|property| property.name).collect();
    assert_eq!(names.len(), PROPERTIES.len());
    let of = |world| of_world(world).map(|property| property.name).collect::<Vec<_>>();
    assert!(of(World::RoleAuthorization).contains(&"fewer-roles"));
    assert!(!of(World::MarbleAdmission).contains(&"fewer-roles"));
    assert!(!of(World::SecretRendering).contains(&"order-independence"));
}

#[test]
fn a_trap_is_found_and_its_request_made_small() {
    let policy = Fake::new(WORLD, |_, question| match question {
        Question::Authorization(request) if request.resource_names.len() > 1 => {
            Answer::Failure("it trapped".to_owned())
        }
        _ => Answer::Allow,
    });
    let found = broken("no-trap", &policy);
    assert!(found.explanation.contains("it trapped"));
    assert_eq!(found.sample.as_deref(), Some("a reader reads two secrets"));
    assert_eq!(request(&found)["resource-names"].as_array().unwrap().len(), 2);
    assert!(request(&found).get("action").is_none(), "{:?}", found.request);
    assert!(request(&found)["principal"].get("roles").is_none(), "{:?}", found.request);
}

#[test]
fn a_policy_that_answers_differently_each_time_is_found() {
    let calls = Cell::new(0);
    let policy = Fake::new(WORLD, move |_, _| {
        calls.set(calls.get() + 1);
        if calls.get() % 3 == 0 { deny("third") } else { Answer::Allow }
    });
    assert!(outcome("determinism", &policy).broken.is_some());
    let fuel = Fake::new(WORLD, |_, _| Answer::Allow).with_fuel(|call| call % 2);
    assert!(broken("determinism", &fuel).explanation.contains("of fuel"));
}

#[test]
fn a_policy_that_looks_at_the_first_name_only_is_found() {
    let policy = authorizer(|request| request.resource_names.first().is_some_and(|name| name == "token"));
    let found = broken("order-independence", &policy);
    assert_eq!(request(&found)["resource-names"].as_array().unwrap().len(), 2);
}

#[test]
fn a_policy_that_counts_facts_is_found() {
    let policy = authorizer(|request| request.context.facts.len() > 2);
    assert!(broken("unknown-facts", &policy).explanation.contains("facts that nobody knows"));
    let first = authorizer(|request| {
        request.context.facts.first().is_some_and(|fact| matches!(fact.value, FactValue::Text(_)))
    });
    broken("unknown-facts", &first);
}

#[test]
fn a_policy_that_breaks_at_a_text_is_found_and_the_text_named() {
    let policy = Fake::new(WORLD, |_, question| match question {
        Question::Authorization(request) if request.action.len() > 50_000 => {
            Answer::Failure("too long".to_owned())
        }
        _ => Answer::Allow,
    });
    let found = broken("hostile-texts", &policy);
    assert!(
        found.explanation.contains("\"xxxx") && found.explanation.contains("60000 bytes"),
        "{}",
        found.explanation
    );
    let zero = Fake::new(WORLD, |_, question| match question {
        Question::Authorization(request) if request.principal.name.contains('\0') => {
            Answer::Failure("zero".to_owned())
        }
        _ => Answer::Allow,
    });
    assert!(broken("hostile-texts", &zero).explanation.contains("\\0"));
}

#[test]
fn hostile_names_reach_validators_in_manifests() {
    let policy = Fake::new(World::ManifestValidation, |_, question| match question {
        Question::Validation(proposal) if proposal.manifest.contains("etc/passwd") => {
            Answer::Failure("path".to_owned())
        }
        _ => Answer::Findings(Vec::new()),
    });
    assert!(outcome("hostile-texts", &policy).broken.is_some());
}

#[test]
fn settings_that_trap_are_refused_without_a_text_or_do_not_work_are_found() {
    let refused =
        |text: &str| Ok(vec![SettingsError { line: 1, column: 1, message: text.to_owned(), hint: None }]);
    let policy = || Fake::new(WORLD, |_, _| Answer::Allow);
    let trap = policy()
        .judging(|settings| if settings == "[]" { Err("it trapped".to_owned()) } else { Ok(Vec::new()) });
    let found = broken("settings", &trap);
    assert_eq!((found.settings.as_str(), found.request.as_ref()), ("[]", None));
    let silent =
        policy().judging(move |settings| if settings == "true" { refused("") } else { Ok(Vec::new()) });
    assert!(broken("settings", &silent).explanation.contains("without a text"));
    let late =
        Fake::new(
            WORLD,
            |settings, _| if settings == "{}" { Answer::Failure("late".to_owned()) } else { Answer::Allow },
        );
    let found = broken("settings", &late);
    assert!(found.explanation.contains("accepted, and then") && found.request.is_some());
    let strict = late_but_strict();
    assert!(outcome("settings", &strict).broken.is_none());
}

/// Fails with settings other than null, all of which it refuses.
fn late_but_strict() -> Fake {
    let error = || SettingsError { line: 1, column: 1, message: "none".to_owned(), hint: None };
    Fake::new(WORLD, |settings, _| match settings {
        "null" => Answer::Allow,
        _ => Answer::Failure("late".to_owned()),
    })
    .judging(move |settings| Ok(if settings == "null" { Vec::new() } else { vec![error()] }))
}

#[test]
fn a_policy_that_takes_more_than_half_of_fuel_or_time_is_found() {
    let policy = || Fake::new(WORLD, |_, _| Answer::Allow);
    let fuel = policy().with_fuel(|_| 250_000_001);
    assert!(broken("limits", &fuel).explanation.contains("250000001 of fuel"));
    assert!(outcome("limits", &policy().with_fuel(|_| 250_000_000)).broken.is_none());
    let slow = policy().with_duration(Duration::from_millis(1001));
    assert!(broken("limits", &slow).explanation.contains("1001 ms"));
    for world in World::ALL {
        let policy = Fake::new(world, |_, _| Answer::Allow);
        assert_eq!(outcome("limits", &policy).tried, 1, "{world}");
    }
}

#[test]
fn a_policy_of_office_hours_is_told_about() {
    let policy = authorizer(|request| request.context.now % 86_400 >= 17 * 3600);
    let found = outcome("time-shift", &policy);
    assert_eq!(found.class, Class::Advisory);
    assert!(found.broken.unwrap().explanation.contains("6 hours later"));
}

#[test]
fn a_policy_that_lets_those_with_fewer_roles_do_more_is_told_about() {
    let policy = authorizer(|request| request.principal.roles.iter().any(|role| role.name == "reader"));
    let found = broken("fewer-roles", &policy);
    assert!(found.explanation.contains("without any role"), "{}", found.explanation);
    let names =
        authorizer(|request| request.principal.roles.iter().any(|role| role.resource_names.len() == 2));
    broken("fewer-roles", &names);
}
