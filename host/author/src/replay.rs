//! Recorded decisions against another component: what would change.
//!
//! Records name settings and manifests by their SHA-256. Settings are given; a validation is asked again where its manifests
//! are at hand. Where a record does not hold the security versions in force, they are taken from the manifest that was in force,
//! without later package updates. Records that were cut are not asked again: what is left of them is not what was asked.

mod read;

use std::collections::{BTreeMap, BTreeSet};

use carrara_types::decision::{Context, Proposal, refuses};
use carrara_types::decision_record::{
    Answer as Recorded, DecisionRecord, ProposalRecord, Question as RecordedQuestion,
};
use carrara_types::manifest::ParsedManifest;
use carrara_types::policy::Digest;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use read::{RecordsError, parse_records};

use crate::asked::Asked;
use crate::corpus::Sample;
use crate::question::{Answer, Question};
use crate::words::{in_words, request_json, summary, verdict};

/// Manifests by their digests.
#[derive(Debug, Default)]
pub struct Manifests {
    by_upload: BTreeMap<Digest, String>,
    by_normal_form: BTreeMap<Digest, String>,
}

impl Manifests {
    /// Adds one as it was uploaded; bytes that are no manifest are not added.
    pub fn add(&mut self, bytes: &[u8]) -> bool {
        let Ok(parsed) = ParsedManifest::parse(bytes) else { return false };
        let normal = parsed.normalised_json();
        self.by_upload.insert(Digest(Sha256::digest(bytes).into()), normal.clone());
        self.by_normal_form.insert(Digest(Sha256::digest(&normal).into()), normal);
        true
    }
}

/// Which policies have records of a world.
#[must_use]
pub fn policies_of(records: &[DecisionRecord], asked: &dyn Asked) -> BTreeSet<String> {
    records
        .iter()
        .filter(|record| record.world == asked.world())
        .map(|record| record.policy.clone())
        .collect()
}

/// A decision that would be another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// The record's number.
    pub sequence: u64,
    /// Host time, Unix milliseconds.
    pub time_ms: i64,
    /// The request in one line.
    pub summary: String,
    /// The request.
    pub request: Value,
    /// The verdict that was recorded.
    pub old: &'static str,
    /// The verdict of the component.
    pub new: &'static str,
    /// The recorded answer in one line.
    pub old_answer: String,
    /// The component's answer in one line.
    pub new_answer: String,
}

/// What a replay found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Replay {
    /// Records that were asked again.
    pub replayed: usize,
    /// Records whose manifests are not at hand.
    pub not_replayable: usize,
    /// Records whose request or answer was too large to be kept whole.
    pub cut: usize,
    /// Records that were made with settings other than those that are given.
    pub other_settings: usize,
    /// How many, by the verdict before and after.
    pub verdicts: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    /// Same verdict with another text, code or finding.
    pub other_texts: usize,
    /// Decisions with another verdict, oldest first.
    pub changes: Vec<Change>,
    /// Fuel of the records that were asked again.
    pub fuel_old: u64,
    /// The same with the component.
    pub fuel_new: u64,
}

/// The request of a record as a sample, where it is at hand. Its settings are not: they are `null`.
#[must_use]
pub fn sample_of(record: &DecisionRecord, manifests: &Manifests) -> Option<Sample> {
    let question = question(record, manifests).filter(|_| !record.cut)?;
    let name = format!("decision {}: {}", record.sequence, summary(&question));
    Some(Sample { name, settings: "null".to_owned(), question })
}

/// Asks the component what the records of the policy's world asked.
#[must_use]
pub fn replay<'a>(
    asked: &dyn Asked,
    settings: &str,
    records: impl IntoIterator<Item = &'a DecisionRecord>,
    manifests: &Manifests,
) -> Replay {
    let digest = Digest(Sha256::digest(settings).into());
    let mut replay = Replay::default();
    for record in records.into_iter().filter(|record| record.world == asked.world()) {
        if record.cut {
            replay.cut += 1;
            continue;
        }
        let Some(question) = question(record, manifests) else {
            replay.not_replayable += 1;
            continue;
        };
        replay.other_settings += usize::from(record.settings != digest);
        let (answer, report) = asked.ask(settings, &question);
        replay.replayed += 1;
        replay.fuel_old = replay.fuel_old.saturating_add(record.fuel);
        replay.fuel_new = replay.fuel_new.saturating_add(report.fuel);
        replay.count(record, &question, &answer);
    }
    replay
}

impl Replay {
    fn count(&mut self, record: &DecisionRecord, question: &Question, answer: &Answer) {
        let (old, new) = (record.answer.verdict(), verdict(answer));
        *self.verdicts.entry(old).or_default().entry(new).or_default() += 1;
        let recorded = recorded(&record.answer);
        if old == new {
            // Why a policy failed is not its answer.
            self.other_texts += usize::from(old != "failed" && recorded != *answer);
            return;
        }
        self.changes.push(Change {
            sequence: record.sequence,
            time_ms: record.time_ms,
            summary: summary(question),
            request: request_json(question),
            old,
            new,
            old_answer: in_words(&recorded),
            new_answer: in_words(answer),
        });
    }
}

fn recorded(answer: &Recorded) -> Answer {
    use carrara_types::decision::Decision;
    match answer {
        Recorded::Decision(Decision::Allow) => Answer::Allow,
        Recorded::Decision(Decision::Deny(denial)) => Answer::Deny(denial.clone()),
        Recorded::Findings(findings) => {
            debug_assert_eq!(refuses(findings), !Answer::Findings(findings.clone()).allows());
            Answer::Findings(findings.clone())
        }
        Recorded::Failed(reason) => Answer::Failure(reason.clone()),
    }
}

/// What was asked; `None` where it needs manifests that are not at hand.
fn question(record: &DecisionRecord, manifests: &Manifests) -> Option<Question> {
    match &record.request {
        RecordedQuestion::Authorization(request) => Some(Question::Authorization(request.clone())),
        RecordedQuestion::Admission(request) => Some(Question::Admission(request.clone())),
        RecordedQuestion::Validation(proposal) => {
            proposal_of(record, proposal, manifests).map(Question::Validation)
        }
    }
}

fn proposal_of(
    record: &DecisionRecord,
    proposal: &ProposalRecord,
    manifests: &Manifests,
) -> Option<Proposal> {
    let ProposalRecord { change, now, manifest_sha256, current_sha256, proposer, facts, current_versions } =
        proposal;
    let manifest = manifests.by_upload.get(manifest_sha256)?.clone();
    let current = match current_sha256 {
        None => None,
        Some(digest) => Some(manifests.by_normal_form.get(digest)?.clone()),
    };
    let current_versions = match current_versions {
        Some(recorded) => recorded.iter().map(|(name, version)| (name.clone(), *version)).collect(),
        None => current.as_deref().map(versions).unwrap_or_default(),
    };
    Some(Proposal {
        context: Context { now: *now, revision: record.revision, facts: facts.clone() },
        change: *change,
        manifest,
        manifest_sha256: manifest_sha256.0,
        current,
        current_versions,
        proposer: proposer.clone(),
    })
}

/// The security versions that a manifest itself gives.
fn versions(manifest: &str) -> Vec<(String, u64)> {
    let manifest: Value = serde_json::from_str(manifest).unwrap_or_default();
    let packages = manifest.get("Packages").and_then(Value::as_object);
    let version = |(name, package): (&String, &Value)| {
        Some((name.clone(), package.get("SecurityVersion").and_then(Value::as_u64)?))
    };
    packages.into_iter().flatten().filter_map(version).collect()
}

#[cfg(test)]
mod tests;
