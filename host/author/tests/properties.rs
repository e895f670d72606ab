//! Properties, tables and comparisons of real components: built-in ones, and some that are wrong in one thing.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use carrara_author::cases::{CaseTable, JudgedSettings, run};
use carrara_author::corpus::{generated, samples};
use carrara_author::diff::{Side, compare};
use carrara_author::properties::{Class, Outcome, of_world};
use carrara_wasm::{PolicySource, Trial, World};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WORLD: World = World::RoleAuthorization;

/// Where the request's fields lie, from its address: facts, roles, action, names (each a pointer and a length).
const FACTS: &str = "(i32.load offset=28 (local.get 0))";
const ROLES: &str = "(i32.load offset=52 (local.get 0))";
const ACTION: &str = "(i32.load offset=60 (local.get 0))";
const NAMES: &str = "(i32.load offset=76 (local.get 0))";

/// With the code and the message `E1`.
const DENY: &str = r#"(data (i32.const 4000) "E1")
(func $misbehave (result i32)
  (i32.store (i32.const 3072) (i32.const 1))
  (i32.store offset=4 (i32.const 3072) (i32.const 4000))
  (i32.store offset=8 (i32.const 3072) (i32.const 2))
  (i32.store offset=12 (i32.const 3072) (i32.const 4000))
  (i32.store offset=16 (i32.const 3072) (i32.const 2))
  (i32.const 3072))"#;
const TRAP: &str = "(func $misbehave (result i32) (unreachable))";
const LOOP: &str = "(func $misbehave (result i32) (loop $forever (br $forever)) (unreachable))";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// An authorizer that allows, but where the condition holds.
fn authorizer(condition: &str, misbehave: &str) -> Trial {
    let prelude = std::fs::read_to_string(root().join("tests/hostile/authorizer.prelude.wat")).unwrap();
    let asks = "(i64.eq (i64.load offset=8 (local.get 0)) (i64.const 666))";
    assert!(prelude.contains(asks));
    component(&format!("{}{misbehave}", prelude.replace(asks, condition)))
}

fn component(fields: &str) -> Trial {
    let mut module = wat::parse_str(format!("(module {fields})")).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some(WORLD.name())).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    let component = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    Trial::load(PolicySource::new("tried", WORLD, component)).unwrap()
}

fn rbac() -> Trial {
    let path = root().join("target/guests/rbac.wasm");
    let component = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run cargo xtask guests", path.display()));
    Trial::load(PolicySource::new("rbac", WORLD, component)).unwrap()
}

fn outcome(name: &str, trial: &Trial) -> Outcome {
    of_world(WORLD).find(|property| property.name == name).unwrap().run(trial, "null", &samples(WORLD))
}

fn assert_broken(name: &str, trial: &Trial, part: &str) {
    let broken = outcome(name, trial).broken.unwrap_or_else(|| panic!("{name} holds"));
    assert!(broken.explanation.contains(part), "{name}: {}", broken.explanation);
}

#[test]
fn the_built_in_authorizer_has_every_property_also_on_generated_requests() {
    let trial = rbac();
    let mut tried = samples(WORLD);
    tried.extend(generated(&tried, 1, 40));
    for property in of_world(WORLD) {
        let outcome = property.run(&trial, "null", &tried);
        assert!(outcome.broken.is_none(), "{outcome:?}");
    }
}

#[test]
fn a_component_that_is_wrong_in_one_thing_is_found() {
    let more = |list: &str, count: u32| format!("(i32.gt_u {list} (i32.const {count}))");
    assert_broken("no-trap", &authorizer(&more(NAMES, 1), TRAP), "trapped");
    assert_broken("unknown-facts", &authorizer(&more(FACTS, 2), DENY), "nobody knows\ndeny E1");
    assert_broken("hostile-texts", &authorizer(&more(ACTION, 50_000), TRAP), "60000 bytes");
    assert_broken("limits", &authorizer(&more(NAMES, 500), LOOP), "ran out of fuel");
    let noon = "(i64.gt_u (i64.load offset=8 (local.get 0)) (i64.const 1768490000))";
    assert_broken("time-shift", &authorizer(noon, DENY), "hours later\ndeny E1");
    assert_broken("fewer-roles", &authorizer(&more(ROLES, 0), DENY), "without any role");
    // The length of the first name, where there are two.
    let first = format!(
        "(if (result i32) {} (then (i32.eq (i32.load offset=4 (i32.load offset=72 (local.get 0))) (i32.const 5))) (else (i32.const 0)))",
        more(NAMES, 1)
    );
    assert_broken("order-independence", &authorizer(&first, DENY), "the other way round\ndeny E1");
}

#[test]
fn a_component_that_traps_on_odd_settings_is_found() {
    let prelude = std::fs::read_to_string(root().join("tests/hostile/authorizer.prelude.wat")).unwrap();
    let check = "(param i32 i32) (result i32) (i32.const 1024))";
    assert!(prelude.contains(check));
    let trap = "(param i32 i32) (result i32) (if (i32.gt_u (local.get 1) (i32.const 100000)) (then (unreachable))) (i32.const 1024))";
    let trial = component(&format!("{}{TRAP}", prelude.replace(check, trap)));
    assert_broken("settings", &trial, "neither accepted nor refused");
}

// One component is the same each time in this engine: what is not is played by a stand-in in the library's own tests.
#[test]
fn a_component_is_the_same_each_time() {
    assert!(outcome("determinism", &authorizer("(i32.const 0)", TRAP)).broken.is_none());
}

#[test]
fn office_hours_and_the_like_are_advice_only() {
    let advisory: Vec<_> = of_world(WORLD)
        .filter(|property| property.class == Class::Advisory)
        .map(|property| property.name)
        .collect();
    assert_eq!(advisory, ["time-shift", "fewer-roles"]);
}

#[test]
fn a_table_is_asked_of_the_built_in_authorizer() {
    let role = "{name: r, resource-type: Secrets, resource-names: [a], actions: [ReadSecret]}";
    let text = format!(
        "world: role-authorization
cases:
  - name: may
    request: {{principal: {{name: frank, roles: [{role}]}}, action: ReadSecret, resource-type: Secrets, resource-names: [a]}}
    expect: allow
  - name: may not
    request: {{principal: {{name: frank, roles: [{role}]}}, action: WriteSecret, resource-type: Secrets, resource-names: [a]}}
    expect: {{deny: {{code: no-role, resources: [a]}}}}
  - name: wrong
    request: {{principal: {{name: frank}}, action: ReadSecret, resource-type: Secrets, resource-names: [a]}}
    expect: allow
"
    );
    let table = CaseTable::parse(&text, Path::new("cases.yaml")).unwrap();
    let (trial, mut judged) = (rbac(), JudgedSettings::default());
    let outcomes: Vec<_> = table.cases.iter().map(|case| run(&trial, case, &mut judged)).collect();
    assert_eq!(outcomes.iter().map(|outcome| outcome.passed()).collect::<Vec<_>>(), [true, true, false]);
    assert!(outcomes[2].differences[0].got.contains("no-role") && outcomes[0].report.fuel > 0);
}

#[test]
fn two_components_are_compared() {
    let (open, closed) = (authorizer("(i32.const 0)", DENY), authorizer("(i32.const 1)", DENY));
    let side = |asked| Side { asked, settings: None };
    let found = compare(side(&open), side(&closed), &samples(WORLD));
    assert!(found.asked > 5 && found.changes.len() == found.asked);
    assert!(compare(side(&open), side(&open), &samples(WORLD)).changes.is_empty());
}
