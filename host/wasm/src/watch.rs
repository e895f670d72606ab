//! Tells the observer of every call, and of every decision what was asked and answered.
//!
//! On the path of each request: nothing is formatted here, and a question is moved into its record where nobody else needs it.

use std::sync::Arc;

use carrara_core::ports::{CallOutcome, Clock, PolicyCall, PolicyFailure, PolicyObserver};
use carrara_types::decision::{AdmissionRequest, AuthorizationRequest, Decision, Finding, Proposal, refuses};
use carrara_types::decision_record::{Answer, DecisionRecord, ProposalRecord, Question};
use carrara_types::policy::{Digest, Mode, World};

use crate::call::{CallReport, Called};
use crate::loader::digest;
use crate::policies::{Admitter, Authorizer, OfWorld, Validator};
use crate::weight::Weight;

/// What is told of a policy.
pub(crate) struct About {
    pub(crate) name: Arc<str>,
    pub(crate) world: World,
    pub(crate) digest: Digest,
    pub(crate) mode: Mode,
    pub(crate) built_in: bool,
    /// SHA-256 of the settings' JSON text.
    pub(crate) settings: Digest,
}

/// Who is told, and by which clock.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) observer: Arc<dyn PolicyObserver>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A policy whose answers are decisions, which leave records.
pub(crate) trait Judge: OfWorld {
    type Question: Weight + Clone + Send + Sync + 'static;
    type Verdict: Send + 'static;

    /// Asks, here and now.
    fn ask(&self, question: &Self::Question) -> Called<Result<Self::Verdict, PolicyFailure>>;

    /// Whether the answer lets go on.
    fn allows(verdict: &Self::Verdict) -> bool;

    fn revision(question: &Self::Question) -> u64;

    /// The question as it is recorded.
    fn asked(question: Arc<Self::Question>) -> Question;

    /// The answer as it is recorded.
    fn answered(verdict: &Self::Verdict) -> Answer;
}

impl Watch {
    /// One call ended.
    pub(crate) fn called(&self, about: &About, outcome: CallOutcome, report: &CallReport) {
        self.observer.called(&PolicyCall {
            policy: &about.name,
            world: about.world,
            mode: about.mode,
            outcome,
            fuel: report.fuel,
            duration: report.duration,
        });
    }

    /// A judge was asked what nobody wants to do: a call, and no decision.
    pub(crate) fn consulted<J: Judge>(
        &self,
        about: &About,
        called: &Called<Result<J::Verdict, PolicyFailure>>,
    ) {
        let outcome = match &called.answer {
            Ok(verdict) if J::allows(verdict) => CallOutcome::Allowed,
            Ok(_) => CallOutcome::Refused,
            Err(_) => CallOutcome::Failed,
        };
        self.called(about, outcome, &called.report);
    }

    /// A judge was asked, or could not be.
    pub(crate) fn judged<J: Judge>(
        &self,
        about: &About,
        question: Arc<J::Question>,
        called: &Called<Result<J::Verdict, PolicyFailure>>,
    ) {
        let Called { answer, report } = called;
        self.consulted::<J>(about, called);
        let answer = match answer {
            Ok(verdict) => J::answered(verdict),
            Err(failure) => Answer::Failed(failure.reason.clone()),
        };
        let now = self.clock.now();
        self.observer.decided(DecisionRecord {
            sequence: 0,
            time_ms: now.unix_timestamp() * 1000 + i64::from(now.millisecond()),
            revision: J::revision(&question),
            world: about.world,
            policy: about.name.to_string(),
            digest: about.digest,
            mode: about.mode,
            settings: about.settings,
            request: J::asked(question),
            answer,
            fuel: report.fuel,
            duration_us: u64::try_from(report.duration.as_micros()).unwrap_or(u64::MAX),
            cut: false,
        });
    }
}

impl Judge for Validator {
    type Question = Proposal;
    type Verdict = Vec<Finding>;

    fn ask(&self, question: &Proposal) -> Called<Result<Vec<Finding>, PolicyFailure>> {
        self.validate_with(&self.callee().settings, question)
    }

    fn allows(findings: &Vec<Finding>) -> bool {
        !refuses(findings)
    }

    fn revision(question: &Proposal) -> u64 {
        question.context.revision
    }

    fn asked(question: Arc<Proposal>) -> Question {
        Question::Validation(ProposalRecord {
            change: question.change,
            now: question.context.now,
            manifest_sha256: Digest(question.manifest_sha256),
            current_sha256: question.current.as_ref().map(|current| Digest(digest(current.as_bytes()))),
            proposer: question.proposer.clone(),
            facts: question.context.facts.clone(),
            current_versions: Some(question.current_versions.iter().cloned().collect()),
        })
    }

    fn answered(findings: &Vec<Finding>) -> Answer {
        Answer::Findings(findings.clone())
    }
}

impl Judge for Authorizer {
    type Question = AuthorizationRequest;
    type Verdict = Decision;

    fn ask(&self, question: &AuthorizationRequest) -> Called<Result<Decision, PolicyFailure>> {
        self.authorize_with(&self.callee().settings, question)
    }

    fn allows(decision: &Decision) -> bool {
        *decision == Decision::Allow
    }

    fn revision(question: &AuthorizationRequest) -> u64 {
        question.context.revision
    }

    fn asked(question: Arc<AuthorizationRequest>) -> Question {
        Question::Authorization(Arc::unwrap_or_clone(question))
    }

    fn answered(decision: &Decision) -> Answer {
        Answer::Decision(decision.clone())
    }
}

impl Judge for Admitter {
    type Question = AdmissionRequest;
    type Verdict = Decision;

    fn ask(&self, question: &AdmissionRequest) -> Called<Result<Decision, PolicyFailure>> {
        self.admit_with(&self.callee().settings, question)
    }

    fn allows(decision: &Decision) -> bool {
        *decision == Decision::Allow
    }

    fn revision(question: &AdmissionRequest) -> u64 {
        question.context.revision
    }

    fn asked(question: Arc<AdmissionRequest>) -> Question {
        Question::Admission(Arc::unwrap_or_clone(question))
    }

    fn answered(decision: &Decision) -> Answer {
        Answer::Decision(decision.clone())
    }
}
