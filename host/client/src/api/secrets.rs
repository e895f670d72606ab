//! Reading and writing secrets.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde::Deserialize;

use super::{Version, offered, percent_encode};
use crate::answer::data;
use crate::error::ClientError;
use crate::secret::Secret;
use crate::transport::Client;
use crate::upload::SecretUploads;

#[derive(Deserialize)]
struct SecretsData {
    secrets: BTreeMap<String, Secret>,
}

impl Client {
    /// Secrets by name: all that are asked for, or an error.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] without the certificate of a user; [`ClientError::Api`] without the right.
    pub async fn secrets(&self, names: &[String]) -> Result<BTreeMap<String, Secret>, ClientError> {
        const WHAT: &str = "secrets";
        let query: Vec<String> = names.iter().map(|name| format!("s={}", percent_encode(name))).collect();
        let query = query.join("&");
        let (answer, version) =
            self.get(WHAT, &format!("/api/v2/secrets?{query}"), &format!("/secrets?{query}")).await?;
        match version {
            Version::One => data(&answer, WHAT),
            Version::Two => data::<SecretsData>(&answer, WHAT).map(|data| data.secrets),
        }
    }

    /// Sets user-defined secrets: all of them, or none.
    ///
    /// # Errors
    /// As for [`Client::secrets`].
    pub async fn set_secrets(&self, secrets: &SecretUploads) -> Result<(), ClientError> {
        const WHAT: &str = "setting secrets";
        let mut answer = self.send(Method::POST, "/api/v2/secrets", secrets.version_two()).await?;
        if answer.code == StatusCode::METHOD_NOT_ALLOWED {
            answer = offered(self.send(Method::POST, "/secrets", secrets.version_one()).await?, WHAT)?;
        }
        data::<serde::de::IgnoredAny>(&answer, WHAT).map(|_| ())
    }
}
