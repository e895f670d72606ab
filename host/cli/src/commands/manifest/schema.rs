//! `manifest schema`: a JSON Schema of the manifest, for editors.
//!
//! It knows names, types and words, not what must fit together: that is `manifest check`'s.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::files;
use crate::output::Output;

/// The schema, JSON Schema 2020-12.
pub(super) const SCHEMA: &str = include_str!("../../../schema/manifest.schema.json");

pub(super) fn run(out_file: Option<&Path>, output: &mut Output) -> Result<()> {
    if let Some(path) = out_file {
        files::write(path, SCHEMA.as_bytes())?;
        output.line(&format!("Schema written to: {}", path.display()))?;
        return output.result(&json!({ "file": path }));
    }
    output.bytes(SCHEMA.as_bytes())?;
    let schema: Value = serde_json::from_str(SCHEMA).context("reading the built-in schema")?;
    output.result(&schema)
}

#[cfg(test)]
mod tests;
