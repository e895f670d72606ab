//! `secret set FILE HOST`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use carrara_client::{Address, SecretUploads};
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::{Globals, User};
use crate::commands::refusal::explain_change;
use crate::files;
use crate::output::{Output, complain};
use crate::patience;
use crate::session::Session;

pub(crate) async fn run(
    globals: &Globals,
    file: &Path,
    host: &Address,
    user: &User,
    from_pem: Option<&str>,
    output: &mut Output,
) -> Result<()> {
    let content = files::read(file)?;
    let uploads = match from_pem {
        Some(name) => certificate(name, &content),
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

/// The first certificate and the first private key of a PEM file.
fn certificate(name: &str, content: &[u8]) -> Result<SecretUploads> {
    let (mut certificate, mut private) = (None, None);
    for block in pem::parse_many(content).context("it is not PEM")? {
        let tag = block.tag().to_owned();
        let der = Zeroizing::new(block.into_contents());
        if tag == "CERTIFICATE" {
            certificate.get_or_insert(der);
        } else if tag.contains("PRIVATE") {
            private.get_or_insert((tag, der));
        }
    }
    let Some(certificate) = certificate else {
        bail!("it holds no PEM block CERTIFICATE");
    };
    match &private {
        None => complain(&format!(
            "Warning: the file holds no private key: Marbles that use the key of {name} cannot be activated"
        )),
        Some((tag, _)) if tag != "PRIVATE KEY" => complain(&format!(
            "Warning: Marbles expect a PKCS#8 key in {name}, not {tag}; `openssl pkcs8 -topk8 -nodes` converts it"
        )),
        Some(_) => {}
    }
    Ok(SecretUploads::certificate(name, &certificate, private.as_ref().map(|(_, der)| der.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(tag: &str, content: &[u8]) -> String {
        pem::encode(&pem::Pem::new(tag, content))
    }

    // cli.md `secret set`: the first of each, in any order, with any other blocks between.
    #[test]
    fn the_first_certificate_and_the_first_private_key_are_taken() {
        let text = [
            "text\n",
            &block("EC PARAMETERS", &[9]),
            &block("PRIVATE KEY", &[1]),
            &block("CERTIFICATE", &[2]),
        ]
        .concat()
            + &block("CERTIFICATE", &[3])
            + &block("EC PRIVATE KEY", &[4]);
        let made = certificate("c", text.as_bytes()).unwrap();
        assert_eq!(format!("{:?}", made.names()), r#"["c"]"#);
        let expected = SecretUploads::certificate("c", &[2], Some(&[1]));
        assert_eq!(made.as_json(), expected.as_json());
        let alone = certificate("c", block("CERTIFICATE", &[2]).as_bytes()).unwrap();
        assert_eq!(alone.as_json(), SecretUploads::certificate("c", &[2], None).as_json());
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        for text in [String::new(), "text".to_owned(), block("PRIVATE KEY", &[1])] {
            let error = certificate("c", text.as_bytes()).unwrap_err();
            assert!(format!("{error:#}").contains("CERTIFICATE"), "{error:#}");
        }
        assert!(certificate("c", b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n").is_err());
    }

    #[test]
    fn a_pem_file_without_the_flag_names_it_and_shows_no_content() {
        let error = format!("{:#}", from_json(block("PRIVATE KEY", b"hunter2").as_bytes()).unwrap_err());
        assert!(error.contains("--from-pem") && !error.contains("aHVudGVyMg"), "{error}");
        let error = format!("{:#}", from_json(b"\"hunter2\"").unwrap_err());
        assert!(error.contains("JSON object") && !error.contains("hunter2"), "{error}");
    }
}
