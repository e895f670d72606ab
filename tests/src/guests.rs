//! Components that tests build from sources in several languages, and keep until the sources change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::root;

/// What tools leave behind is no source.
const LEFT_BEHIND: [&str; 4] = ["node_modules", "__pycache__", "target", "build"];

/// How to install the tools that policies in a language (`rust`, `python`, `js` or `go`) are built with, where they are not there.
#[must_use]
pub fn missing(language: &str) -> Option<&'static str> {
    let (program, probe, install) = match language {
        "go" => ("go", "version", "https://go.dev/dl (1.25 or newer)"),
        "python" => ("python3", "--version", "apt-get install python3 python3-venv"),
        "js" => ("npm", "--version", "apt-get install nodejs npm"),
        _ => ("cargo", "--version", "https://rustup.rs"),
    };
    let found = Command::new(program).arg(probe).output().is_ok_and(|output| output.status.success());
    (!found).then_some(install)
}

/// Where builds install the tools of all tests, not those of whoever runs them.
#[must_use]
pub fn tools() -> PathBuf {
    root().join("target/policy-tools")
}

/// The component in a file, made anew where `sources` or what builds every guest have changed. A source that is no folder is a file.
///
/// # Panics
/// If the file cannot be written.
pub fn kept(path: &Path, sources: &[&Path], build: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let stamp = path.with_extension("sources");
    let digest = digest(sources);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == digest)
        && let Ok(component) = fs::read(path)
    {
        return component;
    }
    let component = build();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, &component).unwrap();
    fs::write(&stamp, digest).unwrap();
    component
}

/// All files of a folder with its folders, sorted, without what tools leave behind.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() {
            all.push(path);
        } else if !LEFT_BEHIND.contains(&name.as_str()) {
            all.extend(files(&path));
        }
    }
    all.sort();
    all
}

/// Copies the files of a folder.
///
/// # Panics
/// If one cannot be copied.
pub fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let to = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, to).unwrap();
    }
}

/// Of names and contents: those of the sources, of the interfaces, and of what builds guests.
fn digest(sources: &[&Path]) -> String {
    let common = ["wit", "host/author/src/build", "host/author/src/build.rs"].map(|path| root().join(path));
    let mut digest = Sha256::new();
    for source in sources.iter().copied().chain(common.iter().map(PathBuf::as_path)) {
        for file in if source.is_dir() { files(source) } else { vec![source.to_owned()] } {
            let name = file.strip_prefix(source).unwrap().to_string_lossy();
            digest.update(Sha256::digest(name.as_bytes()));
            digest.update(Sha256::digest(fs::read(&file).unwrap()));
        }
    }
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_made_anew_where_a_name_or_a_text_of_its_sources_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (sources, path) = (folder.path().join("sources"), folder.path().join("kept/a.wasm"));
        fs::create_dir_all(sources.join("node_modules")).unwrap();
        fs::write(sources.join("one"), "1").unwrap();
        let made = |bytes: &[u8]| kept(&path, &[&sources], || bytes.to_vec());
        assert_eq!(made(b"first"), b"first");
        assert_eq!(made(b"second"), b"first");
        fs::write(sources.join("node_modules/other"), "").unwrap();
        assert_eq!(made(b"third"), b"first", "what tools leave behind is no source");
        fs::write(sources.join("one"), "2").unwrap();
        assert_eq!(made(b"fourth"), b"fourth");
        fs::rename(sources.join("one"), sources.join("two")).unwrap();
        assert_eq!(made(b"fifth"), b"fifth");
        fs::remove_file(&path).unwrap();
        assert_eq!(made(b"sixth"), b"sixth", "a component that is gone is made anew");
    }
}
