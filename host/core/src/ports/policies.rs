//! The policies: sets of them, as manifests ask for them, and what makes such sets of components.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Decision, Finding, Proposal, RenderError, Scope,
    SecretInfo, Template,
};
use carrara_types::decision_record::DecisionRecord;
use carrara_types::policy::{Digest, Mode, PolicyEntry, World};

use super::StoreError;

/// Why a policy gave no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailureKind {
    /// It trapped, ran out of its limits or answered nonsense.
    #[default]
    Failed,
    /// It is still being compiled: the same request may be answered a little later.
    NotReady,
    /// Its component cannot be read or compiled any more; whoever has the right bytes may upload them again.
    Unavailable,
}

/// A policy that gave no answer: a denial of this one request. `Display` is for the caller.
#[derive(Debug, Clone)]
pub struct PolicyFailure {
    /// The policy's name.
    pub policy: String,
    /// What kind of failure.
    pub kind: FailureKind,
    /// For the log only.
    pub reason: String,
}

impl fmt::Display for PolicyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, kind, .. } = self;
        match kind {
            FailureKind::Failed => write!(f, "policy \"{policy}\" could not decide"),
            FailureKind::NotReady => write!(f, "policy \"{policy}\" is being compiled; try again"),
            FailureKind::Unavailable => write!(f, "policy \"{policy}\" is unavailable"),
        }
    }
}

impl std::error::Error for PolicyFailure {}

impl PolicyFailure {
    /// A policy that trapped, ran out of its limits or answered nonsense.
    #[must_use]
    pub fn failed(policy: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { policy: policy.into(), kind: FailureKind::Failed, reason: reason.into() }
    }

    /// Name and reason; for the log.
    #[must_use]
    pub fn internal(&self) -> String {
        format!("{self}: {}", self.reason)
    }
}

/// Why rendering ended.
#[derive(Debug)]
pub enum RenderFailure {
    /// The template is at fault.
    Template(RenderError),
    /// The policy is at fault.
    Policy(PolicyFailure),
    /// No renderer of that name.
    UnknownRenderer(String),
}

/// What a renderer may know of secrets.
pub trait SecretCatalog: Send + Sync {
    /// All names, sorted.
    fn names(&self, scope: Scope) -> Vec<String>;
    /// One secret's facts.
    fn lookup(&self, scope: Scope, name: &str) -> Option<SecretInfo>;
}

/// A policy's denial with the policy's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDecision {
    /// The policy that decided (the first one that denied).
    pub policy: String,
    /// Its decision.
    pub decision: Decision,
}

/// A policy of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInForce {
    /// Its name.
    pub name: String,
    /// Which question it answers.
    pub world: World,
    /// What it is made of.
    pub digest: Digest,
    /// How its answer counts.
    pub mode: Mode,
    /// Whether it is one that every coordinator brings and no entry of the manifest.
    pub built_in: bool,
}

/// Settings that a policy does not understand, or a component that is none for its world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyProblem {
    /// The entry's name.
    pub policy: String,
    /// What is wrong: names the interface, versions and the missing item, or the settings' error.
    pub message: String,
    /// Line and column in the settings' text, from 1; `None` where it is not about settings.
    pub place: Option<(u32, u32)>,
    /// What to do.
    pub hint: Option<String>,
}

/// A set of policies: the built-ins, or what a manifest asks for.
#[async_trait]
pub trait Policies: Send + Sync {
    /// The names of the renderers that a File or Env may choose.
    fn renderers(&self) -> Vec<String>;

    /// All policies of the set, by world and name.
    fn in_force(&self) -> Vec<PolicyInForce> {
        Vec::new()
    }

    /// The components that cannot be used. One that is being compiled is none of them.
    fn unusable(&self) -> BTreeSet<Digest> {
        BTreeSet::new()
    }

    /// Waits until every policy is compiled or known not to be usable.
    ///
    /// # Errors
    /// The policies that cannot be used, each with its reason.
    async fn prepare(&self) -> Result<(), Vec<PolicyProblem>> {
        Ok(())
    }

    /// Asks every policy whether it understands its settings: what they do not.
    ///
    /// # Errors
    /// The failure of the first policy that cannot say.
    async fn check_settings(&self) -> Result<Vec<PolicyProblem>, PolicyFailure> {
        Ok(Vec::new())
    }

    /// All findings of all validators, `manifest-rules` first, then by name.
    async fn validate(&self, proposal: Proposal) -> Result<Vec<Finding>, PolicyFailure>;

    /// All authorizers must allow. Runs inline: built-in authorizers have tight limits.
    async fn authorize(&self, request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure>;

    /// What [`Self::authorize`] would answer, for a question that nobody asked: it is not recorded as a decision.
    async fn would_authorize(&self, request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        self.authorize(request).await
    }

    /// All admitters must allow; without one the answer is allow.
    async fn admit(&self, request: AdmissionRequest) -> Result<PolicyDecision, PolicyFailure>;

    /// As many results as templates, in order. Secret bytes are spliced in afterwards, by the host.
    async fn render(
        &self,
        renderer: &str,
        context: Context,
        templates: Vec<Template>,
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure>;
}

/// A policy that every coordinator brings.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// Which question it answers.
    pub world: World,
    /// The SHA-256 of its component.
    pub digest: Digest,
    /// Its component.
    pub component: &'static [u8],
}

/// What a component says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentInfo {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// The worlds that it can answer for; at least one.
    pub worlds: Vec<World>,
    /// Its length in bytes.
    pub size: usize,
}

/// Bytes that are no policy. Names the interface, both versions and the missing item, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ComponentRefused(pub String);

/// Where the bytes of components are.
pub trait Components: Send + Sync {
    /// The component of that digest; `None` if it is not there.
    ///
    /// # Errors
    /// The state cannot be read.
    fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Makes sets of policies.
pub trait PolicyEngine: Send + Sync {
    /// The policies that every coordinator brings.
    fn built_in(&self) -> Vec<BuiltIn>;

    /// Looks at a component without compiling it.
    ///
    /// # Errors
    /// It is no policy, or imports what no policy may.
    fn inspect(&self, component: &[u8]) -> Result<ComponentInfo, ComponentRefused>;

    /// The set that a manifest asks for: the built-ins but those that an enforcing entry replaces, and the entries.
    /// Returns at once. What was not compiled before is compiled in the background, one component at a time, its bytes
    /// taken from `components` then; until it is there, the policy answers [`FailureKind::NotReady`], and where that
    /// fails, [`FailureKind::Unavailable`].
    fn set(
        &self,
        entries: &BTreeMap<String, PolicyEntry>,
        components: Arc<dyn Components>,
    ) -> Arc<dyn Policies>;
}

/// Always the same set, whatever a manifest asks for: for tests, and for tools that have no engine.
pub struct OneSet(pub Arc<dyn Policies>);

impl PolicyEngine for OneSet {
    fn built_in(&self) -> Vec<BuiltIn> {
        Vec::new()
    }

    fn inspect(&self, _component: &[u8]) -> Result<ComponentInfo, ComponentRefused> {
        Err(ComponentRefused("there is no policy engine here".to_owned()))
    }

    fn set(
        &self,
        _entries: &BTreeMap<String, PolicyEntry>,
        _components: Arc<dyn Components>,
    ) -> Arc<dyn Policies> {
        Arc::clone(&self.0)
    }
}

/// How a call of a policy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// It allowed, had no error to report, or rendered.
    Allowed,
    /// It refused.
    Refused,
    /// It gave no answer.
    Failed,
}

/// One call of a policy, for metrics.
#[derive(Debug, Clone, Copy)]
pub struct PolicyCall<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// Its world.
    pub world: World,
    /// Whether its answer was obeyed.
    pub mode: Mode,
    /// How it ended.
    pub outcome: CallOutcome,
    /// What it used.
    pub fuel: u64,
    /// How long it took.
    pub duration: Duration,
}

/// Is told of every call, on the thread that made it: must not block.
pub trait PolicyObserver: Send + Sync {
    /// A policy was called.
    fn called(&self, call: &PolicyCall<'_>);
    /// An authorizer, admitter or validator decided. The record's sequence is 0.
    fn decided(&self, record: DecisionRecord);
    /// A question to a shadow policy was dropped, for lack of room.
    fn dropped(&self) {}
}
