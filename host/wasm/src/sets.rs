//! Makes sets of policies: the built-ins, and what manifests ask for.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use carrara_core::ports::{
    BuiltIn, Clock, ComponentInfo, ComponentRefused, Components, Policies, PolicyEngine, PolicyObserver,
};
use carrara_types::policy::{Digest, Mode, PolicyEntry, World};

use crate::compiler::{Compiled, Compiler};
use crate::engine::Surroundings;
#[cfg(feature = "builtin")]
use crate::host::HostError;
use crate::inspect::Surface;
use crate::limits::{EngineLimits, Limits};
use crate::loader::digest;
use crate::member::{Member, Panel, Place};
use crate::policies::{Admitter, Authorizer, OfWorld, Renderer, Validator};
use crate::pool::{Gate, Shares};
use crate::set::Set;
use crate::shadow::{Shadows, WAITING_SHADOW_BYTES};
use crate::watch::{About, Watch};

/// The settings of an entry without any.
#[cfg(feature = "builtin")]
const NO_SETTINGS: &str = "null";

/// Makes sets of policies. Every call runs in a fresh instance; no policy can harm another or the coordinator.
pub struct Engine {
    limits: EngineLimits,
    watch: Watch,
    compiler: Compiler,
    shares: Arc<Shares>,
    shadows: Arc<Shadows>,
    built_in: Vec<Own>,
    validators: Vec<Arc<Member<Validator>>>,
    authorizers: Vec<Arc<Member<Authorizer>>>,
    renderers: Vec<Arc<Member<Renderer>>>,
}

/// A policy that every coordinator brings.
struct Own {
    policy: BuiltIn,
    limits: Limits,
    compiled: Arc<Compiled>,
}

impl Engine {
    /// An engine without built-in policies: its sets have what a manifest names and nothing else.
    #[must_use]
    pub fn bare(limits: EngineLimits, observer: Arc<dyn PolicyObserver>, clock: Arc<dyn Clock>) -> Self {
        Self {
            watch: Watch { observer, clock },
            compiler: Compiler::new(Surroundings::of_this_build()),
            shares: Arc::new(Shares::new(limits.calls, limits.memory)),
            shadows: Arc::new(Shadows::new(limits.waiting_shadows, WAITING_SHADOW_BYTES)),
            limits,
            built_in: Vec::new(),
            validators: Vec::new(),
            authorizers: Vec::new(),
            renderers: Vec::new(),
        }
    }

    /// An engine with the built-in policies `manifest-rules`, `rbac`, `go-template` and `liquid`. Compiles nothing.
    ///
    /// # Errors
    /// [`HostError`] if WebAssembly does not run here or the build is broken.
    #[cfg(feature = "builtin")]
    pub fn start(
        limits: EngineLimits,
        observer: Arc<dyn PolicyObserver>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HostError> {
        let mut engine = Self::bare(limits, observer, clock);
        let pooled = crate::slots::pooled(Surroundings::of_this_build(), crate::builtin::slots())?;
        let runtime = Arc::new(crate::clock::Runtime::start(pooled)?);
        for (name, world, limits) in crate::builtin::POLICIES {
            let failed = |source| HostError::Load { name: name.to_owned(), source };
            let (own, component) = crate::builtin::own(&runtime, name).map_err(failed)?;
            let digest = own.digest;
            let policy = BuiltIn { name, world, digest, component };
            engine.built_in.push(Own { policy, limits, compiled: Arc::new(own) });
        }
        engine.employ();
        Ok(engine)
    }

    /// How many questions to shadow policies were dropped since the start, because they could not keep up.
    #[must_use]
    pub fn dropped_shadows(&self) -> u64 {
        self.shadows.dropped()
    }

    /// The built-in policies' members are the same in all sets, and so are their turns.
    #[cfg(feature = "builtin")]
    fn employ(&mut self) {
        for own in &self.built_in {
            match own.policy.world {
                World::ManifestValidation => self.validators.push(self.own_member(own)),
                World::RoleAuthorization => self.authorizers.push(self.own_member(own)),
                World::SecretRendering => self.renderers.push(self.own_member(own)),
                World::MarbleAdmission => {}
            }
        }
    }

    #[cfg(feature = "builtin")]
    fn own_member<P: OfWorld>(&self, own: &Own) -> Arc<Member<P>> {
        let about = About {
            name: own.policy.name.into(),
            world: own.policy.world,
            digest: own.policy.digest,
            mode: Mode::Enforce,
            built_in: true,
            settings: Digest(digest(NO_SETTINGS.as_bytes())),
        };
        self.member(about, NO_SETTINGS.to_owned(), own.limits, Arc::clone(&own.compiled), own_place(own))
    }

    /// A member that an entry of a manifest names.
    fn entry_member<P: OfWorld>(
        &self,
        name: &str,
        entry: &PolicyEntry,
        components: &Arc<dyn Components>,
    ) -> Arc<Member<P>> {
        let about = About {
            name: name.into(),
            world: entry.world,
            digest: entry.component,
            mode: entry.mode,
            built_in: false,
            settings: Digest(digest(entry.settings.as_bytes())),
        };
        // Pinned, the code that is built in runs as it does otherwise.
        let is_own = |own: &&Own| own.policy.digest == entry.component && own.policy.world == entry.world;
        let (limits, compiled, place) = match self.built_in.iter().find(is_own) {
            Some(own) => (own.limits, Arc::clone(&own.compiled), own_place(own)),
            None => {
                let limits = self.limits.of(entry.world);
                let gate = Gate::new(limits.concurrency, limits.wait);
                let place = Place::Pool(gate.within(Arc::clone(&self.shares), limits.memory));
                (limits, self.compiler.want(entry.component, components), place)
            }
        };
        self.member(about, entry.settings.clone(), limits, compiled, place)
    }

    fn member<P: OfWorld>(
        &self,
        about: About,
        settings: String,
        limits: Limits,
        compiled: Arc<Compiled>,
        place: Place,
    ) -> Arc<Member<P>> {
        let (watch, linked) = (self.watch.clone(), OnceLock::new());
        Arc::new(Member { about, settings, limits, compiled, place, watch, linked })
    }
}

/// Built-in authorizers have tight limits and run inline; the others wait for turns that nobody else can take.
fn own_place(own: &Own) -> Place {
    match own.policy.world {
        World::RoleAuthorization => Place::Inline,
        _ => Place::Pool(Gate::new(own.limits.concurrency, own.limits.wait)),
    }
}

impl PolicyEngine for Engine {
    fn built_in(&self) -> Vec<BuiltIn> {
        self.built_in.iter().map(|own| own.policy).collect()
    }

    fn inspect(&self, component: &[u8]) -> Result<ComponentInfo, ComponentRefused> {
        let refused = |error: crate::LoadError| ComponentRefused(error.to_string());
        let worlds = Surface::read(component).map_err(refused)?.some_world().map_err(refused)?;
        Ok(ComponentInfo { digest: Digest(digest(component)), worlds, size: component.len() })
    }

    fn set(
        &self,
        entries: &BTreeMap<String, PolicyEntry>,
        components: Arc<dyn Components>,
    ) -> Arc<dyn Policies> {
        let enforcing = entries.values().filter(|entry| entry.mode == Mode::Enforce);
        let replaced: Vec<_> = enforcing.filter_map(|entry| entry.replaces.as_deref()).collect();
        let set = Recipe { engine: self, entries, components: &components, replaced: &replaced };
        Arc::new(Set {
            validators: set.panel(&self.validators),
            authorizers: set.panel(&self.authorizers),
            admitters: set.panel::<Admitter>(&[]),
            renderers: set.panel(&self.renderers),
            shadows: Arc::clone(&self.shadows),
        })
    }
}

/// What a set is made of.
struct Recipe<'a> {
    engine: &'a Engine,
    entries: &'a BTreeMap<String, PolicyEntry>,
    components: &'a Arc<dyn Components>,
    replaced: &'a [&'a str],
}

impl Recipe<'_> {
    /// The policies of one world: the built-in ones that are not replaced, and the entries.
    fn panel<P: OfWorld>(&self, own: &[Arc<Member<P>>]) -> Panel<P> {
        let own = own.iter().filter(|member| !self.replaced.contains(&&*member.about.name)).cloned();
        let entries = self.entries.iter().filter(|(_, entry)| entry.world == P::WORLD);
        let named = entries.map(|(name, entry)| self.engine.entry_member(name, entry, self.components));
        Panel::new(own.chain(named))
    }
}
