//! The policies that are there in Python, JavaScript and Go too: the table that those in Rust answer is asked of them.
//!
//! They are built as an author builds them, in a project with the policy in place of the template's, and kept under
//! `target/policy-library` until the sources change. A debug build compiles Python's component for half a minute: each policy
//! is asked in one language, each in every one with `CARRARA_POLICY_LIBRARY=all` (host/docs/testing.md).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use carrara_author::build::{Quiet, Task, build};
use carrara_author::create::{Blueprint, create};
use carrara_author::project::{Language, Project};
use carrara_wasm::{PolicySource, Trial, World};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{Table, root, settings_errors, table, wrong_answers};

const POLICIES: [&str; 3] = ["allowed-sans", "no-debug-packages", "office-hours"];

/// Those that are always asked.
const ASKED: [(&str, Language); 3] = [
    ("allowed-sans", Language::Go),
    ("no-debug-packages", Language::JavaScript),
    ("office-hours", Language::Python),
];

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
        judges_settings(policy, crate::trial(policy, table_of(policy).world));
    }
}

fn answers_as_in_rust(language: Language) {
    if let Some(install) = missing(language) {
        let test = format!("policies in {language} answer as those in Rust");
        return carrara_tests::skip::skip(&test, install);
    }
    let all = std::env::var("CARRARA_POLICY_LIBRARY").is_ok_and(|asked| asked == "all");
    for policy in POLICIES.into_iter().filter(|policy| all || ASKED.contains(&(*policy, language))) {
        let table = table_of(policy);
        let component = component(policy, language, table.world);
        let size = component.len();
        let trial = Trial::load(PolicySource::new(policy, table.world, component)).unwrap();
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
    assert_eq!(settings_errors(trial, &table_of(policy).settings), [], "{policy}");
    for settings in wrong {
        let errors = settings_errors(trial, &settings);
        let told = errors.iter().all(|(line, column, text)| *line > 0 && *column > 0 && !text.is_empty());
        assert!(!errors.is_empty() && told, "{policy}: {settings}: {errors:?}");
    }
}

fn component(policy: &str, language: Language, world: World) -> Vec<u8> {
    let kept = root().join("target/policy-library");
    let path = kept.join(format!("{policy}-{language}.wasm"));
    let stamp = path.with_extension("sources");
    let folder = tempfile::tempdir().unwrap();
    let project = project(policy, language, world, folder.path().join("project"));
    let sources = digest(&project.folder);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == sources)
        && let Ok(component) = fs::read(&path)
    {
        return component;
    }
    // The tools of all tests, not those of whoever runs them.
    let task = Task { project: &project, cache: root().join("target/policy-tools"), progress: &Quiet };
    let built = build(&task).unwrap_or_else(|error| panic!("{policy} in {language}: {error}"));
    fs::create_dir_all(&kept).unwrap();
    fs::write(&path, &built.component).unwrap();
    fs::write(&stamp, sources).unwrap();
    built.component
}

/// As policies/README.md tells: a new project, and the policy in place of the template's.
fn project(policy: &str, language: Language, world: World, folder: PathBuf) -> Project {
    let project = create(&Blueprint { name: policy, world, language }, &folder).unwrap();
    let source = root().join("policies").join(policy).join(language.name()).join(language.source_file());
    fs::copy(&source, folder.join(language.source_file())).unwrap();
    project
}

fn missing(language: Language) -> Option<&'static str> {
    let (program, probe, install) = match language {
        Language::Rust => return None,
        Language::Go => ("go", "version", "https://go.dev/dl (1.25 or newer)"),
        Language::Python => ("python3", "--version", "apt-get install python3 python3-venv"),
        Language::JavaScript => ("node", "--version", "apt-get install nodejs npm"),
    };
    let found = Command::new(program).arg(probe).output().is_ok_and(|output| output.status.success());
    (!found).then_some(install)
}

/// Of all files of a project.
fn digest(folder: &Path) -> String {
    let mut files = Vec::new();
    collect(folder, &mut files);
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.strip_prefix(folder).unwrap().to_string_lossy().as_bytes());
        digest.update(Sha256::digest(fs::read(&file).unwrap()));
    }
    hex::encode(digest.finalize())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
