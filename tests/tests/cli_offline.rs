//! Commands of the CLI that need no coordinator, as users run them.

use std::path::Path;
use std::process::{Command, Output};

use carrara_tests::coordinator::Launch;
use carrara_tests::{binary, root, run};
use serde_json::{Value, json};

fn carrara(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("carrara"));
    command.args(arguments).current_dir(folder).env("HOME", folder).env_remove("NO_COLOR");
    command
}

/// Exit code, standard output, standard error.
fn ended(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn manifest() -> Value {
    json!({
        "Packages": { "svc": { "SignerID": "ab".repeat(32), "ProductID": 1, "SecurityVersion": 2 } },
        "Marbles": { "api": { "Package": "svc", "Parameters": { "Env": { "K": "{{ hex .Secrets.k }}" } } } },
        "Secrets": { "k": { "Type": "symmetric-key", "Size": 128, "Shared": true } },
    })
}

fn write(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), serde_json::to_string_pretty(value).unwrap()).unwrap();
}

// Exit codes are stable: 0 without errors, 5 with some, 1 for whatever else goes wrong.
#[test]
fn a_check_tells_each_finding_with_its_place_and_ends_with_5() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "good.json", &manifest());
    let (code, text, _) = ended(&run(&mut carrara(folder.path(), &["manifest", "check", "good.json"])));
    assert_eq!((code, text.as_str()), (0, "good.json: no warnings\n"));

    let mut bad = manifest();
    bad["Marbles"]["api"]["Package"] = json!("svd");
    bad["Marbles"]["api"]["Parameters"]["Env"]["K"] = json!("{{ hex .Secrets.x }}");
    write(folder.path(), "bad.json", &bad);
    let (code, text, error) = ended(&run(&mut carrara(folder.path(), &["manifest", "check", "bad.json"])));
    assert_eq!(code, 5);
    assert!(
        text.contains("bad.json:4:7: error[M-32]: manifest does not contain marble package svd"),
        "{text}"
    );
    assert!(text.contains("bad.json:7:11: error[M-80]"), "{text}");
    assert_eq!(error, "Error: bad.json has 2 errors\n");

    let mut command = carrara(folder.path(), &["manifest", "check", "bad.json", "--output", "json"]);
    let (code, text, _) = ended(&run(&mut command));
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["errors"], &report["findings"][0]["line"]), (5, &json!(2), &json!(4)));

    let (code, _, error) = ended(&run(&mut carrara(folder.path(), &["manifest", "check", "missing.json"])));
    assert_eq!((code, error.starts_with("Error: ")), (1, true), "{error}");
}

// M-53: the example's certificates are filled in when it runs; nothing else is wrong with it
#[test]
fn the_example_manifest_lacks_its_certificates_alone() {
    let file = root().join("examples/quickstart/manifest.json");
    let folder = tempfile::tempdir().unwrap();
    let line = ["manifest", "check", file.to_str().unwrap(), "--output", "json"];
    let (code, text, _) = ended(&run(&mut carrara(folder.path(), &line)));
    let report: Value = serde_json::from_str(&text).unwrap();
    let found = report["findings"].as_array().unwrap().iter();
    let errors = found.filter(|found| found["severity"] == "error");
    let codes: Vec<&str> = errors.map(|found| found["code"].as_str().unwrap()).collect();
    assert_eq!((code, codes.as_slice()), (5, &["M-53", "M-53"][..]));
}

// The judges are the same: what a check refuses a coordinator refuses with the same words, and nothing else.
#[test]
fn a_check_and_a_coordinator_agree() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Launch::new().start();
    let host = coordinator.url("").trim_start_matches("https://").to_owned();
    let broken = [
        ("/Packages/svc/Debug", json!(1)),
        ("/Packages", json!({})),
        ("/Marbles/api/Package", json!("other")),
        ("/Marbles/api/TLS", json!(["none"])),
        ("/Packages/svc/UniqueID", json!("ab")),
        ("/Secrets/k/Type", json!("key")),
        ("/Secrets/k/Size", json!(3)),
        ("/Secrets/p", json!({ "Type": "plain" })),
        ("/Users", json!({ "u": { "Certificate": "none" } })),
        ("/Roles", json!({ "r": { "ResourceType": "Other" } })),
        ("/RecoveryKeys", json!({ "r": "none" })),
        ("/Config", json!({ "UpdateThreshold": 1 })),
        ("/Config", json!({ "FeatureGates": ["Other"] })),
        ("/Marbles/api/Parameters/Env/K", json!("{{ hex .Secrets.x }}")),
        ("/Marbles/api/Parameters/Env/K", json!("{{ raw .Secrets.k }}")),
        ("/Marbles/api/Parameters/Env/K", json!({ "Data": "AA==", "Encoding": "base64" })),
        ("/Marbles/api/Parameters/Env/K", json!({ "Data": "x", "Renderer": "other" })),
        ("/Marbles/api/Parameters/Files", json!({ "/f": { "Data": "{{ nope", "Renderer": "liquid" } })),
    ];
    for (pointer, value) in broken {
        let mut manifest = manifest();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        manifest.pointer_mut(parent).unwrap()[name] = value;
        write(folder.path(), "m.json", &manifest);
        let line = ["manifest", "check", "m.json", "--output", "json"];
        let (code, text, _) = ended(&run(&mut carrara(folder.path(), &line)));
        assert_eq!(code, 5, "{pointer}: {text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        let mut found = report["findings"].as_array().unwrap().iter();
        let first = found.find(|found| found["severity"] == "error").unwrap();
        let (code, _, refusal) =
            ended(&run(&mut carrara(folder.path(), &["manifest", "set", "m.json", &host, "-i"])));
        assert_eq!(code, 1, "{pointer} was accepted");
        assert!(refusal.contains(first["message"].as_str().unwrap()), "{pointer}: {first} {refusal}");
    }
    write(folder.path(), "m.json", &manifest());
    assert_eq!(ended(&run(&mut carrara(folder.path(), &["manifest", "check", "m.json"]))).0, 0);
    assert_eq!(ended(&run(&mut carrara(folder.path(), &["manifest", "set", "m.json", &host, "-i"]))).0, 0);
}

#[test]
fn differences_are_shown_and_dangers_marked() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", &manifest());
    let mut changed = manifest();
    changed["Packages"]["svc"]["SecurityVersion"] = json!(1);
    write(folder.path(), "b.json", &changed);
    let diff =
        |more: &[&str]| ended(&run(&mut carrara(folder.path(), &[&["manifest", "diff"], more].concat())));
    let (code, text, _) = diff(&["a.json", "b.json"]);
    assert_eq!(code, 0);
    assert!(text.starts_with("~ /Packages/svc/SecurityVersion: 2 -> 1  (!) older versions"), "{text}");
    assert!(text.ends_with("1 difference, 1 marked (!)\n"), "{text}");
    assert_eq!(diff(&["a.json", "b.json", "--exit-code"]).0, 5);
    assert_eq!(diff(&["a.json", "a.json", "--exit-code"]), (0, "No differences\n".to_owned(), String::new()));
    let (code, _, error) = diff(&["a.json", "no-such-file"]);
    assert!(code == 1 && error.contains("neither a file that exists nor a coordinator"), "{error}");
}

#[test]
fn colours_come_when_asked_for_and_never_into_a_file_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", &manifest());
    let mut changed = manifest();
    changed["Marbles"]["two"] = json!({ "Package": "svc" });
    write(folder.path(), "b.json", &changed);
    let diff = |more: &[&str], no_color: bool| {
        let mut command = carrara(folder.path(), &[&["manifest", "diff", "a.json", "b.json"], more].concat());
        if no_color {
            command.env("NO_COLOR", "1");
        }
        ended(&run(&mut command)).1.contains('\u{1b}')
    };
    assert!(!diff(&[], false) && !diff(&["--color", "auto"], false) && !diff(&["--color", "never"], false));
    assert!(diff(&["--color", "always"], false) && diff(&["--color", "always"], true));
}

#[test]
fn every_format_is_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.json"), "{}").unwrap();
    let signature = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let print = |format: &str| {
        let line = ["manifest", "signature", "m.json", "--output", format];
        ended(&run(&mut carrara(folder.path(), &line))).1
    };
    assert_eq!(print("table"), format!("{signature}\n"));
    assert_eq!(print("text"), print("table"));
    assert_eq!(
        serde_json::from_str::<Value>(&print("json")).unwrap(),
        json!({ "ManifestSignature": signature })
    );
    assert_eq!(print("yaml"), format!("ManifestSignature: {signature}\n"));
}

#[test]
fn the_schema_is_a_schema_and_scripts_and_pages_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let print = |line: &[&str]| {
        let (code, text, error) = ended(&run(&mut carrara(folder.path(), line)));
        assert_eq!(code, 0, "{error}");
        text
    };
    let schema: Value = serde_json::from_str(&print(&["manifest", "schema"])).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let script = folder.path().join("carrara.bash");
    std::fs::write(&script, print(&["completions", "bash"])).unwrap();
    let parsed = Command::new("bash").arg("-n").arg(&script).status().unwrap();
    assert!(parsed.success());
    print(&["man", "--dir", "pages"]);
    assert!(folder.path().join("pages/carrara-manifest-check.1").exists());
    let help = print(&["--help"]);
    assert!(help.contains("Exit codes:") && help.contains("NO_COLOR"), "{help}");
}
