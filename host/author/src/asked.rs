//! What tables, properties and comparisons ask: a component on its author's desk, or in tests something that stands in.

use carrara_wasm::{CallReport, Limits, SettingsError, Trial, World};

use crate::question::{self, Answer, Question};

/// Something that answers as a policy does.
pub trait Asked {
    /// Which questions it can be asked.
    fn world(&self) -> World;

    /// What a call may use.
    fn limits(&self) -> Limits;

    /// What it does not understand of these settings (JSON text).
    ///
    /// # Errors
    /// The reason where it could not judge them.
    fn check_settings(&self, settings: &str) -> Result<Vec<SettingsError>, String>;

    /// Its answer with these settings, and what that cost.
    fn ask(&self, settings: &str, question: &Question) -> (Answer, CallReport);
}

impl Asked for Trial {
    fn world(&self) -> World {
        Self::world(self)
    }

    fn limits(&self) -> Limits {
        *Self::limits(self)
    }

    fn check_settings(&self, settings: &str) -> Result<Vec<SettingsError>, String> {
        Self::check_settings(self, settings).answer.map_err(|failure| failure.reason)
    }

    fn ask(&self, settings: &str, question: &Question) -> (Answer, CallReport) {
        question::ask(self, settings, question)
    }
}
