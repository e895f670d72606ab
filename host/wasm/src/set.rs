//! A set of policies: what a manifest asks for, behind the port that the use cases ask.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use carrara_core::ports::{
    Policies, PolicyDecision, PolicyFailure, PolicyInForce, PolicyProblem, RenderFailure, SecretCatalog,
};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Decision, Finding, Proposal, Template,
};
use carrara_types::policy::{Digest, World};

use crate::member::Panel;
use crate::policies::{Admitter, Authorizer, Renderer, Validator};
use crate::shadow::Shadows;
use crate::watch::Judge;
use crate::weight::Weight;

/// What a manifest asks for.
pub(crate) struct Set {
    pub(crate) validators: Panel<Validator>,
    pub(crate) authorizers: Panel<Authorizer>,
    pub(crate) admitters: Panel<Admitter>,
    pub(crate) renderers: Panel<Renderer>,
    pub(crate) shadows: Arc<Shadows>,
}

/// Does the same with every member of a set, whatever its world.
macro_rules! each {
    ($set:expr, $member:ident => $work:expr) => {{
        for $member in $set.validators.all() {
            $work;
        }
        for $member in $set.authorizers.all() {
            $work;
        }
        for $member in $set.admitters.all() {
            $work;
        }
        for $member in $set.renderers.all() {
            $work;
        }
    }};
}

impl Set {
    /// The first that does not allow, or the last one. Whoever is not asked any more has no say.
    async fn first_denial<J: Judge<Verdict = Decision>>(
        &self,
        panel: &Panel<J>,
        question: J::Question,
    ) -> Result<PolicyDecision, PolicyFailure> {
        let mut question = Some(Arc::new(question));
        let mut verdict = PolicyDecision { policy: String::new(), decision: Decision::Allow };
        let last = panel.enforcing.len().saturating_sub(1);
        for (index, member) in panel.enforcing.iter().enumerate() {
            // The last one gets the question itself and no copy, where no shadow needs it.
            let keep = index < last || !panel.shadows.is_empty();
            let Some(asked) = (if keep { question.clone() } else { question.take() }) else { break };
            let answer = member.judge(asked).await;
            let ends = !matches!(answer, Ok(Decision::Allow));
            if ends {
                self.ask_shadows(panel, question.take());
            }
            verdict = PolicyDecision { policy: member.about.name.to_string(), decision: answer? };
            if ends {
                return Ok(verdict);
            }
        }
        self.ask_shadows(panel, question);
        Ok(verdict)
    }

    fn ask_shadows<J: Judge>(&self, panel: &Panel<J>, question: Option<Arc<J::Question>>) {
        let Some(question) = question.filter(|_| !panel.shadows.is_empty()) else { return };
        // One question is held once, however many it is for.
        let share = self.shadows.share(question.weight());
        for shadow in &panel.shadows {
            let (shadow, question) = (Arc::clone(shadow), Arc::clone(&question));
            let watch = shadow.watch.clone();
            if !self.shadows.ask(share.as_ref(), move || drop(shadow.judge_here(question))) {
                watch.observer.dropped();
            }
        }
    }
}

/// A set that has nobody to ask must not say yes.
fn require<P>(panel: &Panel<P>, world: World) -> Result<(), PolicyFailure> {
    if panel.enforcing.is_empty() {
        return Err(PolicyFailure::failed(world.name(), "no policy of this world is in force"));
    }
    Ok(())
}

#[async_trait]
impl Policies for Set {
    fn renderers(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.renderers.enforcing.iter().map(|member| member.about.name.to_string()).collect();
        names.sort_unstable();
        names
    }

    fn in_force(&self) -> Vec<PolicyInForce> {
        let mut all = Vec::new();
        each!(self, member => all.push(member.in_force()));
        all.sort_by(|a, b| (a.world, &a.name).cmp(&(b.world, &b.name)));
        all
    }

    fn unusable(&self) -> BTreeSet<Digest> {
        let mut unusable = BTreeSet::new();
        each!(self, member => if member.is_unusable() {
            unusable.insert(member.about.digest);
        });
        unusable
    }

    async fn prepare(&self) -> Result<(), Vec<PolicyProblem>> {
        let mut problems = Vec::new();
        each!(self, member => problems.extend(member.prepare().await.err()));
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    async fn check_settings(&self) -> Result<Vec<PolicyProblem>, PolicyFailure> {
        let mut problems = Vec::new();
        // The built-in ones have none.
        each!(self, member => if !member.about.built_in {
            problems.extend(member.check_settings().await?);
        });
        Ok(problems)
    }

    async fn validate(&self, proposal: Proposal) -> Result<Vec<Finding>, PolicyFailure> {
        require(&self.validators, World::ManifestValidation)?;
        let proposal = Arc::new(proposal);
        let mut findings = Ok(Vec::new());
        for validator in &self.validators.enforcing {
            match (validator.judge(Arc::clone(&proposal)).await, &mut findings) {
                (Ok(found), Ok(findings)) => findings.extend(found),
                (Err(failure), Ok(_)) => findings = Err(failure),
                (_, Err(_)) => {}
            }
        }
        self.ask_shadows(&self.validators, Some(proposal));
        findings
    }

    async fn authorize(&self, request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        require(&self.authorizers, World::RoleAuthorization)?;
        self.first_denial(&self.authorizers, request).await
    }

    /// Shadows are not asked: all that comes of them is a record.
    async fn would_authorize(&self, request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        require(&self.authorizers, World::RoleAuthorization)?;
        let question = Arc::new(request);
        let mut verdict = PolicyDecision { policy: String::new(), decision: Decision::Allow };
        for member in &self.authorizers.enforcing {
            let decision = member.consult(Arc::clone(&question)).await?;
            verdict = PolicyDecision { policy: member.about.name.to_string(), decision };
            if verdict.decision != Decision::Allow {
                break;
            }
        }
        Ok(verdict)
    }

    async fn admit(&self, request: AdmissionRequest) -> Result<PolicyDecision, PolicyFailure> {
        self.first_denial(&self.admitters, request).await
    }

    async fn render(
        &self,
        renderer: &str,
        context: Context,
        templates: Vec<Template>,
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        let mut members = self.renderers.enforcing.iter();
        let member = members.find(|member| &*member.about.name == renderer);
        let member = member.ok_or_else(|| RenderFailure::UnknownRenderer(renderer.to_owned()))?;
        member.render(context, templates, secrets).await
    }
}
