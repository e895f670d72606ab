//! The coordinator's state, and the description of its API.

use serde::Deserialize;
use serde_json::Value;

use super::plain;
use crate::answer::data;
use crate::error::ClientError;
use crate::transport::Client;

/// The coordinator's state (rest-api.md section 4).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// 1 recovery, 2 accepting a manifest, 3 accepting Marbles.
    #[serde(alias = "StatusCode")]
    pub code: u32,
    /// For people.
    #[serde(alias = "StatusMessage")]
    pub message: String,
}

impl Client {
    /// The coordinator's state.
    ///
    /// # Errors
    /// See [`ClientError`]; so for all methods.
    pub async fn status(&self) -> Result<Status, ClientError> {
        let (answer, _) = self.get("the status", "/api/v2/status", "/status").await?;
        data(&answer, "the status")
    }

    /// The OpenAPI document of the server's API.
    ///
    /// # Errors
    /// [`ClientError::NotOffered`] by a server that has none.
    pub async fn openapi(&self) -> Result<Value, ClientError> {
        const WHAT: &str = "the OpenAPI document";
        plain(&self.get_new(WHAT, "/api/v2/openapi.json").await?, WHAT)
    }
}
