//! The startup manifest: reads the file, lets the core apply it, and keeps the recovery secrets.

use anyhow::{Context as _, Result, anyhow};
use carrara_core::Coordinator;
use carrara_core::error::{SetManifestError, StartupManifestError};
use carrara_core::ports::StoreError;
use tracing::{error, info, warn};

use crate::components;
use crate::config::StartupManifest;
use crate::input;
use crate::recovery_file::RecoveryFile;

/// Applies the startup manifest, of at most `limit` bytes as any other.
///
/// # Errors
/// An owner is configured, another manifest is in force, the coordinator is in recovery, or the manifest is refused.
pub(crate) async fn apply(coordinator: &Coordinator, startup: &StartupManifest, limit: usize) -> Result<()> {
    let path = startup.manifest.display();
    let manifest = input::read(&startup.manifest, limit)
        .with_context(|| format!("reading the startup manifest {path}"))?;
    let file = startup.recovery_file.as_deref().map(RecoveryFile::at);
    let keep = file.as_ref().map(RecoveryFile::keep);
    let policies = startup.policies.as_deref();
    let components = match policies {
        None => Vec::new(),
        Some(folder) => components::named_by(&manifest, folder)
            .with_context(|| format!("reading the startup policies {}", folder.display()))?,
    };
    let applied = coordinator.apply_startup_manifest(&manifest, components, keep).await;
    let applied = applied.map_err(|error| {
        let remedy = components::remedy(&error, policies);
        let error = refused(error, file.as_ref());
        match remedy {
            Some(remedy) => anyhow!("{error:#}; {remedy}"),
            None => error,
        }
    });
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
    let written = startup.recovery_file.as_ref().filter(|_| file.is_some_and(|file| file.is_written()));
    info!(%path, recovery_secrets = written.map(|file| tracing::field::display(file.display())), "startup manifest set");
    Ok(())
}

/// Recovery secrets of a state that was not made are of no use; of one that may have been made they are all that there is.
fn refused(error: StartupManifestError, file: Option<&RecoveryFile>) -> anyhow::Error {
    let StartupManifestError::Set(cause) = &error else { return anyhow!(error) };
    if let Some(cause) = cause.internal() {
        error!(cause, "setting the startup manifest");
    }
    let unknown =
        matches!(cause, SetManifestError::Unknown(_) | SetManifestError::Store(StoreError::Unknown(_)));
    match file {
        Some(file) if unknown && file.is_written() => {
            anyhow!(error).context("keep the file with the recovery secrets")
        }
        Some(file) => {
            file.withdraw();
            anyhow!(error)
        }
        None => anyhow!(error),
    }
}
