//! A policy of a set: asked when its component is there, and its calls and decisions are told.

use std::sync::{Arc, OnceLock};

use carrara_core::ports::SecretCatalog;
use carrara_core::ports::{
    CallOutcome, FailureKind, PolicyFailure, PolicyInForce, PolicyProblem, RenderFailure,
};
use carrara_types::decision::{Chunk, Context, Template};
use carrara_types::policy::Mode;

use crate::call::{CallReport, Called, Callee};
use crate::compiler::{Code, Compiled, State};
use crate::limits::Limits;
use crate::policies::{OfWorld, Renderer};
use crate::pool::Gate;
use crate::watch::{About, Judge, Watch};

/// What to do about a component that cannot be used.
const UPLOAD: &str = "upload the component with `carrara policy push`, or send it along with the manifest";

/// A policy of a set, whatever its world.
pub(crate) struct Member<P> {
    pub(crate) about: About,
    /// The JSON text of the entry's settings.
    pub(crate) settings: String,
    pub(crate) limits: Limits,
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) place: Place,
    pub(crate) watch: Watch,
    /// Linked when it is asked for the first time after it was compiled.
    pub(crate) linked: OnceLock<Result<P, Arc<str>>>,
}

/// Where a policy's calls run.
pub(crate) enum Place {
    /// On the calling thread: built-in authorizers, whose limits are tight.
    Inline,
    /// On a blocking thread, when it is their turn.
    Pool(Arc<Gate>),
}

impl<P: OfWorld> Member<P> {
    /// What others may know of it.
    pub(crate) fn in_force(&self) -> PolicyInForce {
        let About { name, world, digest, mode, built_in, .. } = &self.about;
        PolicyInForce {
            name: name.to_string(),
            world: *world,
            digest: *digest,
            mode: *mode,
            built_in: *built_in,
        }
    }

    /// Whether its component cannot be used. One that is being compiled can, as far as is known.
    pub(crate) fn is_unusable(&self) -> bool {
        match self.linked.get() {
            Some(linked) => linked.is_err(),
            None => matches!(self.compiled.state(), State::Unavailable(_)),
        }
    }

    /// Waits until it can be asked, or never can.
    pub(crate) async fn prepare(&self) -> Result<(), PolicyProblem> {
        self.compiled.settled().await;
        match self.policy() {
            Ok(_) => Ok(()),
            Err(failure) => Err(PolicyProblem {
                policy: failure.policy,
                message: failure.reason,
                place: None,
                hint: Some(UPLOAD.to_owned()),
            }),
        }
    }

    /// Whether it understands its settings: what it does not.
    pub(crate) async fn check_settings(self: &Arc<Self>) -> Result<Vec<PolicyProblem>, PolicyFailure> {
        self.policy()?;
        let checked = self.run(|member, policy: &P| (policy.check_settings(), member.about.name.to_string()));
        let (errors, policy) = checked.await?;
        let problem = |error: crate::worlds::configuration::SettingsError| PolicyProblem {
            policy: policy.clone(),
            message: error.message,
            // A guest that knows no place says 0.
            place: (error.line > 0).then_some((error.line, error.column.max(1))),
            hint: error.hint,
        };
        Ok(errors?.into_iter().map(problem).collect())
    }

    /// Runs `work` where this policy's calls belong.
    async fn run<R, W>(self: &Arc<Self>, work: W) -> Result<R, PolicyFailure>
    where
        R: Send + 'static,
        W: FnOnce(&Self, &P) -> R + Send + 'static,
    {
        match &self.place {
            Place::Inline => Ok(work(self, self.policy()?)),
            Place::Pool(gate) => {
                self.policy()?;
                let member = Arc::clone(self);
                let ran = gate.run(move || member.policy().map(|policy| work(&member, policy)));
                ran.await.map_err(|reason| PolicyFailure::failed(&*self.about.name, reason))?
            }
        }
    }

    /// The policy itself, if it can be asked.
    fn policy(&self) -> Result<&P, PolicyFailure> {
        let linked = match self.linked.get() {
            Some(linked) => linked,
            None => match self.compiled.state() {
                State::Compiling => return Err(self.failure(FailureKind::NotReady, "it is being compiled")),
                State::Unavailable(reason) => return Err(self.failure(FailureKind::Unavailable, &reason)),
                State::Ready(code) => self.linked.get_or_init(|| self.link(&code)),
            },
        };
        linked.as_ref().map_err(|reason| self.failure(FailureKind::Unavailable, reason))
    }

    fn link(&self, code: &Code) -> Result<P, Arc<str>> {
        let callee = Callee {
            name: Arc::clone(&self.about.name),
            settings: self.settings.clone(),
            limits: self.limits,
            runtime: Arc::clone(&code.runtime),
        };
        let fits = code.surface.as_ref().map_or(Ok(()), |surface| surface.fits(P::WORLD));
        let linked = fits.and_then(|()| P::load(callee, &code.component));
        linked.map_err(|error| error.to_string().into())
    }

    fn failure(&self, kind: FailureKind, reason: &str) -> PolicyFailure {
        PolicyFailure { policy: self.about.name.to_string(), kind, reason: reason.to_owned() }
    }
}

impl<J: Judge> Member<J> {
    /// Asks, where this policy's calls belong.
    pub(crate) async fn judge(
        self: &Arc<Self>,
        question: Arc<J::Question>,
    ) -> Result<J::Verdict, PolicyFailure> {
        let failure = match &self.place {
            Place::Inline => return self.judge_here(question),
            Place::Pool(gate) => match self.policy() {
                Err(failure) => failure,
                Ok(_) => {
                    let (member, question) = (Arc::clone(self), Arc::clone(&question));
                    match gate.run(move || member.judge_here(question)).await {
                        Ok(answer) => return answer,
                        Err(reason) => self.failure(FailureKind::Failed, reason),
                    }
                }
            },
        };
        self.tell_failure(question, failure)
    }

    /// Asks what nobody wants to do, where this policy's calls belong: counted as a call, not recorded as a decision.
    pub(crate) async fn consult(
        self: &Arc<Self>,
        question: Arc<J::Question>,
    ) -> Result<J::Verdict, PolicyFailure> {
        let asked = self.run(move |member, policy| {
            let called = policy.ask(&question);
            member.watch.consulted::<J>(&member.about, &called);
            called.answer
        });
        asked.await.unwrap_or_else(|failure| {
            self.watch.called(&self.about, CallOutcome::Failed, &CallReport::default());
            Err(failure)
        })
    }

    /// Asks on this thread.
    pub(crate) fn judge_here(&self, question: Arc<J::Question>) -> Result<J::Verdict, PolicyFailure> {
        match self.policy() {
            Ok(policy) => {
                let called = policy.ask(&question);
                self.watch.judged::<J>(&self.about, question, &called);
                called.answer
            }
            Err(failure) => self.tell_failure(question, failure),
        }
    }

    /// A policy that was not called: what is being compiled has decided nothing and leaves no record.
    fn tell_failure(
        &self,
        question: Arc<J::Question>,
        failure: PolicyFailure,
    ) -> Result<J::Verdict, PolicyFailure> {
        if failure.kind == FailureKind::NotReady {
            self.watch.called(&self.about, CallOutcome::Failed, &CallReport::default());
            return Err(failure);
        }
        let called = Called { answer: Err(failure), report: CallReport::default() };
        self.watch.judged::<J>(&self.about, question, &called);
        called.answer
    }
}

impl Member<Renderer> {
    /// Renders, where this policy's calls belong.
    pub(crate) async fn render(
        self: &Arc<Self>,
        context: Context,
        templates: Vec<Template>,
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        let rendered = self.run(move |member, renderer| {
            let called = renderer.render_with(&member.settings, &context, &templates, secrets);
            let outcome = match &called.answer {
                Ok(_) => CallOutcome::Allowed,
                Err(RenderFailure::Policy(_)) => CallOutcome::Failed,
                Err(_) => CallOutcome::Refused,
            };
            member.watch.called(&member.about, outcome, &called.report);
            called.answer
        });
        rendered.await.unwrap_or_else(|failure| {
            self.watch.called(&self.about, CallOutcome::Failed, &CallReport::default());
            Err(RenderFailure::Policy(failure))
        })
    }
}

/// The policies of one world in a set.
pub(crate) struct Panel<P> {
    /// In the order in which they are asked: the built-in ones first, then by name.
    pub(crate) enforcing: Vec<Arc<Member<P>>>,
    /// Asked afterwards.
    pub(crate) shadows: Vec<Arc<Member<P>>>,
}

impl<P: OfWorld> Panel<P> {
    /// Sorts the members in.
    pub(crate) fn new(members: impl IntoIterator<Item = Arc<Member<P>>>) -> Self {
        let mut members: Vec<_> = members.into_iter().collect();
        members.sort_by(|a, b| {
            let key = |member: &Member<P>| (!member.about.built_in, Arc::clone(&member.about.name));
            key(a).cmp(&key(b))
        });
        let (enforcing, shadows) = members.into_iter().partition(|member| member.about.mode == Mode::Enforce);
        Self { enforcing, shadows }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Member<P>>> {
        self.enforcing.iter().chain(&self.shadows)
    }
}
