//! `attest HOST -o FILE`: verifies the quote and saves the root certificate, for curl and other clients.
//!
//! Needs no saved certificates and saves none for later commands: that is left to `manifest verify`, which also says
//! what the coordinator runs.

use std::path::PathBuf;

use anyhow::Result;
use carrara_client::Address;
use clap::Args;
use serde_json::json;

use crate::args::Globals;
use crate::files;
use crate::output::Output;
use crate::session::Session;

/// Attest the coordinator and save its root certificate
#[derive(Debug, Args)]
pub(crate) struct Attest {
    /// HOST:PORT
    host: Address,
    /// Where the root certificate goes, PEM
    #[arg(short, long, default_value = "root.pem", value_name = "FILE")]
    out_file: PathBuf,
}

pub(crate) async fn run(globals: &Globals, command: &Attest, output: &mut Output) -> Result<()> {
    let attested = Session::new(globals, &command.host).attest().await?;
    files::write(&command.out_file, attested.chain.root_pem().as_bytes())?;
    let verified =
        if globals.insecure { "Coordinator not verified (--insecure)" } else { "Coordinator verified" };
    output.line(verified)?;
    output.line(&format!("Root certificate written to {}", command.out_file.display()))?;
    output.result(&json!({ "verified": !globals.insecure, "file": command.out_file }))
}
