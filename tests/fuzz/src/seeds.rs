//! Where inputs are kept: `seeds/<target>/` and `regressions/<target>/`, a file each. Names that end in `.hex` hold bytes as
//! hex, with white space and `#` comments; all others are taken as they are.

use std::path::{Path, PathBuf};

use crate::Target;

/// Every input that is kept for a target, and those that it makes itself.
///
/// # Panics
/// A file cannot be read, or is no hex.
#[must_use]
pub fn of(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = kept("seeds", target.name);
    inputs.extend(regressions(target));
    inputs.extend((target.seeds)());
    inputs
}

/// The inputs that once failed.
///
/// # Panics
/// A file cannot be read, or is no hex.
#[must_use]
pub fn regressions(target: &Target) -> Vec<Vec<u8>> {
    kept("regressions", target.name)
}

/// Writes the seeds of a target into a folder, as libFuzzer reads them.
///
/// # Panics
/// The folder cannot be written.
pub fn write(target: &Target, folder: &Path) {
    std::fs::create_dir_all(folder).expect("the folder of the corpus can be made");
    for (index, seed) in of(target).iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{index:03}")), seed).expect("the corpus can be written");
    }
}

/// The folder of this crate.
#[must_use]
pub fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn kept(kind: &str, name: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(home().join(kind).join(name)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the folder of seeds can be read").path()).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<u8> {
    let content = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_none_or(|extension| extension != "hex") {
        return content;
    }
    let text = String::from_utf8(content).unwrap_or_else(|_| panic!("{}: no text", path.display()));
    let digits: String = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::chars)
        .filter(|character| !character.is_whitespace())
        .collect();
    hex::decode(digits).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
