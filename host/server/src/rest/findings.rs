//! What was remarked about a manifest, for answers and for the log; and the recovery secrets that setting one yields.

use std::collections::BTreeMap;

use carrara_types::decision::{Finding, Severity};
use carrara_types::manifest::Refusal;
use serde::Serialize;
use tracing::warn;

use crate::json;

/// A manifest may have a finding in every line; more than this many tell an operator nothing new.
const LOGGED_FINDINGS: usize = 20;

/// A finding that did not refuse the manifest.
#[derive(Serialize)]
pub(crate) struct Warning {
    code: String,
    path: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// Per recovery key.
pub(crate) type RecoverySecrets = BTreeMap<String, Base64>;

/// Bytes as base64.
#[derive(Serialize)]
pub(crate) struct Base64(#[serde(serialize_with = "json::base64")] Option<Vec<u8>>);

impl Base64 {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Some(bytes.to_vec()))
    }
}

pub(crate) fn recovery_secrets(secrets: BTreeMap<String, Vec<u8>>) -> RecoverySecrets {
    secrets.into_iter().map(|(name, secret)| (name, Base64(Some(secret)))).collect()
}

pub(crate) fn warnings(findings: Vec<Finding>) -> Vec<Warning> {
    let warning = |Finding { code, path, message, hint, .. }| Warning { code, path, message, hint };
    findings.into_iter().map(warning).collect()
}

/// policy.md, Texts. v1 has no other place for them.
pub(crate) fn log_warnings(warnings: &[Finding]) {
    for Finding { code, path, message, .. } in warnings.iter().take(LOGGED_FINDINGS) {
        warn!(code, path, finding = message, "the manifest was accepted with a warning");
    }
    if let Some(more @ 1..) = warnings.len().checked_sub(LOGGED_FINDINGS) {
        warn!(more, "the manifest was accepted with further warnings");
    }
}

/// The answer has the first error's text only, in the words that clients know: the places are for the log.
pub(crate) fn log_refusal(refusal: &Refusal) {
    let errors = refusal.findings.iter().filter(|finding| finding.severity == Severity::Error);
    for Finding { code, path, message, hint, .. } in errors.take(LOGGED_FINDINGS) {
        warn!(code, path, finding = message, hint, "the manifest was refused");
    }
}
