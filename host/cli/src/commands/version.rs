//! `version [HOST]`: this program's version, and the coordinator's as its API's description has it.

use anyhow::{Context, Result};
use carrara_client::{Address, Client};
use serde_json::{Value, json};

use crate::args::Globals;
use crate::commands::refusal::explain;
use crate::output::Output;
use crate::session::Session;

/// Set where a release is built.
const COMMIT: &str = match option_env!("CARRARA_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

pub(crate) async fn run(globals: &Globals, host: Option<&Address>, output: &mut Output) -> Result<()> {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    output.line(&format!("CLI Version: {version}"))?;
    output.line(&format!("Commit: {COMMIT}"))?;
    let coordinator = match host {
        Some(host) => Some(of_coordinator(&Session::new(globals, host).cached_client()?).await?),
        None => None,
    };
    if let Some(coordinator) = &coordinator {
        output.line(&format!("Coordinator Version: {coordinator}"))?;
    }
    output.result(&json!({ "version": version, "commit": COMMIT, "coordinator": coordinator }))
}

async fn of_coordinator(client: &Client) -> Result<String> {
    let document = client.openapi().await;
    let document = document.map_err(|error| explain(error, "reading the coordinator's version", client))?;
    let version = document.pointer("/info/version").and_then(Value::as_str);
    Ok(format!("v{}", version.context("the coordinator's OpenAPI document names no version")?))
}
