//! `manifest set FILE HOST`.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result, anyhow};
use carrara_client::{Address, Client, ClientError};
use serde_json::json;

use super::{components, is_wrong_state};
use crate::args::{Globals, Identity};
use crate::commands::recovery_data::Destination;
use crate::commands::refusal::{may_have_been_done, presented};
use crate::manifest_file;
use crate::output::{Output, warn};
use crate::patience;
use crate::session::Session;

/// What is set, and by whom.
pub(super) struct Setting<'a> {
    /// The manifest.
    pub(super) file: &'a Path,
    /// Components of policies that are sent along.
    pub(super) policies: &'a [PathBuf],
    /// Who sets it, where an owner is configured.
    pub(super) owner: &'a Identity,
}

pub(super) async fn run(
    globals: &Globals,
    host: &Address,
    setting: &Setting<'_>,
    destination: Destination<'_>,
    output: &mut Output,
) -> Result<()> {
    let manifest = manifest_file::load(setting.file)?;
    let policies = components::sent_along(&manifest, setting.policies)?;
    let signature = manifest_file::signature(&manifest);
    let session = Session::new(globals, host);
    let attested = session.attest().await?;
    let client = session.identified(session.attested_client(&attested), setting.owner)?;
    output.line(match globals.insecure {
        true => "Coordinator NOT verified (--insecure), now uploading manifest",
        false => "Successfully verified Coordinator, now uploading manifest",
    })?;
    let set = patience::wait("setting the manifest", client.set_manifest_with(&manifest, &policies)).await;
    let set = set.map_err(|error| refused(error, &client))?;

    // From here on the manifest is set: the recovery data is given once only, so it comes before all else.
    let recovery = destination.keep(&set.recovery_secrets);
    let cached = session.cache(&attested.chain);
    output.line(&format!("Manifest signature: {signature}"))?;
    output.line("Manifest successfully set")?;
    recovery.tell(output)?;
    set.warnings.iter().for_each(warn);
    output.result(&json!({
        "ManifestSignature": signature, "RecoverySecrets": set.recovery_secrets, "warnings": set.warnings,
    }))?;
    recovery.finish()?;
    cached
}

fn refused(error: ClientError, client: &Client) -> Error {
    if matches!(error, ClientError::Unauthorized(_)) {
        let presented = presented(client);
        return anyhow!(
            "setting the manifest: the coordinator is configured with its owner's certificate, and only its holder sets \
             the first manifest or a new one in recovery: give certificate and key with --cert and --key (presented: \
             {presented})"
        );
    }
    let missing = components::remedy(&error).map(|remedy| format!("; {remedy}"));
    let remedy = if let Some(missing) = &missing {
        missing
    } else if is_wrong_state(&error) {
        "; one is set already and cannot be replaced: read it with `carrara manifest get`"
    } else if may_have_been_done(&error) {
        "; it may have been set all the same, and then its recovery data was lost with the answer: see `carrara status`"
    } else {
        ""
    };
    Error::new(error).context(format!("setting the manifest{remedy}"))
}
