//! Users' keys on PKCS#11 tokens: the configuration file, the PIN, the flags.
//!
//! The file is JSON as Go's crypto11 reads it. Field names are taken in either case; fields that only tune that library
//! are passed over.

use std::io::IsTerminal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use carrara_client::{ClientIdentity, RecoveryKey};
use carrara_client::pkcs11::{ObjectChoice, Token, TokenCertificate, TokenChoice};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::args::{HolderKey, Identity};
use crate::files;
use crate::output::complain;

/// Where the PIN is looked for when the file has none.
const PIN_VARIABLE: &str = "CARRARA_PKCS11_PIN";

/// Fields of crypto11's configuration that have no meaning here.
const IGNORED: &[&str] =
    &["maxsessions", "poolwaittimeout", "usegcmivfromhsm", "gcmivlength", "gcmivfromhsmcontrol", "usertype"];

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
    let content = files::read(path)?;
    let mut fields =
        fields(&content).with_context(|| format!("reading the PKCS#11 configuration {}", path.display()))?;
    let has_pin = fields.get("pin").is_some_and(|pin| pin.as_str().is_some_and(|pin| !pin.is_empty()));
    if has_pin && std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
        complain(&format!(
            "Warning: {} holds a PIN and others may read it; run `chmod 600 {}`",
            path.display(),
            path.display()
        ));
    }
    let token = token(&mut fields, ask_for_pin);
    fields.values_mut().for_each(wipe);
    token.with_context(|| format!("reading the PKCS#11 configuration {}", path.display()))
}

/// The fields by their names in lower case.
fn fields(content: &[u8]) -> Result<Map<String, Value>> {
    // The library's own text could quote the content, and a file that holds nothing but a PIN is an easy mistake.
    let parsed: Map<String, Value> = serde_json::from_slice(content).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        anyhow!(
            "it is not a JSON object such as {{\"Path\": ..., \"TokenLabel\": ...}} (line {line} column {column})"
        )
    })?;
    Ok(parsed.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
}

fn token(fields: &mut Map<String, Value>, ask: impl FnOnce() -> Result<Zeroizing<String>>) -> Result<Token> {
    const KNOWN: &[&str] = &["path", "tokenlabel", "tokenserial", "slotnumber", "pin", "loginnotsupported"];
    if let Some(name) = fields.keys().find(|name| ![KNOWN, IGNORED].concat().contains(&name.as_str())) {
        bail!(
            "unknown field {name:?}; known are Path, TokenLabel, TokenSerial, SlotNumber, Pin and LoginNotSupported"
        );
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(module) = text("path") else {
        bail!("Path is missing: the PKCS#11 library, such as /usr/lib/softhsm/libsofthsm2.so");
    };
    let module = module.into();
    let label = text("tokenlabel").map(|label| TokenChoice::Label(label.to_owned()));
    let serial = text("tokenserial").map(|serial| TokenChoice::Serial(serial.to_owned()));
    let slot = fields.get("slotnumber").and_then(Value::as_u64).map(TokenChoice::Slot);
    let mut choices: Vec<TokenChoice> = [label, serial, slot].into_iter().flatten().collect();
    let (Some(choice), true) = (choices.pop(), choices.is_empty()) else {
        bail!("give exactly one of TokenLabel, TokenSerial and SlotNumber");
    };
    let without_login = fields.get("loginnotsupported") == Some(&Value::Bool(true));
    let pin = match fields.get_mut("pin") {
        _ if without_login => None,
        Some(Value::String(pin)) if !pin.is_empty() => Some(Zeroizing::new(std::mem::take(pin))),
        _ => Some(ask()?),
    };
    Ok(Token { module, choice, pin })
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

fn wipe(value: &mut Value) {
    if let Value::String(text) = value {
        text.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Token> {
        token(&mut fields(text.as_bytes())?, || Ok(Zeroizing::new("asked".to_owned())))
    }

    // cli.md section 3
    #[test]
    fn a_configuration_of_crypto11_is_understood() {
        let text = r#"{"Path": "/lib/x.so", "tokenLabel": "t", "Pin": "1234", "MaxSessions": 5}"#;
        let token = parsed(text).unwrap();
        assert_eq!(
            (token.module.to_str(), token.choice),
            (Some("/lib/x.so"), TokenChoice::Label("t".to_owned()))
        );
        assert_eq!(token.pin.unwrap().as_str(), "1234");
        let token = parsed(r#"{"Path": "x", "SlotNumber": 7, "TokenLabel": ""}"#).unwrap();
        assert_eq!((token.choice, token.pin.unwrap().as_str()), (TokenChoice::Slot(7), "asked"));
        let token = parsed(r#"{"Path": "x", "TokenSerial": "s", "LoginNotSupported": true}"#).unwrap();
        assert!(token.pin.is_none());
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let cases = [
            ("[]", "JSON object"),
            ("4711", "JSON object"),
            ("\"4711\"", "JSON object"),
            ("{\"Pin\": 4711", "JSON object"),
            (r#"{"TokenLabel": "t", "Pin": "1"}"#, "Path is missing"),
            (r#"{"Path": "x", "Pin": "1"}"#, "exactly one of"),
            (r#"{"Path": "x", "TokenLabel": "t", "SlotNumber": 0}"#, "exactly one of"),
            (r#"{"Path": "x", "TokenLabel": "t", "Pim": "4711"}"#, "unknown field \"pim\""),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", parsed(text).err().unwrap());
            assert!(error.contains(expected) && !error.contains("4711"), "{error}");
        }
    }
}
