//! The startup manifest (X-26): reads the file, lets the core apply it, and keeps the recovery secrets.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carrara_core::Coordinator;
use carrara_core::error::StartupManifestError;
use serde::Serialize;
use tracing::{error, info, warn};

use crate::config::StartupManifest;

/// rest-api.md section 4.
const ACCEPTING_MANIFEST: u8 = 2;

/// Applies the startup manifest.
///
/// # Errors
/// Another manifest is in force, the coordinator is in recovery, or the manifest is refused.
pub(crate) async fn apply(coordinator: &Coordinator, startup: &StartupManifest) -> Result<()> {
    let path = startup.manifest.display();
    let manifest =
        std::fs::read(&startup.manifest).with_context(|| format!("reading the startup manifest {path}"))?;
    // On a restart the file is there already, and nothing is going to be written to it.
    let wanted = startup.recovery_file.as_deref().filter(|_| coordinator.status().code == ACCEPTING_MANIFEST);
    let file = wanted.map(make_recovery_file).transpose()?;
    let applied = coordinator.apply_startup_manifest(&manifest, startup.recovery_file.is_some()).await;
    if let (Err(_), Some(unused)) = (&applied, wanted) {
        // Best effort: an empty file left behind is refused at the next start, with its name.
        let _ = std::fs::remove_file(unused);
    }
    if let Err(StartupManifestError::Set(error)) = &applied
        && let Some(cause) = error.internal()
    {
        error!(cause, "setting the startup manifest");
    }
    let Some(set) = applied.with_context(|| format!("applying the startup manifest {path}"))? else {
        info!(%path, "the startup manifest is in force already");
        return Ok(());
    };
    for finding in &set.warnings {
        // A field, which is escaped, and no part of the text: the manifest could forge lines with it.
        warn!(
            code = finding.code,
            path = finding.path,
            finding = finding.message,
            "the startup manifest was set with a warning"
        );
    }
    if let Some(file) = file {
        write_secrets(file, &set.recovery_secrets).context("writing the recovery secrets")?;
    }
    info!(%path, "startup manifest set");
    Ok(())
}

/// Made before the manifest is set, since afterwards the secrets exist nowhere else.
fn make_recovery_file(path: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| {
        format!("making the file {} for the recovery secrets; it must not exist yet", path.display())
    })
}

#[derive(Serialize)]
struct RecoveryData {
    #[serde(rename = "RecoverySecrets")]
    secrets: BTreeMap<String, String>,
}

/// Ciphertexts, in the form in which `manifest set --recoverydata` saves them.
fn write_secrets(mut file: File, secrets: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let secrets = secrets.iter().map(|(name, secret)| (name.clone(), STANDARD.encode(secret))).collect();
    file.write_all(&serde_json::to_vec(&RecoveryData { secrets })?)?;
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // X-26
    #[test]
    fn recovery_secrets_never_overwrite_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets.json");
        let file = make_recovery_file(&path).unwrap();
        write_secrets(file, &BTreeMap::from([("k".to_owned(), vec![255])])).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), r#"{"RecoverySecrets":{"k":"/w=="}}"#);
        let error = make_recovery_file(&path).unwrap_err().to_string();
        assert!(error.contains("must not exist") && error.contains("secrets.json"), "{error}");
    }
}
