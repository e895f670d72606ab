//! One component as a coordinator takes it: looked at, compiled, asked about its settings, asked questions, and judged by what every
//! component must keep, however it was made.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carrara_core::ports::{PolicyFailure, RenderFailure, SecretCatalog};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Context, HeldRole, Part, Principal, Proposal, Scope, SecretInfo,
    Target, Template,
};
use carrara_wasm::{CallReport, Called, Limits, PolicySource, Surface, Trial, World};
use serde::{Deserialize, Serialize};

/// The times that are asked about. At the second, the guests that mutants were made of misbehave. The first is asked about twice: the
/// same question has the same answer.
const TIMES: [u64; 3] = [1_760_000_000, 666, 1_760_000_000];

/// What a call may use of fuel here. A validator may use 25 times as much, which takes seconds, four times for each that never ends;
/// that it ends is shown by less, and the texts run with all of it.
const FUEL: u64 = 200_000_000;

/// A call has its deadline twice, for its instantiation and for itself; so much more on a busy machine.
const SLACK: Duration = Duration::from_secs(10);

/// Compiling is bounded by what is counted before: no component may take so much, in a development build on a busy machine either.
const SLOWEST_COMPILE: Duration = Duration::from_secs(120);

/// A reason goes to the log in one line.
const MAX_REASON_BYTES: usize = 512;

/// How far a component got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// By the checks of an upload.
    Refused,
    /// It passed those, and could not be compiled or linked.
    Unusable,
    /// It ran, and at least one call failed with a reason.
    Failed,
    /// It ran, and answered everything.
    Answered,
}

/// What is to say of a component.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Offered {
    pub(crate) end: End,
    /// The reason of the first refusal or failure, without what differs from one component to the next.
    pub(crate) why: String,
    pub(crate) calls: u64,
    /// In microseconds: looking at it and compiling it, and the slowest call.
    pub(crate) compile_us: u64,
    pub(crate) call_us: u64,
    /// The world that it ran in.
    pub(crate) world: Option<String>,
    /// What it must not do, and did.
    pub(crate) wrong: Vec<String>,
}

/// Offers a component.
pub(crate) fn offer(component: &[u8]) -> Offered {
    let mut offered = Offered {
        end: End::Answered,
        why: String::new(),
        calls: 0,
        compile_us: 0,
        call_us: 0,
        world: None,
        wrong: Vec::new(),
    };
    let began = Instant::now();
    let worlds = match Surface::read(component).and_then(|surface| surface.some_world()) {
        Ok(worlds) => worlds,
        Err(error) => return offered.refused(End::Refused, &error.to_string(), began),
    };
    for world in worlds {
        let mut source = PolicySource::new("hostile", world, component.to_vec());
        source.limits.fuel = source.limits.fuel.min(FUEL);
        let trial = match Trial::load(source) {
            Ok(trial) => trial,
            Err(error) => {
                let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                return offered.refused(End::Unusable, &reason, began);
            }
        };
        offered.compiled(began);
        offered.world = Some(world.name().to_owned());
        ask(&trial, &mut offered);
    }
    offered
}

impl Offered {
    fn refused(mut self, end: End, reason: &str, began: Instant) -> Self {
        self.compiled(began);
        self.reason(reason);
        self.end = end;
        self
    }

    fn compiled(&mut self, began: Instant) {
        let took = began.elapsed();
        self.compile_us = us(took);
        if took > SLOWEST_COMPILE {
            self.wrong.push(format!("compiling took {took:?}"));
        }
    }

    fn reason(&mut self, reason: &str) {
        if !(1..=MAX_REASON_BYTES).contains(&reason.len()) || reason.chars().any(char::is_control) {
            self.wrong.push(format!("a reason of {} bytes: {reason:?}", reason.len()));
        }
        if self.why.is_empty() {
            self.why = general(reason);
        }
    }

    /// Notes a call: whether it kept its limits, and what came of it.
    fn called<A>(&mut self, called: &Called<Result<A, PolicyFailure>>, limits: &Limits) {
        let report = &called.report;
        self.calls += 1;
        self.call_us = self.call_us.max(us(report.duration));
        if report.duration > 2 * limits.deadline + SLACK {
            self.wrong.push(format!("a call took {:?}", report.duration));
        }
        if report.fuel > limits.fuel
            || report.memory > limits.memory
            || report.log.len() as u64 > limits.log_lines.into()
        {
            self.wrong.push(format!(
                "a call used {} of fuel, {} bytes of memory and {} lines of the log",
                report.fuel,
                report.memory,
                report.log.len()
            ));
        }
        if let Err(failure) = &called.answer {
            self.end = End::Failed;
            self.reason(&failure.reason);
        }
    }
}

/// Asks a policy about its settings and about each of the times.
fn ask(trial: &Trial, offered: &mut Offered) {
    let limits = *trial.limits();
    offered.called(&trial.check_settings("null"), &limits);
    let mut answers = Vec::new();
    for time in TIMES {
        let called = question(trial, time);
        offered.called(&called, &limits);
        answers.push(called);
    }
    if let [first, _, again] = answers.as_slice()
        && !is_timed(first)
        && !is_timed(again)
        && (said(first) != said(again) || used(&first.report) != used(&again.report))
    {
        offered.wrong.push(format!("one question, two answers: {first:?} and {again:?}"));
    }
}

/// Whether the clock had a say in it.
fn is_timed<A>(called: &Called<Result<A, PolicyFailure>>) -> bool {
    called.answer.as_ref().is_err_and(|failure| failure.reason.contains("did not end within"))
}

fn said<A>(called: &Called<Result<A, PolicyFailure>>) -> Result<&A, &str> {
    called.answer.as_ref().map_err(|failure| failure.reason.as_str())
}

/// All that must be the same for the same question.
fn used(report: &CallReport) -> (u64, usize, &[carrara_wasm::LogLine]) {
    (report.fuel, report.memory, &report.log)
}

/// A question of the component's world; its answer as text.
fn question(trial: &Trial, now: u64) -> Called<Result<String, PolicyFailure>> {
    match trial.world() {
        World::ManifestValidation => text(trial.validate("null", &proposal(now))),
        World::RoleAuthorization => text(trial.authorize("null", &authorization(now))),
        World::MarbleAdmission => text(trial.admit("null", &admission(now))),
        World::SecretRendering => {
            let Called { answer, report } =
                trial.render("null", &context(now), &templates(), Arc::new(OneKey));
            let answer = match answer {
                Err(RenderFailure::Policy(failure)) => Err(failure),
                other => Ok(format!("{other:?}")),
            };
            Called { answer, report }
        }
    }
}

fn text<A: std::fmt::Debug>(
    called: Called<Result<A, PolicyFailure>>,
) -> Called<Result<String, PolicyFailure>> {
    Called { answer: called.answer.map(|answer| format!("{answer:?}")), report: called.report }
}

fn context(now: u64) -> Context {
    Context { now, revision: 1, facts: Vec::new() }
}

fn authorization(now: u64) -> AuthorizationRequest {
    let role = HeldRole {
        name: "reader".to_owned(),
        resource_type: "Secrets".to_owned(),
        resource_names: vec!["key".to_owned()],
        actions: vec!["ReadSecret".to_owned()],
    };
    AuthorizationRequest {
        context: context(now),
        principal: Principal { name: "alice".to_owned(), certificate_sha256: [7; 32], roles: vec![role] },
        action: "ReadSecret".to_owned(),
        resource_type: "Secrets".to_owned(),
        resource_names: vec!["key".to_owned()],
    }
}

fn admission(now: u64) -> AdmissionRequest {
    AdmissionRequest {
        context: context(now),
        marble_type: "svc".to_owned(),
        package_name: "pkg".to_owned(),
        uuid: "5f0ea5a3-7c94-4b6c-9f4b-6f3f2f0f8c11".to_owned(),
        dns_names: vec!["svc.example".to_owned()],
        activations: Some(1),
        ..AdmissionRequest::default()
    }
}

fn proposal(now: u64) -> Proposal {
    let manifest =
        r#"{"Packages":{"pkg":{"Debug":true}},"Marbles":{"svc":{"Package":"pkg","Parameters":{}}}}"#;
    Proposal { context: context(now), manifest: manifest.to_owned(), ..Proposal::default() }
}

fn templates() -> Vec<Template> {
    let text = b"key = {{ hex .Secrets.key }}{{ range $n, $s := .Secrets }}{{ $n }}{{ end }}".to_vec();
    let other = b"{% for secret in Secrets %}{{ secret }}{% endfor %}".to_vec();
    vec![
        Template { name: "/etc/config".to_owned(), target: Target::File, text },
        Template { name: "KEY".to_owned(), target: Target::Env, text: other },
    ]
}

/// One secret, `.Secrets.key`.
struct OneKey;

impl SecretCatalog for OneKey {
    fn names(&self, scope: Scope) -> Vec<String> {
        if scope == Scope::Current { vec!["key".to_owned()] } else { Vec::new() }
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<SecretInfo> {
        (scope == Scope::Current && name == "key").then(|| SecretInfo {
            name: "key".into(),
            kind: "symmetric-key".to_owned(),
            size: 128,
            shared: true,
            user_defined: false,
            valid_for: 0,
            parts: vec![Part::Public, Part::Private],
        })
    }
}

/// A reason without its numbers and names, so that reasons can be counted.
fn general(reason: &str) -> String {
    const WORDS: usize = 14;
    let plain = |word: &str| {
        let is_own = word.chars().any(|letter| letter.is_ascii_digit() || !letter.is_ascii_graphic());
        if is_own || word.len() > 40 { "_".to_owned() } else { word.to_owned() }
    };
    reason.split_whitespace().take(WORDS).map(plain).collect::<Vec<_>>().join(" ")
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_without_what_is_their_own() {
        assert_eq!(general("it ran out of fuel (limit 500000000)"), "it ran out of fuel (limit _");
        assert_eq!(general("unknown import: `\u{1}é`"), "unknown import: _");
    }

    #[test]
    fn what_is_no_component_is_refused_with_a_reason() {
        let offered = offer(b"\0asm");
        assert_eq!((offered.end, offered.calls, offered.wrong.len()), (End::Refused, 0, 0));
        assert!(!offered.why.is_empty());
    }

    #[test]
    fn a_reason_that_nobody_can_read_is_wrong() {
        for reason in [String::new(), "two\nlines".to_owned(), "x".repeat(MAX_REASON_BYTES + 1)] {
            let mut offered = offer(b"\0asm");
            offered.reason(&reason);
            assert_eq!(offered.wrong.len(), 1, "{reason:?}");
        }
    }
}
