//! The crate's copy of the interfaces is the project's.

use std::fs;
use std::path::Path;

#[test]
fn the_copy_of_the_interfaces_is_the_projects() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries
            .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "wit"))
            .collect();
        names.sort();
        names
    };
    let (copy, original) = (here.join("wit"), here.join("../../wit"));
    assert_eq!(files(&copy), files(&original));
    for name in files(&original) {
        let same = fs::read(copy.join(&name)).unwrap() == fs::read(original.join(&name)).unwrap();
        assert!(same, "sdk/rust/wit/{} is not wit/{0}: copy it", name.display());
    }
}
