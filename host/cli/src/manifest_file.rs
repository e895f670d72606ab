//! Manifests as users write them: JSON is sent unchanged (M-1), YAML is converted first.
//!
//! The conversion is fixed, since its bytes are what is signed: object keys sorted, no white space, and `<`, `>`, `&`
//! and the two line separators escaped. Duplicate keys are refused, and whatever is no JSON value.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::de::IgnoredAny;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::files;

/// The bytes to send for a manifest file.
pub(crate) fn load(path: &Path) -> Result<Vec<u8>> {
    let content = files::read(path)?;
    to_json(&content).with_context(|| format!("reading the manifest {}", path.display()))
}

/// The hash that a coordinator calls the manifest's signature: lower-case hex SHA-256.
pub(crate) fn signature(manifest: &[u8]) -> String {
    hex::encode(Sha256::digest(manifest))
}

pub(crate) fn to_json(content: &[u8]) -> Result<Vec<u8>> {
    let error = match serde_json::from_slice::<IgnoredAny>(content) {
        Ok(_) => return Ok(content.to_vec()),
        Err(error) => error,
    };
    let first = content.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'{') {
        // Deeper than serde_json goes, not wrong (M-6a): the coordinator judges.
        if error.to_string().starts_with("recursion limit exceeded") {
            return Ok(content.to_vec());
        }
        return Err(error).context("it is not valid JSON");
    }
    if first.is_none() {
        bail!("it is empty; `carrara manifest init` writes one to start from");
    }
    let value: Value = serde_saphyr::from_slice(content).map_err(|error| {
        // The library names its own option, which nobody can set here.
        let text = error.to_string().replace(", set DuplicateKeyPolicy in Options if acceptable", "");
        anyhow!("it is neither JSON nor YAML: {text}")
    })?;
    if !value.is_object() {
        bail!("it is YAML, but not a mapping with the manifest's fields such as Packages and Marbles");
    }
    let text = serde_json::to_string(&value).context("converting YAML to JSON")?;
    Ok(escape(&text).into_bytes())
}

/// Outside of strings none of these characters occurs.
fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(text: &str) -> Result<String> {
        to_json(text.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    // M-1, cli.md `manifest set`
    #[test]
    fn valid_json_is_unchanged_to_the_byte() {
        for text in ["{ \"b\" : 1,\n\t\"a\":\"<\" }\n", "{}", "{\"a\":1,\"a\":2}"] {
            assert_eq!(converted(text).unwrap(), text);
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(201), "}".repeat(201));
        assert_eq!(converted(&deep).unwrap(), deep);
    }

    #[test]
    fn yaml_becomes_compact_sorted_escaped_json() {
        let text = "Packages:\n  b: {Debug: true}\n  a:\n    SecurityVersion: 2\nMarbles:\n  m:\n    Argv: [\"a<b>&c\"]\n";
        let expected = r#"{"Marbles":{"m":{"Argv":["a\u003cb\u003e\u0026c"]}},"Packages":{"a":{"SecurityVersion":2},"b":{"Debug":true}}}"#;
        assert_eq!(converted(text).unwrap(), expected);
    }

    #[test]
    fn a_block_scalar_keeps_its_lines() {
        let text = "Users:\n  u:\n    Certificate: |\n      line 1\n      line 2\n";
        assert_eq!(converted(text).unwrap(), r#"{"Users":{"u":{"Certificate":"line 1\nline 2\n"}}}"#);
    }

    #[test]
    fn duplicate_keys_in_yaml_are_refused() {
        assert!(converted("Packages: {}\nPackages: {}\n").is_err());
        let error = format!("{:#}", converted("Packages:\n  a: {}\n  a: {}\n").unwrap_err());
        assert!(error.contains("duplicate mapping key: a") && !error.contains("Options"), "{error}");
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_its_place() {
        let error = format!("{:#}", converted("{\"a\": 1,}").unwrap_err());
        assert!(error.contains("line 1"), "{error}");
        assert!(converted(" \n").unwrap_err().to_string().contains("empty"));
        for text in ["just text", "- a\n- b\n", "", "a: [1\n", "a: b: c"] {
            assert!(converted(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_signature_is_the_hash_of_the_bytes() {
        assert_eq!(signature(b"{}"), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
