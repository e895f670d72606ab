//! POST update: new security versions of packages, or a new manifest.

use carrara_core::error::{Refused, UpdateManifestError};
use carrara_core::outcome::{Reporting, Terms, UpdateProgress};
use serde::Serialize;

use super::findings::{RecoverySecrets, Warning, log_refusal, log_warnings, recovery_secrets, warnings};
use super::guards::guards;
use super::manifest::{Proposed, proposed};
use super::{Call, Response, Version, success};
use crate::problem::Failure;

#[derive(Serialize)]
struct Started {
    #[serde(rename = "missingAcknowledgments")]
    missing_acknowledgments: usize,
    #[serde(rename = "missingUsers")]
    missing_users: Option<Vec<String>>,
    /// Not there unless the recovery keys changed.
    #[serde(rename = "recoverySecrets", skip_serializing_if = "Option::is_none")]
    recovery_secrets: Option<RecoverySecrets>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

pub(super) async fn start(call: &mut Call) -> Result<Response, Failure> {
    call.authenticate()?;
    let (version, guards) = (call.version, guards(&call.query)?);
    let terms = |reporting| Terms { reporting, guards };
    let progress = match version {
        Version::V1 => {
            let body = call.body(call.api.limits.manifest_bytes).await?;
            update(call, &body, Vec::new(), terms(Reporting::SuccessOnly)).await?
        }
        Version::V2 => {
            let Proposed { manifest, policies, _body } = proposed(call).await?;
            update(call, &manifest, policies, terms(Reporting::Full)).await?
        }
    };
    log_warnings(&progress.warnings);
    match version {
        // Nothing is lost by it: an update that has more to say is refused.
        Version::V1 => success(()),
        Version::V2 => success(started(progress)),
    }
}

async fn update(
    call: &mut Call,
    manifest: &[u8],
    policies: Vec<Vec<u8>>,
    terms: Terms,
) -> Result<UpdateProgress, Failure> {
    let progress = call.api.coordinator.update_manifest(call.peer.der(), manifest, policies, terms).await;
    progress.map_err(|error| {
        if let UpdateManifestError::Refused(Refused(refusal)) = &error {
            log_refusal(refusal);
        }
        Failure::Update(error)
    })
}

fn started(progress: UpdateProgress) -> Started {
    Started {
        missing_acknowledgments: progress.missing_acknowledgments,
        missing_users: progress.missing_users,
        recovery_secrets: progress.recovery_secrets.map(recovery_secrets),
        warnings: warnings(progress.warnings),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn text(progress: UpdateProgress) -> String {
        String::from_utf8(crate::json::to_vec(&started(progress), 0).unwrap()).unwrap()
    }

    //
    #[test]
    fn of_a_package_update_nothing_is_missing() {
        let expected = "{\"missingAcknowledgments\":0,\"missingUsers\":null}\n";
        assert_eq!(text(UpdateProgress::default()), expected);
    }

    //
    #[test]
    fn missing_users_recovery_secrets_and_warnings_are_there_if_there_are_some() {
        let finding = carrara_types::decision::Finding {
            severity: carrara_types::decision::Severity::Warning,
            code: "update-lockout".to_owned(),
            path: "/Users".to_owned(),
            message: "nobody".to_owned(),
            hint: Some("give".to_owned()),
        };
        let progress = UpdateProgress {
            missing_acknowledgments: 1,
            missing_users: Some(vec!["a".to_owned(), "b".to_owned()]),
            recovery_secrets: Some(BTreeMap::from([("k".to_owned(), vec![1])])),
            warnings: vec![finding],
        };
        let expected = "{\"missingAcknowledgments\":1,\"missingUsers\":[\"a\",\"b\"],\"recoverySecrets\":{\"k\":\"AQ==\"},\
            \"warnings\":[{\"code\":\"update-lockout\",\"path\":\"/Users\",\"message\":\"nobody\",\"hint\":\"give\"}]}\n";
        assert_eq!(text(progress), expected);
    }
}
