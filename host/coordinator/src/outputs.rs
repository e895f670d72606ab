//! The files that a start writes: none may take the place of another one, of the state, or of what the start reads. Recovery
//! secrets are given once, and whatever wrote over them, or was written over with them, would be lost while the log says that
//! all is well. Judged before anything is written.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::addresses;
use crate::config::Config;

/// A setting and the file that it names.
type Named<'a> = (&'a str, PathBuf);

/// Refuses settings that would write over something.
///
/// # Errors
/// An output lies in the state directory, or is the same file as another one that is named.
pub(crate) fn check(config: &Config) -> Result<()> {
    let seal_dir = existing(&absolute(&config.seal_dir)?);
    let outputs = outputs(config);
    for (name, path) in &outputs {
        for place in places(path)? {
            if place.starts_with(&seal_dir) {
                bail!(
                    "setting {name}: {} lies in the state directory {}, where it could take the place of the state's own files; name \
                     a file elsewhere",
                    path.display(),
                    config.seal_dir.display()
                );
            }
        }
    }
    let named: Vec<Named<'_>> = outputs.iter().cloned().chain(inputs(config)).collect();
    for (index, (name, path)) in outputs.iter().enumerate() {
        for (other, at) in named.iter().skip(index + 1).filter(|(other, _)| other != name) {
            if places(at)?.iter().any(|place| places(path).is_ok_and(|mine| mine.contains(place))) {
                bail!(
                    "settings {name} and {other}: both use the file {}, and one would be lost; name different files",
                    path.display()
                );
            }
        }
    }
    Ok(())
}

fn outputs(config: &Config) -> Vec<Named<'static>> {
    let recovery = config.startup.as_ref().and_then(|startup| startup.recovery_file.clone());
    let recovery = recovery.map(|path| ("startup-recovery-file", path));
    let addresses = config.addresses_file.iter();
    let addresses = addresses
        .flat_map(|path| [path.clone(), addresses::unfinished(path)])
        .map(|path| ("addresses-file", path));
    recovery.into_iter().chain(addresses).collect()
}

fn inputs(config: &Config) -> Vec<Named<'_>> {
    let manifest = config.startup.iter().map(|startup| ("startup-manifest", startup.manifest.clone()));
    manifest.chain(config.files_read.iter().map(|(name, path)| (*name, path.clone()))).collect()
}

/// Where a name is, and where it leads if it is a link.
fn places(path: &Path) -> Result<Vec<PathBuf>> {
    // Also where what it leads to does not exist yet.
    let next = path.read_link().ok().map(|target| path.parent().unwrap_or(path).join(target));
    let next = next.map(|target| place(&target)).transpose()?;
    Ok([Some(place(path)?), next, path.canonicalize().ok()].into_iter().flatten().collect())
}

/// Absolute, without links above the last name. What does not exist yet is taken as it is written.
fn place(path: &Path) -> Result<PathBuf> {
    let absolute = absolute(path)?;
    let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Ok(absolute.canonicalize().unwrap_or(absolute));
    };
    Ok(existing(folder).join(name))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("finding out where {} lies", path.display()))
}

/// The path with the part of it that exists resolved.
fn existing(path: &Path) -> PathBuf {
    let mut missing: Vec<OsString> = Vec::new();
    for ancestor in path.ancestors() {
        if let Ok(mut found) = ancestor.canonicalize() {
            for name in missing.iter().rev() {
                if name == ".." {
                    found.pop()
                } else {
                    found.push(name);
                    true
                };
            }
            return found;
        }
        missing
            .extend(ancestor.components().next_back().filter(|part| *part != Component::RootDir).map(last));
    }
    path.to_owned()
}

fn last(part: Component<'_>) -> OsString {
    part.as_os_str().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::config::StartupManifest;

    /// A folder with a state directory, a link to it, and what a start reads.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        symlink("data", folder.path().join("link")).unwrap();
        for name in ["manifest.json", "owner.pem", "c.toml"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        symlink("data/addresses", folder.path().join("leads-there")).unwrap();
        folder
    }

    fn judge(folder: &Path, seal_dir: &str, recovery_file: Option<&str>, addresses: Option<&str>) -> String {
        let manifest = folder.join("manifest.json");
        let config = Config {
            seal_dir: folder.join(seal_dir),
            startup: Some(StartupManifest {
                manifest,
                recovery_file: recovery_file.map(|name| folder.join(name)),
                policies: None,
            }),
            addresses_file: addresses.map(|name| folder.join(name)),
            files_read: vec![("owner-cert", folder.join("owner.pem")), ("config", folder.join("c.toml"))],
            ..Config::for_tests()
        };
        check(&config).map_or_else(|error| error.to_string(), |()| String::new())
    }

    // X-26: a start would write over them, or over what is there
    #[test]
    fn nothing_is_written_into_the_state_directory_by_whatever_name() {
        let folder = folder();
        let path = folder.path();
        let inside = [
            "data/sealed_key",
            "data/f",
            "link/sealed_key",
            "data/../data/f",
            "link/../data/f",
            "new/x/../../data/f",
            "data",
            "data/new/f",
        ];
        for name in inside {
            for (recovery, addresses) in [(Some(name), None), (None, Some(name))] {
                let text = judge(path, "data", recovery, addresses);
                assert!(text.contains("lies in the state directory"), "{name}: {text}");
                let text = judge(path, "link/../link", recovery, addresses);
                assert!(name == "data" || text.contains("lies in the state directory"), "{name}: {text}");
            }
        }
        assert!(judge(path, "data", None, Some("leads-there")).contains("state directory"));
        assert!(judge(path, "not/yet", Some("not/yet/f"), None).contains("state directory"));
        for name in ["f", "data2/f", "data/../f", "database", "link/../f"] {
            assert_eq!(judge(path, "data", Some(name), Some("addresses.json")), "", "{name}");
        }
    }

    #[test]
    fn no_two_settings_write_or_read_and_write_one_file() {
        let folder = folder();
        let path = folder.path();
        for (recovery, addresses, settings) in [
            ("f", "f", "startup-recovery-file and addresses-file"),
            // Where the addresses are written first.
            ("f.tmp", "f", "startup-recovery-file and addresses-file"),
            ("f", "new/../f", "startup-recovery-file and addresses-file"),
            ("r", "manifest.json", "addresses-file and startup-manifest"),
            ("r", "owner.pem", "addresses-file and owner-cert"),
            ("c.toml", "a", "startup-recovery-file and config"),
        ] {
            let text = judge(path, "data", Some(recovery), Some(addresses));
            assert!(
                text.contains(settings) && text.contains("name different files"),
                "{recovery} {addresses}: {text}"
            );
        }
        assert_eq!(judge(path, "data", Some("r"), Some("a")), "");
    }
}
