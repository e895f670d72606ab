//! Tools that a build installs for itself: once for what a lock file pins, into the cache, and never beside other programs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{BuildError, Task};

/// Enough of a digest to tell what is pinned apart.
const DIGEST_DIGITS: usize = 16;

/// The cache's folder for `name` and what `key` pins, filled by `install` if it is not there. Builds that run at once wait for
/// the one that installs; an installation that was broken off is made anew.
///
/// # Errors
/// Those of `install`; [`BuildError::File`] if the cache cannot be written.
pub(super) fn installed(
    task: &Task<'_>,
    name: &str,
    key: &[u8],
    install: impl FnOnce(&Path) -> Result<(), BuildError>,
) -> Result<PathBuf, BuildError> {
    let digest: String = hex::encode(Sha256::digest(key)).chars().take(DIGEST_DIGITS).collect();
    let folder = task.cache.join(format!("{name}-{digest}"));
    let stamp = folder.join("installed");
    if stamp.is_file() {
        return Ok(folder);
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BuildError::File { action: "writing", path, source }
    };
    fs::create_dir_all(&task.cache).map_err(failed(&task.cache))?;
    let path = task.cache.join(format!("{name}-{digest}.lock"));
    let lock = File::create(&path).map_err(failed(&path))?;
    lock.lock().map_err(failed(&path))?;
    if !stamp.is_file() {
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(failed(&folder))?;
        }
        fs::create_dir(&folder).map_err(failed(&folder))?;
        install(&folder)?;
        fs::write(&stamp, "").map_err(failed(&stamp))?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use carrara_wasm::World;

    use super::super::Quiet;
    use super::*;
    use crate::project::{Language, Project};

    fn project() -> Project {
        Project {
            folder: PathBuf::from("p"),
            name: "p".to_owned(),
            version: "0.1.0".to_owned(),
            world: World::RoleAuthorization,
            language: Language::Python,
            sdk: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn tools_are_installed_once_for_what_is_pinned_and_again_for_other_pins() {
        let cache = tempfile::tempdir().unwrap();
        let project = project();
        let task = Task { project: &project, cache: cache.path().join("new"), progress: &Quiet };
        let installs = Cell::new(0);
        let install = |folder: &Path| {
            installs.set(installs.get() + 1);
            fs::write(folder.join("tool"), "").unwrap();
            Ok(())
        };
        let first = installed(&task, "python", b"1", install).unwrap();
        assert_eq!(installed(&task, "python", b"1", install).unwrap(), first);
        assert_eq!(installs.get(), 1);
        assert_ne!(installed(&task, "python", b"2", install).unwrap(), first);
        assert_eq!(installs.get(), 2);
    }

    #[test]
    fn an_installation_that_was_broken_off_is_made_anew() {
        let cache = tempfile::tempdir().unwrap();
        let project = project();
        let task = Task { project: &project, cache: cache.path().to_owned(), progress: &Quiet };
        let broken = installed(&task, "js", b"1", |folder| {
            fs::write(folder.join("half"), "").unwrap();
            Err(BuildError::Componentize("broken off".to_owned()))
        });
        broken.unwrap_err();
        let folder = installed(&task, "js", b"1", |_| Ok(())).unwrap();
        assert!(!folder.join("half").exists());
    }
}
