//! A component on its author's desk: asked alone, with any settings, and everything is told that a call used and wrote.
//!
//! The same engine, loader, limits and fresh instances as in a coordinator; only nobody else is there.

use std::sync::Arc;

use carrara_core::ports::{PolicyFailure, RenderFailure, SecretCatalog};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Decision, Finding, Proposal, Template,
};

use crate::call::{Called, Callee};
use crate::clock::Runtime;
use crate::engine::{Surroundings, engine};
use crate::host::{HostError, PolicySource};
use crate::limits::Limits;
use crate::loader::Loaded;
use crate::policies::{Admitter, Authorizer, OfWorld as _, Renderer, Validator};
use crate::world::World;
use crate::worlds::configuration::SettingsError;

/// A component that is ready to be tried. `Sync`: calls may run at once.
pub struct Trial {
    limits: Limits,
    policy: Tried,
}

enum Tried {
    Validator(Validator),
    Authorizer(Authorizer),
    Admitter(Admitter),
    Renderer(Renderer),
}

/// A question of another world than the component's: [`Trial`]'s caller asks by [`Trial::world`].
const OTHER_WORLD: &str = "the component was loaded for another world";

impl Trial {
    /// Compiles a component as a coordinator would. The source's settings do not matter here.
    ///
    /// # Errors
    /// [`HostError`] if the component does not fit its world or does not compile.
    pub fn load(source: PolicySource) -> Result<Self, HostError> {
        let PolicySource { name, world, component, settings, limits } = source;
        let runtime = Arc::new(Runtime::start(engine(Surroundings::of_this_build())?)?);
        let failed = |source| HostError::Load { name: name.clone(), source };
        let loaded = Loaded::compile(runtime.engine(), world, component).map_err(failed)?;
        let callee = Callee { name: name.clone().into(), settings, limits, runtime };
        let code = loaded.code();
        let policy = match world {
            World::ManifestValidation => Validator::load(callee, code).map(Tried::Validator),
            World::RoleAuthorization => Authorizer::load(callee, code).map(Tried::Authorizer),
            World::MarbleAdmission => Admitter::load(callee, code).map(Tried::Admitter),
            World::SecretRendering => Renderer::load(callee, code).map(Tried::Renderer),
        };
        Ok(Self { limits, policy: policy.map_err(failed)? })
    }

    /// Which questions it can be asked.
    #[must_use]
    pub fn world(&self) -> World {
        match self.policy {
            Tried::Validator(_) => World::ManifestValidation,
            Tried::Authorizer(_) => World::RoleAuthorization,
            Tried::Admitter(_) => World::MarbleAdmission,
            Tried::Renderer(_) => World::SecretRendering,
        }
    }

    /// What a call may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Asks whether the component understands these settings: what it does not.
    #[must_use]
    pub fn check_settings(&self, settings: &str) -> Called<Result<Vec<SettingsError>, PolicyFailure>> {
        match &self.policy {
            Tried::Validator(policy) => policy.check_settings_of(settings),
            Tried::Authorizer(policy) => policy.check_settings_of(settings),
            Tried::Admitter(policy) => policy.check_settings_of(settings),
            Tried::Renderer(policy) => policy.check_settings_of(settings),
        }
    }

    /// What a validator finds.
    #[must_use]
    pub fn validate(
        &self,
        settings: &str,
        proposal: &Proposal,
    ) -> Called<Result<Vec<Finding>, PolicyFailure>> {
        match &self.policy {
            Tried::Validator(validator) => validator.validate_with(settings, proposal),
            _ => self.other_world(),
        }
    }

    /// What an authorizer decides.
    #[must_use]
    pub fn authorize(
        &self,
        settings: &str,
        request: &AuthorizationRequest,
    ) -> Called<Result<Decision, PolicyFailure>> {
        match &self.policy {
            Tried::Authorizer(authorizer) => authorizer.authorize_with(settings, request),
            _ => self.other_world(),
        }
    }

    /// What an admitter decides.
    #[must_use]
    pub fn admit(
        &self,
        settings: &str,
        request: &AdmissionRequest,
    ) -> Called<Result<Decision, PolicyFailure>> {
        match &self.policy {
            Tried::Admitter(admitter) => admitter.admit_with(settings, request),
            _ => self.other_world(),
        }
    }

    /// What a renderer makes of templates.
    #[must_use]
    pub fn render(
        &self,
        settings: &str,
        context: &Context,
        templates: &[Template],
        secrets: Arc<dyn SecretCatalog>,
    ) -> Called<Result<Vec<Vec<Chunk>>, RenderFailure>> {
        match &self.policy {
            Tried::Renderer(renderer) => renderer.render_with(settings, context, templates, secrets),
            _ => self.other_world::<()>().map(|answer| match answer {
                Ok(()) => Ok(Vec::new()),
                Err(failure) => Err(RenderFailure::Policy(failure)),
            }),
        }
    }

    fn other_world<A>(&self) -> Called<Result<A, PolicyFailure>> {
        let failure = PolicyFailure::failed(self.world().name(), OTHER_WORLD);
        Called { answer: Err(failure), report: crate::call::CallReport::default() }
    }
}
