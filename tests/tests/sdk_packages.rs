//! What would be published of each SDK: licence, README, changelog, types, and the same version everywhere.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use carrara_tests::skip::skip;
use carrara_tests::{guests, root, succeed};
use serde_json::Value;

const SDKS: [&str; 4] = ["rust", "python", "js", "go"];

fn text(path: &str) -> String {
    fs::read_to_string(root().join("sdk").join(path)).unwrap_or_else(|error| panic!("sdk/{path}: {error}"))
}

fn table(path: &str) -> toml::Table {
    text(path).parse().unwrap()
}

/// The names of what is packed.
fn listed(lines: &str) -> BTreeSet<String> {
    lines.lines().map(str::to_owned).collect()
}

#[test]
fn each_sdk_has_the_projects_licence_a_readme_and_a_changelog_that_begins_with_its_version() {
    let licence = fs::read_to_string(root().join("LICENSE")).unwrap();
    let version = table("rust/Cargo.toml")["package"]["version"].as_str().unwrap().to_owned();
    for sdk in SDKS {
        assert_eq!(text(&format!("{sdk}/LICENSE")), licence, "{sdk}");
        assert!(text(&format!("{sdk}/README.md")).len() > 1000, "{sdk}");
        let changelog = text(&format!("{sdk}/CHANGELOG.md"));
        let newest = changelog.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
        assert!(newest.split(' ').next() == Some(&version), "{sdk}: {newest}, and its package is {version}");
    }
}

#[test]
fn all_sdks_have_one_version_and_one_licence() {
    let (rust, python) = (table("rust/Cargo.toml"), table("python/pyproject.toml"));
    let js: Value = serde_json::from_str(&text("js/package.json")).unwrap();
    let lock: Value = serde_json::from_str(&text("js/package-lock.json")).unwrap();
    let version = rust["package"]["version"].as_str();
    assert_eq!(python["project"]["version"].as_str(), version);
    assert_eq!(js["version"].as_str(), version);
    assert_eq!((lock["version"].as_str(), lock["packages"][""]["version"].as_str()), (version, version));
    for licence in [&rust["package"]["license"], &python["project"]["license"]] {
        assert_eq!(licence.as_str(), Some("Apache-2.0"));
    }
    assert_eq!(js["license"], "Apache-2.0");
}

#[test]
fn the_crate_holds_the_interfaces_and_depends_on_published_crates_alone() {
    let mut cargo = Command::new("cargo");
    cargo.args(["package", "--list", "--allow-dirty", "--offline"]).current_dir(root().join("sdk/rust"));
    let packed = listed(&succeed(&mut cargo));
    for file in ["LICENSE", "README.md", "CHANGELOG.md", "src/lib.rs", "wit/types.wit", "wit/worlds.wit"] {
        assert!(packed.contains(file), "{file} is not in {packed:?}");
    }
    let manifest = text("rust/Cargo.toml");
    assert!(!manifest.contains("path = ") && !manifest.contains("workspace = true"), "{manifest}");
}

#[test]
fn the_npm_package_is_public_and_holds_each_export_with_its_types() {
    if let Some(install) = guests::missing("js") {
        return skip("what is packed of the SDK for JavaScript", install);
    }
    let mut npm = Command::new("npm");
    npm.args(["pack", "--dry-run", "--json", "--ignore-scripts", "--offline"]);
    let packed: Value = serde_json::from_str(&succeed(
        npm.current_dir(root().join("sdk/js")).env("npm_config_update_notifier", "false"),
    ))
    .unwrap();
    let files: BTreeSet<_> =
        packed[0]["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    for file in ["LICENSE", "README.md", "CHANGELOG.md", "package.json", "build.mjs"] {
        assert!(files.contains(file), "{file} is not in {files:?}");
    }
    let package: Value = serde_json::from_str(&text("js/package.json")).unwrap();
    // npm keeps packages with a scope private otherwise.
    assert_eq!(package["publishConfig"]["access"], "public");
    for (name, export) in
        package["exports"].as_object().unwrap().iter().filter(|(_, export)| export.is_object())
    {
        for kind in ["types", "default"] {
            let file = export[kind].as_str().unwrap().trim_start_matches("./");
            assert!(files.contains(file), "{name}: {file} is not in {files:?}");
        }
    }
}

#[test]
fn the_python_package_holds_all_its_modules_and_says_that_it_is_typed() {
    let folder = root().join("sdk/python");
    let project = table("python/pyproject.toml");
    let packages: BTreeSet<_> = project["tool"]["setuptools"]["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().replace('.', "/"))
        .collect();
    for file in guests::files(&folder.join("carrara_policy")) {
        let file = file.strip_prefix(&folder).unwrap();
        let package = file.parent().unwrap().to_str().unwrap();
        assert!(packages.contains(package), "{} is in no package", file.display());
    }
    assert!(folder.join("carrara_policy/py.typed").exists());
    let data = &project["tool"]["setuptools"]["package-data"]["carrara_policy"];
    assert_eq!(data.as_array().unwrap()[0].as_str(), Some("py.typed"));
}

#[test]
fn the_go_module_needs_no_other_one_and_each_world_is_a_package_with_an_example() {
    let module = text("go/go.mod");
    assert!(module.starts_with("module carrara.dev/policy\n") && !module.contains("require"), "{module}");
    for world in ["authorization", "admission", "validation"] {
        assert!(text(&format!("go/{world}/{world}.go")).contains(&format!("// Package {world} ")), "{world}");
        assert!(text(&format!("go/{world}/{world}_test.go")).contains("func Example"), "{world}");
    }
}
