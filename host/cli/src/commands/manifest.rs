//! `manifest init|check|schema|diff|set|get|verify|log|signature`.

mod check;
mod components;
pub(crate) mod diff;
mod get;
mod init;
mod log;
mod schema;
mod set;
mod update;
mod verify;

use std::path::PathBuf;

use anyhow::Result;
use carrara_client::{Address, ClientError};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::args::{Globals, Identity};
use crate::commands::recovery_data::Destination;
use crate::manifest_file;
use crate::output::Output;

/// Write, set, read and verify manifests
#[derive(Debug, Subcommand)]
pub(crate) enum Manifest {
    /// Write a small valid manifest to start from
    Init {
        /// Where it goes
        #[arg(default_value = "manifest.json")]
        file: PathBuf,
        /// Overwrite an existing file
        #[arg(short, long)]
        force: bool,
    },
    Check(check::Check),
    Diff(diff::Diff),
    /// Print a JSON Schema of the manifest, for editors
    Schema {
        /// Save the schema instead of printing it
        #[arg(short, long, value_name = "FILE")]
        out_file: Option<PathBuf>,
    },
    /// Attest the coordinator and set its manifest, JSON or YAML
    ///
    /// Where the coordinator is configured with its owner's certificate, only the owner can: she gives it with --cert and --key.
    Set {
        /// The manifest
        file: PathBuf,
        /// HOST:PORT
        host: Address,
        /// Save the recovery data instead of printing it
        #[arg(short, long, alias = "recovery-data", value_name = "FILE")]
        recoverydata: Option<PathBuf>,
        /// Overwrite an existing file of recovery data
        #[arg(short, long)]
        force: bool,
        /// Send the component of a policy along that the manifest names; as often as needed
        #[arg(long = "policy", value_name = "FILE")]
        policies: Vec<PathBuf>,
        #[command(flatten)]
        owner: Identity,
    },
    /// Attest the coordinator and read its manifest
    Get(Get),
    /// Attest the coordinator and check that it has this manifest
    Verify {
        /// The manifest, or its signature (64 hex characters)
        #[arg(value_name = "FILE|SIGNATURE")]
        expected: String,
        /// HOST:PORT
        host: Address,
        /// A component that the manifest must name; may be given more than once. Those that it names and that are not given are
        /// listed
        #[arg(long, value_name = "FILE")]
        policy: Vec<PathBuf>,
    },
    Log(log::Log),
    /// Change the manifest in force, alone or together with other users
    #[command(subcommand)]
    Update(update::Update),
    /// Print a manifest's signature: the SHA-256 of what is sent
    Signature {
        /// The manifest
        file: PathBuf,
    },
}

/// Attest the coordinator and read its manifest
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// HOST:PORT
    host: Address,
    /// Print the signature beside the manifest
    #[arg(short, long)]
    signature: bool,
    /// Show the security versions after package updates
    #[arg(short = 'u', long)]
    display_update: bool,
    /// Save the manifest instead of printing it
    #[arg(short, long, value_name = "FILE")]
    out_file: Option<PathBuf>,
    /// Save the coordinator's certificates for later commands
    #[arg(long)]
    keep_cert: bool,
}

pub(crate) async fn run(globals: &Globals, command: &Manifest, output: &mut Output) -> Result<()> {
    match command {
        Manifest::Init { file, force } => init::run(file, *force, output),
        Manifest::Check(command) => check::run(command, output),
        Manifest::Diff(command) => diff::run(globals, command, output).await,
        Manifest::Schema { out_file } => schema::run(out_file.as_deref(), output),
        Manifest::Set { file, host, recoverydata, force, policies, owner } => {
            let destination = Destination::open(recoverydata.as_deref(), *force)?;
            let set = set::Setting { file, policies, owner };
            set::run(globals, host, &set, destination, output).await
        }
        Manifest::Get(get) => get::run(globals, get, output).await,
        Manifest::Verify { expected, host, policy } => {
            verify::run(globals, expected, host, policy, output).await
        }
        Manifest::Log(log) => log::run(globals, log, output).await,
        Manifest::Update(update) => update::run(globals, update, output).await,
        Manifest::Signature { file } => {
            let signature = manifest_file::signature(&manifest_file::load(file)?);
            output.line(&signature)?;
            output.result(&json!({ "ManifestSignature": signature }))
        }
    }
}

/// The coordinator's words in rest-api.md section 4 name no command that helps.
fn is_wrong_state(error: &ClientError) -> bool {
    matches!(error, ClientError::Api(refusal) if refusal.message == "server is not in expected state")
}
