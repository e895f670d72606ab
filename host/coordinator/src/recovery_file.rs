//! The file for the recovery secrets of a startup manifest (X-26). They are given once, so the file is whole and on the disk
//! before the state is made, and it never takes the place of another one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_core::error::Cause;
use carrara_core::outcome::KeepSecrets;
use serde::Serialize;

/// Where recovery secrets go.
pub(crate) struct RecoveryFile {
    path: PathBuf,
    /// Whether the file is this start's.
    written: Arc<AtomicBool>,
}

#[derive(Serialize)]
struct RecoveryData {
    #[serde(rename = "RecoverySecrets")]
    secrets: BTreeMap<String, String>,
}

impl RecoveryFile {
    /// Nothing is made yet.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), written: Arc::default() }
    }

    /// What writes it.
    pub(crate) fn keep(&self) -> KeepSecrets {
        let (path, written) = (self.path.clone(), Arc::clone(&self.written));
        Box::new(move |secrets| write(&path, secrets, &written).map_err(|error| Cause(format!("{error:#}"))))
    }

    /// Whether there is recovery data in it that this start wrote.
    pub(crate) fn is_written(&self) -> bool {
        self.written.load(Ordering::Relaxed)
    }

    /// For recovery data of a state that was not made. Best effort: a file left behind is refused at the next start, with its
    /// name.
    pub(crate) fn withdraw(&self) {
        if self.is_written() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Ciphertexts, in the form in which `manifest set --recoverydata` saves them.
fn write(path: &Path, secrets: &BTreeMap<String, Vec<u8>>, written: &AtomicBool) -> Result<()> {
    let secrets = secrets.iter().map(|(name, secret)| (name.clone(), STANDARD.encode(secret))).collect();
    let text = serde_json::to_vec(&RecoveryData { secrets })?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| {
        format!(
            "making the file {} for the recovery secrets; it must not exist yet: keep it if it belongs to another state, and \
             name another file",
            path.display()
        )
    })?;
    written.store(true, Ordering::Relaxed);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let durable = file
        .write_all(&text)
        .and_then(|()| file.sync_all())
        // Its name, too.
        .and_then(|()| File::open(folder)?.sync_all());
    durable.with_context(|| {
        format!("writing the recovery secrets to {}; check that there is room", path.display())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn secrets() -> BTreeMap<String, Vec<u8>> {
        BTreeMap::from([("k".to_owned(), vec![255])])
    }

    // X-26
    #[test]
    fn recovery_secrets_are_for_their_owner_alone_and_never_overwrite_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets.json");
        let file = RecoveryFile::at(&path);
        file.keep()(&secrets()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), r#"{"RecoverySecrets":{"k":"/w=="}}"#);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let second = RecoveryFile::at(&path);
        let error = second.keep()(&BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("must not exist") && error.contains("secrets.json"), "{error}");
        second.withdraw();
        assert!(path.exists(), "another start's");
        file.withdraw();
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let file = RecoveryFile::at(Path::new("/nonexistent/secrets.json"));
        let error = file.keep()(&secrets()).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/secrets.json") && !file.is_written(), "{error}");
    }
}
