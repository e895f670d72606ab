//! Recovery data: what the owners of the recovery keys decrypt. The coordinator gives it once only, so it is kept before
//! anything else is done with an answer, and where the file cannot be written it is printed instead of lost.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::files;
use crate::output::{Output, complain};

/// Recovery data that was saved, or is to be printed.
pub(crate) struct RecoveryData<'a> {
    text: Option<String>,
    path: Option<&'a Path>,
    saved: Result<()>,
}

impl<'a> RecoveryData<'a> {
    /// Saves it to `path`, if there is any and a path is given.
    pub(crate) fn keep(
        secrets: &BTreeMap<String, String>,
        path: Option<&'a Path>,
        output: &mut Output,
    ) -> Result<Self> {
        let text = (!secrets.is_empty()).then(|| json!({ "RecoverySecrets": secrets }).to_string());
        let saved = match (&text, path) {
            (Some(text), Some(path)) => {
                files::write(path, text.as_bytes()).context("saving the recovery data")
            }
            _ => Ok(()),
        };
        if let (Some(text), Err(_)) = (&text, &saved) {
            complain("The manifest is set, but its recovery data could not be saved; keep what follows:");
            output.line(text)?;
        }
        Ok(Self { text, path, saved })
    }

    /// Says where it was saved, or prints it.
    pub(crate) fn tell(&self, output: &mut Output) -> Result<()> {
        match (&self.text, self.path) {
            (Some(_), Some(path)) if self.saved.is_ok() => {
                output.line(&format!("Recovery data saved to: {}", path.display()))
            }
            (Some(text), None) => output.line(text),
            _ => Ok(()),
        }
    }

    /// The error of a file that could not be written.
    pub(crate) fn finish(self) -> Result<()> {
        self.saved
    }
}
