//! The update that waits for acknowledgements: reading, acknowledging and cancelling it (R-58..R-60a).

use carrara_core::outcome::{PendingUpdate, Reporting, Terms, UpdateProgress};
use serde::Serialize;

use super::findings::{RecoverySecrets, Warning, log_warnings, recovery_secrets, warnings};
use super::guards::guards;
use super::manifest::manifest_field;
use super::{Call, Response, Version, success};
use crate::json;
use crate::problem::Failure;

const CANCELLED: &str = "Update successfully cancelled";

/// The same in both versions.
#[derive(Serialize)]
struct Pending {
    #[serde(serialize_with = "json::base64")]
    manifest: Option<Vec<u8>>,
    message: String,
    #[serde(rename = "missingUsers")]
    missing_users: Vec<String>,
}

#[derive(Serialize)]
struct Acknowledged {
    message: String,
    #[serde(rename = "missingUsers")]
    missing_users: Option<Vec<String>>,
    #[serde(rename = "missingAcknowledgments")]
    missing_acknowledgments: usize,
    /// Not there unless the update took effect and the recovery keys changed.
    #[serde(rename = "recoverySecrets", skip_serializing_if = "Option::is_none")]
    recovery_secrets: Option<RecoverySecrets>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct Cancelled {
    message: &'static str,
}

pub(super) async fn get(call: &mut Call) -> Result<Response, Failure> {
    success(pending(call.api.coordinator.pending_update().map_err(Failure::NoUpdate)?))
}

pub(super) async fn acknowledge(call: &mut Call) -> Result<Response, Failure> {
    call.authenticate()?;
    let (version, guards) = (call.version, guards(&call.query)?);
    let terms = |reporting| Terms { reporting, guards };
    let progress = match version {
        Version::V1 => {
            let body = call.body(call.api.limits.manifest_bytes).await?;
            send(call, &body, terms(Reporting::SuccessOnly)).await?
        }
        Version::V2 => {
            let body = call.body(call.api.limits.manifest_json_bytes()).await?;
            send(call, &manifest_field(&body)?, terms(Reporting::Full)).await?
        }
    };
    log_warnings(&progress.warnings);
    match version {
        Version::V1 => success(standing(progress.missing_acknowledgments)),
        Version::V2 => success(acknowledged(progress)),
    }
}

pub(super) async fn cancel(call: &mut Call) -> Result<Response, Failure> {
    call.authenticate()?;
    call.api.coordinator.cancel_update(call.peer.der()).await.map_err(Failure::Pending)?;
    match call.version {
        Version::V1 => success(CANCELLED),
        Version::V2 => success(Cancelled { message: CANCELLED }),
    }
}

async fn send(call: &mut Call, manifest: &[u8], terms: Terms) -> Result<UpdateProgress, Failure> {
    let progress = call.api.coordinator.acknowledge_update(call.peer.der(), manifest, terms).await;
    progress.map_err(Failure::Pending)
}

fn pending(update: PendingUpdate) -> Pending {
    Pending {
        message: standing(update.missing_acknowledgments),
        manifest: Some(update.manifest),
        missing_users: update.missing_users,
    }
}

fn acknowledged(progress: UpdateProgress) -> Acknowledged {
    let mut message = standing(progress.missing_acknowledgments);
    if let Some(users) = &progress.missing_users {
        message.push_str(".\nThe following users have not yet accepted: ");
        message.push_str(&users.join(", "));
    }
    Acknowledged {
        message,
        missing_users: progress.missing_users,
        missing_acknowledgments: progress.missing_acknowledgments,
        recovery_secrets: progress.recovery_secrets.map(recovery_secrets),
        warnings: warnings(progress.warnings),
    }
}

/// Old clients read the first word: `All`, or a number.
fn standing(missing_acknowledgments: usize) -> String {
    match missing_acknowledgments {
        0 => "All users have acknowledged the update manifest. Update successfully applied".to_owned(),
        1 => "1 user still needs to acknowledge the update manifest".to_owned(),
        more => format!("{more} users still need to acknowledge the update manifest"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn text(value: &impl Serialize) -> String {
        String::from_utf8(json::to_vec(value, 0).unwrap()).unwrap()
    }

    //
    #[test]
    fn one_user_needs_and_two_users_need_to_acknowledge() {
        let texts = [0, 1, 2].map(standing);
        assert_eq!(
            texts,
            [
                "All users have acknowledged the update manifest. Update successfully applied",
                "1 user still needs to acknowledge the update manifest",
                "2 users still need to acknowledge the update manifest",
            ]
        );
    }

    //
    #[test]
    fn the_pending_update_has_lower_case_names() {
        let update = PendingUpdate {
            manifest: b"{}".to_vec(),
            missing_acknowledgments: 1,
            missing_users: vec!["a".to_owned()],
        };
        let expected = "{\"manifest\":\"e30=\",\"message\":\"1 user still needs to acknowledge the update manifest\",\
            \"missingUsers\":[\"a\"]}\n";
        assert_eq!(text(&pending(update)), expected);
    }

    //
    #[test]
    fn v2_names_those_who_have_not_yet_accepted() {
        let users = ["a", "b"].map(str::to_owned).to_vec();
        let progress = UpdateProgress {
            missing_acknowledgments: 1,
            missing_users: Some(users),
            ..UpdateProgress::default()
        };
        let expected = "{\"message\":\"1 user still needs to acknowledge the update manifest.\\nThe following users have not \
            yet accepted: a, b\",\"missingUsers\":[\"a\",\"b\"],\"missingAcknowledgments\":1}\n";
        assert_eq!(text(&acknowledged(progress)), expected);
    }

    // R-59, L-54
    #[test]
    fn an_update_that_took_effect_has_no_missing_users_and_new_recovery_secrets() {
        let recovery_secrets = Some(BTreeMap::from([("k".to_owned(), vec![1])]));
        let expected = "{\"message\":\"All users have acknowledged the update manifest. Update successfully applied\",\
            \"missingUsers\":null,\"missingAcknowledgments\":0,\"recoverySecrets\":{\"k\":\"AQ==\"}}\n";
        assert_eq!(
            text(&acknowledged(UpdateProgress { recovery_secrets, ..UpdateProgress::default() })),
            expected
        );
    }
}
