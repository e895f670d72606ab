//! `status HOST`.

use anyhow::Result;
use carrara_client::Address;
use serde_json::json;

use crate::args::Globals;
use crate::output::Output;
use crate::session::Session;

pub(crate) async fn run(globals: &Globals, host: &Address, output: &mut Output) -> Result<()> {
    let status = Session::new(globals, host).cached_client()?.status().await?;
    output.line(&format!("{}: {}", status.code, status.message))?;
    output.result(&json!({ "code": status.code, "message": status.message }))
}
