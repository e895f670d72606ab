//! Contract policies in the languages whose builders take a project: they are built as `carrara policy build` does.

use std::fs;
use std::path::Path;

use carrara_author::build::{Progress, Task, build};
use carrara_author::project::{Language, Project};
use carrara_tests::root;
use carrara_wasm::World;

/// What a builder says is of use when it fails.
struct Shown;

impl Progress for Shown {
    fn step(&self, text: &str) {
        println!("{text}");
    }

    fn tool_output(&self, line: &str) {
        println!("{line}");
    }
}

/// Makes a project of a contract policy and builds it. `name` is its file's, without the ending.
pub(crate) fn component(language: Language, world: World, name: &str) -> Vec<u8> {
    let kept = root().join("target/sdk");
    let folder = kept.join(format!("{}-{}", language.name(), world.name()));
    // What an earlier version left behind is no part of it.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let sources = root().join("sdk/contract").join(language.name());
    let ending = Path::new(language.source_file()).extension().unwrap().to_string_lossy().into_owned();
    fs::copy(sources.join(name).with_extension(&ending), folder.join(language.source_file())).unwrap();
    let shared = format!("contract.{ending}");
    fs::copy(sources.join(&shared), folder.join(&shared)).unwrap();
    copy(&root().join("sdk").join(language.name()), &folder.join("sdk"));
    copy(&root().join("wit"), &folder.join("wit"));
    let project = Project {
        folder,
        name: "contract".to_owned(),
        version: "0.1.0".to_owned(),
        world,
        language,
        sdk: "0.1.0".to_owned(),
    };
    let task = Task { project: &project, cache: kept.join("tools"), progress: &Shown };
    build(&task).unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error))).component
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name == "node_modules" || name == "__pycache__" {
            continue;
        }
        if path.is_dir() { copy(&path, &to.join(name)) } else { drop(fs::copy(&path, to.join(name)).unwrap()) }
    }
}
