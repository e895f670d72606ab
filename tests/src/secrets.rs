//! The secrets that this test's process used, in every form in which they could be told, and the texts that must not tell
//! them: every log of a coordinator, every answer but those that are asked for secrets.
//!
//! The harness notes them where they pass: what is uploaded or read, recovery secrets, private keys of users, of recovery and
//! of Marbles. Short and monotonous values (`AAAA`) are left out: they are found by chance. Nothing here wipes anything.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem::Finder;
use serde_json::Value;

/// Fewer bytes are found by chance.
const SHORTEST: usize = 8;

/// Longer secrets are looked for in pieces of this length, so that a part of one is found, too.
const PIECE: usize = 32;

static USED: Mutex<BTreeSet<Vec<u8>>> = Mutex::new(BTreeSet::new());

/// Notes a secret.
pub fn used(secret: &[u8]) {
    let distinct: BTreeSet<u8> = secret.iter().copied().collect();
    if secret.len() >= SHORTEST && distinct.len() >= SHORTEST / 2 {
        let mut all = USED.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(pieces(secret).into_iter().map(<[u8]>::to_vec));
    }
}

/// Notes what is secret in a private key (PKCS#8, SEC 1 or PKCS#1 in DER): not its public half, which certificates show.
pub fn used_key(der: &[u8]) {
    used(private_part(der));
}

/// Notes every private key in a text, PEM or PEM in base64.
pub fn used_keys_in(text: &str) {
    for block in text.split("-----BEGIN ").skip(1) {
        let Some((label, rest)) = block.split_once("-----") else { continue };
        let body: String = rest.split('-').next().unwrap_or_default().split_whitespace().collect();
        if label.ends_with("PRIVATE KEY")
            && let Ok(der) = STANDARD.decode(body)
        {
            used_key(&der);
        }
    }
    // "-----BEGIN " in base64.
    for start in text.match_indices("LS0tLS1CRUdJTi").map(|(start, _)| start) {
        let end = text[start..].find(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c));
        let encoded = end.map_or(&text[start..], |end| &text[start..start + end]);
        if let Some(pem) = STANDARD.decode(encoded).ok().and_then(|pem| String::from_utf8(pem).ok()) {
            used_keys_in(&pem);
        }
    }
}

/// Notes what a body of a request holds: secrets uploaded to `/secrets`, recovery secrets.
pub fn used_in_request(url: &str, body: &[u8]) {
    let path = url.split('?').next().unwrap_or_default();
    let json: Option<Value> = serde_json::from_slice(body).ok();
    if path.ends_with("/recover") {
        match json {
            Some(Value::Array(list)) => used(&bytes_of(&Value::Array(list)).unwrap_or_default()),
            Some(json) => used(&bytes_of(&json["recoverySecret"]).unwrap_or_default()),
            None => used(body),
        }
    } else if path.ends_with("/secrets")
        && let Some(json) = json
    {
        used_in_secrets(json.get("secrets").unwrap_or(&json));
    }
}

/// Notes the secrets of an answer to `GET /secrets`.
pub fn used_in_answer(body: &str) {
    if let Ok(json) = serde_json::from_str::<Value>(body) {
        let data = &json["data"];
        used_in_secrets(data.get("secrets").unwrap_or(data));
    }
}

/// Objects by name; of a certificate only the private key is secret.
fn used_in_secrets(secrets: &Value) {
    for secret in secrets.as_object().into_iter().flat_map(|secrets| secrets.values()) {
        for field in ["Key", "Private"] {
            let bytes = bytes_of(&secret[field]).unwrap_or_default();
            used(private_part(&bytes));
        }
    }
}

/// Base64 or a list of integers.
fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => STANDARD.decode(text).ok(),
        Value::Array(list) => list.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect(),
        _ => None,
    }
}

/// Fails a test whose coordinator told a secret.
///
/// # Panics
/// If the text holds a secret that was used, in any form; names the form and the place, not the secret.
pub fn assert_untold(what: &str, text: &str) {
    if std::thread::panicking() {
        return;
    }
    let found = told(text);
    assert!(found.is_none(), "{what} tells a secret as {}", found.unwrap_or_default());
}

/// The form in which a text tells a used secret, and in which line.
#[must_use]
pub fn told(text: &str) -> Option<String> {
    let secrets = USED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // PEM breaks its lines, and logs write line breaks as `\n`.
    let joined = text.replace("\\r", "").replace("\\n", "").replace(['\r', '\n'], "");
    secrets.iter().find_map(|secret| {
        forms(secret).into_iter().find_map(|(form, needle)| {
            let finder = Finder::new(&needle);
            let line =
                finder.find(text.as_bytes()).map(|at| text.as_bytes()[..at].split(|b| *b == b'\n').count());
            let joined = || finder.find(joined.as_bytes()).map(|_| 0);
            line.or_else(joined).map(|line| format!("{form}, line {line}"))
        })
    })
}

/// Every form in which bytes could be written, each with its name.
#[must_use]
pub fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let list = |separator: &str, format: fn(u8) -> String| {
        secret.iter().map(|byte| format(*byte)).collect::<Vec<_>>().join(separator).into_bytes()
    };
    let mut forms = vec![
        ("raw bytes", secret.to_vec()),
        ("hex", list("", |byte| format!("{byte:02x}"))),
        ("upper-case hex", list("", |byte| format!("{byte:02X}"))),
        ("hex with colons", list(":", |byte| format!("{byte:02X}"))),
        ("list of hex numbers", list(", ", |byte| format!("{byte:02x}"))),
        ("list of numbers", list(", ", |byte| byte.to_string())),
        ("JSON list", list(",", |byte| byte.to_string())),
    ];
    for offset in 0..3 {
        forms.push(("base64", base64_at(secret, offset, false)));
        forms.push(("URL-safe base64", base64_at(secret, offset, true)));
    }
    forms
}

/// What base64 shows of bytes that stand `offset` bytes after a boundary of three, whatever stands around them.
fn base64_at(secret: &[u8], offset: usize, url_safe: bool) -> Vec<u8> {
    let shifted = [&[0; 2][..offset], secret].concat();
    let text = if url_safe { URL_SAFE_NO_PAD.encode(&shifted) } else { STANDARD_NO_PAD.encode(&shifted) };
    // Characters of which each bit comes from the secret.
    let (first, end) = ((offset * 8).div_ceil(6), shifted.len() * 8 / 6);
    text.as_bytes()[first..end].to_vec()
}

/// Short secrets whole, long ones in pieces: beginning, middle, end.
fn pieces(secret: &[u8]) -> Vec<&[u8]> {
    if secret.len() <= PIECE + PIECE / 2 {
        return vec![secret];
    }
    let middle = (secret.len() - PIECE) / 2;
    vec![&secret[..PIECE], &secret[middle..middle + PIECE], &secret[secret.len() - PIECE..]]
}

/// The private number of a key in DER; other bytes as they are.
fn private_part(bytes: &[u8]) -> &[u8] {
    let after = |mark: &[u8]| Finder::new(mark).find(bytes).map(|at| &bytes[at + mark.len()..]);
    // RFC 5915 section 3: version 1, then the private key as an octet string.
    if let Some([length, rest @ ..]) = after(&[2, 1, 1, 4])
        && bytes.first() == Some(&0x30)
    {
        return &rest[..rest.len().min(usize::from(*length))];
    }
    // RFC 8410 section 7: an octet string of 32 bytes in another.
    if let Some(seed) = after(&[4, 0x22, 4, 0x20]) {
        return &seed[..seed.len().min(32)];
    }
    // RFC 8017 appendix A.1.2: the public exponent 65537, then the private exponent with a head of four bytes.
    if let Some(exponent) = after(&[2, 3, 1, 0, 1]).filter(|rest| rest.len() > 68) {
        return &exponent[4..68];
    }
    bytes
}
