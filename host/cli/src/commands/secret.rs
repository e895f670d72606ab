//! `secret get NAME... HOST` and `secret set FILE HOST`.

mod from_pem;
mod set;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use carrara_client::Address;
use carrara_types::secret::SecretBytes;
use clap::Subcommand;
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::{Globals, User};
use crate::commands::refusal::explain;
use crate::files;
use crate::output::Output;
use crate::session::Session;

/// Read secrets, and set user-defined ones
#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Read secrets as a user who may
    Get {
        /// Names of the secrets
        #[arg(required = true, num_args = 1.., value_name = "NAME")]
        names: Vec<String>,
        /// HOST:PORT
        host: Address,
        #[command(flatten)]
        user: User,
        /// Save the secrets as JSON instead of printing them
        #[arg(short, long, value_name = "FILE")]
        out_file: Option<PathBuf>,
    },
    /// Set user-defined secrets as a user who may
    ///
    /// FILE is a JSON object of secrets by name. A symmetric key or plain secret has its bytes in Key, a certificate
    /// its DER in Cert and its PKCS#8 key in Private, all base64:
    ///
    ///   {"token": {"Key": "aHVudGVyMg=="}, "tls": {"Cert": "MII...", "Private": "MII..."}}
    ///
    /// All of them are set, or none. Marbles receive new values when they start.
    #[command(verbatim_doc_comment)]
    Set {
        /// The secrets
        file: PathBuf,
        /// HOST:PORT
        host: Address,
        #[command(flatten)]
        user: User,
        /// FILE is PEM: set the secret NAME to its first CERTIFICATE and its first private key, which must belong together.
        /// EC and RSA PRIVATE KEYs become PKCS#8
        #[arg(long, value_name = "NAME")]
        from_pem: Option<String>,
    },
}

/// The object of S-1, in its order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    size: u64,
    shared: bool,
    user_defined: bool,
    cert: Option<String>,
    valid_for: u64,
    private: Option<Zeroizing<String>>,
    public: Option<Zeroizing<String>>,
}

pub(crate) async fn run(globals: &Globals, command: &Secret, output: &mut Output) -> Result<()> {
    match command {
        Secret::Get { names, host, user, out_file } => {
            get(globals, names, host, user, out_file.as_deref(), output).await
        }
        Secret::Set { file, host, user, from_pem } => {
            set::run(globals, file, host, user, from_pem.as_deref(), output).await
        }
    }
}

async fn get(
    globals: &Globals,
    names: &[String],
    host: &Address,
    user: &User,
    out_file: Option<&Path>,
    output: &mut Output,
) -> Result<()> {
    let client = Session::new(globals, host).user_client(user)?;
    let secrets = client.secrets(names).await;
    let secrets = secrets.map_err(|error| explain(error, "reading secrets", &client))?;
    let shown: BTreeMap<&String, Shown<'_>> =
        secrets.iter().map(|(name, secret)| (name, show(secret))).collect();
    let Some(path) = out_file else {
        for (name, secret) in &shown {
            output.bytes(table(name, secret).as_bytes())?;
        }
        return output.result(&shown);
    };
    let text = Zeroizing::new(serde_json::to_vec_pretty(&shown).context("writing the secrets as JSON")?);
    files::write(path, &text)?;
    output.line(&format!("Saved secrets to: {}", path.display()))?;
    output.result(&json!({ "file": path }))
}

fn show(secret: &carrara_client::Secret) -> Shown<'_> {
    let encode = |bytes: &SecretBytes| Zeroizing::new(BASE64_STANDARD.encode(bytes.expose()));
    Shown {
        kind: &secret.kind,
        size: secret.size,
        shared: secret.shared,
        user_defined: secret.user_defined,
        cert: secret.cert.as_ref().map(|der| BASE64_STANDARD.encode(der)),
        valid_for: secret.valid_for,
        private: secret.private.as_ref().map(encode),
        public: secret.public.as_ref().map(encode),
    }
}

fn table(name: &str, secret: &Shown<'_>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(format!("{name}:\n"));
    let mut row = |label: &str, value: &str| {
        // Reserved at once, so that no unwiped copy is left behind by growing.
        text.reserve(value.len() + 32);
        text.push_str(&format!("    {label:<13}"));
        text.push_str(value);
        text.push('\n');
    };
    row("Type:", secret.kind);
    row("UserDefined:", &secret.user_defined.to_string());
    row("Shared:", &secret.shared.to_string());
    row("Size:", &secret.size.to_string());
    let value =
        |value: Option<&Zeroizing<String>>| value.map_or("(not set)", |text| text.as_str()).to_owned();
    if secret.kind.starts_with("cert-") {
        row("Valid For:", &secret.valid_for.to_string());
        row("Certificate:", secret.cert.as_deref().unwrap_or("(not set)"));
        row("Public Key:", &Zeroizing::new(value(secret.public.as_ref())));
        row("Private Key:", &Zeroizing::new(value(secret.private.as_ref())));
    } else {
        row("Key:", &Zeroizing::new(value(secret.private.as_ref())));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> carrara_client::Secret {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn keys_and_certificates_are_shown_with_their_parts() {
        let key =
            secret(r#"{"Type":"symmetric-key","Size":8,"Shared":true,"Private":"AQ==","Public":"AQ=="}"#);
        let expected = "k:\n    Type:        symmetric-key\n    UserDefined: false\n    Shared:      true\n    \
                        Size:        8\n    Key:         AQ==\n";
        assert_eq!(table("k", &show(&key)).as_str(), expected);
        let unset = secret(r#"{"Type":"cert-rsa","Size":2048,"UserDefined":true}"#);
        let text = table("c", &show(&unset));
        assert!(
            text.contains("Private Key: (not set)") && text.contains("Certificate: (not set)"),
            "{}",
            *text
        );
    }

    // S-1
    #[test]
    fn json_has_the_fields_of_the_specification_in_order() {
        let text = r#"{"Type":"cert-rsa","Size":2048,"Shared":true,"UserDefined":false,"Cert":"AQ==","ValidFor":7,"Private":"Ag==","Public":null}"#;
        assert_eq!(serde_json::to_string(&show(&secret(text))).unwrap(), text);
    }
}
