//! `secret set FILE HOST`.

use std::path::Path;

use anyhow::{Context, Result};
use carrara_client::{Address, SecretUploads};
use serde_json::json;

use super::from_pem;
use crate::args::{Globals, User};
use crate::commands::refusal::explain_change;
use crate::files;
use crate::output::Output;
use crate::patience;
use crate::session::Session;

pub(crate) async fn run(
    globals: &Globals,
    file: &Path,
    host: &Address,
    user: &User,
    pem_name: Option<&str>,
    output: &mut Output,
) -> Result<()> {
    let content = files::read(file)?;
    let uploads = match pem_name {
        Some(name) => from_pem::certificate(name, &content, file),
        None => from_json(&content),
    };
    let uploads = uploads.with_context(|| format!("reading secrets from {}", file.display()))?;
    let client = Session::new(globals, host).user_client(user)?;
    let sent = patience::wait("uploading and trying the secrets", client.set_secrets(&uploads)).await;
    sent.map_err(|error| explain_change(error, "setting secrets", &client))?;
    output.line("Secret successfully set")?;
    output.result(&json!({ "set": uploads.names() }))
}

fn from_json(content: &[u8]) -> Result<SecretUploads> {
    let is_pem = content.windows(11).any(|window| window == b"-----BEGIN ");
    SecretUploads::from_json(content).with_context(|| match is_pem {
        true => "a PEM file is taken with --from-pem NAME, NAME being the secret to set",
        false => "secrets are given as a JSON object",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(tag: &str, content: &[u8]) -> String {
        pem::encode(&pem::Pem::new(tag, content))
    }

    #[test]
    fn a_pem_file_without_the_flag_names_it_and_shows_no_content() {
        let error = format!("{:#}", from_json(block("PRIVATE KEY", b"hunter2").as_bytes()).unwrap_err());
        assert!(error.contains("--from-pem") && !error.contains("aHVudGVyMg"), "{error}");
        let error = format!("{:#}", from_json(b"\"hunter2\"").unwrap_err());
        assert!(error.contains("JSON object") && !error.contains("hunter2"), "{error}");
    }
}
