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
use crate::limits::{EngineLimits, INLINE, Limits};
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
    /// Of all calls, whatever manifests call it.
    turns: Arc<Gate>,
}

impl Engine {
    /// An engine without built-in policies: its sets have what a manifest names and nothing else.
    #[must_use]
    pub fn bare(limits: EngineLimits, observer: Arc<dyn PolicyObserver>, clock: Arc<dyn Clock>) -> Self {
        Self {
            watch: Watch { observer, clock },
            compiler: Compiler::new(Surroundings::of_this_build(), limits.compiling),
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
            let turns = Arc::new(Gate::new(limits.concurrency, limits.wait));
            engine.built_in.push(Own { policy, limits, compiled: Arc::new(own), turns });
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

    /// The built-in policy that an entry names by its digest.
    fn pinned(&self, entry: &PolicyEntry) -> Option<&Own> {
        let is_own = |own: &&Own| own.policy.digest == entry.component && own.policy.world == entry.world;
        self.built_in.iter().find(is_own)
    }

    /// How many calls each entry may make at once. Shadows are asked one after the other elsewhere, and pinned policies have
    /// the turns of the built-in ones.
    fn turns(&self, entries: &BTreeMap<String, PolicyEntry>) -> BTreeMap<String, usize> {
        let dealt = |(_, entry): &(&String, &PolicyEntry)| {
            entry.mode == Mode::Enforce && self.pinned(entry).is_none()
        };
        let (names, wanted): (Vec<_>, Vec<_>) = entries
            .iter()
            .filter(dealt)
            .map(|(name, entry)| (name.clone(), self.limits.of(entry.world)))
            .map(|(name, limits)| (name, (limits.concurrency, limits.memory)))
            .unzip();
        names.into_iter().zip(self.shares.deal(&wanted)).collect()
    }

    /// A member that an entry of a manifest names.
    fn entry_member<P: OfWorld>(
        &self,
        name: &str,
        entry: &PolicyEntry,
        turns: usize,
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
        let (limits, compiled, place) = match self.pinned(entry) {
            Some(own) => (own.limits, Arc::clone(&own.compiled), own_place(own)),
            None => {
                let limits = self.limits.of(entry.world);
                let gate = Gate::new(turns, limits.wait).within(Arc::clone(&self.shares), limits.memory);
                let place = Place::Pool(Arc::new(gate));
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

/// Built-in authorizers have tight limits and run inline where they are compiled; the others wait for turns that no other policy can take. However
/// often manifests name one, its turns are as many: the engine has slots for so many calls.
fn own_place(own: &Own) -> Place {
    match own.policy.world {
        World::RoleAuthorization if INLINE => Place::Inline,
        _ => Place::Pool(Arc::clone(&own.turns)),
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
        let turns = self.turns(entries);
        let set =
            Recipe { engine: self, entries, components: &components, replaced: &replaced, turns: &turns };
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
    turns: &'a BTreeMap<String, usize>,
}

impl Recipe<'_> {
    /// The policies of one world: the built-in ones that are not replaced, and the entries.
    fn panel<P: OfWorld>(&self, own: &[Arc<Member<P>>]) -> Panel<P> {
        let own = own.iter().filter(|member| !self.replaced.contains(&&*member.about.name)).cloned();
        let entries = self.entries.iter().filter(|(_, entry)| entry.world == P::WORLD);
        let named = entries.map(|(name, entry)| {
            let turns = self.turns.get(name).copied().unwrap_or(1);
            self.engine.entry_member(name, entry, turns, self.components)
        });
        Panel::new(own.chain(named))
    }
}

#[cfg(all(test, feature = "builtin"))]
mod tests {
    use carrara_core::ports::{PolicyCall, StoreError};
    use carrara_types::decision_record::DecisionRecord;

    use super::*;

    struct Nobody;

    impl PolicyObserver for Nobody {
        fn called(&self, _: &PolicyCall<'_>) {}

        fn decided(&self, _: DecisionRecord) {}
    }

    impl Clock for Nobody {
        fn now(&self) -> time::OffsetDateTime {
            time::OffsetDateTime::UNIX_EPOCH
        }
    }

    impl Components for Nobody {
        fn component(&self, _: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(None)
        }
    }

    // P-31
    #[test]
    fn pinned_policies_have_the_turns_of_the_built_in_ones_and_take_none_from_others() {
        let engine = Engine::start(EngineLimits::default(), Arc::new(Nobody), Arc::new(Nobody)).unwrap();
        let own = engine.built_in.iter().find(|own| own.policy.name == "manifest-rules").unwrap();
        let entry = |component: Digest, mode| PolicyEntry {
            world: World::ManifestValidation,
            component,
            settings: NO_SETTINGS.to_owned(),
            mode,
            replaces: None,
        };
        let entries = BTreeMap::from([
            ("pinned".to_owned(), entry(own.policy.digest, Mode::Enforce)),
            ("shadow".to_owned(), entry(Digest([1; 32]), Mode::Shadow)),
            ("custom".to_owned(), entry(Digest([2; 32]), Mode::Enforce)),
        ]);
        assert_eq!(engine.turns(&entries), BTreeMap::from([("custom".to_owned(), 1)]));
        let components: Arc<dyn Components> = Arc::new(Nobody);
        let pinned = engine.entry_member::<Validator>("pinned", &entries["pinned"], 1, &components);
        let Place::Pool(turns) = &pinned.place else { panic!("validators do not run inline") };
        assert!(Arc::ptr_eq(turns, &own.turns));
        let Place::Pool(built_in) = &engine.validators[0].place else {
            panic!("validators do not run inline")
        };
        assert!(Arc::ptr_eq(turns, built_in));
    }

    #[test]
    fn a_built_in_authorizer_runs_on_the_answering_thread_unless_it_is_interpreted() {
        let engine = Engine::start(EngineLimits::default(), Arc::new(Nobody), Arc::new(Nobody)).unwrap();
        let inline = matches!(engine.authorizers[0].place, Place::Inline);
        assert_eq!(inline, !cfg!(feature = "interpreted"));
    }
}
