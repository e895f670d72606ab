//! Which component a command is about: a file's, or that of a project.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carrara_author::project::Project;
use carrara_wasm::{Surface, World};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::files;

/// A component and where it comes from.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) component: Vec<u8>,
    pub(super) project: Option<Project>,
}

impl Source {
    /// The component in a file, or the one that was built in a project's folder; without a path, of the project here.
    pub(super) fn read(path: Option<&Path>) -> Result<Self> {
        let path = path.unwrap_or(Path::new("."));
        if !path.is_dir() {
            return Ok(Self { path: path.to_owned(), component: component(path)?, project: None });
        }
        let project = Project::open(path)?;
        let built = project.component_path();
        if !built.exists() {
            bail!("{} is not there yet; run `carrara policy build`", built.display());
        }
        Ok(Self { component: component(&built)?, path: built, project: Some(project) })
    }

    /// What a policy is called where only a file is known.
    pub(super) fn name(&self) -> String {
        match &self.project {
            Some(project) => project.name.clone(),
            None => self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    /// The world that is asked for, the project's, or the only one that the component is for.
    pub(super) fn world(&self, given: Option<World>) -> Result<World> {
        if let Some(world) = given.or(self.project.as_ref().map(|project| project.world)) {
            return Ok(world);
        }
        match Surface::read(&self.component)?.worlds()[..] {
            [world] => Ok(world),
            [] => bail!(
                "{} exports the interfaces of no world; with --world the missing one is named",
                self.path.display()
            ),
            _ => bail!("{} is for several worlds; name one with --world", self.path.display()),
        }
    }
}

fn component(path: &Path) -> Result<Vec<u8>> {
    Ok(std::mem::take(&mut *files::read(path)?))
}

/// Reads a file as text.
pub(super) fn text(path: &Path) -> Result<String> {
    let bytes = std::mem::take(&mut *files::read(path)?);
    String::from_utf8(bytes).with_context(|| format!("reading {}: it is no UTF-8 text", path.display()))
}

/// For arguments: a world by its name, with completion.
pub(super) fn world() -> impl TypedValueParser<Value = World> {
    PossibleValuesParser::new(World::ALL.map(World::name)).try_map(|name| name.parse::<World>())
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        10_000..10_000_000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_project_and_one_without_a_component_are_told_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = Source::read(Some(folder.path())).err().unwrap().to_string();
        assert!(error.contains("`carrara policy new`"), "{error}");
        let text =
            "name = \"p\"\nversion = \"1\"\nworld = \"role-authorization\"\nlanguage = \"go\"\nsdk = \"1\"\n";
        std::fs::write(folder.path().join("carrara-policy.toml"), text).unwrap();
        let error = Source::read(Some(folder.path())).err().unwrap().to_string();
        assert!(error.contains("build/p.wasm") && error.contains("`carrara policy build`"), "{error}");
        std::fs::create_dir(folder.path().join("build")).unwrap();
        std::fs::write(folder.path().join("build/p.wasm"), b"x").unwrap();
        let source = Source::read(Some(folder.path())).unwrap();
        assert_eq!((source.name(), source.component.as_slice()), ("p".to_owned(), &b"x"[..]));
        assert_eq!(source.world(None).unwrap(), World::RoleAuthorization);
        assert_eq!(source.world(Some(World::MarbleAdmission)).unwrap(), World::MarbleAdmission);
    }

    #[test]
    fn sizes_are_shown_in_the_unit_that_people_read() {
        let sizes = [9_999, 65_536, 1 << 20, 1_100_000, 18_900_000].map(size);
        assert_eq!(sizes, ["9999 bytes", "64 KiB", "1 MiB", "1074 KiB", "18 MiB"]);
    }
}
