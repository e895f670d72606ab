//! The hostile texts of `tests/hostile` as components.

use std::fs;
use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::root;

/// A text of the corpus.
#[derive(Debug, Clone)]
pub struct Hostile {
    /// The file's name without its ending.
    pub name: String,
    /// The world that it is offered to.
    pub world: &'static str,
    /// What it is made with: a prelude's name, or `none`.
    pub prelude: String,
    /// How it must end: `KIND: WORDS`.
    pub ends: String,
    /// The whole text.
    pub text: String,
}

impl Hostile {
    /// All of the corpus, by name.
    ///
    /// # Panics
    /// If one cannot be read or lacks a line of its head.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let folder = root().join("tests/hostile/corpus");
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder).expect("the corpus").map(|file| file.expect("a file").path()).collect();
        files.sort();
        files.iter().map(|file| Self::read(file)).collect()
    }

    fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let header = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!(";; {key}: ")));
            line.unwrap_or_else(|| panic!("{} has no line `;; {key}: `", file.display())).to_owned()
        };
        let (ends, prelude) = (header("ends"), header("prelude"));
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, world: world_of(&prelude), prelude, ends, text }
    }

    /// As a component, which may be no valid one.
    #[must_use]
    pub fn component(&self) -> Vec<u8> {
        self.component_with(&prelude(&self.prelude))
    }

    /// The same with another text as its prelude.
    ///
    /// # Panics
    /// If the text is none.
    #[must_use]
    pub fn component_with(&self, prelude: &str) -> Vec<u8> {
        if self.prelude == "none" {
            return wat::parse_str(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        }
        component_of(self.world, &format!("{prelude}{}", self.text))
    }
}

/// The world of a prelude.
#[must_use]
pub fn world_of(prelude: &str) -> &'static str {
    match prelude.split('-').next() {
        Some("renderer") => "secret-rendering",
        Some("validator") => "manifest-validation",
        Some("admitter") => "marble-admission",
        _ => "role-authorization",
    }
}

/// A prelude's text; none for `none`.
///
/// # Panics
/// If there is none of that name.
#[must_use]
pub fn prelude(name: &str) -> String {
    if name == "none" {
        return String::new();
    }
    let file = root().join(format!("tests/hostile/{name}.prelude.wat"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A component of a module with these fields. What is wrong with it is for the coordinator to find.
///
/// # Panics
/// If the text is no module, or lacks an export of the world.
#[must_use]
pub fn component_of(world: &str, fields: &str) -> Vec<u8> {
    let mut module = wat::parse_str(format!("(module {fields})")).expect("a core module");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).expect("the worlds");
    let id = resolve.select_world(&[package], Some(world)).expect("a world");
    embed_component_metadata(&mut module, &resolve, id, StringEncoding::UTF8, false).expect("a world");
    ComponentEncoder::default()
        .validate(false)
        .module(&module)
        .expect("a module")
        .encode()
        .expect("a component")
}
