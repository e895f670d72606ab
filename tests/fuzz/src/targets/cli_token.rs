//! The file that names a PKCS#11 token.

use anyhow::bail;

use crate::cli::token_file::TokenFile;

pub(super) fn run(input: &[u8]) {
    let read = TokenFile::read(input).and_then(|file| file.token(|| bail!("no PIN here")));
    match read {
        Ok(token) => assert!(!token.module.as_os_str().is_empty()),
        // An unknown field is named: where a mutation made the PIN one, it is shown.
        Err(error) if !is_a_name(input) => {
            assert!(!format!("{error:#}").contains("hunter2"), "a PIN in an error: {error:#}");
        }
        Err(_) => {}
    }
}

/// Whether the PIN is part of a field's name.
fn is_a_name(input: &[u8]) -> bool {
    let read = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(input);
    read.is_ok_and(|fields| fields.keys().any(|name| name.to_ascii_lowercase().contains("hunter2")))
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"Path":"/lib/x.so","tokenLabel":"t","Pin":"hunter2","MaxSessions":5}"#,
        r#"{"Path":"x","SlotNumber":7,"TokenLabel":"","LoginNotSupported":true}"#,
        r#"{"Path":"x","TokenSerial":"s","Pin":"hunter2"}"#,
        "\"hunter2\"",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
