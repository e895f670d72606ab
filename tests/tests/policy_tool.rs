//! The author's commands as an author runs them: new, build, check, inspect, run; in Rust, whose tools every build of this
//! repository has.

use std::path::Path;
use std::process::{Command, Output};

use carrara_tests::{binary, root, run};
use serde_json::{Value, json};

fn carrara(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("carrara"));
    command.arg("policy").args(arguments).current_dir(folder);
    // Kept from run to run: what a policy needs of the registry compiles once.
    command.env("CARGO_TARGET_DIR", root().join("target/policy-tool"));
    command
}

/// Exit code, standard output, standard error.
fn ended(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn json_of(folder: &Path, arguments: &[&str]) -> Value {
    let (code, text, error) = ended(&run(carrara(folder, arguments).args(["--output", "json"])));
    assert_eq!(code, 0, "{arguments:?}: {text}{error}");
    serde_json::from_str(&text).unwrap()
}

/// A project whose dependencies are those of this repository, so that nothing is looked up.
fn project(folder: &Path) -> std::path::PathBuf {
    let made = json_of(folder, &["new", "two-rooms", "--world", "role-authorization", "--lang", "rust"]);
    assert_eq!(made["source"], "two-rooms/src/lib.rs");
    let project = folder.join("two-rooms");
    std::fs::copy(root().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    project
}

#[test]
fn a_new_policy_is_built_checked_inspected_and_asked_and_says_what_was_written_at_the_marked_line() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let (code, _, error) = ended(&run(&mut carrara(
        folder.path(),
        &["new", "two-rooms", "--world", "marble-admission", "--lang", "go"],
    )));
    assert!(code == 1 && error.contains("two-rooms exists already"), "{error}");
    let (_, _, error) = ended(&run(&mut carrara(&project, &["run"])));
    assert!(error.contains("run `carrara policy build`"), "{error}");

    let source = project.join("src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    let (before, marked) = text.split_once("// edit here").unwrap();
    let marked = marked.replacen("written by nobody", "changed by the night shift", 1);
    std::fs::write(&source, format!("{before}// edit here{marked}")).unwrap();

    let built = json_of(&project, &["build"]);
    let component = std::fs::read(project.join("build/two-rooms.wasm")).unwrap();
    assert_eq!((&built["size"], &built["reproducible"]), (&json!(component.len()), &json!(true)));
    let digest = built["digest"].as_str().unwrap();

    let checked = json_of(&project, &["check"]);
    assert_eq!((checked["digest"].as_str(), &checked["world"]), (Some(digest), &json!("role-authorization")));
    let limits: Vec<&str> =
        checked["limits"].as_array().unwrap().iter().map(|limit| limit["what"].as_str().unwrap()).collect();
    for what in [
        "size",
        "memory at the start",
        "instances",
        "functions",
        "depth of blocks",
        "squares of branches",
        "initializers",
        "memory to compile",
    ] {
        assert!(limits.contains(&what), "{what}: {limits:?}");
    }
    for limit in checked["limits"].as_array().unwrap() {
        let (found, most) = (limit["found"].as_u64().unwrap(), limit["limit"].as_u64().unwrap());
        assert!(0 < most && found <= most, "{limit}");
    }
    let host = checked["imports"].as_array().unwrap().iter().find(|import| !import["functions"][0].is_null());
    assert_eq!(host, Some(&json!({ "name": "carrara:policy/host@1.0.0", "functions": ["log"] })));

    let shown = json_of(folder.path(), &["inspect", "two-rooms/build/two-rooms.wasm"]);
    let producers = shown["component"]["producers"].to_string();
    assert!(producers.contains("language: Rust") && producers.contains("sdk: carrara-policy"), "{producers}");

    let answered = json_of(&project, &["run"]);
    let denial = &answered["answer"]["deny"];
    assert_eq!(denial["message"], "secrets of production are changed by the night shift");
    assert_eq!((&denial["code"], &denial["resources"]), (&json!("prod-secret"), &json!(["prod-key"])));
    assert!(answered["fuel"].as_u64().unwrap() > 0 && answered["memory"].as_u64().unwrap() >= 65_536);
    assert_eq!(json_of(&project, &["run"])["fuel"], answered["fuel"], "fuel is the same each time");

    std::fs::write(project.join("wrong.json"), "{\n  \"acton\": \"WriteSecret\"\n}").unwrap();
    let (code, _, error) = ended(&run(&mut carrara(&project, &["run", "--request", "wrong.json"])));
    assert!(code == 1 && error.contains("wrong.json") && error.contains("at line 2 column"), "{error}");

    let (code, _, error) = ended(&run(&mut carrara(&project, &["check", "--world", "marble-admission"])));
    assert!(code == 5 && error.contains("carrara:policy/marble-admitter@1.0.0"), "{error}");
    std::fs::write(project.join("settings.json"), "{\"x\": 1}").unwrap();
    let (code, _, error) = ended(&run(&mut carrara(&project, &["run", "--settings", "settings.json"])));
    assert!(code == 5 && error.contains("settings.json:1:1: this policy has no settings"), "{error}");
}

#[test]
fn a_world_alone_makes_a_project_of_its_name_and_any_other_name_needs_one() {
    let folder = tempfile::tempdir().unwrap();
    for language in ["rust", "python", "js", "go"] {
        let folder = folder.path().join(language);
        std::fs::create_dir(&folder).unwrap();
        let made = json_of(&folder, &["new", "marble-admission", "--lang", language]);
        assert_eq!((&made["name"], &made["world"]), (&json!("marble-admission"), &json!("marble-admission")));
        assert!(folder.join("marble-admission/cases.yaml").exists());
    }
    let (code, _, error) = ended(&run(&mut carrara(folder.path(), &["new", "two-rooms", "--lang", "go"])));
    assert!(code == 1 && error.contains("--world") && error.contains("role-authorization"), "{error}");
    assert!(!folder.path().join("two-rooms").exists());
}

#[test]
fn a_mistake_in_the_source_is_told_by_the_compiler_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let project = project(folder.path());
    let source = project.join("src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap().replace("return allow();", "return alow();");
    std::fs::write(&source, text).unwrap();
    let (code, printed, error) = ended(&run(&mut carrara(&project, &["build"])));
    assert_eq!((code, printed.as_str()), (1, ""));
    assert!(error.contains("cannot find function `alow`") && error.contains("--> src/lib.rs:9:"), "{error}");
    assert!(error.trim_end().ends_with("cargo build failed: its messages are above"), "{error}");
    assert!(!project.join("build/two-rooms.wasm").exists());
}
