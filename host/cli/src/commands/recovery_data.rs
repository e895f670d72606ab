//! Recovery data: what the owners of the recovery keys decrypt. The coordinator gives it once only, so its file is opened
//! before anything is sent, and it is kept before anything else is done with an answer; where the file cannot be written
//! after all it is printed, and where that fails, too, it goes to stderr.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::files::Place;
use crate::output::{Output, complain};

/// Recovery data that was saved, or is to be printed. Dropped before [`RecoveryData::finish`], it goes to stderr.
pub(crate) struct RecoveryData<'a> {
    text: Option<String>,
    path: Option<&'a Path>,
    saved: Result<()>,
    /// In its file, or printed.
    safe: bool,
}

/// Where recovery data will go, made sure of before there is any. Dropped, it leaves no file behind.
pub(crate) struct Destination<'a>(Option<Place<'a>>);

impl<'a> Destination<'a> {
    /// Fails where the file of a given path cannot be written, or, without `force`, has something in it: it may be the only recovery
    /// data of another state, or of this one before.
    pub(crate) fn open(path: Option<&'a Path>, force: bool) -> Result<Self> {
        let taken =
            |path: &&Path| std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0);
        if let Some(path) = path.filter(taken).filter(|_| !force) {
            bail!(
                "nothing was sent: {} exists already, and recovery data in it would be lost; name another file, or overwrite it \
                 with --force",
                path.display()
            );
        }
        let place = path.map(Place::reserve).transpose();
        place.map(Self).context("nothing was sent: the recovery data could not be saved")
    }

    /// Saves the recovery data, if there is any and a path was given.
    pub(crate) fn keep(self, secrets: &BTreeMap<String, String>) -> RecoveryData<'a> {
        RecoveryData::keep(secrets, self.0)
    }
}

impl<'a> RecoveryData<'a> {
    fn keep(secrets: &BTreeMap<String, String>, place: Option<Place<'a>>) -> Self {
        let text = (!secrets.is_empty()).then(|| json!({ "RecoverySecrets": secrets }).to_string());
        let path = place.as_ref().map(Place::path);
        let saved = match (&text, place) {
            (Some(text), Some(place)) => place.fill(text.as_bytes()).context("saving the recovery data"),
            _ => Ok(()),
        };
        let safe = text.is_none() || path.is_some() && saved.is_ok();
        Self { text, path, saved, safe }
    }

    /// Says where it was saved, or prints it.
    pub(crate) fn tell(&self, output: &mut Output) -> Result<()> {
        match (&self.text, self.path) {
            (Some(_), Some(path)) if self.saved.is_ok() => {
                output.line(&format!("Recovery data saved to: {}", path.display()))
            }
            (Some(text), Some(_)) => {
                complain(
                    "The manifest is set, but its recovery data could not be saved; keep what is printed:",
                );
                output.line(text)
            }
            (Some(text), None) => output.line(text),
            (None, _) => Ok(()),
        }
    }

    /// To be called when everything is printed. The error is that of a file that could not be written.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.safe = true;
        std::mem::replace(&mut self.saved, Ok(()))
    }
}

impl Drop for RecoveryData<'_> {
    fn drop(&mut self) {
        if let (Some(text), false) = (&self.text, self.safe) {
            complain(
                "The manifest is set, but its recovery data could not be printed; keep it, it is given once only:",
            );
            complain(text);
        }
    }
}
