//! The policies of the four worlds, each ready to be called with the host's words.

use std::sync::Arc;

use carrara_core::ports::{PolicyFailure, RenderFailure, SecretCatalog};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Decision, Finding, Proposal, RenderError,
    Template,
};
use wasmtime::component::Component;

use crate::call::{CallState, Called, Callee, Prepared};
use crate::loader::{LoadError, link, link_renderer, unsuitable};
use crate::world::World;
use crate::worlds::configuration::{ConfiguredPre, SettingsError};
use crate::worlds::rendering::SecretDesk;
use crate::worlds::{admission, authorization, configuration, rendering, validation, words};

/// What all policies can do, whatever their world.
pub(crate) trait OfWorld: Sized + Send + Sync + 'static {
    /// The world.
    const WORLD: World;

    /// Links a compiled component.
    fn load(callee: Callee, component: &Component) -> Result<Self, LoadError>;

    /// How it is called.
    fn callee(&self) -> &Callee;

    /// Whether it understands these settings: what it does not.
    fn check_settings_of(&self, settings: &str) -> Called<Result<Vec<SettingsError>, PolicyFailure>>;

    /// Whether it understands its own settings.
    fn check_settings(&self) -> Result<Vec<SettingsError>, PolicyFailure> {
        self.check_settings_of(&self.callee().settings).answer
    }
}

/// A policy of one world. `P` is the world's prepared component, `S` what the world adds to a call's state.
pub(crate) struct Policy<P, S: 'static> {
    pub(crate) callee: Callee,
    configured: ConfiguredPre<CallState<S>>,
    world: P,
}

pub(crate) type Validator = Policy<validation::ManifestValidationPre<CallState<()>>, ()>;
pub(crate) type Authorizer = Policy<authorization::RoleAuthorizationPre<CallState<()>>, ()>;
pub(crate) type Admitter = Policy<admission::MarbleAdmissionPre<CallState<()>>, ()>;
pub(crate) type Renderer = Policy<rendering::SecretRenderingPre<CallState<SecretDesk>>, SecretDesk>;

impl<P, S: 'static> Policy<P, S> {
    fn prepare(
        callee: Callee,
        world: World,
        linked: Prepared<S>,
        bind: impl FnOnce(Prepared<S>) -> wasmtime::Result<P>,
    ) -> Result<Self, LoadError> {
        let configured = configuration::prepare(&linked).map_err(|error| unsuitable(world, &error))?;
        let world = bind(linked).map_err(|error| unsuitable(world, &error))?;
        Ok(Self { callee, configured, world })
    }

    fn check_settings_at(
        &self,
        settings: &str,
        desk: S,
    ) -> Called<Result<Vec<SettingsError>, PolicyFailure>> {
        self.callee.call(
            &self.configured,
            desk,
            |pre, store| pre.instantiate(store),
            |guest, store| {
                let answer = guest.carrara_policy_configuration().call_check(store, settings)?;
                Ok(configuration::errors(answer))
            },
        )
    }
}

impl OfWorld for Validator {
    const WORLD: World = World::ManifestValidation;

    fn callee(&self) -> &Callee {
        &self.callee
    }

    fn load(callee: Callee, component: &Component) -> Result<Self, LoadError> {
        let linked = link(component, Self::WORLD)?;
        let bind = validation::ManifestValidationPre::new;
        Self::prepare(callee, Self::WORLD, linked, bind)
    }

    fn check_settings_of(&self, settings: &str) -> Called<Result<Vec<SettingsError>, PolicyFailure>> {
        self.check_settings_at(settings, ())
    }
}

impl Validator {
    pub(crate) fn validate(&self, proposal: &Proposal) -> Result<Vec<Finding>, PolicyFailure> {
        self.validate_with(&self.callee.settings, proposal).answer
    }

    pub(crate) fn validate_with(
        &self,
        settings: &str,
        proposal: &Proposal,
    ) -> Called<Result<Vec<Finding>, PolicyFailure>> {
        let question = validation::question(proposal, settings);
        self.callee.call(
            &self.world,
            (),
            |pre, store| pre.instantiate(store),
            |guest, store| {
                Ok(validation::findings(
                    guest.carrara_policy_manifest_validator().call_validate(store, &question)?,
                ))
            },
        )
    }
}

impl OfWorld for Authorizer {
    const WORLD: World = World::RoleAuthorization;

    fn callee(&self) -> &Callee {
        &self.callee
    }

    fn load(callee: Callee, component: &Component) -> Result<Self, LoadError> {
        let linked = link(component, Self::WORLD)?;
        let bind = authorization::RoleAuthorizationPre::new;
        Self::prepare(callee, Self::WORLD, linked, bind)
    }

    fn check_settings_of(&self, settings: &str) -> Called<Result<Vec<SettingsError>, PolicyFailure>> {
        self.check_settings_at(settings, ())
    }
}

impl Authorizer {
    pub(crate) fn authorize(&self, request: &AuthorizationRequest) -> Result<Decision, PolicyFailure> {
        self.authorize_with(&self.callee.settings, request).answer
    }

    pub(crate) fn authorize_with(
        &self,
        settings: &str,
        request: &AuthorizationRequest,
    ) -> Called<Result<Decision, PolicyFailure>> {
        let question = authorization::question(request, settings);
        self.callee.call(
            &self.world,
            (),
            |pre, store| pre.instantiate(store),
            |guest, store| {
                Ok(words::decision(guest.carrara_policy_role_authorizer().call_authorize(store, &question)?))
            },
        )
    }
}

impl OfWorld for Admitter {
    const WORLD: World = World::MarbleAdmission;

    fn callee(&self) -> &Callee {
        &self.callee
    }

    fn load(callee: Callee, component: &Component) -> Result<Self, LoadError> {
        let linked = link(component, Self::WORLD)?;
        Self::prepare(callee, Self::WORLD, linked, admission::MarbleAdmissionPre::new)
    }

    fn check_settings_of(&self, settings: &str) -> Called<Result<Vec<SettingsError>, PolicyFailure>> {
        self.check_settings_at(settings, ())
    }
}

impl Admitter {
    pub(crate) fn admit(&self, request: &AdmissionRequest) -> Result<Decision, PolicyFailure> {
        self.admit_with(&self.callee.settings, request).answer
    }

    pub(crate) fn admit_with(
        &self,
        settings: &str,
        request: &AdmissionRequest,
    ) -> Called<Result<Decision, PolicyFailure>> {
        let question = admission::question(request, settings);
        self.callee.call(
            &self.world,
            (),
            |pre, store| pre.instantiate(store),
            |guest, store| {
                Ok(words::decision(guest.carrara_policy_marble_admitter().call_admit(store, &question)?))
            },
        )
    }
}

impl OfWorld for Renderer {
    const WORLD: World = World::SecretRendering;

    fn callee(&self) -> &Callee {
        &self.callee
    }

    fn load(callee: Callee, component: &Component) -> Result<Self, LoadError> {
        let linked = link_renderer(component)?;
        let bind = rendering::SecretRenderingPre::new;
        Self::prepare(callee, Self::WORLD, linked, bind)
    }

    fn check_settings_of(&self, settings: &str) -> Called<Result<Vec<SettingsError>, PolicyFailure>> {
        self.check_settings_at(settings, SecretDesk::new(Arc::new(NoSecrets), self.callee.limits.handles))
    }
}

impl Renderer {
    pub(crate) fn render(
        &self,
        context: &Context,
        templates: &[Template],
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        self.render_with(&self.callee.settings, context, templates, secrets).answer
    }

    pub(crate) fn render_with(
        &self,
        settings: &str,
        context: &Context,
        templates: &[Template],
        secrets: Arc<dyn SecretCatalog>,
    ) -> Called<Result<Vec<Vec<Chunk>>, RenderFailure>> {
        let (context, questions) = rendering::question(context, settings, templates);
        let desk = SecretDesk::new(secrets, self.callee.limits.handles);
        let called: Called<Result<Result<_, RenderError>, PolicyFailure>> = self.callee.call(
            &self.world,
            desk,
            |pre, store| pre.instantiate(store),
            |guest, store| {
                let renderer = guest.carrara_policy_secret_renderer();
                let answer = renderer.call_render(&mut *store, &context, &questions)?;
                Ok(store.data_mut().desk.chunks(templates.len(), answer))
            },
        );
        called.map(|answer| match answer {
            Ok(Ok(chunks)) => Ok(chunks),
            Ok(Err(error)) => Err(RenderFailure::Template(error)),
            Err(failure) => Err(RenderFailure::Policy(failure)),
        })
    }
}

/// What a renderer knows of secrets while its settings are checked.
struct NoSecrets;

impl SecretCatalog for NoSecrets {
    fn names(&self, _: carrara_types::decision::Scope) -> Vec<String> {
        Vec::new()
    }

    fn lookup(
        &self,
        _: carrara_types::decision::Scope,
        _: &str,
    ) -> Option<carrara_types::decision::SecretInfo> {
        None
    }
}
