//! The built-in policies without WebAssembly.

use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use carrara_core::ports::{Policies, PolicyDecision, PolicyFailure, RenderFailure, SecretCatalog};
use carrara_plugin_support::secrets::{AccessError, Secrets};
use carrara_types::decision::{
    AdmissionRequest, AuthorizationRequest, Chunk, Context, Decision, Denial, Encoding, Finding, HeldRole,
    Part, Proposal, RenderError, Scope, SecretInfo, SecretReference, Template,
};

pub(super) struct BuiltIn;

#[async_trait]
impl Policies for BuiltIn {
    fn renderers(&self) -> Vec<String> {
        vec!["go-template".to_owned(), "liquid".to_owned()]
    }

    async fn validate(&self, proposal: Proposal) -> Result<Vec<Finding>, PolicyFailure> {
        Ok(carrara_plugin_manifest_rules::validate(proposal.change.name(), &proposal.manifest))
    }

    async fn authorize(&self, request: AuthorizationRequest) -> Result<PolicyDecision, PolicyFailure> {
        let roles: Vec<_> = request.principal.roles.iter().map(role).collect();
        let question = carrara_plugin_rbac::Request {
            user: &request.principal.name,
            roles: &roles,
            action: &request.action,
            resource_type: &request.resource_type,
            resource_names: &request.resource_names,
        };
        let decision = match carrara_plugin_rbac::authorize(&question) {
            Ok(()) => Decision::Allow,
            Err(denial) => Decision::Deny(Denial {
                code: denial.code.to_owned(),
                message: denial.message,
                hint: Some(denial.hint),
                resources: denial.resources,
            }),
        };
        Ok(PolicyDecision { policy: "rbac".to_owned(), decision })
    }

    async fn admit(&self, _request: AdmissionRequest) -> Result<PolicyDecision, PolicyFailure> {
        Ok(PolicyDecision { policy: String::new(), decision: Decision::Allow })
    }

    async fn render(
        &self,
        renderer: &str,
        _context: Context,
        templates: Vec<Template>,
        secrets: Arc<dyn SecretCatalog>,
    ) -> Result<Vec<Vec<Chunk>>, RenderFailure> {
        let desk = Desk(secrets.as_ref());
        let mut rendered = Vec::with_capacity(templates.len());
        for (index, template) in templates.iter().enumerate() {
            let result = match renderer {
                "go-template" => carrara_plugin_go_template::render(&template.text, template.target, &desk),
                "liquid" => carrara_plugin_liquid::render(&template.text, template.target, &desk),
                other => return Err(RenderFailure::UnknownRenderer(other.to_owned())),
            };
            rendered.push(result.map_err(|failure| {
                RenderFailure::Template(RenderError {
                    template: u32::try_from(index).unwrap_or(u32::MAX),
                    line: failure.line,
                    column: failure.column,
                    message: failure.message,
                    hint: None,
                })
            })?);
        }
        Ok(rendered)
    }
}

fn role(role: &HeldRole) -> carrara_plugin_rbac::Role<'_> {
    carrara_plugin_rbac::Role {
        name: &role.name,
        resource_type: &role.resource_type,
        resource_names: &role.resource_names,
        actions: &role.actions,
    }
}

/// What a renderer sees of the secrets, judged as the host of policies judges.
struct Desk<'a>(&'a dyn SecretCatalog);

impl Secrets for Desk<'_> {
    fn names(&self, scope: Scope) -> Vec<String> {
        self.0.names(scope)
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<Rc<SecretInfo>> {
        self.0.lookup(scope, name).map(Rc::new)
    }

    fn encode(&self, reference: &SecretReference) -> Result<(), AccessError> {
        let info = self.0.lookup(reference.scope, &reference.name).ok_or(AccessError::NoSuchSecret)?;
        may_encode(&info, reference)
    }
}

fn may_encode(info: &SecretInfo, reference: &SecretReference) -> Result<(), AccessError> {
    let certificate = info.kind.starts_with("cert-");
    match (reference.encoding, reference.part) {
        (Encoding::Text, part) if info.kind != "plain" || part != Part::Whole => {
            return Err(AccessError::WrongKind("no text".to_owned()));
        }
        (Encoding::Pem, Part::Whole) if !certificate => {
            return Err(AccessError::WrongKind("no PEM".to_owned()));
        }
        _ => {}
    }
    let needed = match reference.part {
        Part::Whole if reference.encoding == Encoding::Pem => Part::Certificate,
        Part::Whole => Part::Public,
        other => other,
    };
    if info.parts.contains(&needed) { Ok(()) } else { Err(AccessError::Empty) }
}

/// Secrets of every kind that are made up, for templates alone.
pub(crate) fn catalog() -> impl Secrets {
    let mut entries = Vec::new();
    let both = [Part::Public, Part::Private].to_vec();
    let all = [Part::Public, Part::Private, Part::Certificate].to_vec();
    for scope in [Scope::Current, Scope::Previous] {
        for (name, kind, parts) in [
            ("k", "symmetric-key", &both),
            ("my-key", "symmetric-key", &both),
            ("c", "cert-ecdsa", &all),
            ("p", "plain", &both),
            ("unset", "plain", &Vec::new()),
        ] {
            entries.push((scope, made_up(name, kind, parts)));
        }
    }
    entries.push((Scope::Reserved, made_up("RootCA", "cert-ecdsa", &[Part::Certificate])));
    entries.push((Scope::Reserved, made_up("MarbleCert", "cert-ecdsa", &all)));
    entries.push((Scope::Reserved, made_up("CoordinatorRoot", "cert-ecdsa", &[Part::Certificate])));
    MadeUp(entries)
}

fn made_up(name: &str, kind: &str, parts: &[Part]) -> SecretInfo {
    let (name, kind) = (name.into(), kind.to_owned());
    let parts = parts.to_vec();
    SecretInfo { name, kind, size: 128, shared: true, user_defined: false, valid_for: 365, parts }
}

struct MadeUp(Vec<(Scope, SecretInfo)>);

impl Secrets for MadeUp {
    fn names(&self, scope: Scope) -> Vec<String> {
        self.0.iter().filter(|(known, _)| *known == scope).map(|(_, info)| info.name.to_string()).collect()
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<Rc<SecretInfo>> {
        let found = self.0.iter().find(|(known, info)| *known == scope && *info.name == *name);
        found.map(|(_, info)| Rc::new(info.clone()))
    }

    fn encode(&self, reference: &SecretReference) -> Result<(), AccessError> {
        let info = self.lookup(reference.scope, &reference.name).ok_or(AccessError::NoSuchSecret)?;
        may_encode(&info, reference)
    }
}
