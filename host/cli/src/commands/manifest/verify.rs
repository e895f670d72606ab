//! `manifest verify FILE|SIGNATURE HOST`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use carrara_client::Address;
use serde_json::json;

use super::components::{self, Verified};
use crate::args::Globals;
use crate::manifest_file;
use crate::output::Output;
use crate::session::Session;

pub(crate) async fn run(
    globals: &Globals,
    expected: &str,
    host: &Address,
    policies: &[PathBuf],
    output: &mut Output,
) -> Result<()> {
    let expected = expected_signature(expected)?;
    let session = Session::new(globals, host);
    let attested = session.attest().await?;
    let manifest = session.attested_client(&attested).manifest().await?;
    let found = manifest.fingerprint;
    if found != expected {
        bail!(
            "the coordinator has another manifest: its signature is {found}, expected {expected}; read it with \
             `carrara manifest get`"
        );
    }
    let verified =
        if policies.is_empty() { Vec::new() } else { components::verify(&manifest.manifest, policies)? };
    session.cache(&attested.chain)?;
    output.line("OK")?;
    for Verified { name, component, file } in &verified {
        let file = file.as_ref().map_or_else(|| "not compared".to_owned(), |file| file.display().to_string());
        output.line(&format!("policy {name}: {component}  {file}"))?;
    }
    output.result(&if policies.is_empty() {
        json!({ "ok": true, "ManifestSignature": found })
    } else {
        json!({ "ok": true, "ManifestSignature": found, "policies": verified })
    })
}

fn expected_signature(text: &str) -> Result<String> {
    let path = Path::new(text);
    if path.exists() {
        return Ok(manifest_file::signature(&manifest_file::load(path)?));
    }
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    bail!("{text:?} is neither a manifest file that exists nor a signature of 64 hex characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_before_a_signature() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.json");
        std::fs::write(&path, b"{}").unwrap();
        let signature = expected_signature(path.to_str().unwrap()).unwrap();
        assert_eq!(signature, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        assert_eq!(expected_signature(&signature.to_uppercase()).unwrap(), signature);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["missing.json", "", &"a".repeat(63), &"a".repeat(65), &"g".repeat(64)] {
            assert!(expected_signature(text).unwrap_err().to_string().contains("64 hex"), "{text}");
        }
    }
}
