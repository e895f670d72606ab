//! What is kept of a policy's decision: who was asked what, what it answered, and what that cost.
//!
//! Holds no secret and no manifest: settings and manifests are named by their SHA-256.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decision::{AdmissionRequest, AuthorizationRequest, Change, Decision, Fact, Finding, Principal};
use crate::policy::{Digest, Mode, World};

/// One decision of an authorizer, an admitter or a validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DecisionRecord {
    /// Counts from 1 since the coordinator's start; given by the ring that keeps the record.
    pub sequence: u64,
    /// Host time, Unix milliseconds.
    pub time_ms: i64,
    /// The revision of the state that the question was asked about.
    pub revision: u64,
    /// Which question it answers.
    pub world: World,
    /// The policy's name.
    pub policy: String,
    /// The component that answered.
    pub digest: Digest,
    /// Whether its answer was obeyed.
    pub mode: Mode,
    /// SHA-256 of the settings' JSON text.
    pub settings: Digest,
    /// What it was asked.
    pub request: Question,
    /// What it answered.
    pub answer: Answer,
    /// What the call used, about one per instruction; the same for the same request on every machine.
    pub fuel: u64,
    /// How long the call took, in microseconds.
    pub duration_us: u64,
    /// Whether request or answer were too large and only their beginning is here: it cannot be asked again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// What a policy was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Of an authorizer.
    Authorization(AuthorizationRequest),
    /// Of an admitter.
    Admission(AdmissionRequest),
    /// Of a validator.
    Validation(ProposalRecord),
}

/// A proposal with its manifests by their digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProposalRecord {
    /// What kind of change.
    pub change: Change,
    /// Unix seconds, as the policy was told.
    pub now: u64,
    /// SHA-256 of the uploaded bytes.
    pub manifest_sha256: Digest,
    /// SHA-256 of the normalised JSON of the manifest in force, where there was one.
    pub current_sha256: Option<Digest>,
    /// Who proposed it, where somebody had to authenticate.
    pub proposer: Option<Principal>,
    /// Facts, as the policy was told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    /// The packages' security versions in force, as the policy was told; `None` in records of coordinators that did not keep them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_versions: Option<BTreeMap<String, u64>>,
}

/// What a policy answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Of an authorizer or an admitter.
    Decision(Decision),
    /// Of a validator; errors refuse.
    Findings(Vec<Finding>),
    /// It trapped, exceeded a limit, answered nonsense or is not available: as a denial. The reason.
    Failed(String),
}

impl Answer {
    /// `allow`, `deny` or `failed`.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self {
            Self::Decision(Decision::Allow) => "allow",
            Self::Decision(Decision::Deny(_)) => "deny",
            Self::Findings(findings) if crate::decision::refuses(findings) => "deny",
            Self::Findings(_) => "allow",
            Self::Failed(_) => "failed",
        }
    }
}
