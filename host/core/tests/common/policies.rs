//! Policies that answer what a test tells them, and a small renderer.
//!
//! The renderer replaces `{{ scope.name.part.encoding }}`, such as `{{ current.k.whole.hex }}`, by a reference to a
//! secret that it has looked up; with `!` in front by one that it has not. `{{ look NAME }}` looks a secret up and writes
//! nothing, `{{ list }}` asks for all names. `{{ fail }}` is a fault of the template, `{{ trap }}` one of the policy.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use carrara_core::ports::{Policies, PolicyDecision, PolicyFailure, RenderFailure, SecretCatalog};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Decision, Denial, Encoding, Finding, Part,
    Proposal, RenderError, Scope, SecretReference, Severity, Template,
};

/// The renderer's text for `{{ fail }}`.
pub const RENDER_FAULT: &str = r#"template: data:1: function "fail" not defined"#;

/// An authorizer's or admitter's answer.
#[derive(Clone)]
pub enum Verdict {
    Allow,
    /// As the built-in authorizer does, for requests without names: whoever has a role with the action.
    Roles,
    /// As [`Self::Roles`], but about the user of this name the policy traps.
    RolesButTrapFor(&'static str),
    /// As [`Self::Roles`], but a second policy denies everything to the user of this name.
    RolesButDeny(&'static str),
    /// Policy, message, hint.
    Deny(&'static str, &'static str, Option<&'static str>),
    /// The policy of this name traps.
    Fail(&'static str),
}

impl Verdict {
    fn answer(&self, own: &str) -> Result<PolicyDecision, PolicyFailure> {
        match self {
            Self::Allow | Self::Roles | Self::RolesButTrapFor(_) | Self::RolesButDeny(_) => {
                Ok(PolicyDecision { policy: own.to_owned(), decision: Decision::Allow })
            }
            Self::Deny(policy, message, hint) => {
                let denial = Denial {
                    code: "no".to_owned(),
                    message: (*message).to_owned(),
                    hint: hint.map(str::to_owned),
                    resources: Vec::new(),
                };
                Ok(PolicyDecision { policy: (*policy).to_owned(), decision: Decision::Deny(denial) })
            }
            Self::Fail(policy) => Err(failure(policy)),
        }
    }
}

fn failure(policy: &str) -> PolicyFailure {
    PolicyFailure::failed(policy.to_owned(), super::INTERNAL.to_owned())
}

/// A validator's finding.
pub fn finding(severity: Severity, code: &str, path: &str, message: &str) -> Finding {
    Finding { severity, code: code.into(), path: path.into(), message: message.into(), hint: None }
}

pub struct FakePolicies {
    pub findings: Mutex<Vec<Finding>>,
    pub validator_traps: AtomicBool,
    pub authorizer: Mutex<Verdict>,
    pub admitter: Mutex<Verdict>,
    /// Answers with one result too few.
    pub forgets_a_template: AtomicBool,
    pub proposals: Mutex<Vec<Proposal>>,
    pub authorizations: Mutex<Vec<AuthorizationRequest>>,
    pub admissions: Mutex<Vec<AdmissionRequest>>,
    /// Renderer and name of every template.
    pub rendered: Mutex<Vec<(String, String)>>,
    /// Every call of the renderer lets all others go on first.
    pub slow_renderer: AtomicBool,
    /// What happens while the authorizer is asked next.
    pub meanwhile: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
}

impl Default for FakePolicies {
    fn default() -> Self {
        Self {
            findings: Mutex::default(),
            validator_traps: AtomicBool::new(false),
            authorizer: Mutex::new(Verdict::Allow),
            admitter: Mutex::new(Verdict::Allow),
            forgets_a_template: AtomicBool::new(false),
            proposals: Mutex::default(),
            authorizations: Mutex::default(),
            admissions: Mutex::default(),
            rendered: Mutex::default(),
            slow_renderer: AtomicBool::new(false),
            meanwhile: Mutex::default(),
        }
    }
}

impl FakePolicies {
    pub fn authorizer(&self, verdict: Verdict) {
        *self.authorizer.lock().unwrap() = verdict;
    }

    pub fn admitter(&self, verdict: Verdict) {
        *self.admitter.lock().unwrap() = verdict;
    }
}

#[async_trait]
impl Policies for FakePolicies {
    fn renderers(&self) -> Vec<String> {
        vec!["go-template".to_owned(), "liquid".to_owned()]
    }

    async fn validate(&self, proposal: Proposal) -> Result<Vec<Finding>, PolicyFailure> {
        self.proposals.lock().unwrap().push(proposal);
        if self.validator_traps.load(Ordering::SeqCst) {
            return Err(failure("no-debug"));
        }
        Ok(self.findings.lock().unwrap().clone())
    }

    async fn authorize(&self, request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        let verdict = self.authorizer.lock().unwrap().clone();
        let holds = request.principal.roles.iter().any(|role| {
            role.resource_type == request.resource_type
                && role.actions.iter().any(|action| action.eq_ignore_ascii_case(&request.action))
                && request.resource_names.iter().all(|name| role.resource_names.contains(name))
        });
        let name = request.principal.name.clone();
        self.authorizations.lock().unwrap().push(request);
        let verdict = match verdict {
            Verdict::RolesButTrapFor(other) if name == other => Verdict::Fail("hours"),
            Verdict::Roles | Verdict::RolesButTrapFor(_) | Verdict::RolesButDeny(_) if !holds => {
                Verdict::Deny("rbac", "no role", None)
            }
            Verdict::RolesButDeny(other) if name == other => Verdict::Deny("hours", "never", None),
            verdict => verdict,
        };
        verdict.answer("rbac")
    }

    async fn admit(&self, request: AdmissionRequest) -> Result<PolicyDecision, PolicyFailure> {
        self.admissions.lock().unwrap().push(request);
        self.admitter.lock().unwrap().answer("")
    }

    async fn render(
        &self,
        renderer: &str,
        _context: Context,
        templates: Vec<Template>,
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        if self.slow_renderer.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        let mut results = Vec::new();
        for (index, template) in templates.iter().enumerate() {
            self.rendered.lock().unwrap().push((renderer.to_owned(), template.name.clone()));
            let index = u32::try_from(index).unwrap();
            results.push(render(renderer, index, &template.text, secrets.as_ref())?);
        }
        if self.forgets_a_template.load(Ordering::SeqCst) {
            results.pop();
        }
        Ok(results)
    }
}

fn render(
    renderer: &str,
    index: u32,
    text: &[u8],
    secrets: &dyn SecretCatalog,
) -> Result<Vec<Chunk>, RenderFailure> {
    let Ok(mut rest) = std::str::from_utf8(text) else { return Ok(vec![Chunk::Text(text.to_vec())]) };
    let fault = |message: &str| {
        let message = message.to_owned();
        RenderFailure::Template(RenderError { template: index, line: 1, column: 0, message, hint: None })
    };
    let mut chunks = Vec::new();
    while let Some((before, action)) = rest.split_once("{{") {
        let (action, after) = action.split_once("}}").ok_or_else(|| fault("unclosed action"))?;
        rest = after;
        chunks.push(Chunk::Text(before.as_bytes().to_vec()));
        match action.trim() {
            "fail" => return Err(fault(RENDER_FAULT)),
            "list" => _ = secrets.names(Scope::Current),
            look if look.starts_with("look ") => _ = secrets.lookup(Scope::Current, &look[5..]),
            "trap" => return Err(RenderFailure::Policy(failure(renderer))),
            path => {
                let blind = path.strip_prefix('!');
                let reference = reference(blind.unwrap_or(path));
                if blind.is_none() {
                    judge(&reference, secrets)
                        .map_err(|text| fault(&format!("template: data:1:3: {text}")))?;
                }
                chunks.push(Chunk::Secret(reference));
            }
        }
    }
    chunks.push(Chunk::Text(rest.as_bytes().to_vec()));
    Ok(chunks)
}

/// What a renderer sees without looking at a byte.
fn judge(reference: &SecretReference, secrets: &dyn SecretCatalog) -> Result<(), &'static str> {
    let info = secrets.lookup(reference.scope, &reference.name).ok_or("secret does not exist")?;
    let part = match reference.part {
        Part::Whole => Part::Public,
        part => part,
    };
    if info.parts.contains(&part) { Ok(()) } else { Err("tried to parse secret with empty value") }
}

fn reference(path: &str) -> SecretReference {
    let words: Vec<&str> = path.split('.').collect();
    let [scope, name, part, encoding] = words.as_slice() else { panic!("not understood: {path}") };
    SecretReference {
        scope: match *scope {
            "current" => Scope::Current,
            "previous" => Scope::Previous,
            "reserved" => Scope::Reserved,
            other => panic!("no scope: {other}"),
        },
        name: (*name).into(),
        part: match *part {
            "whole" => Part::Whole,
            "public" => Part::Public,
            "private" => Part::Private,
            "certificate" => Part::Certificate,
            other => panic!("no part: {other}"),
        },
        encoding: match *encoding {
            "raw" => Encoding::Raw,
            "hex" => Encoding::Hex,
            "base64" => Encoding::Base64,
            "pem" => Encoding::Pem,
            "text" => Encoding::Text,
            other => panic!("no encoding: {other}"),
        },
    }
}
