//! Packs what `carrara policy new` writes: the interfaces, the SDKs and the templates. Text only, about 300 KB.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Not part of what an author gets: what builds leave behind, and tests that need the rest of the source tree.
const LEFT_OUT: [&str; 12] = [
    "target",
    "node_modules",
    "__pycache__",
    "build",
    "dist",
    "tests",
    "test",
    "examples",
    ".venv",
    ".cache",
    "wit-check",
    ".git",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = here.join("../..");
    let mut text = String::new();
    let folders = [
        ("WIT", root.join("wit")),
        ("RUST", root.join("sdk/rust")),
        ("PYTHON", root.join("sdk/python")),
        ("JS", root.join("sdk/js")),
        ("GO", root.join("sdk/go")),
        ("TEMPLATES", here.join("templates")),
    ];
    for (name, folder) in folders {
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        if let Err(error) = collect(&folder, &folder, &mut files)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            println!("cargo::error=packing {}: {error}", folder.display());
            return;
        }
        files.sort();
        let _ = writeln!(text, "static {name}: &[PackedFile] = &[");
        for (path, file) in files {
            let _ = writeln!(text, "    PackedFile {{ path: {path:?}, content: include_bytes!({file:?}) }},");
        }
        text.push_str("];\n");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("packed.rs");
    if let Err(error) = fs::write(&out, text) {
        println!("cargo::error=writing {}: {error}", out.display());
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if LEFT_OUT.contains(&name.as_str()) || name.ends_with(".egg-info") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else if !["wasm", "pyc", "lock"].iter().any(|ending| name.ends_with(&format!(".{ending}"))) {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push((relative, path.canonicalize()?));
        }
    }
    Ok(())
}
