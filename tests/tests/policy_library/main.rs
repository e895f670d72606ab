//! The policies of `policies/`: every table of cases is asked of the component that `cargo xtask policies` built, in the engine
//! of the coordinator; and the languages refuse settings that do not parse at the place where they are wrong.
//!
//! `cases.yaml` and `cases-QUESTION.yaml` in a language's folder are asked of the folder's own component, `cases-LANGUAGE.yaml` of
//! that language's. [`other_languages`] asks a folder's own table of the same policy in Python, JavaScript and Go.

mod other_languages;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, OnceLock};

use carrara_author::asked::Asked;
use carrara_author::cases::{Case, CaseTable, JudgedSettings, run};
use carrara_author::properties::PROPERTIES;
use carrara_author::question::{Answer, Question, ask};
use carrara_tests::{guests, root};
use carrara_types::decision::{Context, Fact, Value};
use carrara_wasm::{CallReport, Limits, PolicySource, Trial, World};
use serde_json::json;

const LANGUAGES: [&str; 3] = ["cedar", "cel", "rego"];

/// A table of cases and the component that it is asked of.
struct Table {
    path: PathBuf,
    component: String,
    cases: CaseTable,
}

#[test]
fn every_case_of_every_policy_has_the_answer_that_its_table_expects() {
    let mut wrong = Vec::new();
    let tables = tables();
    for table in &tables {
        wrong.extend(wrong_answers(trial(&table.component, table.cases.world), table));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tables.len() >= 20, "{} tables were found", tables.len());
}

// P-3
#[test]
fn facts_that_a_policy_does_not_know_change_no_answer() {
    let fact = |name: &str, value| Fact { name: name.to_owned(), value };
    let strangers = [
        fact("secret-last-set", Value::Text("never".to_owned())),
        fact("platform-report:1", Value::Bytes(vec![0xff; 8])),
        fact("", Value::Texts(vec![String::new()])),
    ];
    let mut asked = 0;
    for table in tables() {
        let trial = trial(&table.component, table.cases.world);
        for case in &table.cases.cases {
            let Some(question) = &case.question else { continue };
            let mut more = question.clone();
            let facts = &mut context(&mut more).facts;
            facts.insert(0, strangers[0].clone());
            facts.extend_from_slice(&strangers[1..]);
            let (known, unknown) = (ask(trial, &case.settings, question), ask(trial, &case.settings, &more));
            assert_eq!(known.0, unknown.0, "{}:{}: {}", table.path.display(), case.line, case.name);
            asked += 1;
        }
    }
    assert!(asked >= 100, "{asked} cases were asked");
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
fn what_a_readme_shows_in_a_language_is_what_the_cases_ask() {
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let (mut shown, mut asked) = (0, 0);
    for folder in folders() {
        let tables = guests::files(&folder)
            .into_iter()
            .filter(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cases-")));
        let tables: Vec<_> = tables.map(|file| squeezed(&std::fs::read_to_string(file).unwrap())).collect();
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
        // Blocks that name no language, such as JSON.
        for block in readme.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix('\n')) {
            shown += 1;
            let found = tables.iter().any(|table| table.contains(&squeezed(block)));
            assert!(found, "{}: no case asks\n{block}", folder.display());
        }
        asked += tables.len();
    }
    assert!(shown >= 10 && asked >= 10, "{shown} are shown, {asked} asked");
}

#[test]
fn the_same_question_has_the_same_answer_for_the_same_fuel() {
    for table in tables() {
        let trial = trial(&table.component, table.cases.world);
        let (case, question) = first_question(&table);
        let (first, second) = (ask(trial, &case.settings, question), ask(trial, &case.settings, question));
        assert_eq!((&first.0, first.1.fuel), (&second.0, second.1.fuel), "{}", table.path.display());
        if table.cases.world == World::RoleAuthorization {
            let fuel = first.1.fuel;
            assert!(fuel * 2 <= Limits::AUTHORIZATION.fuel, "{}: {fuel}", table.path.display());
        }
    }
}

/// By fuel alone: how long it takes depends on what else the machine does.
#[test]
fn the_largest_requests_take_at_most_half_of_the_fuel_of_a_call() {
    let property = PROPERTIES.iter().find(|property| property.name == "limits").unwrap();
    for table in tables() {
        let trial = trial(&table.component, table.cases.world);
        let outcome = property.run(trial, &table.cases.settings, &[]);
        let broken = outcome.broken.map(|example| example.explanation);
        let too_much = broken.filter(|text| !text.ends_with(" ms"));
        assert_eq!((outcome.tried, too_much), (1, None), "{}", table.path.display());
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
        let errors = settings_errors(trial(name, world), &json!(text).to_string());
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
        assert_eq!(settings_errors(trial, &json!(wrap(nested(taken))).to_string()), [], "{name}");
        for depth in [100, 10_000] {
            let errors = settings_errors(trial, &json!(wrap(nested(depth))).to_string());
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
    let (mut judged, mut wrong) = (JudgedSettings::default(), Vec::new());
    let mut most = (0, std::time::Duration::ZERO, 0);
    for case in &table.cases.cases {
        let outcome = run(trial, case, &mut judged);
        let CallReport { fuel, duration, memory, log } = &outcome.report;
        if !outcome.passed() {
            let (place, differences) = (table.path.display(), &outcome.differences);
            wrong.push(format!("{place}:{}: {}: {differences:?}; log {log:?}", case.line, case.name));
        }
        most = (most.0.max(*fuel), most.1.max(*duration), most.2.max(*memory));
    }
    println!("{}: {} cases, at most {most:?}", table.path.display(), table.cases.cases.len());
    wrong
}

/// Line, column and message of each error.
fn settings_errors(trial: &Trial, settings: &str) -> Vec<(u32, u32, String)> {
    let errors = Asked::check_settings(trial, settings).unwrap();
    errors.into_iter().map(|error| (error.line, error.column, error.message)).collect()
}

fn first_question(table: &Table) -> (&Case, &Question) {
    let mut cases = table.cases.cases.iter();
    cases.find_map(|case| Some((case, case.question.as_ref()?))).unwrap()
}

fn context(question: &mut Question) -> &mut Context {
    match question {
        Question::Authorization(request) => &mut request.context,
        Question::Admission(request) => &mut request.context,
        Question::Validation(proposal) => &mut proposal.context,
        Question::Rendering(rendering) => &mut rendering.context,
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
    let cases = CaseTable::read(path).unwrap_or_else(|error| panic!("{error}"));
    Table { path: path.to_owned(), component: component.to_owned(), cases }
}
