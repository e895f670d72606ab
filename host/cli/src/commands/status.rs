//! `status HOST`. In recovery it says what to do, too: on stderr, since scripts read stdout.

use anyhow::Result;
use carrara_client::Address;
use serde_json::json;

use crate::args::Globals;
use crate::output::{Output, remark};
use crate::session::Session;

/// rest-api.md section 4.
const RECOVERY: u32 = 1;

pub(crate) async fn run(globals: &Globals, host: &Address, output: &mut Output) -> Result<()> {
    let status = Session::new(globals, host).cached_client()?.status().await?;
    output.line(&format!("{}: {}", status.code, status.message))?;
    if status.code == RECOVERY {
        remark(
            "the holders of the manifest's recovery keys open the state again: each sends her secret with `carrara recover`; \
             setting a manifest archives the state instead and begins a new one",
        );
    }
    output.result(&json!({ "code": status.code, "message": status.message }))
}
