//! The file that names a PKCS#11 token: JSON as Go's crypto11 reads it. Field names are taken in either case; fields that only
//! tune that library are passed over. It may hold a PIN: no error repeats what it says.

use anyhow::{Result, anyhow, bail};
use carrara_client::pkcs11::{Token, TokenChoice};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

/// Fields of crypto11's configuration that have no meaning here.
const IGNORED: &[&str] =
    &["maxsessions", "poolwaittimeout", "usegcmivfromhsm", "gcmivlength", "gcmivfromhsmcontrol", "usertype"];

/// What the file says; wiped on drop.
pub(crate) struct TokenFile(Map<String, Value>);

impl TokenFile {
    /// Reads the fields by their names in lower case.
    pub(crate) fn read(content: &[u8]) -> Result<Self> {
        // The library's own text could quote the content, and a file that holds nothing but a PIN is an easy mistake.
        let parsed: Map<String, Value> = serde_json::from_slice(content).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            anyhow!(
                "it is not a JSON object such as {{\"Path\": ..., \"TokenLabel\": ...}} (line {line} column {column})"
            )
        })?;
        Ok(Self(parsed.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()))
    }

    /// Whether there is a PIN in it.
    pub(crate) fn has_pin(&self) -> bool {
        self.0.get("pin").is_some_and(|pin| pin.as_str().is_some_and(|pin| !pin.is_empty()))
    }

    /// The token, with the PIN that is asked for where the file has none.
    pub(crate) fn token(mut self, ask: impl FnOnce() -> Result<Zeroizing<String>>) -> Result<Token> {
        let fields = &mut self.0;
        const KNOWN: &[&str] =
            &["path", "tokenlabel", "tokenserial", "slotnumber", "pin", "loginnotsupported"];
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
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Token> {
        TokenFile::read(text.as_bytes())?.token(|| Ok(Zeroizing::new("asked".to_owned())))
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
