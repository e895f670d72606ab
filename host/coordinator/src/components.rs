//! The components of a startup manifest's policies: files of one directory, found by their digests.

use std::collections::BTreeSet;
use std::io::{Error, Result};
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use carrara_core::error::{SetManifestError, StartupManifestError, public_message};
use carrara_types::manifest::ParsedManifest;
use carrara_types::policy::Digest;
use carrara_wasm::limits::MAX_COMPONENT_BYTES;

use crate::input;

/// Files that are looked at: a manifest names far fewer, and each is read.
const MAX_FILES: usize = 1024;

/// The components that the manifest names, from the directory; what else is there stays where it is. What is wrong with the manifest,
/// and which components are missing, is said when it is set.
///
/// # Errors
/// The directory cannot be read, or holds too many files.
pub(crate) fn named_by(manifest: &[u8], folder: &Path) -> Result<Vec<Vec<u8>>> {
    let Ok(manifest) = ParsedManifest::parse(manifest) else { return Ok(Vec::new()) };
    let mut wanted: BTreeSet<Digest> = manifest.policies.values().map(|entry| entry.component).collect();
    let mut found = Vec::new();
    for (number, entry) in std::fs::read_dir(folder)?.enumerate() {
        if number >= MAX_FILES {
            return Err(Error::other(format!(
                "it holds more than {MAX_FILES} files: is it the right directory?"
            )));
        }
        let path = entry?.path();
        let fits = |data: std::fs::Metadata| data.is_file() && data.len() <= MAX_COMPONENT_BYTES as u64;
        if wanted.is_empty() || !path.metadata().is_ok_and(fits) {
            continue;
        }
        let named = |error: Error| Error::new(error.kind(), format!("{}: {error}", path.display()));
        let bytes = input::read(&path, MAX_COMPONENT_BYTES).map_err(named)?;
        let mut of = [0; 32];
        of.copy_from_slice(digest(&SHA256, &bytes).as_ref());
        if wanted.remove(&Digest(of)) {
            found.push(bytes);
        }
    }
    Ok(found)
}

/// What helps where components are missing, which the refusal names.
pub(crate) fn remedy(error: &StartupManifestError, folder: Option<&Path>) -> Option<String> {
    let StartupManifestError::Set(refused @ SetManifestError::Refused(_)) = error else { return None };
    if !public_message(refused).contains("missing components of policies") {
        return None;
    }
    let put = match folder {
        None => "put their files into a directory and name it with startup-policies".to_owned(),
        Some(folder) => format!("put their files into {}", folder.display()),
    };
    Some(format!(
        "{put}; of one that another coordinator has, `carrara policy pull DIGEST HOST -o FILE` makes the file"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    // X-26
    #[test]
    fn what_the_manifest_names_is_taken_from_the_directory_once_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        for (name, text) in [("a.wasm", "abc"), ("again", "abc"), ("b.wasm", "other")] {
            write(name, text);
        }
        std::fs::create_dir(folder.path().join("c.wasm")).unwrap();
        std::os::unix::fs::symlink("missing", folder.path().join("dangling")).unwrap();
        let manifest = |hex: &str| {
            let entry = format!(r#"{{"World":"marble-admission","Component":"sha256:{hex}"}}"#);
            format!(r#"{{"Policies":{{"x":{entry},"y":{entry}}}}}"#)
        };
        let abc = manifest("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(named_by(abc.as_bytes(), folder.path()).unwrap(), [b"abc"]);
        for none in [manifest(&"00".repeat(32)), "{}".to_owned(), "no manifest".to_owned()] {
            assert!(named_by(none.as_bytes(), folder.path()).unwrap().is_empty(), "{none}");
        }
        assert!(named_by(abc.as_bytes(), &folder.path().join("missing")).is_err());
    }
}
