//! An engine whose components say in words what they answer: `component WORLD,WORLD ANSWER`, and anything after a line break.
//!
//! Answers: `allow`, `deny TEXT` (of a validator: an error), `warn TEXT`, `trap`, `broken` (does not compile), and for authorizers
//! `only NAME` (denies everybody else), for validators `without TEXT` (an error where the manifest has it). Settings that hold `bad`
//! are not understood.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use carrara_core::DecisionRing;
use carrara_core::ports::{
    BuiltIn, ComponentInfo, ComponentRefused, Components, FailureKind, Policies, PolicyDecision,
    PolicyEngine, PolicyFailure, PolicyProblem, RenderFailure, SecretCatalog,
};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Decision, Denial, Finding, Proposal, Severity,
    Template,
};
use carrara_types::policy::{Digest, Mode, PolicyEntry, World};
use sha2::Digest as _;

use super::policies::{FakePolicies, finding};

/// The component of the built-in authorizer.
pub const RBAC: &[u8] = b"component role-authorization allow\nbuilt in";

/// A component for one world.
pub fn component(world: &str, answer: &str) -> Vec<u8> {
    format!("component {world} {answer}\n").into_bytes()
}

pub fn digest(component: &[u8]) -> Digest {
    Digest(sha2::Sha256::digest(component).into())
}

pub struct FakeEngine {
    built_in: Arc<FakePolicies>,
    pub decisions: Arc<DecisionRing>,
    /// The answers of components that are compiled.
    compiled: Mutex<HashMap<Digest, String>>,
    /// How many were.
    pub compilations: AtomicUsize,
    pub inspections: AtomicUsize,
    /// Nothing compiles meanwhile, as where memory is short.
    pub compiler_fails: AtomicBool,
    /// Nothing is ready before this is over.
    pub compiling: Arc<AtomicBool>,
    /// Whoever has it for writing keeps policies named `slow` from being compiled.
    pub hold: Arc<tokio::sync::RwLock<()>>,
    /// Policy and revision of every question to an entry.
    pub asked: Arc<Mutex<Vec<(String, u64)>>>,
    sets: Mutex<Vec<Weak<FakeSet>>>,
}

impl FakeEngine {
    pub fn new(built_in: Arc<FakePolicies>) -> Self {
        Self {
            built_in,
            decisions: Arc::default(),
            compiled: Mutex::default(),
            compilations: AtomicUsize::new(0),
            inspections: AtomicUsize::new(0),
            compiler_fails: AtomicBool::new(false),
            compiling: Arc::default(),
            hold: Arc::default(),
            asked: Arc::default(),
            sets: Mutex::default(),
        }
    }

    /// A restart: nothing is compiled.
    pub fn forget(&self) {
        self.compiled.lock().unwrap().clear();
    }

    pub fn compilations(&self) -> usize {
        self.compilations.load(Ordering::SeqCst)
    }

    pub fn asked(&self, policy: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(name, _)| name == policy).count()
    }

    /// How many sets are still held.
    pub fn sets(&self) -> usize {
        self.sets.lock().unwrap().iter().filter(|set| set.strong_count() > 0).count()
    }

    fn compile(&self, digest: Digest, components: &dyn Components) -> Option<String> {
        let mut compiled = self.compiled.lock().unwrap();
        if let Some(answer) = compiled.get(&digest) {
            return Some(answer.clone());
        }
        let bytes = components.component(&digest).ok()??;
        let (_, answer) = read(&bytes)?;
        self.compilations.fetch_add(1, Ordering::SeqCst);
        if answer == "broken" || self.compiler_fails.load(Ordering::SeqCst) {
            return None;
        }
        compiled.insert(digest, answer.clone());
        Some(answer)
    }
}

/// Worlds and answer.
fn read(bytes: &[u8]) -> Option<(Vec<World>, String)> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let (worlds, answer) = std::str::from_utf8(line).ok()?.strip_prefix("component ")?.split_once(' ')?;
    let worlds: Result<Vec<World>, _> = worlds.split(',').map(str::parse).collect();
    Some((worlds.ok()?, answer.to_owned()))
}

impl PolicyEngine for FakeEngine {
    fn built_in(&self) -> Vec<BuiltIn> {
        vec![BuiltIn { name: "rbac", world: World::RoleAuthorization, digest: digest(RBAC), component: RBAC }]
    }

    fn inspect(&self, component: &[u8]) -> Result<ComponentInfo, ComponentRefused> {
        self.inspections.fetch_add(1, Ordering::SeqCst);
        match read(component) {
            Some((worlds, _)) => {
                Ok(ComponentInfo { digest: digest(component), worlds, size: component.len() })
            }
            None => Err(ComponentRefused("it exports none of the interfaces".to_owned())),
        }
    }

    fn set(
        &self,
        entries: &BTreeMap<String, PolicyEntry>,
        components: Arc<dyn Components>,
    ) -> Arc<dyn Policies> {
        let member = |(name, entry): (&String, &PolicyEntry)| Member {
            name: name.clone(),
            entry: entry.clone(),
            answer: self.compile(entry.component, components.as_ref()),
        };
        let set = Arc::new(FakeSet {
            built_in: Arc::clone(&self.built_in),
            members: entries.iter().map(member).collect(),
            compiling: Arc::clone(&self.compiling),
            hold: Arc::clone(&self.hold),
            asked: Arc::clone(&self.asked),
        });
        if !entries.is_empty() {
            self.sets.lock().unwrap().push(Arc::downgrade(&set));
        }
        set
    }
}

struct Member {
    name: String,
    entry: PolicyEntry,
    /// `None` where it cannot be used.
    answer: Option<String>,
}

struct FakeSet {
    built_in: Arc<FakePolicies>,
    members: Vec<Member>,
    compiling: Arc<AtomicBool>,
    hold: Arc<tokio::sync::RwLock<()>>,
    asked: Arc<Mutex<Vec<(String, u64)>>>,
}

impl FakeSet {
    fn has(&self, built_in: &str) -> bool {
        !self.members.iter().any(|member| member.entry.replaces.as_deref() == Some(built_in))
    }

    fn enforced(&self, world: World) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |m| m.entry.world == world && m.entry.mode == Mode::Enforce)
    }

    fn ask(&self, member: &Member, context: &Context) -> Result<String, PolicyFailure> {
        self.asked.lock().unwrap().push((member.name.clone(), context.revision));
        let failure = |kind| PolicyFailure { policy: member.name.clone(), kind, reason: "x".to_owned() };
        if self.compiling.load(Ordering::SeqCst) {
            return Err(failure(FailureKind::NotReady));
        }
        match member.answer.as_deref() {
            None => Err(failure(FailureKind::Unavailable)),
            Some("trap") => Err(failure(FailureKind::Failed)),
            Some(answer) => Ok(answer.to_owned()),
        }
    }

    fn decide(
        &self,
        world: World,
        context: &Context,
        user: &str,
        first: PolicyDecision,
    ) -> Result<PolicyDecision, PolicyFailure> {
        if first.decision != Decision::Allow {
            return Ok(first);
        }
        for member in self.enforced(world) {
            let answer = self.ask(member, context)?;
            let message = match answer.strip_prefix("only ") {
                Some(name) if name == user => continue,
                Some(_) => "not you",
                None => match answer.strip_prefix("deny ") {
                    Some(text) => text,
                    None => continue,
                },
            };
            let denial = Denial { message: message.to_owned(), ..Denial::default() };
            return Ok(PolicyDecision { policy: member.name.clone(), decision: Decision::Deny(denial) });
        }
        Ok(first)
    }
}

#[async_trait]
impl Policies for FakeSet {
    fn renderers(&self) -> Vec<String> {
        let own = self.enforced(World::SecretRendering).map(|member| member.name.clone());
        self.built_in.renderers().into_iter().filter(|name| self.has(name)).chain(own).collect()
    }

    fn unusable(&self) -> BTreeSet<Digest> {
        let unusable = self.members.iter().filter(|member| member.answer.is_none());
        unusable.map(|member| member.entry.component).collect()
    }

    async fn prepare(&self) -> Result<(), Vec<PolicyProblem>> {
        if self.members.iter().any(|member| member.name == "slow") {
            drop(self.hold.read().await);
        }
        let problem = |member: &Member| PolicyProblem {
            policy: member.name.clone(),
            message: "it does not compile".to_owned(),
            place: None,
            hint: None,
        };
        let problems: Vec<_> =
            self.members.iter().filter(|member| member.answer.is_none()).map(problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    async fn check_settings(&self) -> Result<Vec<PolicyProblem>, PolicyFailure> {
        let problem = |member: &Member| PolicyProblem {
            policy: member.name.clone(),
            message: "unexpected token".to_owned(),
            place: Some((2, 7)),
            hint: None,
        };
        Ok(self.members.iter().filter(|m| m.entry.settings.contains("bad")).map(problem).collect())
    }

    async fn validate(&self, proposal: Proposal) -> Result<Vec<Finding>, PolicyFailure> {
        let mut found = Vec::new();
        if self.has("manifest-rules") {
            found.extend(self.built_in.validate(proposal.clone()).await?);
        }
        for member in self.enforced(World::ManifestValidation) {
            let answer = self.ask(member, &proposal.context)?;
            let severity = match answer.split_once(' ') {
                Some(("deny", _)) => Severity::Error,
                Some(("warn", _)) => Severity::Warning,
                Some(("without", text)) if proposal.manifest.contains(text) => Severity::Error,
                _ => continue,
            };
            let text = answer.split_once(' ').map_or("", |(_, text)| text);
            found.push(finding(severity, "corp", "/Marbles", text));
        }
        Ok(found)
    }

    async fn authorize(&self, request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        let (context, user) = (request.context.clone(), request.principal.name.clone());
        let first = if self.has("rbac") {
            self.built_in.authorize(request).await?
        } else {
            PolicyDecision { policy: String::new(), decision: Decision::Allow }
        };
        self.decide(World::RoleAuthorization, &context, &user, first)
    }

    async fn admit(&self, request: AdmissionRequest) -> Result<PolicyDecision, PolicyFailure> {
        let context = request.context.clone();
        let first = self.built_in.admit(request).await?;
        self.decide(World::MarbleAdmission, &context, "", first)
    }

    async fn render(
        &self,
        renderer: &str,
        context: Context,
        templates: Vec<Template>,
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        match self.members.iter().find(|member| member.name == renderer) {
            None => self.built_in.render(renderer, context, templates, secrets).await,
            Some(member) => {
                let answer = self.ask(member, &context).map_err(RenderFailure::Policy)?;
                Ok(templates.iter().map(|_| vec![Chunk::Text(answer.clone().into_bytes())]).collect())
            }
        }
    }
}
