//! What travels in the binary for authors: interfaces, SDKs, templates. Packed by the build script.

use crate::project::Language;

/// A file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedFile {
    /// Its path in its folder.
    pub(crate) path: &'static str,
    /// Its bytes.
    pub(crate) content: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/packed.rs"));

/// The files of `wit/`.
pub(crate) fn wit() -> impl Iterator<Item = PackedFile> {
    WIT.iter().copied()
}

/// The files of a language's SDK.
pub(crate) fn sdk(language: Language) -> impl Iterator<Item = PackedFile> {
    let files = match language {
        Language::Rust => RUST,
        Language::Python => PYTHON,
        Language::JavaScript => JS,
        Language::Go => GO,
    };
    files.iter().copied()
}

/// A template by its path in `templates/`.
pub(crate) fn template(path: &str) -> Option<&'static str> {
    let file = TEMPLATES.iter().find(|file| file.path == path)?;
    std::str::from_utf8(file.content).ok()
}

/// The files of `templates/FOLDER`, with their paths in it.
pub(crate) fn templates(folder: &str) -> impl Iterator<Item = PackedFile> {
    TEMPLATES.iter().filter_map(move |file| {
        let path = file.path.strip_prefix(folder)?.strip_prefix('/')?;
        Some(PackedFile { path, content: file.content })
    })
}
