//! Changing the manifest, alone or with other users.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde::Deserialize;

use super::{Version, Warning, base64, offered, percent_encode, without_policies, wrapped};
use crate::answer::data;
use crate::error::ClientError;
use crate::transport::{Client, RawAnswer};

/// the text where no update waits.
const NONE_PENDING: &str = "no update in progress";

/// Where an update stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateProgress {
    /// How many acknowledgements are still needed; 0 once the update took effect.
    pub missing_acknowledgments: u64,
    /// Who may still acknowledge. Empty where the coordinator did not say.
    #[serde(deserialize_with = "nullable")]
    pub missing_users: Vec<String>,
    /// By recovery key: what its owner decrypts, base64. Given this once only, when the update took effect and changed
    /// the recovery keys.
    #[serde(deserialize_with = "nullable")]
    pub recovery_secrets: BTreeMap<String, String>,
    /// What was accepted and looks wrong all the same.
    #[serde(deserialize_with = "nullable")]
    pub warnings: Vec<Warning>,
    /// The coordinator's words, if it has any.
    #[serde(deserialize_with = "nullable")]
    pub message: String,
}

/// What the caller makes sure of before an update is made. Coordinators that do not know it, such as MarbleRun's, ignore it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateGuards {
    /// Refuse (422) what nobody, or too few, could update again.
    pub refuse_lockout: bool,
    /// SHA-256 in hexadecimal of the manifest that must be in force; else it is refused (409).
    pub base: Option<String>,
}

impl UpdateGuards {
    fn query(&self) -> String {
        let lockout = self.refuse_lockout.then(|| "lockout=refuse".to_owned());
        let base = self.base.as_ref().map(|base| format!("base={}", percent_encode(base)));
        let all: Vec<String> = lockout.into_iter().chain(base).collect();
        if all.is_empty() { String::new() } else { format!("?{}", all.join("&")) }
    }
}

/// The update that waits for acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingUpdate {
    /// The proposed manifest's bytes: what must be acknowledged.
    pub manifest: Vec<u8>,
    /// The coordinator's words.
    pub message: String,
    /// Who has not acknowledged yet.
    pub missing_users: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PendingData {
    #[serde(default, deserialize_with = "base64")]
    manifest: Option<Vec<u8>>,
    #[serde(default, deserialize_with = "nullable")]
    message: String,
    #[serde(default, deserialize_with = "nullable")]
    missing_users: Vec<String>,
}

#[derive(Deserialize)]
struct CancelData {
    message: String,
}

impl Client {
    /// Updates packages' security versions or, with a full manifest, everything. The bytes are sent as they are: other
    /// users acknowledge exactly them.
    ///
    /// # Errors
    /// [`ClientError::Unauthorized`] without the certificate of a user; [`ClientError::Api`] with the reason if the
    /// update is refused.
    pub async fn update_manifest(&self, manifest: &[u8]) -> Result<UpdateProgress, ClientError> {
        self.update_manifest_with(manifest, &[]).await
    }

    /// The same with the components of policies that the manifest names and the coordinator does not have yet.
    ///
    /// # Errors
    /// As for [`Client::update_manifest`]; [`ClientError::NotOffered`] by a coordinator that takes no policies, if there are
    /// some.
    pub async fn update_manifest_with(
        &self,
        manifest: &[u8],
        policies: &[Vec<u8>],
    ) -> Result<UpdateProgress, ClientError> {
        self.update_manifest_guarded(manifest, policies, &UpdateGuards::default()).await
    }

    /// The same, unless what the caller makes sure of does not hold.
    ///
    /// # Errors
    /// As for [`Client::update_manifest_with`].
    pub async fn update_manifest_guarded(
        &self,
        manifest: &[u8],
        policies: &[Vec<u8>],
        guards: &UpdateGuards,
    ) -> Result<UpdateProgress, ClientError> {
        const WHAT: &str = "updating the manifest";
        let (answer, version) =
            self.post_manifest(WHAT, &format!("/update{}", guards.query()), manifest, policies).await?;
        match version {
            // C-14
            Version::Two => Ok(data::<Option<UpdateProgress>>(&answer, WHAT)?.unwrap_or_default()),
            Version::One => {
                data::<serde::de::IgnoredAny>(&answer, WHAT)?;
                self.after_version_one().await
            }
        }
    }

    /// Acknowledges the pending update, whose very bytes `manifest` must be.
    ///
    /// # Errors
    /// As for [`Client::update_manifest`]; [`ClientError::NoUpdate`] if none waits.
    pub async fn acknowledge_update(&self, manifest: &[u8]) -> Result<UpdateProgress, ClientError> {
        self.acknowledge_update_guarded(manifest, &UpdateGuards::default()).await
    }

    /// The same, unless what the caller makes sure of does not hold. Whether it can be updated again is looked at when it takes
    /// effect.
    ///
    /// # Errors
    /// As for [`Client::acknowledge_update`].
    pub async fn acknowledge_update_guarded(
        &self,
        manifest: &[u8],
        guards: &UpdateGuards,
    ) -> Result<UpdateProgress, ClientError> {
        const WHAT: &str = "acknowledging an update";
        let path = format!("/update-manifest{}", guards.query());
        let (answer, version) = self.post_manifest(WHAT, &path, manifest, &[]).await?;
        match version {
            Version::Two => data::<Option<UpdateProgress>>(&answer, WHAT).map(Option::unwrap_or_default),
            Version::One => data::<String>(&answer, WHAT).map(told_by_version_one),
        }
        .map_err(none_pending)
    }

    /// Cancels the pending update and gives the coordinator's words.
    ///
    /// # Errors
    /// As for [`Client::acknowledge_update`].
    pub async fn cancel_update(&self) -> Result<String, ClientError> {
        const WHAT: &str = "cancelling an update";
        let answer = self.send(Method::POST, "/api/v2/update-cancel", Vec::new()).await?;
        if answer.code == StatusCode::METHOD_NOT_ALLOWED {
            let answer = offered(self.send(Method::POST, "/update-cancel", Vec::new()).await?, WHAT)?;
            return data(&answer, WHAT).map_err(none_pending);
        }
        data::<CancelData>(&answer, WHAT).map(|data| data.message).map_err(none_pending)
    }

    /// The update that waits for acknowledgements.
    ///
    /// # Errors
    /// [`ClientError::NoUpdate`] if none waits.
    pub async fn pending_update(&self) -> Result<PendingUpdate, ClientError> {
        const WHAT: &str = "the pending update";
        let (answer, _) = self.get(WHAT, "/api/v2/update-manifest", "/update-manifest").await?;
        let pending: PendingData = data(&answer, WHAT).map_err(none_pending)?;
        let manifest = pending.manifest.ok_or(ClientError::NoUpdate)?;
        Ok(PendingUpdate { manifest, message: pending.message, missing_users: pending.missing_users })
    }

    async fn post_manifest(
        &self,
        what: &'static str,
        path: &str,
        manifest: &[u8],
        policies: &[Vec<u8>],
    ) -> Result<(RawAnswer, Version), ClientError> {
        let body = wrapped(manifest, policies);
        let answer = self.send(Method::POST, &format!("/api/v2{path}"), body).await?;
        if answer.code != StatusCode::METHOD_NOT_ALLOWED {
            return Ok((answer, Version::Two));
        }
        without_policies(policies)?;
        let answer = offered(self.send(Method::POST, path, manifest.to_vec()).await?, what)?;
        Ok((answer, Version::One))
    }

    /// Version 1 does not say whether the update waits, but whether one waits can be asked.
    async fn after_version_one(&self) -> Result<UpdateProgress, ClientError> {
        match self.pending_update().await {
            Ok(pending) => {
                let progress = told_by_version_one(pending.message);
                Ok(UpdateProgress { missing_users: pending.missing_users, ..progress })
            }
            // Servers without the endpoint know no pending updates.
            Err(ClientError::NoUpdate | ClientError::NotOffered(_)) => Ok(UpdateProgress::default()),
            Err(error) => Err(error),
        }
    }
}

/// the first word is `All` or a number.
fn told_by_version_one(message: String) -> UpdateProgress {
    let first = message.split_whitespace().next().and_then(|word| word.parse().ok());
    UpdateProgress {
        missing_acknowledgments: first.unwrap_or_default(),
        message,
        ..UpdateProgress::default()
    }
}

fn none_pending(error: ClientError) -> ClientError {
    match error {
        ClientError::Api(refusal)
            if refusal.code == StatusCode::NOT_FOUND && refusal.message == NONE_PENDING =>
        {
            ClientError::NoUpdate
        }
        other => other,
    }
}

fn nullable<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
