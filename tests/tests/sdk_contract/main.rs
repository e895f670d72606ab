//! The contract of the SDKs: policies in every language answer the table of `sdk/contract` alike (sdk/contract/README.md).
//!
//! Guests are built by the languages' own tools and kept under `target/sdk` until their sources change.

mod echo;
mod guests;
mod table;

use carrara_author::project::Language;
use carrara_author::question::{Answer, ask};
use carrara_wasm::{CallReport, PolicySource, Trial, World};

use crate::table::{Case, SettingsCase, Table};

/// Every case of the table, asked of a contract policy.
fn keeps_the_contract(language: Language, world: World) {
    if let Some(install) = carrara_tests::guests::missing(language.name()) {
        let test = format!("{} policies in {language} keep the contract", world.name());
        return carrara_tests::skip::skip(&test, install);
    }
    let table = Table::read();
    let component = guests::component(language, world);
    let trial = Trial::load(PolicySource::new("contract", world, component)).unwrap();
    for case in &table.settings {
        judge_settings(&trial, case);
    }
    let cases = table.worlds.get(world.name()).unwrap();
    let answers: Vec<_> = cases.iter().map(|case| ask_twice(&trial, case)).collect();
    for (case, (answer, report)) in cases.iter().zip(&answers) {
        assert_eq!(case.verdict(language, world, answer), Ok(()), "{}: {:?}", case.name, report.log);
        assert_eq!(case.logged(language, &report.log), Ok(()), "{}", case.name);
    }
    // What was asked in between changes nothing, backwards neither: every call runs in a fresh instance.
    for (case, (answer, report)) in cases.iter().zip(&answers).rev() {
        let (again, later) = ask(&trial, &case.settings(), &case.question(world));
        assert_eq!((&again, later.fuel), (answer, report.fuel), "{}", case.name);
    }
}

fn ask_twice(trial: &Trial, case: &Case) -> (Answer, CallReport) {
    let question = case.question(trial.world());
    let (answer, report) = ask(trial, &case.settings(), &question);
    let (again, later) = ask(trial, &case.settings(), &question);
    assert_eq!((&again, later.fuel), (&answer, report.fuel), "{} is not deterministic", case.name);
    (answer, report)
}

fn judge_settings(trial: &Trial, case: &SettingsCase) {
    let called = trial.check_settings(&case.text);
    let verdict = case.verdict(&called.answer, &called.report.log);
    assert_eq!(verdict, Ok(()), "settings, {}: {:?}", case.name, called.answer);
}

#[test]
fn validators_in_rust_keep_the_contract() {
    keeps_the_contract(Language::Rust, World::ManifestValidation);
}

#[test]
fn authorizers_in_rust_keep_the_contract() {
    keeps_the_contract(Language::Rust, World::RoleAuthorization);
}

#[test]
fn admitters_in_rust_keep_the_contract() {
    keeps_the_contract(Language::Rust, World::MarbleAdmission);
}

#[test]
fn renderers_in_rust_keep_the_contract() {
    keeps_the_contract(Language::Rust, World::SecretRendering);
}

#[test]
fn validators_in_go_keep_the_contract() {
    keeps_the_contract(Language::Go, World::ManifestValidation);
}

#[test]
fn authorizers_in_go_keep_the_contract() {
    keeps_the_contract(Language::Go, World::RoleAuthorization);
}

#[test]
fn admitters_in_go_keep_the_contract() {
    keeps_the_contract(Language::Go, World::MarbleAdmission);
}

#[test]
fn validators_in_python_keep_the_contract() {
    keeps_the_contract(Language::Python, World::ManifestValidation);
}

#[test]
fn authorizers_in_python_keep_the_contract() {
    keeps_the_contract(Language::Python, World::RoleAuthorization);
}

#[test]
fn admitters_in_python_keep_the_contract() {
    keeps_the_contract(Language::Python, World::MarbleAdmission);
}

#[test]
fn validators_in_javascript_keep_the_contract() {
    keeps_the_contract(Language::JavaScript, World::ManifestValidation);
}

#[test]
fn authorizers_in_javascript_keep_the_contract() {
    keeps_the_contract(Language::JavaScript, World::RoleAuthorization);
}

#[test]
fn admitters_in_javascript_keep_the_contract() {
    keeps_the_contract(Language::JavaScript, World::MarbleAdmission);
}
