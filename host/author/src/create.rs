//! `carrara policy new`: makes a project that builds and passes its own cases.
//!
//! The project is written beside its place and moved there whole; nothing is ever overwritten. An empty folder that is there
//! stays the same folder, since somebody may be in it (`--dir .`): the project is written in it, and moved up.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use carrara_wasm::World;

use crate::pack;
use crate::project::{BadName, Language, PROJECT_FILE, Project, check_name};

/// What a project is made from.
#[derive(Debug, Clone, Copy)]
pub struct Blueprint<'a> {
    /// The policy's name.
    pub name: &'a str,
    /// Which question it answers.
    pub world: World,
    /// What it is written in.
    pub language: Language,
}

/// Why no project was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A language that does not have the world.
    #[error("policies of the world {world} can be written in rust only")]
    Unsupported {
        /// The world.
        world: World,
    },
    /// Something is there already.
    #[error("{} exists already and is not empty; name another folder with --dir", .0.display())]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("writing {}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A template is missing: this program was built wrongly.
    #[error("this program was built without {0}")]
    Incomplete(String),
}

/// Makes the project in `folder`, which must be empty or not there.
///
/// # Errors
/// [`CreateError`]; nothing is left behind.
pub fn create(blueprint: &Blueprint<'_>, folder: &Path) -> Result<Project, CreateError> {
    let project = blueprint.project(folder)?;
    let there = match folder.read_dir().map(|mut found| found.next().is_some()) {
        Ok(false) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        _ => return Err(CreateError::Exists(folder.to_owned())),
    };
    let files = files(&project)?;
    let staged = if there { folder.join(staging("project")) } else { beside(folder) };
    let made = write_all(&files, &staged).and_then(|()| {
        let moved = if there { move_up(&staged, folder) } else { std::fs::rename(&staged, folder) };
        moved.map_err(|source| CreateError::Write { path: folder.to_owned(), source })
    });
    made.inspect_err(|_| drop(std::fs::remove_dir_all(&staged)))?;
    Ok(project)
}

/// Moves all that is in a folder to the empty one that it is in; what was moved is removed again where something cannot be.
fn move_up(staged: &Path, folder: &Path) -> std::io::Result<()> {
    let mut moved = Vec::new();
    let mut all = || {
        for entry in staged.read_dir()? {
            let entry = entry?;
            let place = folder.join(entry.file_name());
            std::fs::rename(entry.path(), &place)?;
            moved.push(place);
        }
        std::fs::remove_dir(staged)
    };
    let done = all();
    if done.is_err() {
        for place in moved {
            drop(if place.is_dir() { std::fs::remove_dir_all(place) } else { std::fs::remove_file(place) });
        }
    }
    done
}

impl Blueprint<'_> {
    fn project(&self, folder: &Path) -> Result<Project, CreateError> {
        check_name(self.name)?;
        if !self.language.supports(self.world) {
            return Err(CreateError::Unsupported { world: self.world });
        }
        Ok(Project {
            folder: folder.to_owned(),
            name: self.name.to_owned(),
            version: "0.1.0".to_owned(),
            world: self.world,
            language: self.language,
            sdk: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

struct NewFile {
    path: PathBuf,
    content: Vec<u8>,
}

/// All files of a new project.
fn files(project: &Project) -> Result<Vec<NewFile>, CreateError> {
    let (language, world) = (project.language, project.world.name());
    let filled = |path: &str| {
        let text = pack::template(path).ok_or_else(|| CreateError::Incomplete(path.to_owned()))?;
        Ok::<_, CreateError>(fill(text, project).into_bytes())
    };
    let ending = Path::new(language.source_file()).extension().unwrap_or_default().to_string_lossy();
    let mut files = vec![
        file(PROJECT_FILE, project.file_text().into_bytes()),
        file(language.source_file(), filled(&format!("{language}/{world}.{ending}"))?),
        file("cases.yaml", filled(&format!("cases/{world}.yaml"))?),
        file("request.json", filled(&format!("requests/{world}.json"))?),
        file("README.md", filled("README.md.in")?),
        file(".gitignore", filled("gitignore.in")?),
    ];
    for packed in pack::templates(language.name()) {
        if let Some(path) = packed.path.strip_suffix(".in") {
            files.push(file(path, filled(&format!("{language}/{}", packed.path))?));
        }
    }
    let sdk: Vec<_> = pack::sdk(language).collect();
    if sdk.is_empty() {
        return Err(CreateError::Incomplete(format!("the SDK for {language}")));
    }
    let copies = sdk.iter().map(|packed| (format!("sdk/{}", packed.path), packed.content));
    let copies = copies.chain(pack::wit().map(|packed| (format!("wit/{}", packed.path), packed.content)));
    files.extend(copies.map(|(path, content)| file(&path, content.to_vec())));
    Ok(files)
}

fn file(path: &str, content: Vec<u8>) -> NewFile {
    NewFile { path: PathBuf::from(path), content }
}

fn fill(template: &str, project: &Project) -> String {
    template
        .replace("@NAME@", &project.name)
        .replace("@CRATE@", &project.name.replace('-', "_"))
        .replace("@VERSION@", &project.version)
        .replace("@WORLD@", project.world.name())
        .replace("@LANGUAGE@", project.language.name())
        .replace("@SOURCE@", project.language.source_file())
        .replace("@SDK@", &project.sdk)
}

fn write_all(files: &[NewFile], folder: &Path) -> Result<(), CreateError> {
    for NewFile { path, content } in files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, content));
        written.map_err(|source| CreateError::Write { path, source })?;
    }
    Ok(())
}

fn beside(folder: &Path) -> PathBuf {
    folder.with_file_name(staging(&folder.file_name().unwrap_or_default().to_string_lossy()))
}

fn staging(name: &str) -> String {
    format!(".{name}.{}.new", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blueprint(world: World, language: Language) -> Blueprint<'static> {
        Blueprint { name: "two-rooms", world, language }
    }

    #[test]
    fn every_language_has_a_project_for_each_of_its_worlds() {
        for language in Language::ALL {
            for world in World::ALL.into_iter().filter(|world| language.supports(*world)) {
                let folder = tempfile::tempdir().unwrap();
                let folder = folder.path().join("p");
                let made = create(&blueprint(world, language), &folder).unwrap();
                assert_eq!(Project::open(&folder).unwrap(), made);
                let source = std::fs::read_to_string(folder.join(language.source_file())).unwrap();
                assert!(source.contains("edit here"), "{language} {world}: {source}");
                let cases = std::fs::read_to_string(folder.join("cases.yaml")).unwrap();
                assert!(cases.contains(&format!("world: {world}")), "{cases}");
                assert!(folder.join("wit/worlds.wit").is_file() && folder.join("sdk").is_dir());
            }
        }
    }

    #[test]
    fn no_placeholder_is_left_in_any_file() {
        for language in Language::ALL {
            let project = blueprint(World::RoleAuthorization, language).project(Path::new("/p")).unwrap();
            for file in files(&project).unwrap().iter().filter(|file| !file.path.starts_with("sdk")) {
                let text = String::from_utf8_lossy(&file.content);
                for word in ["@NAME@", "@CRATE@", "@VERSION@", "@WORLD@", "@LANGUAGE@", "@SOURCE@", "@SDK@"] {
                    assert!(!text.contains(word), "{} holds {word}", file.path.display());
                }
            }
        }
    }

    #[test]
    fn the_request_of_every_world_can_be_asked() {
        for world in World::ALL {
            let text = pack::template(&format!("requests/{world}.json")).unwrap();
            let question =
                crate::question::Question::read(world, serde_json::from_str(text).unwrap(), Path::new("."));
            assert_eq!(question.unwrap().world(), world);
        }
    }

    // What `--dir .` names is the folder that somebody is in: it must not be replaced by another one.
    #[test]
    fn an_empty_folder_stays_the_same_folder_by_whatever_name() {
        use std::os::unix::fs::MetadataExt as _;
        let folder = tempfile::tempdir().unwrap();
        let inode = || std::fs::metadata(folder.path()).unwrap().ino();
        let before = inode();
        let here = folder.path().join(".");
        create(&blueprint(World::RoleAuthorization, Language::Rust), &here).unwrap();
        assert_eq!(inode(), before);
        assert_eq!(Project::open(&here).unwrap().name, "two-rooms");
        let names = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().ends_with(".new")));
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        let up = folder.path().join("empty/..");
        let again = create(&blueprint(World::RoleAuthorization, Language::Rust), &up);
        assert!(matches!(again, Err(CreateError::Exists(_))), "{again:?}");
    }

    #[test]
    fn nothing_is_overwritten_and_an_empty_folder_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let blueprint = blueprint(World::RoleAuthorization, Language::Rust);
        create(&blueprint, folder.path()).unwrap();
        let before = std::fs::read(folder.path().join("cases.yaml")).unwrap();
        let error = create(&blueprint, folder.path()).unwrap_err();
        assert!(matches!(error, CreateError::Exists(_)), "{error}");
        assert_eq!(std::fs::read(folder.path().join("cases.yaml")).unwrap(), before);
        let file = folder.path().join("README.md");
        assert!(
            matches!(create(&blueprint, &file), Err(CreateError::Exists(_))),
            "a file is no place for it"
        );
    }

    #[test]
    fn a_renderer_can_be_written_in_rust_only_and_a_name_must_be_one() {
        let error = blueprint(World::SecretRendering, Language::Go).project(Path::new("/p")).unwrap_err();
        assert!(error.to_string().contains("in rust only"), "{error}");
        let wrong = Blueprint { name: "Two Rooms", ..blueprint(World::RoleAuthorization, Language::Go) };
        assert!(matches!(wrong.project(Path::new("/p")), Err(CreateError::Name(_))));
    }
}
