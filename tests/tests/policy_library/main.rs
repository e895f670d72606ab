//! The policies of `policies/`: every table of cases is asked of the component that `cargo xtask policies` built, in the engine
//! of the coordinator; and the languages refuse settings that do not parse at the place where they are wrong.
//!
//! `cases.yaml` and `cases-QUESTION.yaml` in a language's folder are asked of the folder's own component, `cases-LANGUAGE.yaml` of
//! that language's. [`other_languages`] asks a folder's own table of the same policy in Python, JavaScript and Go.

mod other_languages;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, OnceLock};

use carrara_author::question::{Answer, Question, ask};
use carrara_wasm::{Limits, PolicySource, Trial, World};
use serde_json::{Value, json};

const LANGUAGES: [&str; 3] = ["cedar", "cel", "rego"];

/// A table of cases.
struct Table {
    path: PathBuf,
    /// Of the component that it is asked of.
    component: String,
    world: World,
    settings: Value,
    cases: Vec<Value>,
}

#[test]
fn every_case_of_every_policy_has_the_answer_that_its_table_expects() {
    let mut wrong = Vec::new();
    let tables = tables();
    for table in &tables {
        wrong.extend(wrong_answers(trial(&table.component, table.world), table));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tables.len() >= 20, "{} tables were found", tables.len());
}

#[test]
fn every_policy_has_a_table_and_a_readme_that_shows_an_entry_of_a_manifest() {
    for folder in folders() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        assert!(folder.join("cases.yaml").is_file(), "{name} has no cases");
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        assert!(readme.contains("\"Component\": \"sha256:"), "{name}'s README shows no entry of Policies");
    }
}

#[test]
fn the_same_question_has_the_same_answer_for_the_same_fuel() {
    for table in tables() {
        let trial = trial(&table.component, table.world);
        let (first, second) =
            (answer(trial, &table, &table.cases[0]), answer(trial, &table, &table.cases[0]));
        assert_eq!((&first.0, first.1.fuel), (&second.0, second.1.fuel), "{}", table.path.display());
        if table.world == World::RoleAuthorization {
            assert!(
                first.1.fuel * 2 <= Limits::AUTHORIZATION.fuel,
                "{}: {}",
                table.path.display(),
                first.1.fuel
            );
        }
    }
}

#[test]
fn settings_that_do_not_parse_are_refused_with_line_and_column() {
    let wrong = [
        (
            "cedar",
            World::RoleAuthorization,
            "permit(principal, action, resource);\n  permit(principal;",
            (2, 19),
        ),
        ("cedar", World::RoleAuthorization, "permit(principal == ?principal, action, resource);", (1, 1)),
        ("rego", World::ManifestValidation, "package a\ndeny contains msg if {\n  msg :=\n}", (3, 7)),
        ("rego", World::MarbleAdmission, "package a\nallow if {\n  time.now_ns() > 5\n}", (3, 14)),
        ("rego", World::ManifestValidation, "package a\nx := 1", (1, 1)),
        ("cel", World::RoleAuthorization, "request.action ==\n  ) 'a'", (2, 3)),
        ("cel", World::MarbleAdmission, "request.uuid == 'ä' && nope", (1, 24)),
        ("cel", World::ManifestValidation, "manifest.Packages.size() > timestamp('x')", (1, 37)),
    ];
    for (name, world, text, place) in wrong {
        let errors = settings_errors(trial(name, world), &json!(text));
        let (line, column, message) = errors.first().unwrap_or_else(|| panic!("{name} takes {text}"));
        assert_eq!((*line, *column), place, "{name}: {text}: {message}");
    }
}

#[test]
fn a_policy_that_is_nested_too_deep_is_refused_and_one_that_is_not_is_taken() {
    let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    type Wrap = fn(String) -> String;
    let languages: [(&str, World, Wrap, usize); 3] = [
        ("cel", World::RoleAuthorization, |text| text, 40),
        ("rego", World::ManifestValidation, |text| format!("package a\nallow if {text}"), 20),
        (
            "cedar",
            World::RoleAuthorization,
            |text| format!("permit(principal, action, resource) when {{ {text} }};"),
            40,
        ),
    ];
    for (name, world, wrap, taken) in languages {
        let trial = trial(name, world);
        assert_eq!(settings_errors(trial, &json!(wrap(nested(taken)))), [], "{name}");
        for depth in [100, 10_000] {
            let errors = settings_errors(trial, &json!(wrap(nested(depth))));
            assert!(errors[0].2.contains("nested deeper"), "{name}: {}", errors[0].2);
        }
    }
}

#[test]
fn a_policy_that_no_limit_on_brackets_bounds_denies_at_worst() {
    let chain = vec!["true"; 20_000].join(" && ");
    let trial = trial("cel", World::RoleAuthorization);
    let request = json!({"principal": {"name": "ann"}, "action": "ReadSecret", "resource-type": "Secrets"});
    let question = Question::read(World::RoleAuthorization, request, Path::new(".")).unwrap();
    let (answer, _) = ask(trial, &json!(chain).to_string(), &question);
    assert!(!answer.allows(), "it used more than a call may, or its stack: {answer:?}");
    let (answer, _) = ask(trial, &json!("true").to_string(), &question);
    assert_eq!(answer, Answer::Allow, "the next call is right");
}

/// What a component answers that its table does not expect.
fn wrong_answers(trial: &Trial, table: &Table) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut most = (0, std::time::Duration::ZERO, 0);
    for case in &table.cases {
        let (answer, report) = answer(trial, table, case);
        let (found, expected) = (serde_json::to_value(&answer).unwrap(), &case["expect"]);
        let failed = matches!(answer, Answer::Failure(_)) && expected == "failure";
        if !failed && !covers(expected, &found) {
            let name = case["name"].as_str().unwrap_or_default();
            let log: Vec<_> = report.log.iter().map(|line| line.text.as_str()).collect();
            wrong.push(format!("{}: {name}: {found}; log {log:?}", table.path.display()));
        }
        most = (most.0.max(report.fuel), most.1.max(report.duration), most.2.max(report.memory));
    }
    println!("{}: {} cases, at most {most:?}", table.path.display(), table.cases.len());
    wrong
}

/// Line, column and message of each error.
fn settings_errors(trial: &Trial, settings: &Value) -> Vec<(u32, u32, String)> {
    let errors = trial.check_settings(&settings.to_string()).answer.unwrap();
    errors.into_iter().map(|error| (error.line, error.column, error.message)).collect()
}

fn answer(trial: &Trial, table: &Table, case: &Value) -> (Answer, carrara_wasm::CallReport) {
    let folder = table.path.parent().unwrap();
    let settings = case.get("settings").unwrap_or(&table.settings).to_string();
    let question = Question::read(table.world, case["request"].clone(), folder)
        .unwrap_or_else(|error| panic!("{}: {}: {error}", table.path.display(), case["name"]));
    ask(trial, &settings, &question)
}

/// Whether everything that is expected is there; lists are as long.
fn covers(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().all(|(key, expected)| found.get(key).is_some_and(|found| covers(expected, found)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len()
                && expected.iter().zip(found).all(|(expected, found)| covers(expected, found))
        }
        _ => expected == found,
    }
}

/// A component that is ready to be asked; each is compiled once, which takes seconds for a language.
fn trial(component: &str, world: World) -> &'static Trial {
    type Trials = BTreeMap<(String, &'static str), &'static OnceLock<Trial>>;
    static TRIALS: LazyLock<Mutex<Trials>> = LazyLock::new(Mutex::default);
    let key = (component.to_owned(), world.name());
    let slot = *TRIALS.lock().unwrap().entry(key).or_insert_with(|| Box::leak(Box::default()));
    slot.get_or_init(|| {
        let path = root().join("target/policies").join(format!("{component}.wasm"));
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask policies`", path.display()));
        Trial::load(PolicySource::new(component, world, bytes)).unwrap()
    })
}

/// The tree that this test was built from.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folders of policies: those with a `rust` folder, and the languages.
fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("policies")).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| {
        folder.join("rust").is_dir() || LANGUAGES.iter().any(|language| folder.ends_with(language))
    });
    folders.sort();
    folders
}

fn tables() -> Vec<Table> {
    let mut tables = Vec::new();
    for folder in folders() {
        let own = folder.file_name().unwrap().to_string_lossy().into_owned();
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for path in files {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if path.extension().is_none_or(|extension| extension != "yaml") || !stem.starts_with("cases") {
                continue;
            }
            let language = stem.strip_prefix("cases-").filter(|language| LANGUAGES.contains(language));
            tables.push(table(&path, language.unwrap_or(&own)));
        }
    }
    tables
}

fn table(path: &Path, component: &str) -> Table {
    let text = std::fs::read_to_string(path).unwrap();
    let value: Value =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Table {
        path: path.to_owned(),
        component: component.to_owned(),
        world: value["world"].as_str().unwrap().parse().unwrap(),
        settings: value.get("settings").cloned().unwrap_or_default(),
        cases: value["cases"].as_array().unwrap().clone(),
    }
}
