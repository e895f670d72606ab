//! The policies that are there in Python, JavaScript and Go too: the table that those in Rust answer is asked of them.
//!
//! They are built as an author builds them, in a project with the policy in place of the template's, and kept under
//! `target/policy-library` until the sources change. A debug build compiles a component of Python's for half a minute: one policy
//! is asked in Python, all of them with `CARRARA_POLICY_LIBRARY=all` (host/docs/testing.md).

use std::fs;
use std::path::PathBuf;

use carrara_author::build::{Quiet, Task, build};
use carrara_author::create::{Blueprint, create};
use carrara_author::project::{Language, Project};
use carrara_tests::{guests, root};
use carrara_wasm::{PolicySource, Trial, World};
use serde_json::{Value, json};

use crate::{Table, settings_errors, table, wrong_answers};

const POLICIES: [&str; 3] = ["allowed-sans", "no-debug-packages", "office-hours"];

/// The one that is always asked in Python: the one with the longest settings.
const ALWAYS: &str = "office-hours";

#[test]
fn policies_in_python_answer_as_those_in_rust() {
    answers_as_in_rust(Language::Python);
}

#[test]
fn policies_in_javascript_answer_as_those_in_rust() {
    answers_as_in_rust(Language::JavaScript);
}

#[test]
fn policies_in_go_answer_as_those_in_rust() {
    answers_as_in_rust(Language::Go);
}

#[test]
fn policies_in_rust_judge_settings_as_the_others() {
    for policy in POLICIES {
        judges_settings(policy, crate::trial(policy, table_of(policy).cases.world));
    }
}

fn answers_as_in_rust(language: Language) {
    if let Some(install) = guests::missing(language.name()) {
        let test = format!("policies in {language} answer as those in Rust");
        return carrara_tests::skip::skip(&test, install);
    }
    let all = std::env::var("CARRARA_POLICY_LIBRARY").is_ok_and(|asked| asked == "all");
    let asked = |policy: &&str| all || language != Language::Python || *policy == ALWAYS;
    for policy in POLICIES.into_iter().filter(asked) {
        let table = table_of(policy);
        let component = component(policy, language, table.cases.world);
        let size = component.len();
        let trial = Trial::load(PolicySource::new(policy, table.cases.world, component)).unwrap();
        let wrong = wrong_answers(&trial, &table);
        assert!(wrong.is_empty(), "{language}, {size} bytes:\n{}", wrong.join("\n"));
        judges_settings(policy, &trial);
    }
}

fn table_of(policy: &str) -> Table {
    table(&root().join("policies").join(policy).join("cases.yaml"), policy)
}

/// The settings of the table are taken, others are refused with a place; the words are each language's own.
fn judges_settings(policy: &str, trial: &Trial) {
    let hours = |from, to, offset, day| json!({"days": [day], "from": from, "to": to, "offset": offset});
    let wrong: Vec<Value> = match policy {
        "allowed-sans" => vec![json!([]), json!({ "web": "localhost" }), json!({ "web": [1] })],
        "no-debug-packages" => vec![json!(["dev"]), json!({ "allowed": [] }), json!({ "allow": "dev" })],
        _ => vec![
            Value::Null,
            json!({ "days": ["Mon"], "from": 8, "to": 17, "until": 18 }),
            json!({ "from": 8, "to": 17 }),
            hours(8, 17, 0, "Monday"),
            hours(8, 8, 0, "Mon"),
            hours(-1, 8, 0, "Mon"),
            hours(0, 25, 0, "Mon"),
            hours(0, 24, 1440, "Mon"),
            hours(0, 24, -1440, "Mon"),
        ],
    };
    assert_eq!(settings_errors(trial, &table_of(policy).cases.settings), [], "{policy}");
    for settings in wrong {
        let errors = settings_errors(trial, &settings.to_string());
        let told = errors.iter().all(|(line, column, text)| *line > 0 && *column > 0 && !text.is_empty());
        assert!(!errors.is_empty() && told, "{policy}: {settings}: {errors:?}");
    }
}

fn component(policy: &str, language: Language, world: World) -> Vec<u8> {
    let path = root().join("target/policy-library").join(format!("{policy}-{language}.wasm"));
    let folder = tempfile::tempdir().unwrap();
    let project = project(policy, language, world, folder.path().join("project"));
    guests::kept(&path, &[&project.folder], || {
        let task = Task { project: &project, cache: guests::tools(), progress: &Quiet };
        build(&task).unwrap_or_else(|error| panic!("{policy} in {language}: {error}")).component
    })
}

/// As policies/README.md tells: a new project, and the policy in place of the template's.
fn project(policy: &str, language: Language, world: World, folder: PathBuf) -> Project {
    let project = create(&Blueprint { name: policy, world, language }, &folder).unwrap();
    let source = root().join("policies").join(policy).join(language.name()).join(language.source_file());
    fs::copy(&source, folder.join(language.source_file())).unwrap();
    project
}
