//! Every policy that a macro makes is what its world exports.

use super::bindings;
use super::secrets::Secrets;
use super::words;
use crate::policy::{Admitter, Authorizer, Check, Renderer, Validator};
use crate::rendering::{Chunk, Target, Template};
use crate::settings::SettingsError;
use crate::validation::{Finding, PackageVersion, Proposal, Severity};
use crate::{admission, authorization};

use bindings::configured::exports::carrara::policy::configuration;

impl<P: Check> configuration::Guest for P {
    fn check(settings: String) -> Result<(), Vec<configuration::SettingsError>> {
        words::log_panics();
        let errors = P::check(&settings);
        if errors.is_empty() {
            return Ok(());
        }
        let error = |error: SettingsError| configuration::SettingsError {
            line: error.line,
            column: error.column,
            message: error.message,
            hint: error.hint,
        };
        Err(errors.into_iter().map(error).collect())
    }
}

use bindings::authorization::exports::carrara::policy::role_authorizer as authorizer;

impl<P: Authorizer> authorizer::Guest for P {
    fn authorize(request: authorizer::Request) -> authorizer::Decision {
        words::log_panics();
        words::decision(P::decide(&authorization::Request {
            context: words::context(request.context),
            principal: words::principal(request.principal),
            action: request.action,
            resource_type: request.resource_type,
            resource_names: request.resource_names,
        }))
    }
}

use bindings::admission::exports::carrara::policy::marble_admitter as admitter;

impl<P: Admitter> admitter::Guest for P {
    fn admit(request: admitter::Request) -> admitter::Decision {
        words::log_panics();
        let evidence = |evidence: admitter::Evidence| admission::Evidence {
            tee: evidence.tee,
            debug: evidence.debug,
            tcb_status: evidence.tcb_status,
            advisories: evidence.advisories,
            identity: words::facts(evidence.identity),
        };
        words::decision(P::decide(&admission::Request {
            context: words::context(request.context),
            marble_type: request.marble_type,
            package_name: request.package_name,
            uuid: request.uuid,
            evidence: request.evidence.map(evidence),
            dns_names: request.dns_names,
            ip_addresses: request.ip_addresses,
            activations: request.activations,
            max_activations: request.max_activations,
        }))
    }
}

use bindings::validation::exports::carrara::policy::manifest_validator as validator;

impl<P: Validator> validator::Guest for P {
    fn validate(proposal: validator::Proposal) -> Vec<validator::Finding> {
        words::log_panics();
        let version = |version: validator::PackageVersion| PackageVersion {
            name: version.name,
            security_version: version.security_version,
        };
        let findings = P::decide(&Proposal {
            context: words::context(proposal.context),
            change: proposal.change,
            manifest: proposal.manifest,
            manifest_sha256: proposal.manifest_sha256,
            current: proposal.current,
            current_versions: proposal.current_versions.into_iter().map(version).collect(),
            proposer: proposal.proposer.map(words::principal),
        });
        findings.into_iter().map(finding).collect()
    }
}

fn finding(finding: Finding) -> validator::Finding {
    validator::Finding {
        severity: match finding.severity {
            Severity::Error => validator::Severity::Error,
            Severity::Warning => validator::Severity::Warning,
        },
        code: finding.code,
        path: finding.path,
        message: finding.message,
        hint: finding.hint,
    }
}

use bindings::rendering::exports::carrara::policy::secret_renderer as renderer;

impl<P: Renderer> renderer::Guest for P {
    fn render(
        context: renderer::Context,
        templates: Vec<renderer::Template>,
    ) -> Result<Vec<Vec<renderer::Chunk>>, renderer::RenderError> {
        words::log_panics();
        let secrets = Secrets::of_this_call();
        // One question for all: only the template changes.
        let mut question = Template { context: words::context(context), ..Template::default() };
        let mut rendered = Vec::with_capacity(templates.len());
        for (index, template) in templates.into_iter().enumerate() {
            question.target = match template.target {
                renderer::Target::File => Target::File,
                renderer::Target::Env => Target::Env,
            };
            (question.name, question.text) = (template.name, template.text);
            let chunks = P::decide(&question, &secrets).map_err(|error| renderer::RenderError {
                template: u32::try_from(index).unwrap_or(u32::MAX),
                line: error.line,
                column: error.column,
                message: error.message,
                hint: error.hint,
            })?;
            rendered.push(chunks.into_iter().map(chunk).collect());
        }
        Ok(rendered)
    }
}

fn chunk(chunk: Chunk) -> renderer::Chunk {
    match chunk {
        Chunk::Text(bytes) => renderer::Chunk::Text(bytes),
        Chunk::Secret(fragment) => renderer::Chunk::Fragment(fragment.0),
    }
}
