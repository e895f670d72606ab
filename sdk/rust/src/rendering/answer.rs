//! What renderers answer: chunks, or why a template does not render.

use std::fmt::Display;

use super::Fragment;
use crate::decision::{POLICY_ERROR_HINT, POLICY_ERROR_MESSAGE, log_error};

/// A piece of a rendered template.
#[derive(Debug)]
pub enum Chunk {
    /// Bytes.
    Text(Vec<u8>),
    /// A place for a secret.
    Secret(Fragment),
}

impl From<&str> for Chunk {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

impl From<String> for Chunk {
    fn from(text: String) -> Self {
        Self::Text(text.into_bytes())
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Text(bytes)
    }
}

impl From<Fragment> for Chunk {
    fn from(fragment: Fragment) -> Self {
        Self::Secret(fragment)
    }
}

/// Why a template does not render: whoever sets the manifest sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenderError {
    /// From 1; 0 where unknown.
    pub line: u32,
    /// From 0, as Go's templates report it.
    pub column: u32,
    /// For people.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl RenderError {
    /// An error somewhere in the template.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// Adds its place: the line from 1, the column from 0.
    #[must_use]
    pub fn at(self, line: u32, column: u32) -> Self {
        Self { line, column, ..self }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An error inside the policy: its text goes to the coordinator's log only.
    pub fn policy_error(error: impl Display) -> Self {
        log_error(&error);
        Self::new(POLICY_ERROR_MESSAGE).hint(POLICY_ERROR_HINT)
    }
}

impl Display for RenderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RenderError {}

/// What a policy's function may return: chunks, or a [`Result`] of them.
pub trait IntoRendered {
    /// Chunks or why not.
    ///
    /// # Errors
    /// Why the template does not render.
    fn into_rendered(self) -> Result<Vec<Chunk>, RenderError>;
}

impl IntoRendered for Vec<Chunk> {
    fn into_rendered(self) -> Result<Vec<Chunk>, RenderError> {
        Ok(self)
    }
}

impl IntoRendered for Result<Vec<Chunk>, RenderError> {
    fn into_rendered(self) -> Result<Vec<Chunk>, RenderError> {
        self
    }
}
