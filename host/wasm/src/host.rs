//! The policies in force, behind the port that the use cases ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use carrara_core::ports::{Policies, PolicyDecision, PolicyFailure, RenderFailure, SecretCatalog};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Decision, Finding, Proposal, Template,
};

use crate::call::Callee;
use crate::clock::Runtime;
use crate::engine::{EngineError, Surroundings, engine};
use crate::limits::{EngineLimits, Limits};
use crate::loader::{LoadError, Loaded};
use crate::policies::{Admitter, Authorizer, OfWorld, Renderer, Validator};
use crate::pool::Gate;
use crate::slots::{self, PoolSize};
use crate::world::World;
use crate::worlds::configuration::SettingsError;

/// The validator that speaks first.
const MANIFEST_RULES: &str = "manifest-rules";

/// A policy to load.
#[derive(Debug, Clone)]
pub struct PolicySource {
    /// Its name in decisions, errors and the log.
    pub name: String,
    /// Which question it answers.
    pub world: World,
    /// The component.
    pub component: Vec<u8>,
    /// The JSON text of the entry's settings.
    pub settings: String,
    /// What a call may use.
    pub limits: Limits,
}

impl PolicySource {
    /// A policy without settings and with its world's limits.
    pub fn new(name: impl Into<String>, world: World, component: Vec<u8>) -> Self {
        let limits = EngineLimits::default().of(world);
        Self { name: name.into(), world, component, settings: "null".to_owned(), limits }
    }
}

/// A loaded policy as others may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInfo {
    /// Its name.
    pub name: String,
    /// Its world.
    pub world: World,
    /// SHA-256 of its component.
    pub digest: [u8; 32],
    /// The component's length in bytes.
    pub size: usize,
}

/// Why a policy cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The bytes are no policy of the world.
    #[error("loading the policy \"{name}\"")]
    Load {
        /// The policy.
        name: String,
        /// Why.
        #[source]
        source: LoadError,
    },
    /// Two policies of one name and world.
    #[error("there is a policy \"{0}\" already")]
    Duplicate(String),
}

/// The policies in force. Every call runs in a fresh instance; none can harm another.
pub struct PolicyHost {
    /// Of the policies that were added; started with the first of them.
    runtime: Option<Arc<Runtime>>,
    /// `manifest-rules` first, then by name: the key's first part is false for it alone.
    validators: BTreeMap<(bool, String), Slot<Validator>>,
    authorizers: BTreeMap<String, Slot<Authorizer>>,
    admitters: BTreeMap<String, Slot<Admitter>>,
    renderers: BTreeMap<String, Slot<Renderer>>,
}

/// A policy, what it is made of, and where its calls run.
struct Slot<P> {
    policy: Arc<P>,
    loaded: Loaded,
    place: Place,
}

enum Place {
    /// On the calling thread: built-in authorizers, whose limits are tight.
    Inline,
    /// On a blocking thread.
    Pool(Gate),
}

impl PolicyHost {
    /// A host without policies: it refuses everything but admissions until some are added.
    ///
    /// # Errors
    /// [`HostError::Engine`] if the engine does not start.
    pub fn empty() -> Result<Self, HostError> {
        Ok(Self {
            runtime: None,
            validators: BTreeMap::new(),
            authorizers: BTreeMap::new(),
            admitters: BTreeMap::new(),
            renderers: BTreeMap::new(),
        })
    }

    /// A host without policies whose calls run in slots that stay mapped, as those of the built-in policies do: for policies
    /// with these limits.
    ///
    /// # Errors
    /// [`HostError::Engine`] if the engine does not start.
    pub fn pooled(limits: &[Limits]) -> Result<Self, HostError> {
        let engine = slots::pooled(Surroundings::of_this_build(), PoolSize::holding(limits))?;
        Ok(Self { runtime: Some(Arc::new(Runtime::start(engine)?)), ..Self::empty()? })
    }

    /// The built-in policies: `manifest-rules`, `rbac`, `go-template`, `liquid`. Compiles nothing.
    ///
    /// # Errors
    /// [`HostError`] if the engine does not start or the build is broken.
    #[cfg(feature = "builtin")]
    pub fn builtin() -> Result<Self, HostError> {
        let mut host = Self::empty()?;
        let engine = slots::pooled(Surroundings::of_this_build(), crate::builtin::slots())?;
        let runtime = Arc::new(Runtime::start(engine)?);
        for (name, world, limits) in crate::builtin::POLICIES {
            let loaded = crate::builtin::load(runtime.engine(), name)
                .map_err(|source| HostError::Load { name: name.to_owned(), source })?;
            let inline = crate::limits::INLINE && world == World::RoleAuthorization;
            let callee = callee(name.to_owned(), "null".to_owned(), limits, &runtime);
            host.insert(world, callee, loaded, inline)?;
        }
        Ok(host)
    }

    /// Compiles a policy and puts it in force beside the others. Slow: never on a request's path.
    ///
    /// # Errors
    /// [`HostError`] if the component does not fit its world or the name is taken.
    pub fn add(&mut self, source: PolicySource) -> Result<(), HostError> {
        let runtime = match &self.runtime {
            Some(runtime) => Arc::clone(runtime),
            None => Arc::new(Runtime::start(engine(Surroundings::of_this_build())?)?),
        };
        self.runtime = Some(Arc::clone(&runtime));
        let loaded = Loaded::compile(runtime.engine(), source.world, source.component)
            .map_err(|error| HostError::Load { name: source.name.clone(), source: error })?;
        let callee = callee(source.name, source.settings, source.limits, &runtime);
        self.insert(source.world, callee, loaded, false)
    }

    /// All policies in force, by world and name.
    #[must_use]
    pub fn policies(&self) -> Vec<PolicyInfo> {
        self.loaded().map(|(world, name, loaded)| info(world, name, loaded)).collect()
    }

    /// The component with this digest, if a policy in force is made of it.
    #[must_use]
    pub fn component(&self, digest: &[u8; 32]) -> Option<&[u8]> {
        self.loaded()
            .find(|(_, _, loaded)| loaded.digest() == *digest)
            .map(|(_, _, loaded)| loaded.component_bytes())
    }

    /// Asks every policy whether it understands its settings: the policies that do not, with their errors.
    ///
    /// # Errors
    /// [`PolicyFailure`] of the first policy that cannot say.
    pub fn check_settings(&self) -> Result<Vec<(String, Vec<SettingsError>)>, PolicyFailure> {
        let mut wrong = Vec::new();
        let mut note = |name: &str, errors: Vec<SettingsError>| {
            if !errors.is_empty() {
                wrong.push((name.to_owned(), errors));
            }
        };
        for slot in self.validators.values() {
            note(slot.name(), slot.policy.check_settings()?);
        }
        for slot in self.authorizers.values() {
            note(slot.name(), slot.policy.check_settings()?);
        }
        for slot in self.admitters.values() {
            note(slot.name(), slot.policy.check_settings()?);
        }
        for slot in self.renderers.values() {
            note(slot.name(), slot.policy.check_settings()?);
        }
        Ok(wrong)
    }

    /// [`Policies::validate`] on the calling thread; for tools that have no runtime.
    ///
    /// # Errors
    /// [`PolicyFailure`] of the first validator that could not decide.
    pub fn validate_here(&self, proposal: &Proposal) -> Result<Vec<Finding>, PolicyFailure> {
        self.require(World::ManifestValidation, self.validators.is_empty())?;
        let mut findings = Vec::new();
        for slot in self.validators.values() {
            findings.extend(slot.policy.validate(proposal)?);
        }
        Ok(findings)
    }

    /// [`Policies::authorize`] on the calling thread; for tools that have no runtime.
    ///
    /// # Errors
    /// [`PolicyFailure`] of the first authorizer that could not decide.
    pub fn authorize_here(&self, request: &AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        self.require(World::RoleAuthorization, self.authorizers.is_empty())?;
        first_denial(self.authorizers.values(), |authorizer| authorizer.authorize(request))
    }

    /// [`Policies::admit`] on the calling thread; for tools that have no runtime.
    ///
    /// # Errors
    /// [`PolicyFailure`] of the first admitter that could not decide.
    pub fn admit_here(&self, request: &AdmissionRequest) -> Result<PolicyDecision, PolicyFailure> {
        first_denial(self.admitters.values(), |admitter| admitter.admit(request))
    }

    /// [`Policies::render`] on the calling thread; for tools that have no runtime.
    ///
    /// # Errors
    /// [`RenderFailure`] if a template or the renderer is at fault.
    pub fn render_here(
        &self,
        renderer: &str,
        context: &Context,
        templates: &[Template],
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        self.renderer(renderer)?.policy.render(context, templates, secrets)
    }

    fn renderer(&self, name: &str) -> Result<&Slot<Renderer>, RenderFailure> {
        self.renderers.get(name).ok_or_else(|| RenderFailure::UnknownRenderer(name.to_owned()))
    }

    fn insert(
        &mut self,
        world: World,
        callee: Callee,
        loaded: Loaded,
        inline: bool,
    ) -> Result<(), HostError> {
        let name = callee.name.to_string();
        let place = if inline {
            Place::Inline
        } else {
            Place::Pool(Gate::new(callee.limits.concurrency, callee.limits.wait))
        };
        match world {
            World::ManifestValidation => {
                let key = (name != MANIFEST_RULES, name.clone());
                put(&mut self.validators, key, Slot::load(callee, loaded, place)?)
            }
            World::RoleAuthorization => put(&mut self.authorizers, name, Slot::load(callee, loaded, place)?),
            World::MarbleAdmission => put(&mut self.admitters, name, Slot::load(callee, loaded, place)?),
            World::SecretRendering => put(&mut self.renderers, name, Slot::load(callee, loaded, place)?),
        }
    }

    fn loaded(&self) -> impl Iterator<Item = (World, &str, &Loaded)> {
        let validators =
            self.validators.values().map(|slot| (World::ManifestValidation, slot.name(), slot.loaded()));
        let authorizers =
            self.authorizers.values().map(|slot| (World::RoleAuthorization, slot.name(), slot.loaded()));
        let admitters =
            self.admitters.values().map(|slot| (World::MarbleAdmission, slot.name(), slot.loaded()));
        let renderers =
            self.renderers.values().map(|slot| (World::SecretRendering, slot.name(), slot.loaded()));
        validators.chain(authorizers).chain(admitters).chain(renderers)
    }

    /// A host that has nobody to ask must not say yes.
    fn require(&self, world: World, empty: bool) -> Result<(), PolicyFailure> {
        if !empty {
            return Ok(());
        }
        Err(PolicyFailure::failed(world.name().to_owned(), "no policy of this world is loaded".to_owned()))
    }
}

fn callee(name: String, settings: String, limits: Limits, runtime: &Arc<Runtime>) -> Callee {
    Callee { name: name.into(), settings, limits, runtime: Arc::clone(runtime) }
}

impl<P: OfWorld> Slot<P> {
    fn load(callee: Callee, loaded: Loaded, place: Place) -> Result<Self, HostError> {
        let name = callee.name.to_string();
        let policy = P::load(callee, loaded.code()).map_err(|source| HostError::Load { name, source })?;
        Ok(Self { policy: Arc::new(policy), loaded, place })
    }

    fn name(&self) -> &str {
        &self.policy.callee().name
    }

    fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Runs `work` where this policy's calls belong.
    async fn run<R>(&self, work: impl FnOnce(&P) -> R + Send + 'static) -> Result<R, PolicyFailure>
    where
        R: Send + 'static,
    {
        match &self.place {
            Place::Inline => Ok(work(&self.policy)),
            Place::Pool(gate) => {
                let policy = Arc::clone(&self.policy);
                let ran = gate.run(move || work(&policy)).await;
                ran.map_err(|refusal| self.policy.callee().failure(refusal))
            }
        }
    }
}

fn put<K: Ord, P: OfWorld>(
    policies: &mut BTreeMap<K, Slot<P>>,
    key: K,
    slot: Slot<P>,
) -> Result<(), HostError> {
    if policies.contains_key(&key) {
        return Err(HostError::Duplicate(slot.name().to_owned()));
    }
    policies.insert(key, slot);
    Ok(())
}

fn first_denial<'a, P: OfWorld>(
    slots: impl Iterator<Item = &'a Slot<P>>,
    ask: impl Fn(&P) -> Result<Decision, PolicyFailure>,
) -> Result<PolicyDecision, PolicyFailure> {
    let mut verdict = PolicyDecision { policy: String::new(), decision: Decision::Allow };
    for slot in slots {
        verdict = PolicyDecision { policy: slot.name().to_owned(), decision: ask(&slot.policy)? };
        if verdict.decision != Decision::Allow {
            break;
        }
    }
    Ok(verdict)
}

fn info(world: World, name: &str, loaded: &Loaded) -> PolicyInfo {
    PolicyInfo { name: name.to_owned(), world, digest: loaded.digest(), size: loaded.component_bytes().len() }
}

#[async_trait]
impl Policies for PolicyHost {
    fn renderers(&self) -> Vec<String> {
        self.renderers.keys().cloned().collect()
    }

    async fn validate(&self, proposal: Proposal) -> Result<Vec<Finding>, PolicyFailure> {
        self.require(World::ManifestValidation, self.validators.is_empty())?;
        let proposal = Arc::new(proposal);
        let mut findings = Vec::new();
        for slot in self.validators.values() {
            let proposal = Arc::clone(&proposal);
            findings.extend(slot.run(move |validator| validator.validate(&proposal)).await??);
        }
        Ok(findings)
    }

    async fn authorize(&self, request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        self.require(World::RoleAuthorization, self.authorizers.is_empty())?;
        let request = Arc::new(request);
        let mut verdict = PolicyDecision { policy: String::new(), decision: Decision::Allow };
        for slot in self.authorizers.values() {
            let request = Arc::clone(&request);
            let decision = slot.run(move |authorizer| authorizer.authorize(&request)).await??;
            verdict = PolicyDecision { policy: slot.name().to_owned(), decision };
            if verdict.decision != Decision::Allow {
                break;
            }
        }
        Ok(verdict)
    }

    async fn admit(&self, request: AdmissionRequest) -> Result<PolicyDecision, PolicyFailure> {
        let request = Arc::new(request);
        let mut verdict = PolicyDecision { policy: String::new(), decision: Decision::Allow };
        for slot in self.admitters.values() {
            let request = Arc::clone(&request);
            let decision = slot.run(move |admitter| admitter.admit(&request)).await??;
            verdict = PolicyDecision { policy: slot.name().to_owned(), decision };
            if verdict.decision != Decision::Allow {
                break;
            }
        }
        Ok(verdict)
    }

    async fn render(
        &self,
        renderer: &str,
        context: Context,
        templates: Vec<Template>,
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        let slot = self.renderer(renderer)?;
        let answer = slot.run(move |renderer| renderer.render(&context, &templates, secrets)).await;
        answer.map_err(RenderFailure::Policy)?
    }
}
