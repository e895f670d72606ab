//! Users' keys on PKCS#11 tokens: the configuration file that names the token, the PIN, the flags.

use std::io::IsTerminal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use carrara_client::pkcs11::{ObjectChoice, Token, TokenCertificate};
use carrara_client::{ClientIdentity, RecoveryKey};
use zeroize::Zeroizing;

use crate::args::{HolderKey, Identity};
use crate::files;
use crate::output::complain;
use crate::token_file::TokenFile;

/// Where the PIN is looked for when the file has none.
const PIN_VARIABLE: &str = "CARRARA_PKCS11_PIN";

/// The user whose key is on the token that `config` describes.
pub(crate) fn identity(config: &Path, user: &Identity) -> Result<ClientIdentity> {
    let token = read(config)?;
    let certificate = match &user.cert {
        Some(path) => TokenCertificate::Given(certificates(path)?),
        None => TokenCertificate::OnToken(ObjectChoice {
            id: user.pkcs11_cert_id.clone(),
            label: user.pkcs11_cert_label.clone(),
        }),
    };
    let key = ObjectChoice { id: user.pkcs11_key_id.clone(), label: user.pkcs11_key_label.clone() };
    ClientIdentity::from_token(token, &key, &certificate).context("using the key on the PKCS#11 token")
}

/// The holder's recovery key, in a file or on a token; `None` where none is given.
pub(crate) fn recovery_key(holder: &HolderKey) -> Result<Option<RecoveryKey>> {
    let key = match (&holder.pkcs11_config, &holder.key) {
        (Some(config), _) => {
            let choice =
                ObjectChoice { id: holder.pkcs11_key_id.clone(), label: holder.pkcs11_key_label.clone() };
            RecoveryKey::from_token(read(config)?, &choice).context("using the key on the PKCS#11 token")?
        }
        (None, Some(path)) => RecoveryKey::from_pem(&files::read(path)?)
            .with_context(|| format!("using the recovery key {}", path.display()))?,
        (None, None) => return Ok(None),
    };
    Ok(Some(key))
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>> {
    let blocks = pem::parse_many(files::read(path)?.as_slice()).unwrap_or_default();
    let chain = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE");
    let chain: Vec<Vec<u8>> = chain.map(pem::Pem::into_contents).collect();
    if chain.is_empty() {
        bail!("{} holds no PEM block CERTIFICATE", path.display());
    }
    Ok(chain)
}

fn read(path: &Path) -> Result<Token> {
    let reading = || format!("reading the PKCS#11 configuration {}", path.display());
    let file = TokenFile::read(&files::read(path)?).with_context(reading)?;
    if file.has_pin() && std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
        complain(&format!(
            "Warning: {} holds a PIN and others may read it; run `chmod 600 {}`",
            path.display(),
            path.display()
        ));
    }
    file.token(ask_for_pin).with_context(reading)
}

fn ask_for_pin() -> Result<Zeroizing<String>> {
    if let Some(pin) = std::env::var(PIN_VARIABLE).ok().filter(|pin| !pin.is_empty()) {
        return Ok(Zeroizing::new(pin));
    }
    if !std::io::stdin().is_terminal() {
        bail!(
            "the token needs a PIN: give it as Pin in the file or in the environment variable {PIN_VARIABLE}"
        );
    }
    rpassword::prompt_password("PIN of the token: ").map(Zeroizing::new).context("asking for the token's PIN")
}
