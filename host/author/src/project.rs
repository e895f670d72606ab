//! A policy project: a folder with `carrara-policy.toml`, one source file to edit, cases, and copies of the WIT and the SDK.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use carrara_wasm::World;
use serde::{Deserialize, Serialize};

/// The file that makes a folder a project.
pub const PROJECT_FILE: &str = "carrara-policy.toml";

/// A language that policies are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// `src/lib.rs`, built by cargo.
    Rust,
    /// `policy.py`, built by componentize-py.
    Python,
    /// `policy.ts`, built by rolldown and componentize-qjs.
    JavaScript,
    /// `policy.go`, built by Go.
    Go,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::Python, Self::JavaScript, Self::Go];

    /// Its name in commands and project files; also its folder in `sdk/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "js",
            Self::Go => "go",
        }
    }

    /// The one file that an author edits.
    #[must_use]
    pub fn source_file(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Python => "policy.py",
            Self::JavaScript => "policy.ts",
            Self::Go => "policy.go",
        }
    }

    /// Whether policies of that world can be written in it.
    #[must_use]
    pub fn supports(self, world: World) -> bool {
        self == Self::Rust || world != World::SecretRendering
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(name: &str) -> Result<Self, UnknownLanguage> {
        Self::ALL.into_iter().find(|language| language.name() == name).ok_or(UnknownLanguage)
    }
}

/// A name that is none of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown language; it must be rust, python, js or go")]
pub struct UnknownLanguage;

/// A project on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Where it lies.
    pub folder: PathBuf,
    /// The policy's name; also that of the component's file.
    pub name: String,
    /// The policy's version.
    pub version: String,
    /// Which question it answers.
    pub world: World,
    /// What it is written in.
    pub language: Language,
    /// The version of the SDK that was copied into it.
    pub sdk: String,
}

/// Why a folder is no project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is no project file.
    #[error(
        "{} is no policy project: it holds no {PROJECT_FILE}; `carrara policy new` makes one",
        .0.display()
    )]
    NotAProject(PathBuf),
    /// The project file cannot be read.
    #[error("reading {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The project file is wrong.
    #[error("{}: {reason}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Names the line where it is one line's fault.
        reason: String,
    },
}

/// The project file's content.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    version: String,
    world: String,
    language: String,
    sdk: String,
}

impl Project {
    /// Reads the project in a folder.
    ///
    /// # Errors
    /// [`ProjectError`] if there is none or its file is wrong.
    pub fn open(folder: &Path) -> Result<Self, ProjectError> {
        let path = folder.join(PROJECT_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ProjectError::NotAProject(folder.to_owned()));
            }
            Err(source) => return Err(ProjectError::Unreadable { path, source }),
        };
        Self::parse(folder, &text).map_err(|reason| ProjectError::Wrong { path, reason })
    }

    /// Where `build` puts the component.
    #[must_use]
    pub fn component_path(&self) -> PathBuf {
        self.folder.join("build").join(format!("{}.wasm", self.name))
    }

    /// The text of the project file.
    #[must_use]
    pub fn file_text(&self) -> String {
        format!(
            "# A policy for Carrara. `carrara policy build` reads this file.\n\
             name = \"{}\"\nversion = \"{}\"\nworld = \"{}\"\nlanguage = \"{}\"\n\
             # The version of the SDK in sdk/.\nsdk = \"{}\"\n",
            self.name,
            self.version,
            self.world.name(),
            self.language,
            self.sdk
        )
    }

    fn parse(folder: &Path, text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        check_name(&file.name).map_err(|error| error.to_string())?;
        let world: World = file.world.parse().map_err(|error| format!("world: {error}"))?;
        let language: Language = file.language.parse().map_err(|error| format!("language: {error}"))?;
        if !language.supports(world) {
            return Err(format!("policies of the world {} can be written in rust only", world.name()));
        }
        let folder = folder.to_owned();
        Ok(Self { folder, name: file.name, version: file.version, world, language, sdk: file.sdk })
    }
}

/// The longest name of a policy.
const MAX_NAME_BYTES: usize = 64;

/// Why a text is no name of a policy project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a policy's name has 1 to 64 lower-case letters, digits and hyphens and begins with a letter, such as no-debug"
)]
pub struct BadName;

/// Every language's packages can have such a name, and a manifest's entry too.
///
/// # Errors
/// [`BadName`] says what a name is.
pub fn check_name(name: &str) -> Result<(), BadName> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let ends = !name.ends_with('-') && !name.contains("--");
    if begins && ends && name.len() <= MAX_NAME_BYTES && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(BadName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Project {
        Project {
            folder: PathBuf::from("/p"),
            name: "no-debug".to_owned(),
            version: "0.1.0".to_owned(),
            world: World::MarbleAdmission,
            language: Language::Go,
            sdk: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn a_project_file_reads_back_as_what_was_written() {
        let written = project();
        assert_eq!(Project::parse(&written.folder, &written.file_text()), Ok(written.clone()));
        assert_eq!(written.component_path(), Path::new("/p/build/no-debug.wasm"));
    }

    #[test]
    fn a_wrong_project_file_is_refused_with_what_is_wrong() {
        let text = project().file_text();
        for (from, to, expected) in [
            ("marble-admission", "admission", "world: unknown world; it must be"),
            ("\"go\"", "\"golang\"", "language: unknown language; it must be rust"),
            ("marble-admission", "secret-rendering", "can be written in rust only"),
            ("name = \"no-debug\"", "name = \"../x\"", "a policy's name has"),
            ("sdk = ", "sdc = ", "line 7"),
        ] {
            let error = Project::parse(Path::new("/p"), &text.replace(from, to)).unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn a_folder_without_a_project_file_is_told_how_to_get_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = Project::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("`carrara policy new`"), "{error}");
    }

    #[test]
    fn names_are_those_that_every_language_and_a_manifest_take() {
        for name in ["a", "no-debug", "x1", &"a".repeat(64)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "-a", "a-", "a--b", "1a", "A", "a_b", "a/b", "ä", &"a".repeat(65)] {
            assert_eq!(check_name(name), Err(BadName), "{name}");
        }
    }
}
